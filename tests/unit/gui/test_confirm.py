from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui import confirm
from widgets.theme import Theme


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    return made


def asked(parent: QWidget, answers: list[str], *, danger: bool = True) -> dict[str, QPushButton]:
    dialog = confirm.ask(
        Theme(),
        parent,
        title="Remove <b>orders</b>?",
        sentences="12 MiB of records are deleted.",
        button="Remove",
        agreed=lambda: answers.append("agreed"),
        declined=lambda: answers.append("declined"),
        danger=danger,
    )
    assert dialog.isVisible(), "it returns at once, with the dialog open"
    return {b.text(): b for b in dialog.findChildren(QPushButton)}


def test_that_the_person_agrees_or_declines(parent: QWidget) -> None:
    answers: list[str] = []
    asked(parent, answers)["Remove"].click()
    asked(parent, answers)["Cancel"].click()
    assert answers == ["agreed", "declined"]


def test_that_enter_does_not_destroy_anything(parent: QWidget) -> None:
    buttons = asked(parent, [])
    assert buttons["Cancel"].isDefault() and not buttons["Remove"].isDefault()
    buttons = asked(parent, [], danger=False)
    assert buttons["Remove"].isDefault()
