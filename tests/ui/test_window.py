"""The real window over a fake cluster: what a person sees when it connects, goes about, and when
the cluster fails."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox

from gui.brokers.page import BrokersPage
from gui.navigation import PageTarget, TopicTarget
from gui.overview.page import OverviewPage
from gui.preferences import THEME
from gui.topics.page import TopicsPage
from kafka_client.errors import Unreachable
from kafka_client.model import Datum
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window, large_cluster

HOSTILE = '<img src="file:///etc/passwd"><b>x</b>'


def test_that_the_overview_fills_by_itself(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    view = window.window.view
    assert view is not None
    page = view.widget_of("overview")
    assert isinstance(page, OverviewPage) and page.states is not None
    window.wait_until(lambda: page.groups.rowCount() > 0)
    window.wait_until(lambda: page.states is not None and page.states.state == "content")
    assert (
        next(chip.item.text for chip in window.window.header._chips if chip.isVisible())
        == "3/3 brokers"
    )


def test_that_a_cluster_that_is_lost_leaves_its_figures_and_says_since_when(window: Window) -> None:
    client = window.connect(FakeClient(moving=False))
    view = window.window.view
    assert view is not None
    page = view.widget_of("overview")
    assert isinstance(page, OverviewPage) and page.states is not None
    client.failing["metadata"] = Unreachable(
        "Nothing listens on orders:9092.", next_step="Start it."
    )
    view.session.refresh()
    states = page.states
    window.wait_until(states.banner.isVisible, 8000)
    assert "As of" in states.banner.sentence and "Nothing listens" in states.banner.sentence
    assert states.state == "content"
    assert window.window.header._chips[0].item.text == "not reachable"
    client.failing.clear()
    window.wait_until(lambda: not states.banner.isVisible(), 15_000)


def test_that_a_cluster_that_never_answered_shows_the_reason_and_the_next_step(
    window: Window,
) -> None:
    client = FakeClient(moving=False)
    client.failing["connect"] = Unreachable(
        "Nothing listens on orders:9092.", next_step="Start it."
    )
    window.clients.append(client)
    from kafka_client.profile import quick

    window.application.clusters.open_profile(quick("orders:9092"), remember=False)
    view = window.window.view
    assert view is not None
    page = view.widget_of("overview")
    assert isinstance(page, OverviewPage) and page.states is not None
    window.wait_until(lambda: page.states is not None and page.states.state == "failed")
    assert "Nothing listens" in page.states.sentence


def test_that_one_cluster_that_hangs_does_not_touch_another(window: Window) -> None:
    hung = FakeClient(moving=False)
    window.connect(hung, "staging")
    window.connect(FakeClient(moving=False), "orders")
    hung.delay_s = 60
    view = window.window.view
    assert view is not None and view.session.name == "orders"
    before = view.session.snapshot.taken_s
    window.wait_until(lambda: view.session.snapshot.taken_s > before + 1)


def test_that_the_palette_finds_a_topic_and_opens_its_page(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    palette = window.window.palette_box
    palette.open_palette()
    QTest.keyClicks(palette.box, "brok 2")
    assert palette.found[0].title == "Broker 2"
    QTest.keyClick(palette.box, Qt.Key.Key_Return)
    view = window.window.view
    assert view is not None and view.page == "brokers" and not palette.isVisible()
    page = view.widget_of("brokers")
    assert isinstance(page, BrokersPage)
    window.wait_until(lambda: [r.broker_id for r in page.table.selected_rows()] == [2])


def test_that_a_pasted_command_is_offered_as_the_page_that_does_the_same(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    palette = window.window.palette_box
    palette.open_palette()
    palette.box.setText("bin/kafka-topics.sh --bootstrap-server a:9092 --describe --topic email")
    assert [entry.title for entry in palette.found] == ["Open topic email"]
    palette.box.setText("kafka-topics.sh 'unclosed")
    assert palette.found == []


def test_that_a_broker_in_a_tab_of_its_own_can_be_closed(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.navigate("brokers", in_tab=True, broker=3)
    view = window.window.view
    assert view is not None and view.bar.count() == 2 and view.bar.isVisible()
    window.wait_until(lambda: view.page == "brokers")
    view.close_tab(1)
    assert view.page == "overview" and not view.bar.isVisible()


def test_that_names_from_a_cluster_are_never_markup(window: Window) -> None:
    client = FakeClient(moving=False)
    client.cluster.create(HOSTILE, 1, 1, rate_per_s=5.0)
    window.connect(client, "orders")
    for page in ("overview", "brokers"):
        window.window.navigate(page)
        window.qtbot.wait(300)
    assert HOSTILE in window.window.view.session.snapshot.topics  # type: ignore[union-attr]
    for widget in QApplication.allWidgets():
        if isinstance(widget, QLabel):
            assert widget.textFormat() == Qt.TextFormat.PlainText, widget.text()
        assert not isinstance(widget, QMessageBox)
        assert "<img" not in widget.toolTip() and "<b>" not in widget.toolTip()


def test_that_both_themes_come_at_once_and_are_remembered(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.theme_requested.emit()
    assert window.application.theme.tokens.name == "light"
    assert window.application.preferences.get(THEME) == "light"
    window.window.theme_requested.emit()
    assert window.application.theme.tokens.name == "dark"


def test_that_closing_without_clusters_of_our_own_asks_nothing(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.close()
    window.wait_until(lambda: not window.window.isVisible())
    assert not window.application.clusters.sessions


@pytest.mark.slow
def test_that_sampling_a_thousand_topics_does_not_hold_up_the_window(window: Window) -> None:
    """Processor time of the window's thread in one go, so that a busy machine does not decide.
    The goal is 50 ms."""
    client = large_cluster(1000)
    window.connect(client)
    dog = window.application.watchdog
    session = window.application.clusters.shown
    assert session is not None
    rounds: Counter[Datum] = Counter()
    session.sampled.connect(lambda done: rounds.update([done.datum]))

    def sampled(**wanted: int) -> None:
        """Wait until so many more rounds of each kind were shown."""
        goal = {Datum[name.upper()]: rounds[Datum[name.upper()]] + n for name, n in wanted.items()}
        window.wait_until(lambda: all(rounds[d] >= n for d, n in goal.items()), 20_000)

    worst = {}
    for page in ("overview", "brokers", "topics", "groups"):
        window.window.navigate(page)
        sampled(offsets=1)  # what happens once, when a page is made, is not sampling
        dog.start()
        dog.reset()
        sampled(metadata=1, offsets=2, committed=2)
        worst[page] = dog.longest_busy_ms
        dog.stop()
    assert max(worst.values()) < 50, worst


def topics_page(window: Window) -> TopicsPage:
    view = window.window.view
    assert view is not None
    page = view.widget_of("topics")
    assert isinstance(page, TopicsPage)
    return page


def test_that_the_rail_leads_from_a_topic_back_to_the_list(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.navigate(TopicTarget("email"))
    assert not topics_page(window).shows_list
    QTest.mouseClick(window.window.rail._pages["topics"], Qt.MouseButton.LeftButton)
    assert topics_page(window).shows_list


def test_that_a_page_comes_back_as_it_was_left(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.navigate(TopicTarget("email"))
    window.window.navigate(PageTarget("brokers"))
    window.window.navigate(PageTarget("topics"))
    page = topics_page(window)
    assert not page.shows_list and page.topic_view.topic == "email"
    window.window.navigate(PageTarget("topics"))
    assert page.shows_list


def test_that_the_keyboard_focus_stays_in_the_page_in_sight(window: Window) -> None:
    window.connect(FakeClient(moving=False))
    window.window.activateWindow()
    window.wait_until(window.window.isActiveWindow)
    window.window.navigate(PageTarget("topics"))
    page = topics_page(window)
    window.wait_until(lambda: page.topics.table.model.rowCount() > 0)
    page.topics.table.select_key("email")
    page.topics.table.table.setFocus()
    QTest.keyClick(page.topics.table.table, Qt.Key.Key_Return)
    assert page.topic_view.topic == "email"
    assert page.topic_view.partition_table.table.hasFocus()
    window.window.navigate(PageTarget("brokers"))
    view = window.window.view
    assert view is not None
    brokers = view.widget_of("brokers")
    assert isinstance(brokers, BrokersPage) and brokers.table.table.hasFocus()
    window.window.navigate(PageTarget("topics"))
    assert page.topic_view.partition_table.table.hasFocus()
    QTest.keyClick(page.topic_view.partition_table.table, Qt.Key.Key_Escape)
    assert page.shows_list and page.topics.table.table.hasFocus()
