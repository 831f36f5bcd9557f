"""A live chart over time: lines, or areas stacked on each other, on pyqtgraph's view, axes and view
box. Drawn on the one clock and only while it is seen. Title, legend and menu belong to the
ChartPanel."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from widgets.chart_clock import ChartClock
from widgets.charts.axes import TimeAxis, ValueAxis
from widgets.charts.chart_group import ZOOM_IN, ZOOM_OUT, ChartGroup
from widgets.charts.crosshair import Crosshair, Readout, ReadoutRow
from widgets.charts.curves_item import CurvesItem, color_of
from widgets.charts.frames import Curve, Frame, FrameMaker
from widgets.charts.model import Mark, Read, Samples, Series, SumOf
from widgets.charts.scale import sampled_at, usual_step
from widgets.charts.ticks import ValueScale
from widgets.charts.units import COUNT, Unit
from widgets.charts.view import Plot, PlotView, TimeViewBox
from widgets.theme import Theme

FRAME_MIN_S = 0.2
BY_KEYBOARD = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)
"""A chart that was reached by the keyboard shows that it has the focus."""
MARK_REACH = 5
"""The pixels beside a mark within which a click or the pointer counts as on it."""
NOTHING = "Waiting for the first samples"
NOTHING_THEN = "No samples in this time"

pg.setConfigOption("mouseRateLimit", 0)


class TimeChart(PlotView):
    """``stacked`` lays areas on each other, first series lowest; else each series is a line."""

    menu_requested = Signal(QPoint)  # global position
    copy_requested = Signal()
    drawn = Signal()

    def __init__(
        self,
        theme: Theme,
        clock: ChartClock,
        read: Read,
        *,
        unit: Unit = COUNT,
        stacked: bool = False,
        group: ChartGroup | None = None,
        parent: QWidget | None = None,
    ) -> None:
        self.group = group or ChartGroup(clock)
        self.scale_ = ValueScale(unit)
        self.value_axis = ValueAxis(theme, self.scale_)
        self.time_axis = TimeAxis(theme, clock)
        view = TimeViewBox(self.group)
        super().__init__(parent)
        self.setCentralItem(Plot(view, self.value_axis, self.time_axis))
        if group is None:
            self.group.setParent(self)
        self._view, self._theme, self._clock = view, theme, clock
        self._frames = FrameMaker(read, self.group.past)
        self._series: tuple[Series, ...] = ()
        self._hidden: frozenset[Hashable] = frozenset()
        self._marks: tuple[Mark, ...] = ()
        self._stacked = stacked
        self._nothing = NOTHING
        self._frame = Frame(0.0, 1.0)
        self._changed = True
        self._sampled = True
        self._drawn_at_s = 0.0
        self._mouse: QPoint | None = None
        self.drawings = 0
        """Count of the frames made, for tests and the debug view."""
        self._build()
        self._connect()
        clock.register(self)

    def _build(self) -> None:
        self.curves = CurvesItem(self._view, self._theme)
        self.crosshair = Crosshair(self._view, self.curves, self._theme)
        self.readout = Readout(self._theme, self)
        self.destroyed.connect(self.readout.deleteLater)  # it may be the window's child by then
        self.setMinimumSize(120, 80)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def _connect(self) -> None:
        self._theme.changed.connect(self._theme_changed)
        self._clock.style.changed.connect(self.redraw)
        self.group.span_changed.connect(self.redraw)
        self.group.cursor_changed.connect(self._cursor_moved)
        self.group.axis_width_changed.connect(self._fit_axis)
        self._fit_axis()

    # ---- what is shown

    @property
    def series(self) -> tuple[Series, ...]:
        return self._series

    @property
    def shown_series(self) -> tuple[Series, ...]:
        return tuple(s for s in self._series if s.key not in self._hidden)

    @property
    def frame_(self) -> Frame:
        """The frame that is drawn now."""
        return self._frame

    @property
    def unit(self) -> Unit:
        return self.scale_.unit

    @property
    def log(self) -> bool:
        return self.scale_.log

    def set_series(self, series: Sequence[Series]) -> None:
        if tuple(series) != self._series:
            self._series = tuple(series)
            self._frames.keep_only([s.key for s in series])
            self.redraw()

    def set_hidden(self, keys: Iterable[Hashable]) -> None:
        """Series that are not drawn until they are shown again."""
        hidden = frozenset(keys)
        if hidden != self._hidden:
            self._hidden = hidden
            self.redraw()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self.redraw()

    def set_stacked(self, stacked: bool) -> None:
        if stacked != self._stacked:
            self._stacked = stacked
            self._frames.forget()
            self.redraw()

    def set_unit(self, unit: Unit) -> None:
        self._set_scale(replace(self.scale_, unit=unit))

    def set_log(self, log: bool) -> None:
        self._set_scale(replace(self.scale_, log=log))

    def _set_scale(self, scale: ValueScale) -> None:
        if scale != self.scale_:
            self.scale_ = self.value_axis.scale_ = scale
            self.redraw()

    def set_nothing(self, sentence: str) -> None:
        """Text in the plot of a live chart while no series has a sample."""
        if sentence != self._nothing:
            self._nothing = sentence
            self.redraw()

    def data_changed(self) -> None:
        """New samples have come; they are drawn at the next tick at which the chart is seen."""
        self._sampled = True

    def redraw(self) -> None:
        """Note a change of what is shown; draw before the next paint."""
        self._changed = True
        self.viewport().update()

    # ---- drawing

    def wants_drawing(self, now_s: float) -> bool:
        if not self.isVisible() or self.visibleRegion().isEmpty():
            return False
        if self._changed or self._frames.past_arrived:
            return True
        standing = not self.group.live and self._frame.t1 < self._drawn_at_s - 1.0
        if standing and not self._clock.style.relative:
            return False  # before the newest samples; relative times change nevertheless
        pixel_s = (self._frame.t1 - self._frame.t0) / max(self._view.width(), 1.0)
        return self._sampled or abs(now_s - self._drawn_at_s) >= max(pixel_s, FRAME_MIN_S)

    def draw(self, now_s: float) -> None:
        """Make the frame of now and hand it to the item that paints it."""
        self._changed = self._sampled = False
        self._drawn_at_s = now_s
        self.drawings += 1
        t0, t1 = self.group.range_at(now_s)
        width = max(2, int(self._view.width()))
        frame = self._frames.make(self.shown_series, t0, t1, width, self._stacked)
        most = self.value_axis.most_ticks()
        bounds = self.scale_.bounds(frame.low, frame.high, most)
        grid = self.scale_.ticks(*bounds, most)
        self._frame = frame
        self.group.fit_axis(self, self.value_axis.needed_width(grid))
        self._view.setRange(xRange=(t0, t1), yRange=bounds, padding=0)
        self.curves.show_frame(frame, self.scale_, bounds, grid, self._marks)
        self.crosshair.words = self._words() if frame.empty else ""
        self._point()
        self.drawn.emit()

    def _words(self) -> str:
        return self._nothing if self.group.live else NOTHING_THEN

    def _fit_axis(self) -> None:
        self.value_axis.setWidth(max(32, self.group.axis_width))

    def _theme_changed(self) -> None:
        self.value_axis.update()
        self.time_axis.update()
        self.redraw()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        if self._changed:
            self.draw(self._clock.now_s)
        super().paintEvent(event)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._changed = True

    # ---- the crosshair

    def value_at(self, series: Series, at_s: float) -> float:
        """The sample nearest to a moment, NaN in a gap."""
        t0, t1 = self._frame.t0, self._frame.t1
        pixel_s = (t1 - t0) / max(self._view.width(), 1.0)
        times, values = self._frames.samples(series.key, at_s - 130.0, at_s + 130.0)
        return sampled_at(times, values, at_s, max(2 * pixel_s, 0.75 * usual_step(times)))

    def _cursor_moved(self) -> None:
        if self.isVisible():
            self._point()

    def _point(self) -> None:
        at_s = self.group.cursor_s
        self.crosshair.at_s = at_s
        if at_s is None:
            self.crosshair.dots = ()
            self.readout.hide()
        else:
            values = [(s, self.value_at(s, at_s)) for s in self.shown_series]
            self.crosshair.dots = self._dots(at_s)
            if self._mouse is not None:
                self._read_out(at_s, values)
        self.crosshair.update()

    def _dots(self, at_s: float) -> tuple[tuple[float, QColor], ...]:
        made = []
        for curve in self._frame.curves:
            value = _height_at(curve, at_s)
            if value == value:
                made.append((value, color_of(self._theme, curve.series)))
        return tuple(made)

    def _read_out(self, at_s: float, values: list[tuple[Series, float]]) -> None:
        assert self._mouse is not None
        now_s, style = self._clock.now_s, self._clock.style
        close = self._frame.t1 - self._frame.t0 <= 30
        head = style.moment(at_s, now_s, subseconds=close)
        values.sort(key=lambda pair: -pair[1] if pair[1] == pair[1] else float("inf"))
        text = self.unit.text
        rows = [ReadoutRow(color_of(self._theme, s), s.label, text(v)) for s, v in values]
        known = [v for s, v in values if v == v and not s.dashed]
        notes = [f"{style.moment(m.at_s, now_s)}  {m.label}" for m in self._marks_at(at_s)]
        if self._stacked and len(known) > 1:
            notes.insert(0, f"total {text(sum(known))}")
        self.readout.show_rows(head, notes, rows, self._mouse)

    def _marks_at(self, at_s: float) -> list[Mark]:
        width = max(self._view.width(), 1.0)
        reach = MARK_REACH * (self._frame.t1 - self._frame.t0) / width
        return [mark for mark in self._marks if abs(mark.at_s - at_s) <= reach]

    # ---- Qt

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 200)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        place = self._view.mapFromScene(self.mapToScene(event.position().toPoint()))
        if self._view.rect().contains(place):
            self._mouse = event.position().toPoint()
            self.group.point_at(self._view.time_at(place.x()))
            self._point()
        else:
            self._leave()

    def _leave(self) -> None:
        if self._mouse is not None:
            self._mouse = None
            self.readout.hide()
            self.group.point_at(None)

    @override
    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._leave()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._leave()
        self.group.fit_axis(self, 0)

    @override
    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu_requested.emit(event.globalPos())
        event.accept()

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.crosshair.framed = event.reason() in BY_KEYBOARD
        self.crosshair.update()

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.crosshair.framed = False
        self.crosshair.update()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_requested.emit()
            return
        group = self.group
        share = 0.5 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0.1
        actions: dict[Qt.Key, Callable[[], None]] = {
            Qt.Key.Key_Left: partial(group.pan, -share),
            Qt.Key.Key_Right: partial(group.pan, share),
            Qt.Key.Key_Plus: partial(group.zoom, ZOOM_IN),
            Qt.Key.Key_Equal: partial(group.zoom, ZOOM_IN),
            Qt.Key.Key_Minus: partial(group.zoom, ZOOM_OUT),
            Qt.Key.Key_Home: self.go_to_beginning,
            Qt.Key.Key_End: group.follow,
        }
        action = actions.get(Qt.Key(event.key()))
        if action is None:
            event.ignore()
        else:
            action()

    def paint_on(self, painter: QPainter) -> None:
        """Paint the chart as shapes, at its own size and place, e.g. into an SVG file."""
        rect = QRectF(self.viewport().rect())
        self.scene().render(painter, QRectF(self.pos(), self.size()), rect)

    def go_to_beginning(self) -> None:
        """Show the oldest samples that there are of the shown series."""
        keys = [s.key for s in self.shown_series if not isinstance(s.key, SumOf)]
        self.group.go_to_beginning(keys, self._oldest())

    def _oldest(self) -> float | None:
        firsts = []
        for series in self.shown_series:
            times, values = self.samples(series, 0.0, self._clock.now_s)
            known = np.flatnonzero(np.isfinite(values))
            if len(known):
                firsts.append(float(times[known[0]]))
        return min(firsts, default=None)

    def samples(self, series: Series, t0: float, t1: float) -> Samples:
        """As sampled, of memory and of the history as far as it was read."""
        return self._frames.samples(series.key, t0, t1)


def _height_at(curve: Curve, at_s: float) -> float:
    """Return the value at which a curve is drawn at a moment, NaN in a gap."""
    place = int(np.searchsorted(curve.times, at_s))
    if not 0 < place < len(curve.times):
        return float("nan")
    before, after = curve.values[place - 1 : place + 1].tolist()
    t0, t1 = curve.times[place - 1 : place + 1].tolist()
    return float(before + (after - before) * ((at_s - t0) / (t1 - t0) if t1 > t0 else 0.0))
