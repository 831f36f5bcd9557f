"""Parts of pages: states, banner, facts, tiles, notes that pass, fuzzy matching."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from widgets import fuzzy, icons
from widgets.facts import Fact, Facts
from widgets.page_state import Banner, EmptyState, IconLabel, PageState
from widgets.reflow import ReflowRow, group_of
from widgets.theme import Theme
from widgets.tile import FIGURE_PIXELS, Tile
from widgets.toast import MOST, Toasts


def test_that_each_state_stands_in_place_of_the_content(qtbot: QtBot) -> None:
    content = QLabel("content")
    state = PageState(Theme(), content)
    qtbot.addWidget(state)
    state.show()
    assert content.isVisible() and state.state == "content"
    state.show_loading("Asking…")
    assert not content.isVisible() and state.sentence == "Asking…"
    done: list[str] = []
    state.show_empty("Nothing", "Really", action="Create", do=lambda: done.append("created"))
    button = next(b for b in state.findChildren(QPushButton) if b.text() == "Create")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert done == ["created"]
    state.retry_requested.connect(lambda: done.append("retried"))
    state.show_failed("Broken", "No answer.", "Start it.")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert done[-1] == "retried" and "Broken No answer." in state.sentence
    state.show_content()
    assert content.isVisible()


def test_that_stale_content_stays_below_a_band(qtbot: QtBot) -> None:
    content = QLabel("content")
    state = PageState(Theme(), content)
    qtbot.addWidget(state)
    state.show()
    state.show_stale("As of 12:00:00.")
    assert content.isVisible() and state.banner.isVisible()
    state.show_stale("")
    assert not state.banner.isVisible()


def test_that_success_wears_a_tick_and_no_warning(qtbot: QtBot) -> None:
    theme = Theme()
    banner = Banner(theme)
    qtbot.addWidget(banner)
    banner.show_message("Done.", "ok")
    shown = banner.findChild(IconLabel)
    assert shown is not None

    def pixels(name: str) -> QImage:
        expected = IconLabel(theme, name, 18, "ok", banner)
        return expected.grab().toImage()

    assert shown.grab().toImage() == pixels("check") != pixels("warning")


def test_that_an_empty_state_covers_its_view(qtbot: QtBot) -> None:
    view = QWidget()
    qtbot.addWidget(view)
    empty = EmptyState(Theme(), view)
    view.resize(300, 200)
    view.show()
    assert not empty.isVisible()
    empty.show_words("info", "Nothing", "Here.")
    view.resize(320, 220)
    assert empty.isVisible() and empty.size() == view.size() and empty.words == "Nothing Here."


def test_that_facts_show_a_mark_for_a_status_alone(qtbot: QtBot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    facts = Facts(Theme(), ("Status", "Lag"), holder)
    facts.show_facts([Fact("stopped", "bad", "Why", status=True), Fact("12")])
    assert facts.texts() == {"Status": "stopped", "Lag": "12"}
    (status_mark, status), (lag_mark, _) = facts._values
    assert not status_mark.isHidden() and status_mark.tone == "bad" and lag_mark.isHidden()
    assert status.property("tone") == "bad" and "Why" in status.toolTip()


def test_that_a_figure_shrinks_until_it_fits_its_tile(qtbot: QtBot) -> None:
    tile = Tile(Theme(), "Bytes in")
    qtbot.addWidget(tile)
    sizes = [tile._figure_font(text, 100).pixelSize() for text in ("3", "13.5 KiB/s", "9" * 40)]
    assert sizes[0] == FIGURE_PIXELS[0] and sizes[0] > sizes[1] >= sizes[2] == FIGURE_PIXELS[-1]


def test_that_a_tile_is_clicked_only_inside(qtbot: QtBot) -> None:
    tile = Tile(Theme(), "Brokers")
    qtbot.addWidget(tile)
    tile.resize(160, 88)
    tile.show()
    tile.show_figure("3", "all up", aside="/ 3")
    clicks: list[bool] = []
    tile.clicked.connect(lambda: clicks.append(True))
    QTest.mouseClick(tile, Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    QTest.mouseClick(tile, Qt.MouseButton.LeftButton, pos=QPoint(500, 10))
    assert clicks == [True] and tile.accessibleName() == "Brokers: 3/ 3 all up"


def test_that_the_oldest_note_makes_room_for_the_newest(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(600, 400)
    host.show()
    toasts = Toasts(Theme(), host)
    for number in range(MOST + 1):
        toasts.show_note(f"note {number}", "ok")
    texts = [n.findChild(QLabel).text() for n in toasts.notes]  # type: ignore[union-attr]
    assert texts == [f"note {n}" for n in range(1, MOST + 1)]


@pytest.mark.parametrize("name", ["topics", "configuration", "check", "refresh", "member"])
def test_that_icons_exist_and_differ(name: str) -> None:
    others = [other for other in ("topics", "configuration") if other != name]
    assert icons.source(name) not in [icons.source(other) for other in others]


def test_that_fuzzy_matching_prefers_word_starts() -> None:
    assert fuzzy.score("ord", "orders") is not None
    assert fuzzy.score("xyz", "orders") is None
    starts, middle = fuzzy.score("pc", "payments.created"), fuzzy.score("pc", "topic")
    assert starts is not None and middle is not None and starts[0] > middle[0]


def test_that_groups_stand_below_each_other_where_the_row_is_too_narrow(qtbot: QtBot) -> None:
    buttons = [QPushButton(text) for text in ("Read", "Stop", "Export")]
    for button in buttons:
        button.setFixedWidth(100)
    row = ReflowRow(group_of(*buttons[:2]), group_of(buttons[2]), spacing=8)
    qtbot.addWidget(row)
    row.resize(400, 40)
    row.show()
    assert not row.stacked and buttons[2].mapTo(row, QPoint(0, 0)).y() == buttons[0].y()
    row.resize(250, 100)
    assert row.stacked
    qtbot.waitUntil(lambda: buttons[2].mapTo(row, QPoint(0, 0)).y() > buttons[0].height())
    assert row.minimumSizeHint().width() == 208, "the row itself needs no more than a group"
    row.resize(400, 100)
    assert not row.stacked
