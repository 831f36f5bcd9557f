"""Measures stalls of the window's thread: a heartbeat is due every few milliseconds, and the delay
of a beat is the length of a stall. For tests and the debug view of the status bar."""

from __future__ import annotations

import time
from collections import deque

from PySide6.QtCore import QObject, Qt, QTimer, Signal

BEAT_MS = 10
STALL_MS = 50.0
KEPT = 200


class Watchdog(QObject):
    """Emits ``stalled`` for each stall of STALL_MS or more."""

    stalled = Signal(float)  # milliseconds

    def __init__(self, parent: QObject | None = None, *, beat_ms: int = BEAT_MS) -> None:
        super().__init__(parent)
        self._beat_ms = beat_ms
        self._last = time.perf_counter()
        self.longest_ms = 0.0
        self.longest_busy_ms = 0.0
        """processor time of this thread alone, without what other programs take of the machine"""
        self._busy = time.thread_time()
        self.stalls: deque[tuple[float, float]] = deque(maxlen=KEPT)
        """(seconds since the epoch, milliseconds), newest last"""
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(beat_ms)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self._last, self._busy = time.perf_counter(), time.thread_time()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def reset(self) -> None:
        self.longest_ms = self.longest_busy_ms = 0.0
        self.stalls.clear()
        self._last, self._busy = time.perf_counter(), time.thread_time()

    def _beat(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        self.longest_busy_ms = max(self.longest_busy_ms, (busy - self._busy) * 1000)
        self._busy = busy
        late_ms = (now - self._last) * 1000 - self._beat_ms
        self._last = now
        if late_ms > self.longest_ms:
            self.longest_ms = late_ms
        if late_ms >= STALL_MS:
            self.stalls.append((time.time(), late_ms))
            self.stalled.emit(late_ms)
