from __future__ import annotations

import pytest
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from gui.header import WINDOWS, Chip, Header
from gui.health_item import HealthItem
from widgets.theme import Theme


@pytest.fixture
def header(qtbot: QtBot) -> Header:
    made = Header(Theme())
    qtbot.addWidget(made)
    made.resize(1200, 52)
    made.show()
    return made


def chips(header: Header) -> list[str]:
    return [chip.item.text for chip in header.findChildren(Chip) if chip.isVisible()]


def test_that_items_are_shown_in_order_and_go_again(header: Header) -> None:
    header.show_health([HealthItem("3/3 brokers", "ok"), HealthItem("1 partition offline", "bad")])
    assert chips(header) == ["3/3 brokers", "1 partition offline"]
    header.show_health([HealthItem("not reachable", "bad")])
    assert chips(header) == ["not reachable"]


def test_that_a_click_on_an_item_opens_its_page(header: Header, qtbot: QtBot) -> None:
    header.show_health([HealthItem("3/3 brokers", "ok", page="brokers")])
    chip = next(chip for chip in header.findChildren(Chip) if chip.isVisible())
    with qtbot.waitSignal(header.page_requested) as opened:
        chip.clicked.emit("brokers")
    assert opened.args == ["brokers"]


def test_that_the_time_range_is_chosen_and_shown(header: Header, qtbot: QtBot) -> None:
    header.show_cluster("orders")
    box = next(box for box in header.findChildren(QComboBox) if box.itemText(0) == WINDOWS[0][0])
    header.show_window(900)
    assert box.currentText() == "15 min"
    with qtbot.waitSignal(header.window_chosen) as chosen:
        box.activated.emit(0)
    assert chosen.args == [60.0]


def test_that_preferences_and_about_are_in_the_menu(header: Header, qtbot: QtBot) -> None:
    menu = header.menu_button.menu()
    actions = {action.text(): action for action in menu.actions()}
    with qtbot.waitSignal(header.preferences_requested):
        actions["Preferences…"].trigger()
    with qtbot.waitSignal(header.about_requested):
        actions["About Kafkarium"].trigger()
    assert actions["Preferences…"].shortcut().toString() == "Ctrl+,"


def test_that_the_controls_of_a_cluster_are_hidden_without_one(header: Header) -> None:
    header.show_cluster("orders", read_only=True)
    shown = [box for box in header.findChildren(QComboBox) if box.isVisible()]
    header.show_cluster("")
    assert len([box for box in header.findChildren(QComboBox) if box.isVisible()]) < len(shown)
