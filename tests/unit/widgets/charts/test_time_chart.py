"""A chart by its pixels, its axes, and what mouse and keys do to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QStackedWidget, QWidget
from pytestqt.qtbot import QtBot

from tests.unit.widgets.charts.chart_kit import (
    NOW,
    Store,
    column,
    double_click,
    drag,
    drawn_at,
    every,
    joined,
    like_hue,
    move,
    near,
    picture,
    plot_place,
    settle,
    shown_chart,
    still_clock,
    wheel,
)
from widgets.chart_clock import ChartClock
from widgets.charts.chart_group import ChartGroup
from widgets.charts.model import Mark, Samples, Series, SumOf
from widgets.charts.time_chart import TimeChart
from widgets.charts.units import COUNT, DURATION
from widgets.theme import Theme
from widgets.time_style import RELATIVE, UTC

LEFT = Qt.MouseButton.LeftButton
A, B = Series("a", "a", 1), Series("b", "b", 2)  # not blue as the lines of the grid


@pytest.fixture(autouse=True)
def charts_end(qapp: QApplication) -> Iterator[None]:
    yield
    for widget in qapp.topLevelWidgets():
        if isinstance(widget, TimeChart):
            widget.close()
            widget.deleteLater()
    qapp.processEvents()


# ---- pixels


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("stacked", [True, False])
def test_that_a_curve_is_where_its_value_is(dark: bool, stacked: bool) -> None:
    chart = shown_chart(
        Store(a=every(1, 300, 0, 30.0), b=every(1, 300, 0, 60.0)),
        [A, B],
        dark=dark,
        stacked=stacked,
    )
    image = picture(chart)
    theme = Theme(dark)
    height = 90.0 if stacked else 60.0
    for value, color in ((30.0, theme.series_color(1)), (height, theme.series_color(2))):
        place = plot_place(chart, NOW - 120, value)
        around = [image.pixelColor(place.x(), place.y() + dy) for dy in (-1, 0, 1)]
        assert any(near(pixel, color, 90) for pixel in around), (value, around)
    above = image.pixelColor(plot_place(chart, NOW - 120, height * 1.03) - QPoint(0, 3))
    assert not like_hue(above, theme.series_color(2))


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("explicit", [True, False])
def test_that_an_outage_stays_empty(stacked: bool, explicit: bool) -> None:
    """Whether failed rounds are NaN or nothing was sampled at all."""
    samples = joined(every(1, 300, 180), every(1, 60, 0))
    if explicit:
        samples = every(1, 300, 0)
        samples[1][(samples[0] > NOW - 181) & (samples[0] < NOW - 60)] = np.nan
    chart = shown_chart(Store(a=samples), [A], stacked=stacked)
    image, color = picture(chart), Theme().series_color(1)
    for ago in (190, 240, 50, 10):
        assert drawn_at(chart, image, NOW - ago, color), ago
    for ago in (176, 150, 120, 90, 64):
        assert not drawn_at(chart, image, NOW - ago, color), ago


@pytest.mark.parametrize("stacked", [True, False])
def test_that_a_day_of_two_densities_is_one_curve_without_bars(stacked: bool) -> None:
    """10 s means beside samples of 1 s, and an outage of half an hour in the means."""
    day = 86_400.0
    samples = joined(every(10, day, 9000), every(10, 7200, 3600), every(1, 3600, 0))
    chart = shown_chart(Store(a=samples), [A], stacked=stacked, window_s=day)
    image, color = picture(chart), Theme().series_color(1)
    pixel_s = day / chart._view.width()
    for ago in np.arange(pixel_s * 2, day - pixel_s * 2, pixel_s):
        inside = 7200 + 1.5 * pixel_s < ago < 9000 - 1.5 * pixel_s
        outside = ago < 7200 - 1.5 * pixel_s or ago > 9000 + 1.5 * pixel_s
        if inside or outside:
            assert drawn_at(chart, image, NOW - ago, color) == outside, f"{ago:.0f} s ago"


def test_that_one_series_in_a_gap_leaves_the_others_in_place() -> None:
    part = joined(every(1, 300, 180), every(1, 60, 0))
    chart = shown_chart(Store(a=part, b=every(1, 300, 0)), [A, B], stacked=True)
    image, theme = picture(chart), Theme()
    assert not drawn_at(chart, image, NOW - 120, theme.series_color(1))
    assert drawn_at(chart, image, NOW - 120, theme.series_color(2))
    assert drawn_at(chart, image, NOW - 30, theme.series_color(1))


def test_that_values_below_zero_are_below_the_zero_line() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0, -40.0)), [A])
    image, color = picture(chart), Theme().series_color(1)
    zero = plot_place(chart, NOW, 0.0).y()
    pixels = column(chart, image, NOW - 100)
    top = plot_place(chart, NOW).y() - int(chart._view.height() / 2)
    rows = [top + i for i, pixel in enumerate(pixels) if like_hue(pixel, color)]
    assert rows and min(rows) > zero
    labels = [text for _, text in chart.value_axis.ticks()]
    assert "0" in labels and any(text.startswith("-") for text in labels)


def test_that_the_other_theme_is_drawn_at_once() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0)), [A])
    assert drawn_at(chart, picture(chart), NOW - 100, Theme(True).series_color(1))
    chart._theme.set_dark(False)
    assert drawn_at(chart, picture(chart), NOW - 100, Theme(False).series_color(1))


def test_that_the_sum_of_others_is_a_series() -> None:
    others = Series(SumOf(("all",), ("a",)), "others", 2)
    store = Store(a=every(1, 300, 0, 10.0), all=every(1, 300, 0, 35.0))
    chart = shown_chart(store, [A, others])
    assert chart.frame_.statistics[others.key].last == 25.0
    assert drawn_at(chart, picture(chart), NOW - 100, Theme().series_color(2))


# ---- when it is drawn


@pytest.mark.parametrize("stacked", [False, True])
def test_that_a_chart_is_drawn_only_while_it_is_seen(qtbot: QtBot, stacked: bool) -> None:
    clock, stack = still_clock(), QStackedWidget()
    qtbot.addWidget(stack)
    store = Store(a=every(1, 300, 0))
    chart = TimeChart(Theme(), clock, store.read, stacked=stacked)
    chart.set_series([A])
    stack.addWidget(chart)
    stack.addWidget(QWidget())
    stack.resize(600, 220)
    clock.tick()
    assert chart.drawings == 0 and store.reads == 0, "not shown yet"
    stack.show()
    qtbot.waitExposed(stack)
    settle()
    chart.data_changed()
    clock.tick()
    drawn, read = chart.drawings, store.reads
    assert drawn >= 1
    clock.tick()
    assert chart.drawings == drawn, "nothing new to draw"
    stack.setCurrentIndex(1)
    chart.data_changed()
    chart.set_marks([Mark(NOW - 5, "x")])
    clock.tick()
    settle()
    assert (chart.drawings, store.reads) == (drawn, read), "behind another page"


def test_that_the_crosshair_does_not_paint_the_curves_again() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0)), [A])
    painted, drawn = chart.curves.paintings, chart.drawings
    for x in range(100, 400, 20):
        move(chart.viewport(), QPoint(x, 100))
        picture(chart)
    assert (chart.curves.paintings, chart.drawings) == (painted, drawn)


def test_that_paused_charts_stand_still(qapp: QApplication) -> None:
    now = [NOW]
    clock = ChartClock(now=lambda: now[0], interval_ms=10**8)
    clock.set_paused(True)
    now[0] += 60
    assert clock.now_s == NOW
    clock.set_paused(False)
    assert clock.now_s == NOW + 60


def test_that_a_destroyed_chart_is_not_drawn(qtbot: QtBot) -> None:
    clock = still_clock()
    chart = TimeChart(Theme(), clock, Store().read)
    chart.show()
    chart.deleteLater()
    qtbot.wait(20)
    clock.tick()


# ---- axes


def test_that_the_window_of_the_header_is_what_is_drawn() -> None:
    """Empty where nothing was sampled yet."""
    chart = shown_chart(Store(a=every(1, 20, 0)), [A], window_s=900.0)
    assert chart._view.viewRange()[0] == [NOW - 900, NOW]
    image, color = picture(chart), Theme().series_color(1)
    assert drawn_at(chart, image, NOW - 10, color)
    assert not any(drawn_at(chart, image, NOW - ago, color) for ago in (60, 300, 800))


@pytest.mark.parametrize("unit", [COUNT, DURATION], ids=lambda u: u.name)
def test_that_an_empty_chart_has_no_repeated_label_and_says_why(unit: object) -> None:
    chart = shown_chart(Store(), [], unit=unit)  # type: ignore[arg-type]
    labels = [text for _, text in chart.value_axis.ticks()]
    assert len(set(labels)) == len(labels) >= 2
    assert chart.crosshair.words == "Waiting for the first samples"
    chart.group.show_span(NOW - 600, NOW - 500)
    settle()
    assert chart.crosshair.words == "No samples in this time"


def test_that_no_label_is_cut() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0, 110.0)), [A], unit=DURATION)
    axis = chart.value_axis
    widest = max(axis.metrics.horizontalAdvance(text) for _, text in axis.ticks())
    assert "1 min 30 s" in [text for _, text in axis.ticks()]
    assert axis.width() >= widest + 8
    for width in (300, 340, 600):
        chart.resize(width, 140)
        settle()
        ends = []
        for x, text in chart.time_axis.placed():
            half = chart.time_axis.metrics.horizontalAdvance(text) / 2
            ends.append((x - half + chart.time_axis.x(), x + half + chart.time_axis.x()))
        assert ends and ends[0][0] >= 0 and ends[-1][1] <= width
        assert all(left[1] < right[0] for left, right in pairwise(ends))


def test_that_times_follow_the_switch_of_the_window() -> None:
    clock = still_clock()
    chart = shown_chart(Store(a=every(1, 300, 0)), [A], clock=clock)
    clock.style.choose(UTC)
    settle()
    assert "22:12" in [text for _, text in chart.time_axis.placed()]
    clock.style.choose(RELATIVE)
    settle()
    assert "-2 min" in [text for _, text in chart.time_axis.placed()]
    move(chart.viewport(), plot_place(chart, NOW - 60))
    assert chart.readout.head.endswith(" ago")


def test_that_a_logarithmic_axis_shows_small_and_large_values_apart() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0, 9.0), b=every(1, 300, 0, 9_999.0)), [A, B])
    apart = plot_place(chart, NOW, 0.0).y() - plot_place(chart, NOW, 9.0).y()
    assert apart <= 1
    chart.set_log(True)
    settle()
    ticks = [text for _, text in chart.value_axis.ticks()]
    assert ticks[0] == "0" and "10" in ticks and "1 k" in ticks
    image, theme = picture(chart), Theme()
    place = plot_place(chart, NOW - 100, 9.0)
    assert plot_place(chart, NOW, 0.0).y() - place.y() > 30
    around = [image.pixelColor(place.x(), place.y() + dy) for dy in (-1, 0, 1)]
    assert any(near(pixel, theme.series_color(1), 90) for pixel in around)


# ---- mouse and keys


def test_that_the_wheel_zooms_at_the_pointer() -> None:
    chart = shown_chart(Store(a=every(1, 3600, 0)), [A])
    under = NOW - 225
    place = plot_place(chart, under)
    exact = chart._view.time_at(chart._view.mapFromScene(chart.mapToScene(place)).x())
    wheel(chart, place, 2)
    t0, t1 = chart.group.range_at(NOW)
    assert not chart.group.live and t1 - t0 == pytest.approx(300 * 0.8**2)
    assert chart._view.time_at(chart._view.mapFromScene(chart.mapToScene(place)).x()) == (
        pytest.approx(exact, abs=0.01)
    )
    wheel(chart, place, -1)
    t0, t1 = chart.group.range_at(NOW)
    assert t1 - t0 == pytest.approx(300 * 0.8)


def test_that_a_drag_pans_and_a_double_click_follows_again() -> None:
    chart = shown_chart(Store(a=every(1, 3600, 0)), [A])
    pixel_s = 300 / chart._view.width()
    drag(chart.viewport(), QPoint(200, 100), QPoint(320, 110))
    t0, t1 = chart.group.range_at(NOW)
    assert t1 == pytest.approx(NOW - 120 * pixel_s, abs=0.01) and t1 - t0 == pytest.approx(300)
    drag(chart.viewport(), QPoint(200, 100), QPoint(500, 110))
    drag(chart.viewport(), QPoint(500, 100), QPoint(100, 110))
    assert chart.group.range_at(NOW)[1] <= NOW, "never beyond now"
    double_click(chart.viewport(), QPoint(300, 100))
    settle()
    assert chart.group.live and chart.frame_.t1 == NOW


def test_that_a_drag_with_shift_chooses_a_range() -> None:
    chart = shown_chart(Store(a=every(1, 3600, 0)), [A])
    start, end = plot_place(chart, NOW - 200), plot_place(chart, NOW - 100)
    view = chart._view
    wanted = [view.time_at(view.mapFromScene(chart.mapToScene(p)).x()) for p in (start, end)]
    drag(chart.viewport(), end, start, Qt.KeyboardModifier.ShiftModifier)
    assert list(chart.group.range_at(NOW)) == pytest.approx(wanted)
    assert view.selection is None


def test_that_keys_pan_zoom_and_go_to_the_ends() -> None:
    chart = shown_chart(Store(a=every(1, 3000, 0)), [A])
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.group.range_at(NOW) == (NOW - 330, NOW - 30)
    QTest.keyClick(chart, Qt.Key.Key_Right)
    assert chart.group.range_at(NOW) == (NOW - 300, NOW)
    QTest.keyClick(chart, Qt.Key.Key_Plus)
    t0, t1 = chart.group.range_at(NOW)
    assert t1 - t0 == pytest.approx(240)
    QTest.keyClick(chart, Qt.Key.Key_Minus)
    t0, t1 = chart.group.range_at(NOW)
    assert t1 - t0 == pytest.approx(300)
    QTest.keyClick(chart, Qt.Key.Key_Home)
    assert chart.group.range_at(NOW)[0] == NOW - 3000
    QTest.keyClick(chart, Qt.Key.Key_End)
    assert chart.group.live


def test_that_charts_of_a_page_share_time_axis_and_crosshair() -> None:
    clock = still_clock()
    group = ChartGroup(clock)
    store = Store(a=every(1, 3600, 0, 5.0), b=every(1, 3600, 0, 7.0))
    first = shown_chart(store, [A], clock=clock, group=group)
    second = shown_chart(store, [B], clock=clock, group=group)
    wheel(first, QPoint(300, 100), 3)
    assert first._view.viewRange()[0] == second._view.viewRange()[0] != [NOW - 300, NOW]
    move(first.viewport(), plot_place(first, NOW - 100))
    assert first.crosshair.at_s == second.crosshair.at_s == pytest.approx(NOW - 100, abs=1)
    assert first.readout.isVisible() and not second.readout.isVisible()
    assert [value for value, _ in second.crosshair.dots] == pytest.approx([7.0])
    QApplication.sendEvent(first, _leave())
    assert first.crosshair.at_s is second.crosshair.at_s is None
    assert not first.readout.isVisible()


def _leave() -> QEvent:
    return QEvent(QEvent.Type.Leave)


def test_that_the_readout_lists_the_values_largest_first_and_none_in_a_gap() -> None:
    hostile = Series("b", "<img src=x>\u202e", 2)
    gap = joined(every(1, 300, 200, 99.0), every(1, 100, 0, 99.0))
    chart = shown_chart(Store(a=gap, b=every(1, 300, 0, 7.5)), [A, hostile])
    move(chart.viewport(), plot_place(chart, NOW - 250))
    rows = [(row.label, row.value) for row in chart.readout.rows]
    assert rows == [("a", "99"), ("<img src=x>▫", "7.5")]
    move(chart.viewport(), plot_place(chart, NOW - 150))
    assert [row.value for row in chart.readout.rows] == ["7.5", "–"]


def test_that_a_mark_has_words_on_hover() -> None:
    chart = shown_chart(Store(a=every(1, 300, 0)), [A])
    chart.set_marks([Mark(NOW - 100, "Broker 2 is down", "bad")])
    place = plot_place(chart, NOW - 100)
    assert drawn_at(chart, picture(chart), NOW - 100, Theme().color("bad"))
    move(chart.viewport(), place)
    assert any("Broker 2 is down" in note for note in chart.readout.notes)
    move(chart.viewport(), place + QPoint(40, 0))
    assert not chart.readout.notes


# ---- beyond memory


class History:
    """A Past whose answers come when the test says so."""

    def __init__(self, **series: Samples) -> None:
        self.store = Store(**series)
        self.asked: list[tuple[Sequence[Hashable], float, float]] = []
        self.answers: list[Callable[[], None]] = []
        self.refuse: Callable[[], None] = lambda: None

    def request(
        self,
        keys: Sequence[Hashable],
        t0: float,
        t1: float,
        done: Callable[[Mapping[Hashable, Samples] | None], None],
    ) -> None:
        self.asked.append((keys, t0, t1))
        self.answers.append(lambda: done({key: self.store.read(key, t0, t1) for key in keys}))
        self.refuse = lambda: done(None)

    def request_beginning(
        self, keys: Sequence[Hashable], done: Callable[[float | None], None]
    ) -> None:
        done(min(float(self.store.series[key][0][0]) for key in keys))

    def answer(self, chart: TimeChart) -> None:
        for one in self.answers:
            one()
        self.answers.clear()
        chart._clock.tick()


@pytest.mark.parametrize("stacked", [True, False])
def test_that_what_memory_no_longer_holds_is_drawn_when_it_has_come(stacked: bool) -> None:
    history = History(a=every(10, 80_000, 3600))
    chart = shown_chart(Store(a=every(1, 600, 0)), [A], stacked=stacked, past=history)
    assert not history.asked, "memory reaches back far enough"
    chart.group.show_span(NOW - 7400, NOW - 5000)
    settle()
    (keys, t0, t1), color = history.asked[0], Theme().series_color(1)
    assert keys == ["a"] and t0 <= NOW - 7400 and t1 >= NOW - 5000
    assert not drawn_at(chart, picture(chart), NOW - 6000, color)
    history.answer(chart)
    assert drawn_at(chart, picture(chart), NOW - 6000, color)
    chart.group.pan(-0.1)
    settle()
    assert len(history.asked) == 1, "read with a margin"
    assert drawn_at(chart, picture(chart), NOW - 6000, color)


def test_that_home_is_the_beginning_of_the_history() -> None:
    history = History(a=every(10, 80_000, 3600))
    chart = shown_chart(Store(a=every(1, 600, 0)), [A], past=history)
    QTest.keyClick(chart, Qt.Key.Key_Home)
    assert chart.group.range_at(NOW)[0] == NOW - 80_000


def test_that_a_history_that_cannot_be_read_is_not_asked_again_at_once() -> None:
    history = History()
    chart = shown_chart(Store(), [A], past=history)
    assert len(history.asked) == 1
    history.refuse()
    for _ in range(5):
        chart.redraw()
        settle()
    assert len(history.asked) == 1
