"""The window's asyncio loop: qasync's QEventLoop, closed explicitly in every path.

Never time with ``asyncio.sleep``, ``call_later`` or ``asyncio.timeout`` here: qasync rounds a delay
down to whole milliseconds, 0 included. ``gui.tasks.after`` waits on a QTimer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import qasync
from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication
from typing_extensions import override

logger = logging.getLogger(__name__)

END_S = 5.0
"""how long cancelled tasks may take to end"""


@contextmanager
def window_loop(qt: QApplication) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of this thread inside the ``with`` statement, which runs Qt's own. At its end,
    also when an exception leaves it, the tasks that still run are cancelled and awaited for at
    most END_S, and the loop is closed."""
    loop = qasync.QEventLoop(qt)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:  # END_S, rounded down to a millisecond by qasync, is exact enough
                _, running = loop.run_until_complete(asyncio.wait(tasks, timeout=END_S))
                for task in running:
                    logger.warning("%s did not end in %g s after its cancellation", task, END_S)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            asyncio.set_event_loop(None)


class AttachedLoop(qasync.QEventLoop):  # type: ignore[misc]
    """For a program that spins Qt's event loop itself, a script or a test: coroutines run while
    it does, and ``asyncio.get_running_loop`` answers between ``enter`` and ``leave``."""

    _entered = False

    @override
    def is_running(self) -> bool:
        return self._entered or bool(super().is_running())

    def enter(self) -> None:
        self._entered = True
        asyncio.set_event_loop(self)
        asyncio._set_running_loop(self)

    def leave(self) -> None:
        self._entered = False
        asyncio._set_running_loop(None)
        asyncio.set_event_loop(None)

    @override
    def close(self) -> None:
        """Cancel the tasks that still run, let them end, and close."""
        if self.is_closed():
            return
        for task in asyncio.all_tasks(self):
            task.cancel()
        spinner, deadline = QEventLoop(), time.monotonic() + END_S
        while asyncio.all_tasks(self) and time.monotonic() < deadline:
            spinner.processEvents()
        if self._entered:
            self.leave()
        super().close()
