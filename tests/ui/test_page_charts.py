"""The charts of a page over a session: its time window, its history, the colours of its groups,
and the switch of time styles in the window's header."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.groups.group_view import GroupView
from gui.overview.page import OverviewPage
from gui.page_kit.charts import PageCharts, marks_of
from gui.preferences import TIME_STYLE
from gui.topics.topic_view import TopicView
from kafka_client.changes import Change, ChangeKind
from kafka_client.history import History
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window
from tests.ui.pages import PageHost, page_host
from widgets.charts.chart_panel import ChartPanel
from widgets.charts.model import Series
from widgets.charts.units import BYTES_PER_S
from widgets.time_style import RELATIVE, UTC


@pytest.fixture
def here(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    with page_host(qtbot, qapp, FakeClient(), tmp_path) as made:
        yield made


def test_that_a_chart_reads_the_history_of_its_session(
    here: PageHost, qtbot: QtBot, tmp_path: Path
) -> None:
    """Asked off the window's thread, drawn when it has come."""
    now = time.time()
    history = History(tmp_path / "history.sqlite")
    for ago in range(7200, 3600, -10):
        history.sample(("lag", "billing"), now - ago, 42.0)
    history.flush()
    here.session.sampling.history = history
    page = QWidget()
    qtbot.addWidget(page)
    charts = PageCharts(here.context, page)
    panel = charts.panel("Lag", parent=page)
    panel.set_series([Series(("lag", "billing"), "billing", 1)])
    panel.resize(600, 240)
    page.show()
    charts.group.show_span(now - 6000, now - 5000)
    qtbot.waitUntil(lambda: not panel.chart.frame_.empty)
    known = panel.chart.frame_.statistics["lag", "billing"]
    assert (known.low, known.high) == (42.0, 42.0)
    panel.chart.go_to_beginning()
    qtbot.waitUntil(lambda: charts.group.range_at(now)[0] <= now - 7190)
    history.close()


def test_that_a_session_without_history_has_an_empty_past(here: PageHost, qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    charts = PageCharts(here.context, page)
    panel = charts.panel("Lag", parent=page)
    panel.set_series([Series(("lag", "billing"), "billing", 1)])
    panel.resize(600, 240)
    page.show()
    now = time.time()
    charts.group.show_span(now - 6000, now - 5000)
    qtbot.waitUntil(lambda: panel.chart.crosshair.words == "No samples in this time")
    qtbot.waitUntil(lambda: here.session.tasks.running == 0)
    assert panel.chart.frame_.empty


def test_that_the_charts_follow_the_sessions_window_and_samples(
    here: PageHost, qtbot: QtBot
) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    charts = PageCharts(here.context, page)
    panel = charts.panel("Rate", parent=page)
    panel.set_series([Series(("rate", "email"), "email", 1)])
    panel.resize(600, 240)
    page.show()
    here.session.set_window(900.0)
    assert charts.group.window_s == 900.0 and charts.group.live
    now = time.time()
    for ago in range(30, 0, -1):
        here.session.store.append(("rate", "email"), now - ago, 5.0)
    here.session.sampled.emit(None)
    here.context.clock.tick()
    assert panel.chart.frame_.statistics["rate", "email"].last == 5.0
    t0, t1 = panel.chart.frame_.t0, panel.chart.frame_.t1
    assert t1 - t0 == pytest.approx(900.0)


def test_that_a_group_that_reads_nothing_does_not_show_the_curve_of_another(
    here: PageHost, qtbot: QtBot
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    view = GroupView(here.context, parent)
    panel = view.findChild(ChartPanel)
    assert panel is not None
    view.show_group("billing")
    panel.set_series([Series(("lag", "billing", "orders"), "orders")])
    assert panel.chart.series
    view.show_group("reads-nothing")
    assert not panel.chart.series and not panel.series


def test_that_a_topic_shows_records_or_bytes_in_its_own_colour(
    here: PageHost, qtbot: QtBot
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    view = TopicView(here.context, parent)
    view.show_topic("email")
    panel = view.findChild(ChartPanel)
    assert panel is not None
    color = here.context.colors.color("topic", "email")
    assert panel.series == (Series(("rate", "email"), "email", color),)
    view.measure.choose(1)
    assert panel.series == (Series(("bytes", "email"), "email", color),)
    assert panel.chart.unit is BYTES_PER_S and panel.title == "Bytes in per second"


def test_that_a_click_on_a_change_moves_the_charts_to_its_time(
    here: PageHost, qtbot: QtBot
) -> None:
    page = OverviewPage(here.context)
    qtbot.addWidget(page)
    at_s = time.time() - 1200
    change = Change(at_s, ChangeKind.BROKER_DOWN, "Broker 2 is down", broker_id=2)
    page.changed.change_chosen.emit(change)
    group = page.rates.group
    assert group.range_at(time.time()) == (at_s - 150, at_s + 150) and group.cursor_s == at_s
    assert page.lags.group is group and "Not live" in page.rates.live_words
    page.changed.change_opened.emit(change)
    assert here.navigated


def test_that_marks_are_of_the_topic_or_group_and_of_brokers() -> None:
    changes = [
        Change(1.0, ChangeKind.LEADER_MOVED, "Leader of orders 0 moved", topic="orders"),
        Change(2.0, ChangeKind.LEADER_MOVED, "Leader of email 0 moved", topic="email"),
        Change(3.0, ChangeKind.BROKER_DOWN, "Broker 2 is down", broker_id=2),
        Change(4.0, ChangeKind.GROUP_STATE, "billing rebalances", group_id="billing"),
    ]
    assert [(m.at_s, m.tone) for m in marks_of(changes, topic="orders")] == [
        (1.0, "text_faint"),
        (3.0, "bad"),
    ]
    assert [m.at_s for m in marks_of(changes, group="billing")] == [3.0, 4.0]


def test_that_the_header_switches_how_times_are_written(window: Window) -> None:
    application = window.application
    header = application.window.header
    header.time_style_chosen.emit(UTC)
    assert application.clock.style.style == UTC
    assert application.preferences.get(TIME_STYLE) == UTC
    application.preferences.set(TIME_STYLE, RELATIVE)
    assert application.clock.style.style == RELATIVE
    assert header._times.currentData() == RELATIVE


def test_that_a_group_keeps_its_colour_after_a_restart(here: PageHost, tmp_path: Path) -> None:
    from gui.preferences import Preferences
    from widgets.charts.series_colors import SeriesColors

    first = SeriesColors(here.preferences, "orders")
    before = [first.color("group", name) for name in ("a", "b", "c")]
    here.preferences.save()
    again = SeriesColors(Preferences(here.preferences.path), "orders")
    assert [again.color("group", name) for name in ("c", "b", "a")] == before[::-1]
