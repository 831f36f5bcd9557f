"""How many records there are over time, as bars under which a region chooses a time range: drag to
choose, drag its edges or the region itself to change it, click beside it or press Escape to drop
it, double-click or press Enter to ask for that range to be read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from resources.wording import counted
from widgets import figures
from widgets.chart_clock import ChartClock
from widgets.charts.axes import FONT_PIXELS, TimeAxis, ValueAxis
from widgets.charts.ticks import ValueScale
from widgets.charts.units import COUNT
from widgets.charts.view import Plot, PlotView
from widgets.theme import Theme

Times = NDArray[np.int64]

HEIGHT = 104
HEAD = 20
"""Pixels above the bars for what they say."""
BAR, GAP = 5, 1
FEWEST_BARS = 24
RECORDS_A_BAR = 3
"""Bars become wider before most of them stand for a single record."""
STEPS_MS = (
    1, 2, 5, 10, 20, 50, 100, 200, 500,
    1000, 2000, 5000, 10_000, 15_000, 30_000,
    60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
    3_600_000, 7_200_000, 14_400_000, 43_200_000,
    86_400_000, 604_800_000, 2_592_000_000, 31_536_000_000, 315_360_000_000,
)  # fmt: skip
"""Widths of a bar: milliseconds to seconds, minutes, hours, a day to ten years."""
LATEST_MS = 253_370_764_800_000
"""The year 9999. A later timestamp is a mistake and is not drawn."""


def bins(times: Times, most: int) -> tuple[int, int, NDArray[np.int64]]:
    """At most ``most`` bins of a round width: (start of the first in ms, width in ms, counts)."""
    if not len(times):
        return 0, 1, np.zeros(0, np.int64)
    low, high = int(times.min()), int(times.max())
    step = next((s for s in STEPS_MS if (high // s) - (low // s) + 1 <= most), 0)
    if not step:
        step = math.ceil((high - low + 1) / max(1, most - 1))
    start = low // step * step
    counts = np.bincount(((times - start) // step).astype(np.int64), minlength=1)
    return start, step, counts


class _Bars(pg.GraphicsObject):  # type: ignore[misc]
    """Lies in the view box in pixels."""

    def __init__(self, view: pg.ViewBox, theme: Theme) -> None:
        super().__init__()
        self._view, self._theme = view, theme
        self.start_ms, self.step_ms = 0, 1
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self.chosen: tuple[int, int] | None = None
        self.setParentItem(view)
        view.sigResized.connect(lambda *_: self.prepareGeometryChange())

    @override
    def boundingRect(self) -> QRectF:
        return QRectF(self._view.rect())

    @override
    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        rect = self.boundingRect()
        (t0, t1), (_, top) = self._view.viewRange()
        wide = rect.width() * self.step_ms / 1000 / (t1 - t0)
        bright, dim = self._theme.color("accent"), self._theme.color("line_strong")
        for place in np.flatnonzero(self.counts).tolist():
            at = self.start_ms + place * self.step_ms
            x = (at / 1000 - t0) / (t1 - t0) * rect.width()
            tall = max(2.0, float(self.counts[place]) / top * rect.height())
            bar = QRectF(x, rect.height() - tall, max(1.0, wide - GAP), tall)
            painter.fillRect(bar, bright if self._inside(at) else dim)

    def _inside(self, at_ms: int) -> bool:
        chosen = self.chosen
        return chosen is None or (at_ms + self.step_ms > chosen[0] and at_ms < chosen[1])


class _Brush(pg.ViewBox):  # type: ignore[misc]
    """A drag beside the region chooses another one."""

    dragged = Signal(float, float, bool)  # from, until in pixels; finished
    clicked = Signal(bool)  # a double click

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.setMouseEnabled(False, False)

    @override
    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.button() != Qt.MouseButton.LeftButton or axis is not None:
            ev.ignore()
            return
        ev.accept()
        first = self.mapFromScene(ev.buttonDownScenePos()).x()
        last = self.mapFromScene(ev.scenePos()).x()
        low, high = sorted(min(max(x, 0.0), self.width()) for x in (first, last))
        self.dragged.emit(low, high, ev.isFinish())

    @override
    def mouseClickEvent(self, ev: Any) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self.clicked.emit(ev.double())

    @override
    def keyPressEvent(self, ev: Any) -> None:
        ev.ignore()


class Histogram(PlotView):
    range_changed = Signal()
    """``chosen`` is another"""
    read_requested = Signal(tuple)
    """(from ms inclusive, until ms exclusive): the chosen range, which the person wants to read"""

    def __init__(
        self, theme: Theme, clock: ChartClock, noun: str = "record", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock, self._noun = theme, clock, noun
        self._times: Times = np.zeros(0, np.int64)
        self._range: tuple[int, int] | None = None
        self._mouse_ms: int | None = None
        self._before_click: tuple[int, int] | None = None
        self._dirty = True
        self._font = theme.ui_font(FONT_PIXELS)
        self._view = _Brush()
        self._value_axis = ValueAxis(theme, ValueScale(COUNT))
        self._time_axis = TimeAxis(theme, clock)
        plot = Plot(self._view, self._value_axis, self._time_axis)
        plot.layout().setContentsMargins(0, HEAD, 4, 0)
        self.setCentralItem(plot)
        self.bars = _Bars(self._view, theme)
        self.region = pg.LinearRegionItem(values=(0.0, 1.0), swapMode="sort")
        self.region.hide()
        self._view.addItem(self.region, ignoreBounds=True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName(f"{noun.capitalize()}s over time")
        self._connect()
        self._theme_changed()

    def _connect(self) -> None:
        self._view.dragged.connect(self._dragged)
        self._view.clicked.connect(self._clicked)
        self.region.sigRegionChanged.connect(lambda: self._region_moved(False))
        self.region.sigRegionChangeFinished.connect(lambda: self._region_moved(True))
        self._theme.changed.connect(self._theme_changed)
        self._clock.style.changed.connect(self._redraw)

    def set_times(self, times_ms: Times) -> None:
        """int64[n] in any order. Negative ones and those beyond the year 9999 are left out."""
        self._times = times_ms[(times_ms >= 0) & (times_ms < LATEST_MS)]
        self._redraw()

    @property
    def chosen(self) -> tuple[int, int] | None:
        """(from ms inclusive, until ms exclusive)"""
        return self._range

    def choose(self, chosen: tuple[int, int] | None) -> None:
        """Put the region there, or take it away."""
        self._show_region(chosen)
        if chosen != self._range:
            self._range = chosen
            self.range_changed.emit()

    # ---- drawing

    def _redraw(self) -> None:
        self._dirty = True
        self.viewport().update()

    def _theme_changed(self) -> None:
        color = self._theme.color("accent")
        for line in self.region.lines:
            line.setPen(QPen(color, 1))
            line.setHoverPen(QPen(self._theme.color("accent_hover"), 3))
        color.setAlpha(40)
        self.region.setBrush(color)
        color.setAlpha(60)
        self.region.setHoverBrush(color)
        self._redraw()

    def fit(self) -> None:
        """Count the times into bars that suit the width, when either has changed."""
        if not self._dirty:
            return
        self._dirty = False
        most = max(8, int(self._view.width()) // (BAR + GAP))
        most = min(most, max(FEWEST_BARS, len(self._times) // RECORDS_A_BAR))
        bars = self.bars
        bars.start_ms, bars.step_ms, bars.counts = bins(self._times, most)
        shown = max(len(bars.counts), FEWEST_BARS)
        start_s, end_s = bars.start_ms / 1000, (bars.start_ms + shown * bars.step_ms) / 1000
        scale = self._value_axis.scale_
        bounds = scale.bounds(0.0, float(bars.counts.max(initial=0)), 2)
        self._value_axis.setWidth(self._value_axis.needed_width(scale.ticks(*bounds, 2)))
        self._view.setRange(xRange=(start_s, end_s), yRange=bounds, padding=0)
        for axis in (self._value_axis, self._time_axis):
            axis.setVisible(bool(len(bars.counts)))
        bars.update()

    def _ms_at(self, x: float) -> int:
        (t0, t1), _ = self._view.viewRange()
        at_s: float = t0 + x / max(self._view.width(), 1.0) * (t1 - t0)
        return round(at_s * 1000)

    def _words(self) -> str:
        """Of the bar under the mouse, else of the chosen range, else of everything."""
        bars = self.bars
        if not len(bars.counts):
            return ""
        now_s, style = self._clock.now_s, self._clock.style
        if self._mouse_ms is not None:
            place = (self._mouse_ms - bars.start_ms) // bars.step_ms
            if 0 <= place < len(bars.counts):
                at_s = (bars.start_ms + place * bars.step_ms) / 1000
                moment = style.moment(at_s, now_s, subseconds=bars.step_ms < 1000)
                return f"{moment}  ·  {counted(int(bars.counts[place]), self._noun)}"
        if bars.chosen is not None:
            low, high = bars.chosen
            inside = int(np.count_nonzero((self._times >= low) & (self._times < high)))
            span = style.span(low / 1000, high / 1000, now_s)
            return f"{span}  ·  {counted(inside, self._noun)}"
        width = figures.duration(bars.step_ms / 1000).replace(".0 ", " ")
        return f"{counted(len(self._times), self._noun)}, a bar is {width}"

    @override
    def drawForeground(self, painter: QPainter, rect: Any) -> None:
        painter.setFont(self._font)
        whole = QRectF(self.viewport().rect())
        if not len(self.bars.counts):
            painter.setPen(self._theme.color("text_faint"))
            words = f"{self._noun.capitalize()}s over time appear here"
            painter.drawText(whole, int(Qt.AlignmentFlag.AlignCenter), words)
        else:
            self._draw_head(painter)
        if self.hasFocus():
            painter.setPen(QPen(self._theme.color("accent"), 1))
            painter.drawRect(whole.adjusted(0.5, 0.5, -0.5, -0.5))

    def _draw_head(self, painter: QPainter) -> None:
        metrics = QFontMetrics(self._font)
        words = self._words()
        right = self.viewport().width() - 4
        painter.setPen(self._theme.color("text_muted"))
        painter.drawText(QPointF(right - metrics.horizontalAdvance(words), 13), words)
        if self._range is not None:
            painter.setPen(self._theme.color("accent"))
            painter.drawText(QPointF(self._view.x(), 13), "Double-click or Enter: read this range")

    # ---- interaction

    def _show_region(self, chosen: tuple[int, int] | None) -> None:
        with QSignalBlocker(self.region):
            if chosen is not None:
                self.region.setRegion((chosen[0] / 1000, chosen[1] / 1000))
            self.region.setVisible(chosen is not None)
        self.bars.chosen = chosen
        self.bars.update()
        self.viewport().update()

    def _dragged(self, low: float, high: float, finished: bool) -> None:
        if not len(self.bars.counts):
            return
        first = self._ms_at(low)
        chosen = (first, max(self._ms_at(high), first + 1))
        if finished:
            self.choose(chosen)
        else:
            self._show_region(chosen)

    def _region_moved(self, finished: bool) -> None:
        low, high = self.region.getRegion()
        first = round(low * 1000)
        chosen = (first, max(round(high * 1000), first + 1))
        if finished:
            self.choose(chosen)
        else:
            self.bars.chosen = chosen
            self.bars.update()
            self.viewport().update()

    def _clicked(self, double: bool) -> None:
        """The first click of a double click drops the region: the second asks for what it was."""
        if double:
            self.choose(self._before_click)
            self._request_reading()
        else:
            self._before_click = self._range
            self.choose(None)

    def _request_reading(self) -> None:
        if self._range is not None:
            self.read_requested.emit(self._range)

    # ---- Qt

    @override
    def sizeHint(self) -> QSize:
        return QSize(600, HEIGHT)

    @override
    def paintEvent(self, event: Any) -> None:
        self.fit()
        super().paintEvent(event)

    @override
    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._dirty = True

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        place = self._view.mapFromScene(self.mapToScene(event.position().toPoint()))
        over = self._view.rect().contains(place) and not event.buttons()
        self._mouse_ms = self._ms_at(place.x()) if over else None
        self.viewport().update()

    @override
    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._mouse_ms = None
        self.viewport().update()

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Escape if self._range is not None:
                self.choose(None)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if self._range is not None:
                self._request_reading()
            case _:
                event.ignore()
