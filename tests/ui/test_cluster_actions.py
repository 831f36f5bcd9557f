"""Starting and removing embedded clusters: errors in their place, and a question before data go."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QLabel, QPushButton

from gui.cluster_actions import ClusterActions
from gui.configuration.page import ConfigurationPage
from gui.embedded.stored import StoredCluster, cluster_folder, new_directory, stored_clusters
from gui.embedded.templates import TEMPLATES
from gui.navigation import ConfigurationTarget
from kafka_client.model import ConfigResource
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


# ---- edits that are not applied


def edited(window: Window, *, in_tab: bool = False) -> ConfigurationPage:
    """A Configuration page with one edit."""
    window.connect(FakeClient(moving=False))
    view = window.window.view
    assert view is not None
    view.navigate(ConfigurationTarget(ConfigResource("topic", "email")), in_tab=in_tab)
    page = view.stack.currentWidget()
    assert isinstance(page, ConfigurationPage)
    window.wait_until(lambda: page.setting_table.model.rowCount() > 3)
    page.setting_table.select_key("retention.ms")
    page.editor._field.setText("60000")
    QTest.mouseClick(page.editor.set_button, Qt.MouseButton.LeftButton)
    assert page.session.unapplied_edits == 1
    return page


def test_that_a_cluster_with_edits_is_closed_after_a_question(window: Window) -> None:
    page = edited(window)
    clusters, session = window.application.clusters, page.session
    actions(window).close_session(session)
    press(window, "Keep")
    window.wait_until(lambda: not window.application.tasks.running)
    assert clusters.shown is session and page.pending_bar.isVisible()
    actions(window).close_session(session)
    press(window, "Discard")
    window.wait_until(lambda: clusters.shown is None)


def test_that_a_tab_with_edits_is_closed_after_a_question(window: Window) -> None:
    edited(window, in_tab=True)
    view = window.window.view
    assert view is not None
    view.close_tab(1)
    press(window, "Keep")
    assert view.bar.count() == 2
    view.close_tab(1)
    press(window, "Discard")
    window.wait_until(lambda: view.bar.count() == 1)
    window.wait_until(lambda: view.session.unapplied_edits == 0)
    actions(window).close_session(view.session)
    window.wait_until(lambda: window.application.clusters.shown is None)


def test_that_the_window_with_edits_is_closed_after_a_question(window: Window) -> None:
    edited(window)
    window.window.close()
    press(window, "Keep")
    window.wait_until(lambda: window.application._ending is None)
    assert window.window.isVisible()
    window.window.close()
    press(window, "Discard")
    window.wait_until(window.application.ended.done)
