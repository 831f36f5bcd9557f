"""Work that burns processor time on the way from a snapshot to rows: small work is done at once,
large work on one thread beside the window's, and of what one asker wants in the meantime only the
newest is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from shiboken6 import isValid

AT_ONCE = 600
"""up to so many things (rows, partitions) are worked on at once: about 10 ms"""
SWITCH_S = 0.001
"""the interpreter's switch interval: how long another thread may keep the window's waiting;
Python's own is 5 ms"""

_worker = ThreadPoolExecutor(1, thread_name_prefix="rows")


class Latest(QObject):
    """One for each thing that is computed again and again. ``done`` is called in the window's
    thread; within ``want`` when the work is small."""

    _ended = Signal(object, object)

    def __init__(self, done: Callable[[Any], None], parent: QObject) -> None:
        super().__init__(parent)
        self._done = done
        self._running = False
        self._next: Callable[[], Any] | None = None
        self._ended.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def want(self, work: Callable[[], Any], size: int) -> None:
        """``work`` must touch nothing that changes: frozen snapshots, no widgets."""
        if size <= AT_ONCE and not self._running:
            self._done(work())
        elif self._running:
            self._next = work
        else:
            self._start(work)

    @property
    def busy(self) -> bool:
        return self._running

    def _start(self, work: Callable[[], Any]) -> None:
        self._running = True
        _worker.submit(self._work, work)

    def _work(self, work: Callable[[], Any]) -> None:
        """On the worker thread."""
        error: BaseException | None = None
        result = None
        try:
            result = work()
        except Exception as raised:
            error = raised
        if isValid(self):
            self._ended.emit(result, error)

    def _take(self, result: Any, error: BaseException | None) -> None:
        self._running = False
        following, self._next = self._next, None
        if error is not None:
            sys.excepthook(type(error), error, error.__traceback__)  # a bug, told at the top
        else:
            self._done(result)
        if following is not None:
            self._start(following)
