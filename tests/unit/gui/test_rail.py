"""The rail: clusters with their state, pages under them, collapsed to icons."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui.pages import PAGES
from gui.rail import NARROW, WIDE, ClusterLine, Rail, RailButton, environment_color
from widgets.theme import Theme


@pytest.fixture
def rail(qtbot: QtBot) -> Rail:
    made = Rail(Theme(), PAGES)
    qtbot.addWidget(made)
    made.resize(WIDE, 700)
    made.show()
    return made


def buttons(rail: QWidget) -> dict[str, RailButton]:
    return {b.text(): b for b in rail.findChildren(RailButton) if not b.isHidden()}


def test_that_pages_are_there_once_a_cluster_is_shown(rail: Rail) -> None:
    assert not {page.title for page in PAGES} & set(buttons(rail))
    rail.show_pages(True)
    assert {page.title for page in PAGES} <= set(buttons(rail))


def test_that_a_click_or_enter_names_the_page_or_the_cluster(rail: Rail, qtbot: QtBot) -> None:
    rail.show_pages(True)
    rail.show_clusters([ClusterLine(7, "orders", "ok")], 7)
    qtbot.waitUntil(lambda: "orders" in buttons(rail), timeout=1000)
    with qtbot.waitSignal(rail.page_chosen) as page:
        buttons(rail)["Journal"].click()
    with qtbot.waitSignal(rail.cluster_chosen) as cluster:
        QTest.keyClick(buttons(rail)["orders"], Qt.Key.Key_Return)
    assert (page.args, cluster.args) == (["journal"], [7])


def test_that_clusters_come_change_and_go(rail: Rail, qtbot: QtBot) -> None:
    rail.show_clusters([ClusterLine(1, "a", "ok"), ClusterLine(2, "b", "ok")], 1)
    rail.show_clusters([ClusterLine(2, "b2", "bad", read_only=True)], 2)
    qtbot.waitUntil(lambda: "a" not in buttons(rail) and "b2" in buttons(rail), timeout=1000)
    line = buttons(rail)["b2"]
    assert line.isChecked() and line.read_only and line.dot == "bad"


def test_that_an_ampersand_in_a_clusters_name_is_shown_and_no_shortcut(rail: Rail) -> None:
    rail.show_clusters([ClusterLine(1, "r&d", "ok")], 1)
    button = next(b for b in rail.findChildren(RailButton) if b.words == "r&d")
    assert button.shortcut().isEmpty() and button.accessibleName() == "r&d"


def test_that_the_collapsed_rail_names_things_in_tooltips(rail: Rail, qtbot: QtBot) -> None:
    rail.show_pages(True)
    with qtbot.waitSignal(rail.collapsed_changed) as collapsed:
        rail.collapse(True)
    assert collapsed.args == [True] and rail.width() == NARROW
    assert "Topics" in buttons(rail)["Topics"].toolTip()


def test_that_a_connection_without_a_colour_has_no_mark() -> None:
    assert environment_color("") is None
    colour = environment_color("#3f9ad6")
    assert colour is not None and colour.name() == "#3f9ad6"
