from __future__ import annotations

from pathlib import Path

import pytest

from gui.embedded.stored import TEMPLATES, leftovers, new_directory, remove


def test_that_each_cluster_has_a_folder_and_a_title_of_its_own(tmp_path: Path) -> None:
    first, first_title = new_directory(tmp_path, TEMPLATES["notifications"])
    second, second_title = new_directory(tmp_path, TEMPLATES["notifications"])
    assert first != second
    assert (first_title, second_title) == ("Notifications (demo)", "Notifications 2 (demo)")
    assert {held.title for held in leftovers(tmp_path)} == {first_title, second_title}


def test_that_only_a_folder_of_ours_is_removed(tmp_path: Path) -> None:
    foreign = tmp_path / "precious"
    foreign.mkdir()
    with pytest.raises(ValueError, match="no cluster"):
        remove(foreign)
    assert foreign.exists() and leftovers(tmp_path) == []
    directory, _ = new_directory(tmp_path, TEMPLATES["single"])
    remove(directory)
    assert not directory.exists()


def test_that_a_damaged_mark_is_left_alone(tmp_path: Path) -> None:
    directory, _ = new_directory(tmp_path, TEMPLATES["single"])
    (directory / "kafkarium.json").write_text('{"title": 5}')
    assert leftovers(tmp_path) == []
    assert directory.exists()
