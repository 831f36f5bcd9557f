from __future__ import annotations

from pathlib import Path

from gui import log
from gui.about.places import places


def test_that_every_file_and_folder_of_kafkarium_is_named(tmp_path: Path) -> None:
    named = places(tmp_path / "p.json", tmp_path / "history", tmp_path / "clusters")
    by_name = {place.name: place for place in named}
    assert by_name["Preferences"].path == tmp_path / "p.json"
    assert by_name["Connections"].path == tmp_path / "connections.json"
    assert by_name["Embedded clusters"].path == tmp_path / "clusters"
    assert "not written" in by_name["Log"].note


def test_that_the_log_is_named_where_it_is_written_or_why_it_is_not(tmp_path: Path) -> None:
    installed = log.install("test", tmp_path / "log")
    assert places(tmp_path, tmp_path, tmp_path)[0].path == installed.path
    installed.close()
    (tmp_path / "file").write_text("")
    broken = log.install("test", tmp_path / "file" / "log")
    assert "cannot be written" in places(tmp_path, tmp_path, tmp_path)[0].note
    broken.close()
