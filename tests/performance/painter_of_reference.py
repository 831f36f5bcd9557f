"""The chart painter that decision 0010 chose, kept as it was: `make bench` compares the charts of
today with it. Nothing in the application imports this file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget
from shiboken6 import VoidPtr
from typing_extensions import override

from resources.outgoing import visible
from widgets import figures
from widgets.chart_clock import ChartClock
from widgets.theme import Theme

Floats = NDArray[np.float64]

_TIME_STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    21_600,
    43_200,
    86_400,
)


def nice_top(largest: float, smallest_top: float = 1.0) -> float:
    """The next round figure above the largest value, with a little air: 1, 2, 2.5, 4, 5, 8 times
    a power of ten."""
    wanted = max(largest * 1.06, smallest_top)
    power = 10 ** math.floor(math.log10(wanted))
    return float(
        next(
            step * power
            for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
            if step * power >= wanted * 0.9999
        )
    )


def value_ticks(top: float, most: int = 4) -> list[float]:
    """Round figures from 0 to ``top``."""
    rough = top / max(most, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.9999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


def time_ticks(t0: float, t1: float, most: int) -> tuple[list[float], str]:
    """Round local times between two, and the strftime pattern that tells them apart."""
    rough = (t1 - t0) / max(most, 1)
    step = next((s for s in _TIME_STEPS_S if s >= rough), 86_400)
    offset = time.localtime(t1).tm_gmtoff
    first = math.ceil((t0 + offset) / step) * step - offset
    ticks = [float(t) for t in np.arange(first, t1, step)]
    return ticks, "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"


def peaks(
    times: Floats, values: Floats, t0: float, t1: float, pixels: int
) -> tuple[Floats, Floats]:
    """At most two points a pixel, the smallest and the largest of its samples, so that no peak is
    lost. NaN: a gap.

    ``times`` float64[n] rising; returns float64[m] each, m <= max(n, 2 * pixels).
    """
    if len(times) <= 2 * pixels:
        return times, values
    column = np.clip(((times - t0) / (t1 - t0) * pixels).astype(np.int64), 0, pixels - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduceat(values, starts)
        high = np.fmax.reduceat(values, starts)
    out_t = np.repeat(times[starts], 2)
    out_v = np.empty(2 * len(starts))
    rising = values[starts] <= high
    out_v[0::2] = np.where(rising, low, high)
    out_v[1::2] = np.where(rising, high, low)
    return out_t, out_v


def on_grid(times: Floats, values: Floats, grid: Floats, reach_s: float) -> Floats:
    """Values at the times of ``grid`` (float64[m]), for stacking; NaN where the nearest sample is
    further than ``reach_s`` away or is itself a gap."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(grid), np.nan)
    kt, kv = times[known], values[known]
    out = np.interp(grid, kt, kv)
    after = np.clip(np.searchsorted(kt, grid), 0, len(kt) - 1)
    before = np.clip(after - 1, 0, len(kt) - 1)
    distance = np.minimum(np.abs(kt[after] - grid), np.abs(grid - kt[before]))
    out[distance > reach_s] = np.nan
    return out


def usual_step(times: Floats) -> float:
    """The median distance of neighbouring samples in seconds; 1 when there are too few to say."""
    return float(np.median(np.diff(times))) if len(times) > 2 else 1.0


def runs(values: Floats) -> list[tuple[int, int]]:
    """Half-open ranges of indices without a gap."""
    known = np.isfinite(values)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


SPAN_MIN_S = 60.0
SMOOTH_POINTS = 700
"""a line of more points is drawn without antialiasing; all are one pixel wide: wider ones cost
four times as much"""

Read = Callable[[Any, float, float], tuple[Floats, Floats]]
"""(series key, from, until) -> (times, values), float64[n] each, seconds since the epoch; NaN is
a gap."""


@dataclass(frozen=True, slots=True)
class Series:
    key: Hashable
    label: str
    color: int = 0
    """index into the theme's series colours"""
    tone: str = ""
    """a token instead, e.g. ``text_faint`` for "all others" """
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment to show on the time axis, e.g. a rebalance."""

    at_s: float
    label: str
    tone: str = "text_muted"


def polygon(xs: Floats, ys: Floats) -> QPolygonF:
    """Points without a Python object for each of them."""
    made = QPolygonF()
    made.resize(len(xs))
    if len(xs):
        pointer: Any = made.data()
        memory: Any = VoidPtr(pointer, len(xs) * 16, True)  # type: ignore[call-arg]
        view = np.frombuffer(memory, dtype=np.float64).reshape(-1, 2)
        view[:, 0] = xs
        view[:, 1] = ys
    return made


class TimeChart(QWidget):
    """``stacked`` lays areas on each other, first series lowest; else each is a line."""

    mark_clicked = Signal(object)  # Mark

    LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 22

    def __init__(
        self,
        theme: Theme,
        clock: ChartClock,
        read: Read,
        *,
        title: str,
        stacked: bool = False,
        form: Callable[[float | None], str] = figures.short,
        smallest_top: float = 1.0,
        window_s: float = 300.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock, self._read = theme, clock, read
        self._title = title
        self._stacked = stacked
        self._form = form
        self._smallest_top = smallest_top
        self._window_s = window_s
        self._series: tuple[Series, ...] = ()
        self._marks: tuple[Mark, ...] = ()
        self._dirty = True
        self._drawn_at_s = 0.0
        self._picture: QPixmap | None = None
        self._range = (0.0, 1.0)
        self._top = smallest_top
        self._mouse: QPointF | None = None
        self._latest: dict[Hashable, float] = {}
        self._nothing = "Waiting for the first samples"
        self._font = theme.ui_font(11)
        self._title_font = theme.ui_font(12, QFont.Weight.DemiBold)
        self.drawings = 0
        """how often it was drawn, for tests and the debug view"""
        self.setMouseTracking(True)
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(title)
        theme.changed.connect(self.data_changed)
        clock.register(self)

    # ---- what the page says

    def set_series(self, series: Sequence[Series]) -> None:
        if tuple(series) != self._series:
            self._series = tuple(series)
            self.data_changed()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self.data_changed()

    def set_window(self, seconds: float) -> None:
        self._window_s = seconds
        self.data_changed()

    def set_title(self, title: str) -> None:
        self._title = title
        self.data_changed()

    def set_stacked(self, stacked: bool) -> None:
        self._stacked = stacked
        self.data_changed()

    def set_form(self, form: Callable[[float | None], str]) -> None:
        self._form = form
        self.data_changed()

    def set_nothing(self, sentence: str) -> None:
        """What is written in the plot while no series has a sample."""
        self._nothing = sentence
        self.data_changed()

    def data_changed(self) -> None:
        """There is something new to draw; it is drawn at the next tick at which the chart is
        seen."""
        self._dirty = True

    # ---- the clock asks

    def wants_drawing(self, now_s: float) -> bool:
        if not self.isVisible() or self.visibleRegion().isEmpty():
            return False
        pixel_s = self._window_s / max(self._plot().width(), 1)
        return self._dirty or abs(now_s - self._drawn_at_s) >= max(pixel_s, 0.2)

    def draw(self, now_s: float) -> None:
        self._dirty = False
        self._drawn_at_s = now_s
        self._range = (now_s - self._span(now_s), now_s)
        self.drawings += 1
        ratio = self.devicePixelRatioF()
        size = self.size() * ratio
        if self._picture is None or self._picture.size() != size:
            self._picture = QPixmap(size)
            self._picture.setDevicePixelRatio(ratio)
        self._picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(self._picture)
        self._draw_all(painter)
        painter.end()
        self.update()

    def _span(self, now_s: float) -> float:
        """The chosen window, or while there is less to show, what there is and at least
        SPAN_MIN_S."""
        if self._window_s <= SPAN_MIN_S:
            return self._window_s
        first = now_s
        for series in self._series:
            times, values = self._read(series.key, now_s - self._window_s, now_s)
            known = np.flatnonzero(np.isfinite(values))
            if len(known):
                first = min(first, float(times[known[0]]))
        return min(self._window_s, max(SPAN_MIN_S, (now_s - first) * 1.05))

    # ---- drawing

    def _plot(self) -> QRectF:
        return QRectF(self.rect()).adjusted(self.LEFT, self.TOP, -self.RIGHT, -self.BOTTOM)

    def _x(self, times: Floats) -> Floats:
        plot, (t0, t1) = self._plot(), self._range
        return plot.left() + (times - t0) / (t1 - t0) * plot.width()

    def _y(self, values: Floats) -> Floats:
        plot = self._plot()
        return plot.bottom() - values / self._top * plot.height()

    def _draw_all(self, painter: QPainter) -> None:
        plot, (t0, t1) = self._plot(), self._range
        if plot.width() < 20 or plot.height() < 20:
            return
        slack = max(5.0, (t1 - t0) * 0.02)
        data = [(s, *self._read(s.key, t0 - slack, t1)) for s in self._series]
        self._latest = {s.key: _last_known(v) for s, _, v in data}
        curves = self._stack(data, plot) if self._stacked else data
        largest = max(
            (float(np.nanmax(v)) for _, _, v in curves if np.isfinite(v).any()), default=0.0
        )
        self._top = nice_top(largest, self._smallest_top)
        self._draw_grid(painter, plot)
        painter.save()
        painter.setClipRect(plot.adjusted(0, -1, 1, 1))
        if self._stacked:
            self._draw_areas(painter, curves)
        else:
            for series, times, values in curves:
                self._draw_line(painter, series, *peaks(times, values, t0, t1, int(plot.width())))
        self._draw_marks(painter, plot)
        painter.restore()
        self._draw_head(painter, plot)
        if not any(np.isfinite(v).any() for _, _, v in data):
            painter.setFont(self._theme.ui_font(12))
            painter.setPen(self._theme.color("text_faint"))
            painter.drawText(plot, int(Qt.AlignmentFlag.AlignCenter), self._nothing)

    def _draw_grid(self, painter: QPainter, plot: QRectF) -> None:
        theme = self._theme
        painter.setFont(self._font)
        for value in value_ticks(self._top, 4 if plot.height() > 110 else 2):
            y = round(plot.bottom() - value / self._top * plot.height()) + 0.5
            painter.setPen(QPen(theme.color("line_strong" if value == 0 else "line"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(theme.color("text_faint"))
            box = QRectF(0, y - 8, plot.left() - 8, 16)
            painter.drawText(
                box,
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                self._form(value),
            )
        ticks, pattern = time_ticks(*self._range, max(2, int(plot.width() / 110)))
        for at, x in zip(ticks, self._x(np.array(ticks)).tolist(), strict=True):
            if not plot.left() + 16 <= x <= plot.right() - 14:
                continue
            painter.setPen(QPen(theme.color("line"), 1))
            painter.drawLine(
                QPointF(round(x) + 0.5, plot.bottom()), QPointF(round(x) + 0.5, plot.bottom() + 4)
            )
            painter.setPen(theme.color("text_faint"))
            text = time.strftime(pattern, time.localtime(at))
            painter.drawText(
                QRectF(x - 40, plot.bottom() + 5, 80, 16), int(Qt.AlignmentFlag.AlignHCenter), text
            )

    def _color(self, series: Series) -> QColor:
        return (
            self._theme.color(series.tone)
            if series.tone
            else self._theme.series_color(series.color)
        )

    def _draw_line(self, painter: QPainter, series: Series, times: Floats, values: Floats) -> None:
        xs, ys = self._x(times), self._y(values)
        smooth = len(times) <= SMOOTH_POINTS and len(self._series) <= 8
        pen = QPen(self._color(series), 1)
        if series.dashed:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
        for start, end in runs(values):
            if end - start == 1:
                painter.drawPoint(QPointF(xs[start], ys[start]))
            else:
                painter.drawPolyline(polygon(xs[start:end], ys[start:end]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _stack(
        self, data: list[tuple[Series, Floats, Floats]], plot: QRectF
    ) -> list[tuple[Series, Floats, Floats]]:
        """Upper edges on one grid of times; where every series has a gap, the stack has one."""
        step = max((usual_step(t) for _, t, _ in data if len(t) > 2), default=1.0)
        t0, t1 = self._range
        last = max((float(t[-1]) for _, t, _ in data if len(t)), default=t1)
        columns = int(min(plot.width(), max(2, (t1 - t0) / step * 2)))
        grid = np.linspace(t0, min(last, t1), columns)
        layers = np.array([on_grid(t, v, grid, 3 * step) for _, t, v in data]).reshape(
            len(data), columns
        )
        none = ~np.isfinite(layers).any(axis=0) if len(data) else np.zeros(columns, dtype=bool)
        edges = np.nancumsum(layers, axis=0)
        edges[:, none] = np.nan
        return [(series, grid, edges[i]) for i, (series, _, _) in enumerate(data)]

    def _draw_areas(self, painter: QPainter, edges: list[tuple[Series, Floats, Floats]]) -> None:
        below = np.zeros(len(edges[0][1])) if edges else np.zeros(0)
        fill_alpha = 150 if self._theme.dark else 165
        for series, grid, edge in edges:
            xs, upper, lower = self._x(grid), self._y(edge), self._y(below)
            fill = self._color(series)
            for start, end in runs(edge):
                if end - start < 2:
                    continue
                outline = np.concatenate((xs[start:end], xs[start:end][::-1]))
                heights = np.concatenate((upper[start:end], lower[start:end][::-1]))
                fill.setAlpha(fill_alpha)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(fill)
                painter.drawPolygon(polygon(outline, heights))
                fill.setAlpha(255)
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(QPen(fill, 1))
                painter.drawPolyline(polygon(xs[start:end], upper[start:end]))
                painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            below = np.where(np.isfinite(edge), edge, 0.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_marks(self, painter: QPainter, plot: QRectF) -> None:
        for mark in self._marks:
            if self._range[0] <= mark.at_s <= self._range[1]:
                x = round(float(self._x(np.array([mark.at_s]))[0])) + 0.5
                painter.setPen(QPen(self._theme.color(mark.tone), 1, Qt.PenStyle.DotLine))
                painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
                head = polygon(
                    np.array([x - 4, x + 4, x]), np.array([plot.top(), plot.top(), plot.top() + 6])
                )
                painter.setBrush(self._theme.color(mark.tone))
                painter.setPen(Qt.PenStyle.NoPen)
                painter.drawPolygon(head)
                painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_head(self, painter: QPainter, plot: QRectF) -> None:
        """The title, and a legend as far as there is room: swatch, name, newest value."""
        theme = self._theme
        painter.setFont(self._title_font)
        painter.setPen(theme.color("text"))
        title_wide = QFontMetricsF(self._title_font).horizontalAdvance(self._title)
        painter.drawText(QPointF(0, 14), self._title)
        painter.setFont(self._font)
        metrics = QFontMetricsF(self._font)
        x = float(self.width() - self.RIGHT + 16)
        shown = 0
        for series in reversed(self._series[:8]):
            value = self._form(self._latest.get(series.key, float("nan")))
            label = metrics.elidedText(visible(series.label), Qt.TextElideMode.ElideMiddle, 150)
            wide = metrics.horizontalAdvance(label) + metrics.horizontalAdvance(value) + 36
            if x - wide < title_wide + 24:
                break
            x -= wide
            shown += 1
            painter.fillRect(QRectF(x, 6, 10, 8), self._color(series))
            painter.setPen(theme.color("text_muted"))
            painter.drawText(QPointF(x + 15, 14), label)
            painter.setPen(theme.color("text"))
            painter.drawText(QPointF(x + 20 + metrics.horizontalAdvance(label), 14), value)
        if shown < len(self._series) and x - 40 > title_wide + 8:
            painter.setPen(theme.color("text_faint"))
            painter.drawText(QPointF(x - 32, 14), f"+{len(self._series) - shown}")

    # ---- Qt

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 220)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        if self._picture is None or self._picture.deviceIndependentSize().toSize() != self.size():
            self.draw(self._clock.now_s)
            assert self._picture is not None
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        if self._mouse is not None and self._plot().contains(self._mouse):
            self._draw_crosshair(painter, self._mouse)
        painter.end()

    def _draw_crosshair(self, painter: QPainter, mouse: QPointF) -> None:
        plot, (t0, t1) = self._plot(), self._range
        at = t0 + (mouse.x() - plot.left()) / plot.width() * (t1 - t0)
        painter.setPen(QPen(self._theme.color("text_faint"), 1))
        painter.drawLine(
            QPointF(round(mouse.x()) + 0.5, plot.top()),
            QPointF(round(mouse.x()) + 0.5, plot.bottom()),
        )
        rows = []
        for series in self._series:
            times, values = self._read(
                series.key, at - max(3.0, (t1 - t0) / 60), at + max(3.0, (t1 - t0) / 60)
            )
            near = int(np.argmin(np.abs(times - at))) if len(times) else -1
            value = float(values[near]) if near >= 0 else float("nan")
            rows.append((series, value))
        rows.sort(key=lambda pair: -pair[1] if pair[1] == pair[1] else 1)
        marks = [m for m in self._marks if abs(m.at_s - at) < 4 * (t1 - t0) / plot.width()]
        self._draw_readout(painter, mouse, at, rows[:12], marks)

    def _draw_readout(
        self,
        painter: QPainter,
        mouse: QPointF,
        at: float,
        rows: list[tuple[Series, float]],
        marks: list[Mark],
    ) -> None:
        theme, plot = self._theme, self._plot()
        metrics = QFontMetricsF(self._font)
        labels = [
            metrics.elidedText(visible(s.label), Qt.TextElideMode.ElideMiddle, 200) for s, _ in rows
        ]
        values = [self._form(v) for _, v in rows]
        head = figures.clock(at) + "".join(f"  {m.label}" for m in marks)
        widest = max(
            [
                metrics.horizontalAdvance(a) + metrics.horizontalAdvance(b) + 44
                for a, b in zip(labels, values, strict=True)
            ]
            + [metrics.horizontalAdvance(head) + 20]
        )
        box = QRectF(mouse.x() + 14, plot.top() + 4, widest, 26 + 17 * len(rows))
        if box.right() > self.width() - 4:
            box.moveRight(mouse.x() - 14)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.color("line_strong"), 1))
        painter.setBrush(theme.color("raised"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(self._font)
        painter.setPen(theme.color("text_muted"))
        painter.drawText(QPointF(box.left() + 10, box.top() + 16), head)
        for i, (series, _) in enumerate(rows):
            y = box.top() + 34 + 17 * i
            painter.fillRect(QRectF(box.left() + 10, y - 8, 10, 8), self._color(series))
            painter.setPen(theme.color("text_muted"))
            painter.drawText(QPointF(box.left() + 26, y), labels[i])
            painter.setPen(theme.color("text"))
            painter.drawText(
                QPointF(box.right() - 10 - metrics.horizontalAdvance(values[i]), y), values[i]
            )

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        self.update()

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        for mark in self._marks:
            if abs(float(self._x(np.array([mark.at_s]))[0]) - x) <= 5:
                self.mark_clicked.emit(mark)
                return
        super().mousePressEvent(event)

    @override
    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        self._dirty = True


def _last_known(values: Floats) -> float:
    known = np.flatnonzero(np.isfinite(values))
    return float(values[known[-1]]) if len(known) else float("nan")
