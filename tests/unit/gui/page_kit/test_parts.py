"""Small parts of the kit."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui.page_kit.card import Card
from gui.page_kit.columns import status_column
from gui.page_kit.sums import sum_known
from gui.status import GROUP_STATUS, Status
from kafka_client.model import GroupStatus


def test_that_a_sum_counts_what_is_known() -> None:
    assert sum_known([1, None, 2]) == 3
    assert sum_known([None, None]) is None and sum_known([]) is None
    assert sum_known([0.5, None]) == 0.5


def test_that_a_status_column_shows_text_mark_and_meaning() -> None:
    column = status_column("s", "Status", lambda row: row, width=100)
    stalled: Status = GROUP_STATUS[GroupStatus.STALLED]
    assert column.paint == "status" and column.value(stalled) == "stalled"
    assert column.tone is not None and column.tone(stalled) == "bad"
    assert column.tip is not None and column.tip(stalled) == stalled.meaning


def test_that_a_card_has_its_heading(qtbot: QtBot) -> None:
    card = Card("Groups furthest behind")
    qtbot.addWidget(card)
    assert [label.text() for label in card.findChildren(QLabel)] == ["Groups furthest behind"]
    empty = Card()
    qtbot.addWidget(empty)
    assert empty.findChildren(QLabel) == []
