"""Samples, a clock that stands still, and pixels of a chart, for the tests of charts."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from widgets.chart_clock import ChartClock
from widgets.charts.chart_group import ChartGroup
from widgets.charts.model import Samples, Series
from widgets.charts.time_chart import TimeChart
from widgets.charts.units import COUNT, Unit
from widgets.theme import Theme

NOW = 1_700_000_000.0  # 14 November 2023, 22:13:20 UTC
NONE: Samples = (np.zeros(0), np.zeros(0))


class Store:
    """What the session's store is to charts."""

    def __init__(self, **series: Samples) -> None:
        self.series: dict[Hashable, Samples] = {key: series[key] for key in series}
        self.reads = 0

    def read(self, key: Hashable, t0: float, t1: float) -> Samples:
        self.reads += 1
        times, values = self.series.get(key, NONE)
        low, high = np.searchsorted(times, (t0, t1)).tolist()
        return times[low:high], values[low:high]


def every(step_s: float, since_s: float, until_s: float, value: float = 10.0) -> Samples:
    """A constant value from ``since_s`` before NOW to ``until_s`` before NOW."""
    times = np.arange(NOW - since_s, NOW - until_s, step_s)
    return times, np.full(len(times), value)


def joined(*parts: Samples) -> Samples:
    return np.concatenate([t for t, _ in parts]), np.concatenate([v for _, v in parts])


def still_clock() -> ChartClock:
    return ChartClock(now=lambda: NOW, interval_ms=10**8)


def shown_chart(
    store: Store,
    series: list[Series],
    *,
    clock: ChartClock | None = None,
    dark: bool = True,
    stacked: bool = False,
    unit: Unit = COUNT,
    window_s: float = 300.0,
    group: ChartGroup | None = None,
    past: object = None,
) -> TimeChart:
    """A chart of 600 x 240 pixels on the screen, drawn."""
    clock = clock or still_clock()
    group = group or ChartGroup(clock, window_s=window_s, past=past)  # type: ignore[arg-type]
    chart = TimeChart(Theme(dark), clock, store.read, unit=unit, stacked=stacked, group=group)
    chart.kept_alive = (clock, group)
    chart.set_series(series)
    chart.resize(600, 240)
    chart.show()
    settle()
    return chart


def settle() -> None:
    """Twice: the first frame may make the value axis wider."""
    for _ in range(3):
        QApplication.processEvents()


def picture(widget: QWidget) -> QImage:
    settle()
    return widget.grab().toImage()


def plot_place(chart: TimeChart, at_s: float, value: float | None = None) -> QPoint:
    """Where a moment and a value are, in pixels of the chart."""
    view = chart._view
    y = view.height() / 2
    if value is not None:
        y = float(chart.curves.y_of(np.array([value]))[0])
    scene = view.mapToScene(QPointF(view.x_at(at_s), y))
    return chart.mapFromScene(scene)


def column(chart: TimeChart, image: QImage, at_s: float) -> list[QColor]:
    """The pixels of the plot at a moment, from top to bottom."""
    x = plot_place(chart, at_s).x()
    top = chart.mapFromScene(chart._view.mapToScene(QPointF(0, 0))).y()
    height = int(chart._view.height())
    return [image.pixelColor(x, y) for y in range(top, top + height)]


def near(color: QColor, wanted: QColor, by: int = 40) -> bool:
    return (
        abs(color.red() - wanted.red()) <= by
        and abs(color.green() - wanted.green()) <= by
        and abs(color.blue() - wanted.blue()) <= by
    )


def like_hue(color: QColor, wanted: QColor) -> bool:
    """Of the same hue, whatever was mixed into it: an area is half transparent."""
    if color.saturation() < 40:
        return False
    apart = abs(color.hue() - wanted.hue())
    return min(apart, 360 - apart) < 12


def drawn_at(chart: TimeChart, image: QImage, at_s: float, color: QColor) -> bool:
    return any(like_hue(pixel, color) for pixel in column(chart, image, at_s))


def wheel(chart: TimeChart, place: QPoint, notches: int) -> None:
    event = QWheelEvent(
        QPointF(place),
        QPointF(chart.mapToGlobal(place)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(chart.viewport(), event)
    settle()


def drag(
    widget: QWidget,
    start: QPoint,
    end: QPoint,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """``widget`` is the viewport of a graphics view."""
    button = Qt.MouseButton.LeftButton
    QTest.mouseMove(widget, start)
    QTest.mousePress(widget, button, modifiers, start)
    for share in (0.25, 0.5, 0.75, 1.0):
        move(widget, start + (end - start) * share, button, modifiers)
    QTest.mouseRelease(widget, button, modifiers, end)
    settle()


def double_click(widget: QWidget, place: QPoint) -> None:
    """Qt's whole sequence; QTest.mouseDClick alone is its third event."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(widget, button, none, place)
    QTest.mouseDClick(widget, button, none, place)
    QTest.mouseRelease(widget, button, none, place)
    settle()


def move(
    widget: QWidget,
    place: QPoint,
    button: Qt.MouseButton = Qt.MouseButton.NoButton,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """QTest.mouseMove forgets the pressed button and the modifiers."""
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(widget.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        button,
        modifiers,
    )
    QApplication.sendEvent(widget, event)
    settle()
