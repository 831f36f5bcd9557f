"""Bars over time and the region that chooses a time range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.unit.widgets.charts.chart_kit import double_click, drag, move, near, settle, still_clock
from widgets.charts.histogram import STEPS_MS, Histogram, bins
from widgets.theme import Theme
from widgets.time_style import UTC

START = 1_700_000_000_000
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(params=[True, False], ids=["dark", "light"])
def chart(qapp: QApplication, request: pytest.FixtureRequest) -> Iterator[Histogram]:
    clock = still_clock()
    clock.style.choose(UTC)
    made = Histogram(Theme(request.param), clock)
    made.resize(600, 104)
    made.show()
    made.set_times(np.arange(0, 100_000, 100, dtype=np.int64) + START)
    settle()
    yield made
    made.close()
    made.deleteLater()
    qapp.processEvents()


@pytest.mark.parametrize("span_ms", [0, 1, 999, 60_000, 86_400_000, 10**12, 10**14])
def test_that_bins_are_round_few_and_hold_everything(span_ms: int) -> None:
    times = np.linspace(START, START + span_ms, 500).astype(np.int64)
    start, step, counts = bins(times, 120)
    assert len(counts) <= 120 and counts.sum() == 500 and start <= times.min()
    assert step in STEPS_MS or span_ms > STEPS_MS[-1]


def test_that_a_drag_chooses_a_range_and_a_click_drops_it(chart: Histogram) -> None:
    emitted: list[object] = []
    chart.range_changed.connect(lambda: emitted.append(chart.chosen))
    drag(chart.viewport(), QPoint(100, 60), QPoint(300, 60))
    chosen = chart.chosen
    assert chosen is not None and START < chosen[0] < chosen[1] < START + 100_000
    assert chart.region.isVisible()
    QTest.mouseClick(chart.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, QPoint(500, 60))
    assert chart.chosen is None and emitted == [chosen, None] and not chart.region.isVisible()


def test_that_bars_outside_of_the_region_are_dim(chart: Histogram) -> None:
    theme = chart._theme
    chart.choose((START + 20_000, START + 40_000))
    settle()
    image = chart.grab().toImage()

    def bar_at(ms: int) -> list[QColor]:
        x = int(chart._view.x() + (ms - START) / 100_000 * 0.98 * chart._view.width())
        return [image.pixelColor(x + dx, 70) for dx in range(6)]

    shown = chart.bars.counts
    span = len(shown) * chart.bars.step_ms
    assert span >= 100_000
    assert any(near(c, theme.color("accent"), 60) for c in bar_at(START + 30_000))
    assert not any(near(c, theme.color("accent"), 60) for c in bar_at(START + 80_000))


def test_that_the_region_is_moved_and_its_edges_are_dragged(chart: Histogram) -> None:
    chart.choose((START + 20_000, START + 60_000))
    settle()

    def x_of(ms: int) -> int:
        (t0, t1), _ = chart._view.viewRange()
        return round(chart._view.x() + (ms / 1000 - t0) / (t1 - t0) * chart._view.width())

    drag(chart.viewport(), QPoint(x_of(START + 60_000), 60), QPoint(x_of(START + 80_000), 60))
    assert chart.chosen is not None
    assert chart.chosen[0] == START + 20_000
    assert chart.chosen[1] == pytest.approx(START + 80_000, abs=1500)
    drag(chart.viewport(), QPoint(x_of(START + 50_000), 60), QPoint(x_of(START + 55_000), 60))
    assert chart.chosen[0] == pytest.approx(START + 25_000, abs=1500)


def test_that_enter_and_a_double_click_ask_for_the_range_to_be_read(
    chart: Histogram, qtbot: QtBot
) -> None:
    wanted = (START + 20_000, START + 60_000)
    chart.choose(wanted)
    settle()
    with qtbot.waitSignal(chart.read_requested) as requested:
        QTest.keyClick(chart, Qt.Key.Key_Return)
    assert requested.args == [wanted]
    place = QPoint(300, 60)
    with qtbot.waitSignal(chart.read_requested) as requested:
        double_click(chart.viewport(), place)
    assert requested.args == [wanted] and chart.chosen == wanted
    QTest.keyClick(chart, Qt.Key.Key_Escape)
    assert chart.chosen is None


def test_that_the_words_are_of_the_bar_under_the_mouse(chart: Histogram) -> None:
    assert chart._words().startswith("1,000 records, a bar is ")
    move(chart.viewport(), QPoint(300, 60))
    assert " UTC  ·  " in chart._words() and chart._words().endswith("records")


def test_that_few_records_are_not_a_fence_of_ones(chart: Histogram) -> None:
    chart.set_times(np.arange(60, dtype=np.int64) * 1000 + START)
    settle()
    assert len(chart.bars.counts) <= 24 and chart.bars.counts.max() >= 2


def test_that_impossible_times_are_left_out(chart: Histogram) -> None:
    chart.set_times(np.array([-1, 2**62, START], dtype=np.int64))
    settle()
    assert chart.bars.counts.sum() == 1


def test_that_an_empty_histogram_takes_no_drag(chart: Histogram) -> None:
    chart.set_times(np.zeros(0, np.int64))
    settle()
    drag(chart.viewport(), QPoint(100, 60), QPoint(300, 60))
    assert chart.chosen is None and not chart.region.isVisible()
