"""Rows computed from a snapshot without holding up the window.

Small work is done at once; large work runs on one thread beside the window's. While it runs, only
the newest request is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from PySide6.QtCore import QObject

from gui.client_bridge import InternalError

if TYPE_CHECKING:
    from gui.session import Session

T = TypeVar("T")

AT_ONCE = 600
"""things (rows, partitions) that are worked on at once: about 10 ms"""
SWITCH_S = 0.001
"""the interpreter's switch interval: how long another thread may keep the window's waiting;
Python's own is 5 ms"""

_worker = ThreadPoolExecutor(1, thread_name_prefix="rows")


class LatestJob(QObject, Generic[T]):
    """One for each thing that is computed again and again. GUI thread only.

    ``done`` is called with the result: within ``request`` if the work is small, else later. It is
    not called once ``parent`` is destroyed.
    """

    def __init__(self, session: Session, done: Callable[[T], None], parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._done = done
        self._running = False
        self._next: Callable[[], T] | None = None

    def request(self, work: Callable[[], T], size: int) -> None:
        """``work`` reads only what does not change: frozen snapshots, no widgets.

        ``size`` counts the things that it works on.
        """
        if size <= AT_ONCE and not self._running:
            self._done(work())
            return
        self._next = work
        if not self._running:
            self._running = True
            self._session.tasks.start(self._run(), owner=self)

    async def _run(self) -> None:
        try:
            while self._next is not None:
                work, self._next = self._next, None
                try:
                    result = await self._session.bridge.run_in(_worker, work)
                except InternalError:
                    continue  # the bridge has reported it; a newer snapshot may do better
                self._done(result)
        finally:
            self._running = False
