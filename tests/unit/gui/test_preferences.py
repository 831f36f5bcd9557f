"""The window's preferences: declared once, checked, kept over restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from gui.preferences import (
    DECLARED,
    RAIL_NARROW,
    THEME,
    VIEW_STATE,
    WINDOW_S,
    WINDOW_SIZE,
    Preferences,
)


def test_that_values_come_back_after_a_restart(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "preferences.json"
    preferences = Preferences(path)
    preferences.set_value("tables/topics", {"widths": {"name": 200}})
    preferences.set(WINDOW_SIZE, (1280, 720))
    qtbot.waitUntil(path.exists, timeout=2000)
    again = Preferences(path)
    assert again.value("tables/topics") == {"widths": {"name": 200}}
    assert again.get(WINDOW_SIZE) == (1280, 720)
    assert [p.name for p in path.parent.iterdir()] == ["preferences.json"], (
        "no half-written file stays"
    )


def test_that_a_damaged_file_is_set_aside_and_the_defaults_hold(
    qapp: object, tmp_path: Path
) -> None:
    path = tmp_path / "preferences.json"
    path.write_text("{not json")
    preferences = Preferences(path)
    assert preferences.get(THEME) == "system"
    assert (tmp_path / "preferences.damaged.json").read_text() == "{not json"
    assert str(path) in preferences.problem and "preferences.damaged.json" in preferences.problem


def test_that_a_file_that_is_no_object_is_damaged_too(qapp: object, tmp_path: Path) -> None:
    path = tmp_path / "preferences.json"
    path.write_text("[1, 2]")
    assert Preferences(path).problem
    assert not path.exists()


def test_that_no_file_is_no_problem(qapp: object, tmp_path: Path) -> None:
    assert Preferences(tmp_path / "preferences.json").problem == ""


@pytest.mark.parametrize("stored", ["pink", 5, None, ["dark"]])
def test_that_a_stored_value_that_is_not_valid_gives_the_default(
    qapp: object, tmp_path: Path, stored: object
) -> None:
    path = tmp_path / "preferences.json"
    path.write_text(json.dumps({"theme": stored, "rail_narrow": "yes", "window_s": True}))
    preferences = Preferences(path)
    assert preferences.get(THEME) == "system"
    assert preferences.get(RAIL_NARROW) is False
    assert preferences.get(WINDOW_S) == 300.0


def test_that_an_invalid_value_is_refused(qapp: object, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "preferences.json")
    with pytest.raises(ValueError, match="system, dark, light"):
        preferences.set(THEME, "pink")
    with pytest.raises(ValueError, match="1 to"):
        preferences.set(WINDOW_S, 0.0)
    assert preferences.get(THEME) == "system"


def test_that_names_of_a_newer_version_are_kept(qapp: object, tmp_path: Path) -> None:
    path = tmp_path / "preferences.json"
    path.write_text(json.dumps({"from_the_future": {"a": 1}}))
    preferences = Preferences(path)
    preferences.set(THEME, "dark")
    preferences.save()
    assert json.loads(path.read_text()) == {"from_the_future": {"a": 1}, "theme": "dark"}


def test_that_a_loose_name_is_refused(qapp: object, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "preferences.json")
    with pytest.raises(KeyError, match="declare it"):
        preferences.set_value("colour", "pink")
    with pytest.raises(KeyError, match="declare it"):
        preferences.value("colour")


def test_that_a_change_is_notified_once(qtbot: QtBot, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "preferences.json")
    names: list[str] = []
    preferences.changed.connect(names.append)
    preferences.set(THEME, "dark")
    preferences.set(THEME, "dark")
    assert names == ["theme"]


def test_that_a_folder_that_cannot_be_written_is_reported_once(
    qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    preferences = Preferences(tmp_path / "file" / "preferences.json")
    sentences: list[str] = []
    preferences.save_failed.connect(sentences.append)
    preferences.set(THEME, "dark")
    preferences.save()
    preferences.set(THEME, "light")
    preferences.save()
    assert len(sentences) == 1 and "could not be saved" in sentences[0]
    assert preferences.get(THEME) == "light"


def test_that_the_declarations_hold_together() -> None:
    names = [preference.name for preference in DECLARED]
    assert len(set(names)) == len(names)
    for preference in DECLARED:
        default = preference.default
        stored = list(default) if isinstance(default, tuple) else default
        assert preference.kind(stored) == default, preference.name
        assert preference.text and not preference.name.startswith(VIEW_STATE)
