"""Starting and removing embedded clusters: errors in their place, and a question before data go."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QLabel, QPushButton

from gui.cluster_actions import ClusterActions
from gui.embedded.stored import StoredCluster, cluster_folder, new_directory, stored_clusters
from gui.embedded.templates import TEMPLATES
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


def actions(window: Window) -> ClusterActions:
    return window.application.actions


def stored(window: Window, tmp_path: Path) -> StoredCluster:
    root = tmp_path / "clusters"
    directory, _ = new_directory(root, TEMPLATES["single"])
    cluster_folder(directory).mkdir()
    (only,) = stored_clusters(root)
    return only


def press(window: Window, text: str) -> None:
    """Press a button of the dialog that is open."""

    def button() -> QPushButton | None:
        for dialog in window.window.findChildren(QDialog):
            for found in dialog.findChildren(QPushButton):
                if dialog.isVisible() and found.text() == text:
                    return found
        return None

    window.wait_until(lambda: button() is not None)
    wanted = button()
    assert wanted is not None
    QTest.mouseClick(wanted, Qt.MouseButton.LeftButton)


def test_that_a_start_that_fails_is_explained_on_the_welcome_page(
    window: Window, tmp_path: Path
) -> None:
    (tmp_path / "clusters").write_text("a file where the folder of clusters should be")
    actions(window).start_template("single")
    trouble = window.application.welcome.trouble
    window.wait_until(trouble.isVisible)
    assert str(tmp_path / "clusters") in trouble.sentence


def test_that_a_start_that_fails_beside_an_open_cluster_is_a_toast(
    window: Window, tmp_path: Path
) -> None:
    window.connect(FakeClient(moving=False))
    (tmp_path / "clusters").write_text("a file where the folder of clusters should be")
    actions(window).start_template("single")

    def toasts() -> list[str]:
        notes = window.window.toasts.notes
        return [label.text() for note in notes for label in note.findChildren(QLabel)]

    window.wait_until(lambda: any(str(tmp_path) in text for text in toasts()))
    assert not window.application.welcome.trouble.isVisible()


def test_that_a_stored_cluster_is_removed_only_after_a_yes(window: Window, tmp_path: Path) -> None:
    cluster = stored(window, tmp_path)
    actions(window).remove(cluster)
    press(window, "Cancel")
    window.wait_until(lambda: window.application.tasks.running == 0)
    assert cluster.directory.is_dir()
    actions(window).remove(cluster)
    press(window, "Remove")
    window.wait_until(lambda: not cluster.directory.exists())
