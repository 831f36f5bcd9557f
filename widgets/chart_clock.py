"""The one clock of all charts: each tick draws the visible charts that have something new. It also
carries the window's way of writing times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

from widgets.time_style import TimeStyle

TICK_MS = 200


class Drawn(Protocol):
    """A registered chart. ``draw`` is called on the window's thread, only after
    ``wants_drawing`` returned True."""

    def wants_drawing(self, now_s: float) -> bool: ...
    def draw(self, now_s: float) -> None: ...


class ChartClock(QObject):
    """``now_s`` is the right edge of every live chart; it stands still while paused."""

    paused_changed = Signal(bool)

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        now: Callable[[], float] = time.time,
        interval_ms: int = TICK_MS,
        style: TimeStyle | None = None,
    ) -> None:
        super().__init__(parent)
        self.style = style or TimeStyle(parent=self)
        self._now = now
        self._paused_at_s: float | None = None
        self._charts: WeakSet[Drawn] = WeakSet()
        self._timer = QTimer(self)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self.tick)
        self._timer.start()

    @property
    def now_s(self) -> float:
        return self._now() if self._paused_at_s is None else self._paused_at_s

    @property
    def paused(self) -> bool:
        return self._paused_at_s is not None

    def set_paused(self, paused: bool) -> None:
        if paused != self.paused:
            self._paused_at_s = self._now() if paused else None
            self.paused_changed.emit(paused)

    def register(self, chart: Drawn) -> None:
        """The clock keeps a weak reference: a destroyed chart drops out."""
        self._charts.add(chart)

    def tick(self) -> None:
        now_s = self.now_s
        for chart in list(self._charts):
            if isValid(chart) and chart.wants_drawing(now_s):
                chart.draw(now_s)
