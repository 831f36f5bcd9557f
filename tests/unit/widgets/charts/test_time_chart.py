from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QStackedWidget, QWidget
from pytestqt.qtbot import QtBot

from widgets.chart_clock import ChartClock
from widgets.charts.model import Mark, Series
from widgets.charts.time_chart import TimeChart
from widgets.theme import Theme

NOW = 1_700_000_000.0


def read(key: object, t0: float, t1: float) -> tuple[np.ndarray, np.ndarray]:
    times = np.arange(max(t0, NOW - 600), min(t1, NOW), 1.0)
    values = np.sin(times / 30) + 2
    values[::97] = np.nan
    return times, values


def make(qtbot: QtBot, clock: ChartClock, stacked: bool) -> TimeChart:
    chart = TimeChart(Theme(), clock, read, stacked=stacked)
    chart.set_series([Series(("lag", "<b>a</b>"), "<b>a</b>", 0), Series(("lag", "b"), "b", 1)])
    chart.set_marks([Mark(NOW - 50, "rebalance", "warn")])
    chart.resize(600, 220)
    return chart


@pytest.fixture
def clock(qapp: object) -> ChartClock:
    return ChartClock(now=lambda: NOW, interval_ms=100_000)


@pytest.mark.parametrize("stacked", [False, True])
def test_that_a_chart_is_drawn_only_while_it_is_seen(
    qtbot: QtBot, clock: ChartClock, stacked: bool
) -> None:
    stack = QStackedWidget()
    qtbot.addWidget(stack)
    chart = make(qtbot, clock, stacked)
    stack.addWidget(chart)
    stack.addWidget(QWidget())
    stack.resize(600, 220)
    clock.tick()
    assert chart.drawings == 0, "not shown yet"
    stack.show()
    qtbot.waitExposed(stack)
    chart.data_changed()
    clock.tick()
    drawn = chart.drawings
    assert drawn >= 1
    clock.tick()
    assert chart.drawings == drawn, "nothing new to draw"
    stack.setCurrentIndex(1)
    chart.data_changed()
    clock.tick()
    assert chart.drawings == drawn, "behind another page"


def test_that_paused_charts_stand_still(qapp: object) -> None:
    now = [NOW]
    clock = ChartClock(now=lambda: now[0], interval_ms=100_000)
    clock.set_paused(True)
    now[0] += 60
    assert clock.now_s == NOW
    clock.set_paused(False)
    assert clock.now_s == NOW + 60


def test_that_a_chart_that_is_gone_is_not_asked(qtbot: QtBot, clock: ChartClock) -> None:
    chart = TimeChart(Theme(), clock, read)
    chart.show()
    chart.deleteLater()
    qtbot.wait(20)
    clock.tick()
