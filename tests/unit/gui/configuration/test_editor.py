"""The pane that edits one setting, and the band that counts the edits."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui.configuration.editor import SettingEditor
from gui.configuration.pending_bar import PendingBar
from gui.configuration.rows import SettingRow
from kafka_client.model import ConfigEntry, ConfigSource


@pytest.fixture
def holder(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.resize(400, 500)
    widget.show()
    return widget


def row(value: str = "1000", **more: object) -> SettingRow:
    entry = ConfigEntry(
        "retention.ms",
        value,
        ConfigSource.DEFAULT,
        kind="long",
        default="1000",
        **more,  # type: ignore[arg-type]
    )
    return SettingRow(entry, False, None)


def editor(holder: QWidget, read_only: bool = False) -> SettingEditor:
    made = SettingEditor(read_only, holder)
    made.resize(320, 480)
    made.show()
    return made


def test_that_an_edit_is_emitted_when_it_is_valid_and_new(holder: QWidget) -> None:
    pane = editor(holder)
    edits: list[tuple[str, object]] = []
    pane.edited.connect(lambda name, value: edits.append((name, value)))
    pane.show_row(row())
    assert not pane.set_button.isEnabled(), "nothing has changed"
    pane._field.setText("60000")
    assert pane._unit.text() == "1 min"
    QTest.keyClick(pane._field, Qt.Key.Key_Return)
    pane._field.setText("soon")
    QTest.keyClick(pane._field, Qt.Key.Key_Return)
    assert edits == [("retention.ms", "60000")] and pane._wrong.isVisible()


def test_that_typing_survives_a_refresh_of_the_same_setting(holder: QWidget) -> None:
    pane = editor(holder)
    pane.show_row(row())
    pane._field.setText("6")
    pane.show_row(row())
    assert pane._field.text() == "6"
    pane.show_row(row(value="77"))
    assert pane._field.text() == "77", "somebody else changed it"


@pytest.mark.parametrize("read_only", [True, False])
def test_that_what_cannot_be_edited_has_no_field(holder: QWidget, read_only: bool) -> None:
    pane = editor(holder, read_only)
    pane.show_row(row(read_only=not read_only))
    assert not pane._field.isVisible() and not pane.set_button.isVisible()
    expected = "This connection is read-only." if read_only else "Read when the broker starts"
    assert expected in pane._facts.text()


def test_that_a_boolean_is_chosen_and_a_secret_is_hidden(holder: QWidget) -> None:
    pane = editor(holder)
    pane.show_row(
        SettingRow(ConfigEntry("a", "true", ConfigSource.FILE, kind="boolean"), False, None)
    )
    assert pane._choice.isVisible() and not pane._field.isVisible()
    secret = ConfigEntry("b", None, ConfigSource.FILE, kind="password", sensitive=True)
    pane.show_row(SettingRow(secret, False, None))
    assert pane._field.echoMode() is pane._field.EchoMode.Password
    assert "Now" not in pane._facts.text()


def test_that_the_band_counts_edits_in_words(holder: QWidget) -> None:
    bar = PendingBar(holder)
    requests: list[str] = []
    bar.discard_requested.connect(lambda: requests.append("discard"))
    bar.review_requested.connect(lambda: requests.append("review"))
    bar.show_count(1)
    assert bar.isVisible() and bar.text.text() == "1 edit not yet applied"
    for button in bar.findChildren(QPushButton):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert requests == ["discard", "review"]
    bar.show_count(0)
    assert not bar.isVisible()
