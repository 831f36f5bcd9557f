from __future__ import annotations

import asyncio

import pytest
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui.confirm import confirmed
from widgets.theme import Theme


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    return made


def asked(parent: QWidget, *, danger: bool = True) -> asyncio.Task[bool]:
    question = confirmed(
        Theme(),
        parent,
        title="Remove <b>orders</b>?",
        text="12 MiB of records are deleted.",
        button="Remove",
        danger=danger,
    )
    return asyncio.ensure_future(question)


async def opened_buttons() -> dict[str, QPushButton]:
    """The buttons of the dialog that is open now."""
    async with asyncio.timeout(3):
        while True:
            for widget in QApplication.topLevelWidgets():
                if isinstance(widget, QDialog) and widget.isVisible():
                    return {b.text(): b for b in widget.findChildren(QPushButton)}
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("button", "answer"), [("Remove", True), ("Cancel", False)])
async def test_that_the_person_agrees_or_declines(
    parent: QWidget, button: str, answer: bool
) -> None:
    question = asked(parent)
    (await opened_buttons())[button].click()
    assert await question is answer


@pytest.mark.parametrize("danger", [True, False])
async def test_that_enter_does_not_destroy_anything(parent: QWidget, danger: bool) -> None:
    question = asked(parent, danger=danger)
    buttons = await opened_buttons()
    assert buttons["Cancel"].isDefault() is danger
    assert buttons["Remove"].isDefault() is not danger
    buttons["Cancel"].click()
    assert not await question
