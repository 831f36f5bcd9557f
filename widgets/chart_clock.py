"""The one clock that all charts draw by: a tick asks each chart that is seen whether it has
something new to draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

TICK_MS = 200


class Drawn(Protocol):
    """What registers here. ``draw`` is called only when ``wants_drawing`` said yes, on the GUI
    thread."""

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
    ) -> None:
        super().__init__(parent)
        self._now = now
        self._held_s: float | None = None
        self._charts: WeakSet[Drawn] = WeakSet()
        self._timer = QTimer(self)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self.tick)
        self._timer.start()

    @property
    def now_s(self) -> float:
        return self._now() if self._held_s is None else self._held_s

    @property
    def paused(self) -> bool:
        return self._held_s is not None

    def set_paused(self, paused: bool) -> None:
        if paused != self.paused:
            self._held_s = self._now() if paused else None
            self.paused_changed.emit(paused)

    def register(self, chart: Drawn) -> None:
        """Held weakly: a chart that is gone is no longer asked."""
        self._charts.add(chart)

    def tick(self) -> None:
        now_s = self.now_s
        for chart in list(self._charts):
            if isValid(chart) and chart.wants_drawing(now_s):
                chart.draw(now_s)
