"""When Python looks for cycles of garbage: in the window's thread alone, a little at a time. Left
to itself the collector runs on whatever thread makes objects, and one that destroys a widget
elsewhere ends the process."""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication

from kafka_client.runtime import calm_garbage_collection

YOUNG_MS = 2000
YOUNG_ROUNDS = 10
"""after so many rounds the middle generation is looked through too"""
ALL_S = 300.0


class GarbageCollector(QObject):
    """Works while it lives; ``stop`` gives the collector back to Python. The whole heap is looked
    through when a cluster was closed and, every few minutes, while nobody looks at the window."""

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
        """What exists now stays for long: it is no work for the collector any more."""
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
