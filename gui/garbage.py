"""Runs Python's garbage collector in the window's thread alone, a little at a time. By itself the
collector runs on any thread that allocates objects, and destroying a widget outside the window's
thread crashes the process."""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication

from kafka_client.runtime import calm_garbage_collection

YOUNG_MS = 2000
YOUNG_ROUNDS = 10
"""after so many rounds the middle generation is collected too"""
ALL_S = 300.0


class GarbageCollector(QObject):
    """Collects on a timer until ``stop`` enables Python's own collector again. The whole heap is
    collected after a cluster was closed, and every few minutes while the window is inactive."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._rounds = 0
        self._all_at_s = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setInterval(YOUNG_MS)
        self._timer.timeout.connect(self._round)
        self._timer.start()

    def settle(self) -> None:
        """Move all live objects to the permanent generation (gc.freeze)."""
        calm_garbage_collection()
        self._all_at_s = time.monotonic()

    def collect_all(self) -> None:
        gc.collect()
        self._all_at_s = time.monotonic()

    def stop(self) -> None:
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def _round(self) -> None:
        self._rounds += 1
        unseen = QGuiApplication.applicationState() != Qt.ApplicationState.ApplicationActive
        if unseen and time.monotonic() - self._all_at_s > ALL_S:
            self.collect_all()
        else:
            gc.collect(1 if self._rounds % YOUNG_ROUNDS == 0 else 0)
