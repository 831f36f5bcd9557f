from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from gui.settings import Settings


def test_that_values_come_back_after_a_start(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    settings = Settings(path)
    settings.set_value("tables/topics", {"widths": {"name": 200}})
    qtbot.waitUntil(path.exists, timeout=2000)
    assert Settings(path).value("tables/topics") == {"widths": {"name": 200}}
    assert [p.name for p in path.parent.iterdir()] == ["settings.json"], (
        "no half-written file stays"
    )


def test_that_a_damaged_file_is_put_aside_and_the_defaults_hold(
    qapp: object, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{not json")
    assert Settings(path).value("theme", "system") == "system"
    assert (tmp_path / "settings.unreadable.json").read_text() == "{not json"


def test_that_a_folder_that_cannot_be_written_is_told(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(tmp_path / "file" / "settings.json")
    with qtbot.waitSignal(settings.save_failed, timeout=2000) as told:
        settings.set_value("a", 1)
    assert "could not be saved" in told.args[0]
