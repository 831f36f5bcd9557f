"""The command palette: fuzzy search over what there is, pasted Kafka commands, keys."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui.command_palette import CommandPalette, Entry
from gui.navigation import TopicTarget
from widgets.theme import Theme


class Host:
    def __init__(self, qtbot: QtBot) -> None:
        self.widget = QWidget()
        self.widget.resize(900, 600)
        qtbot.addWidget(self.widget)
        self.ran: list[str] = []
        self.targets: list[Any] = []
        self.palette = CommandPalette(Theme(), self.widget, self.entries, self.navigate)
        self.widget.show()
        self.palette.open_palette()

    def navigate(self, target: Any, in_tab: bool = False, **where: Any) -> None:
        self.targets.append(target)

    def entries(self) -> list[Entry]:
        names = ("orders", "orders-dead-letters", "payments")
        return [
            Entry(name, "topic", "topics", lambda name=name: self.ran.append(name))  # type: ignore[misc]
            for name in names
        ]

    def press(self, key: Qt.Key) -> None:
        QTest.keyClick(self.palette.box, key)

    @property
    def titles(self) -> list[str]:
        return [entry.title for entry in self.palette.found]


@pytest.fixture
def host(qtbot: QtBot) -> Host:
    return Host(qtbot)


def test_that_a_few_letters_find_a_thing_and_enter_opens_it(host: Host) -> None:
    host.palette.box.setText("pay")
    assert host.titles == ["payments"]
    host.press(Qt.Key.Key_Return)
    assert host.ran == ["payments"] and not host.palette.isVisible()


def test_that_the_arrows_choose_and_wrap_around(host: Host) -> None:
    host.palette.box.setText("orders")
    assert host.titles == ["orders", "orders-dead-letters"]
    for _ in range(3):
        host.press(Qt.Key.Key_Down)
    host.press(Qt.Key.Key_Return)
    assert host.ran == ["orders-dead-letters"]


def test_that_escape_closes_it_and_runs_nothing(host: Host) -> None:
    host.press(Qt.Key.Key_Escape)
    assert not host.palette.isVisible() and not host.ran


def test_that_a_pasted_command_offers_the_page_that_does_the_same(host: Host) -> None:
    host.palette.box.setText("kafka-topics.sh --bootstrap-server x:1 --describe --topic orders")
    assert len(host.titles) == 1
    host.press(Qt.Key.Key_Return)
    assert host.targets == [TopicTarget("orders")]


def test_that_nothing_found_is_said_in_words(host: Host) -> None:
    host.palette.box.setText("zzz")
    assert host.titles == []
    host.press(Qt.Key.Key_Return)
    assert host.palette.isVisible() and not host.ran
