"""Every preference acts, and About shows and copies what a report needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
)
from shiboken6 import isValid

from gui.about import components
from gui.about.dialog import AboutDialog
from gui.connect_dialog import ConnectDialog
from gui.embedded import stored
from gui.embedded.templates import TEMPLATES
from gui.preferences import (
    EMBEDDED_FOLDER,
    HISTORY_DAYS,
    HISTORY_MIB,
    SAMPLING_FOCUS_S,
    SAMPLING_METADATA_S,
    THEME,
    TIME_STYLE,
)
from gui.preferences_dialog import SHOWN, PreferencesDialog
from kafka_client.history import HistoryLimits
from kafka_client.sampling.state import ConnectionKind
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


def opened_dialog(window: Window) -> QDialog:
    """The only open dialog, as soon as it is open."""

    def dialogs() -> list[QDialog]:
        widgets = QApplication.topLevelWidgets()
        return [w for w in widgets if isinstance(w, QDialog) and w.isVisible()]

    window.wait_until(lambda: bool(dialogs()))
    (dialog,) = dialogs()
    return dialog


def preferences_dialog(window: Window) -> PreferencesDialog:
    window.window.activateWindow()
    window.wait_until(window.window.isActiveWindow)
    QTest.keyClick(window.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    dialog = opened_dialog(window)
    assert isinstance(dialog, PreferencesDialog)
    return dialog


def choose(dialog: PreferencesDialog, name: str, value: str) -> None:
    box = dialog.editors[name]
    assert isinstance(box, QComboBox)
    box.setCurrentIndex(box.findData(value))
    box.activated.emit(box.currentIndex())


def enter(dialog: PreferencesDialog, name: str, value: float) -> None:
    box = dialog.editors[name]
    assert isinstance(box, QDoubleSpinBox)
    box.setValue(value)


def button(dialog: QDialog, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text() == text)


def test_that_the_dialog_edits_every_preference_with_a_section(window: Window) -> None:
    dialog = preferences_dialog(window)
    assert set(dialog.editors) == {preference.name for preference in SHOWN}
    for editor in dialog.editors.values():
        assert editor.accessibleName()
    dialog.close()


def test_that_the_theme_changes_at_once_and_a_change_elsewhere_shows(window: Window) -> None:
    dialog = preferences_dialog(window)
    theme = window.application.theme
    choose(dialog, THEME.name, "light")
    assert not theme.dark
    window.application.switch_theme()
    box = dialog.editors[THEME.name]
    assert isinstance(box, QComboBox)
    assert theme.dark and box.currentData() == "dark"
    dialog.close()


def test_that_times_are_written_as_chosen_and_the_header_agrees(window: Window) -> None:
    style = window.application.clock.style
    dialog = preferences_dialog(window)
    choose(dialog, TIME_STYLE.name, "utc")
    assert style.style == "utc"
    style.choose("relative")
    box = dialog.editors[TIME_STYLE.name]
    assert isinstance(box, QComboBox) and box.currentData() == "relative"
    assert window.application.preferences.get(TIME_STYLE) == "relative"
    dialog.close()


def test_that_new_intervals_apply_to_connections_opened_from_then_on(window: Window) -> None:
    window.connect(FakeClient(moving=False), "before")
    before = window.application.clusters.shown
    dialog = preferences_dialog(window)
    enter(dialog, SAMPLING_FOCUS_S.name, 12.5)
    enter(dialog, SAMPLING_METADATA_S.name, 9)
    dialog.close()
    window.connect(FakeClient(moving=False), "after")
    after = window.application.clusters.shown
    assert before is not None and before.sampling._sampler is not None
    assert after is not None and after.sampling._sampler is not None
    assert before.sampling._sampler.schedule.offsets_visible_s == 1.0
    assert after.sampling._sampler.schedule.offsets_visible_s == 12.5
    assert after.sampling._sampler.schedule.metadata_s == 9.0


def test_that_history_limits_apply_to_open_and_to_new_connections(window: Window) -> None:
    window.connect(FakeClient(moving=False), "open")
    session = window.application.clusters.shown
    assert session is not None and session.history is not None
    assert session.history.limits == HistoryLimits()
    dialog = preferences_dialog(window)
    enter(dialog, HISTORY_DAYS.name, 4)
    enter(dialog, HISTORY_MIB.name, 50)
    dialog.close()
    assert session.history.limits == HistoryLimits(4.0, 50 << 20)
    window.connect(FakeClient(moving=False), "new")
    shown = window.application.clusters.shown
    assert shown is not None and shown is not session and shown.history is not None
    assert shown.history.limits == HistoryLimits(4.0, 50 << 20)


def test_that_new_clusters_go_to_the_chosen_folder_and_old_ones_stay_listed(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = window.application.embedded
    first = embedded.root
    kept, _ = stored.new_directory(first, TEMPLATES["notifications"])
    chosen = tmp_path / "on another disk"
    window.application.preferences.set(EMBEDDED_FOLDER, str(chosen))
    assert embedded.root == chosen
    assert [held.directory for held in embedded.stored] == [kept]

    roots: list[Path] = []

    def refuse(root: Path, _: object) -> None:
        roots.append(root)
        raise OSError("the test starts no cluster")

    monkeypatch.setattr(stored, "new_directory", refuse)
    window.application.actions.start_template("notifications")
    window.wait_until(lambda: bool(roots))
    assert roots == [chosen]

    third = tmp_path / "a third"
    stored_in_chosen = chosen / "single-1"
    stored_in_chosen.mkdir(parents=True)
    stored.write_mark(stored_in_chosen, "Single broker", TEMPLATES["single"])
    window.application.preferences.set(EMBEDDED_FOLDER, str(third))
    assert {held.directory for held in embedded.stored} == {kept, stored_in_chosen}


def test_that_defaults_are_restored(window: Window) -> None:
    dialog = preferences_dialog(window)
    enter(dialog, SAMPLING_FOCUS_S.name, 30)
    enter(dialog, HISTORY_DAYS.name, 2)
    button(dialog, "Restore defaults").click()
    preferences = window.application.preferences
    assert all(preferences.get(preference) == preference.default for preference in SHOWN)
    box = dialog.editors[SAMPLING_FOCUS_S.name]
    assert isinstance(box, QDoubleSpinBox) and box.value() == 1.0
    dialog.close()


def test_that_about_is_in_the_palette_and_copies_the_diagnostics_it_shows(window: Window) -> None:
    window.connect(FakeClient(moving=False), "orders")
    session = window.application.clusters.shown
    assert session is not None
    window.wait_until(lambda: session.state.kind is ConnectionKind.CONNECTED)
    box = window.window.palette_box
    box.open_palette()
    box.box.setText("about kafk")
    QTest.keyClick(box.box, Qt.Key.Key_Return)
    dialog = opened_dialog(window)
    assert isinstance(dialog, AboutDialog)
    QGuiApplication.clipboard().clear()
    dialog.copy_button.click()
    copied = QGuiApplication.clipboard().text()
    assert copied == dialog.diagnostics
    assert "orders: orders:9092, PLAINTEXT, connected" in copied
    assert "librdkafka" in copied
    assert str(window.application.preferences.path) in copied
    licences = dialog.tabs.widget(2)
    assert licences is not None
    texts = [label.text() for label in licences.findChildren(QLabel)]
    assert "THIRD-PARTY-NOTICES.txt" in texts and components.NOTICES.is_file()
    dialog.close()


def test_that_the_preferences_that_could_not_be_saved_are_named_in_the_dialog(
    window: Window,
) -> None:
    dialog = preferences_dialog(window)
    window.application.preferences.save_failed.emit("The preferences could not be saved.")
    assert "could not be saved" in dialog.banner.sentence
    dialog.close()


def file_dialog(window: Window) -> QFileDialog:
    """The open file dialog, as soon as it is open."""

    def dialogs() -> list[QFileDialog]:
        widgets = QApplication.topLevelWidgets()
        return [w for w in widgets if isinstance(w, QFileDialog) and w.isVisible()]

    window.wait_until(lambda: bool(dialogs()))
    return dialogs()[0]


def accept(dialog: QFileDialog, path: Path) -> None:
    """Type the path into the dialog and accept it."""
    line = dialog.findChild(QLineEdit)
    assert line is not None
    line.setText(str(path))
    dialog.accept()


def test_that_a_folder_is_chosen_in_a_dialog(window: Window, tmp_path: Path) -> None:
    dialog = preferences_dialog(window)
    choose_folder = button(dialog, "Choose…")
    choose_folder.click()
    file_dialog(window).reject()
    window.wait_until(lambda: window.application.qt.activeModalWidget() is dialog)
    assert window.application.preferences.get(EMBEDDED_FOLDER) == ""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    choose_folder.click()
    accept(file_dialog(window), folder)
    window.wait_until(lambda: window.application.preferences.get(EMBEDDED_FOLDER) == str(folder))
    dialog.close()


def test_that_the_connect_dialog_takes_the_chosen_certificate(
    window: Window, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("certificate")
    window.application.open_connect_dialog()
    dialog = opened_dialog(window)
    assert isinstance(dialog, ConnectDialog)
    button(dialog, "Choose…").click()
    accept(file_dialog(window), certificate)
    window.wait_until(lambda: dialog.ca.text() == str(certificate))
    dialog.reject()


def test_that_preferences_and_about_are_deleted_when_they_close(window: Window) -> None:
    for show in (window.application.open_preferences, window.application.open_about):
        show()
        dialog = opened_dialog(window)
        dialog.close()
        window.wait_until(lambda dialog=dialog: not isValid(dialog))  # type: ignore[misc]
