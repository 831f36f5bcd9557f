"""What is copied may be pasted into a terminal."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QCheckBox, QWidget
from pytestqt.qtbot import QtBot

from widgets.clipboard import copy_data, copy_line, copy_lines
from widgets.plain import set_title, without_mnemonic

HOSTILE = "topic\nrm -rf ~\x1b[A\t\u202e"


def copied() -> str:
    return QGuiApplication.clipboard().text()


def test_that_names_and_commands_are_one_line(qapp: QApplication) -> None:
    copy_line(HOSTILE)
    assert copied() == "topic␊rm -rf ~␛[A␉▫"


def test_that_tables_keep_their_lines_alone(qapp: QApplication) -> None:
    copy_lines(HOSTILE)
    assert copied() == "topic\nrm -rf ~␛[A\t▫"


def test_that_data_is_copied_as_it_is(qapp: QApplication) -> None:
    copy_data(f"{HOSTILE}\ud800")
    assert copied() == f"{HOSTILE}?"


def test_that_titles_and_buttons_show_names_as_they_are(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    set_title(window, "a\n[*]b")
    assert window.windowTitle() == "a␊[*][*]b"
    box = QCheckBox(without_mnemonic("r&d"), window)
    assert box.text() == "r&&d" and box.shortcut().isEmpty()
