"""The time axis that the charts of a page share: live, or standing at a range that a person
chose; and the moment under the mouse, which all of them point at."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, Signal

from widgets.charts.model import Past

if TYPE_CHECKING:
    from widgets.chart_clock import ChartClock

SHORTEST_S = 5.0
LONGEST_S = 31 * 86_400.0
ZOOM_IN, ZOOM_OUT = 0.8, 1.25
"""The factors of one step by a key or the menu."""
SLACK = 16
"""Pixels by which a value axis may be wider than its labels need."""


class ChartGroup(QObject):
    """Window's thread only. Sampling goes on whatever the axis shows."""

    span_changed = Signal()
    cursor_changed = Signal()
    axis_width_changed = Signal()

    def __init__(
        self,
        clock: ChartClock,
        *,
        window_s: float = 300.0,
        past: Past | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.clock = clock
        self.past = past
        self._window_s = window_s
        self._span: tuple[float, float] | None = None
        self._cursor_s: float | None = None
        self._axis_widths: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self.axis_width = 0
        """Pixels of every chart's value axis: plots of one page begin below each other."""

    @property
    def live(self) -> bool:
        return self._span is None

    @property
    def window_s(self) -> float:
        """Seconds that a live chart shows."""
        return self._window_s

    @property
    def cursor_s(self) -> float | None:
        return self._cursor_s

    def range_at(self, now_s: float) -> tuple[float, float]:
        """From when to when the charts show, seconds since the epoch."""
        return (now_s - self._window_s, now_s) if self._span is None else self._span

    def fit_axis(self, chart: object, pixels: int) -> None:
        """``chart`` needs so many pixels for the labels of its value axis, 0 while it is not
        seen. The widest decides for all."""
        self._axis_widths[chart] = pixels
        widest = max(self._axis_widths.values())
        # Shrink only by much: a label that comes and goes must not move the plots.
        if widest > self.axis_width or widest < self.axis_width - SLACK:
            self.axis_width = widest
            self.axis_width_changed.emit()

    # ---- interaction

    def set_window(self, seconds: float) -> None:
        """Show the last ``seconds`` from now on, live."""
        if seconds != self._window_s or self._span is not None:
            self._window_s = seconds
            self._span = None
            self.span_changed.emit()

    def follow(self) -> None:
        """Be live again."""
        if self._span is not None:
            self._span = None
            self.span_changed.emit()

    def show_span(self, t0: float, t1: float) -> None:
        """Stand at a range. It is kept from being shorter than SHORTEST_S, longer than LONGEST_S
        and from reaching beyond now."""
        now_s = self.clock.now_s
        middle, length = (t0 + t1) / 2, abs(t1 - t0)
        length = min(max(length, SHORTEST_S), LONGEST_S)
        t1 = min(middle + length / 2, now_s)
        span = (t1 - length, t1)
        if span != self._span:
            self._span = span
            self.span_changed.emit()

    def pan(self, share: float) -> None:
        """Move by a share of what is shown, negative to earlier times."""
        t0, t1 = self.range_at(self.clock.now_s)
        move = (t1 - t0) * share
        self.show_span(t0 + move, t1 + move)

    def zoom(self, factor: float, at_s: float | None = None) -> None:
        """Show ``factor`` times as much time around a moment, the middle by default; that moment
        keeps its place."""
        t0, t1 = self.range_at(self.clock.now_s)
        length = min(max((t1 - t0) * factor, SHORTEST_S), LONGEST_S)
        center = (t0 + t1) / 2 if at_s is None else at_s
        left = (center - t0) / (t1 - t0) * length
        self.show_span(center - left, center - left + length)

    def go_to_beginning(self, keys: Sequence[Hashable], oldest_s: float | None) -> None:
        """Stand at the oldest sample of those series. ``oldest_s`` is that of memory; the history,
        when there is one, may have an older one."""
        if self.past is None:
            self._show_beginning(oldest_s)
        else:
            self.past.request_beginning(
                keys,
                lambda kept: self._show_beginning(
                    min((t for t in (kept, oldest_s) if t is not None), default=None)
                ),
            )

    def _show_beginning(self, oldest_s: float | None) -> None:
        if oldest_s is not None:
            t0, t1 = self.range_at(self.clock.now_s)
            self.show_span(oldest_s, oldest_s + (t1 - t0))

    def point_at(self, at_s: float | None) -> None:
        """Put the crosshair of every chart at that moment, None to take it away."""
        if at_s != self._cursor_s:
            self._cursor_s = at_s
            self.cursor_changed.emit()
