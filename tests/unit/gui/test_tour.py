"""The arguments of ``kafkarium tour``; the tour itself is an integration test."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui import tour


def test_that_wrong_arguments_are_named_and_nothing_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> int:
        raise AssertionError("the window was opened")

    monkeypatch.setattr(tour, "_visit", opened)
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "out")
    for arguments, reason in (
        (["--out", out, "--themes", "pink"], "--themes"),
        (["--out", out, "--bootstrap", "host:99999"], "host:99999"),
        (["--out", str(tmp_path / "file" / "pictures")], "file"),
    ):
        assert tour.main(arguments) == 2
        assert reason in capsys.readouterr().err


def test_that_the_themes_and_the_folder_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[tuple[list[str], bool]] = []

    def visit(wanted: object, themes: list[str], home: Path) -> int:
        visits.append((themes, home.is_dir()))
        return 0

    monkeypatch.setattr(tour, "_visit", visit)
    assert tour.main(["--out", str(tmp_path / "deep" / "out"), "--themes", "light"]) == 0
    assert visits == [(["light"], True)] and (tmp_path / "deep" / "out").is_dir()
