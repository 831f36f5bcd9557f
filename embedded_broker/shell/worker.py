"""A thread for pure computation that would hold up the event loop.

Only work that mostly releases the interpreter's lock belongs here, such as decompression:
two threads that run Python code wait for each other five milliseconds at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from embedded_broker.shell.loop import Loop

Work = Callable[[], object]
Done = Callable[[Exception | None], None]


class Worker:
    """Runs what it is given, in order; ``run`` is called from the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[tuple[Work, Done] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        """Started with the first work: after the fork, which no thread survives."""

    def run(self, work: Work, done: Done) -> None:
        """Do ``work`` in the thread, then call ``done`` in the loop's with its exception or
        None."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="worker", daemon=True)
            self._thread.start()
        self._queue.put((work, done))

    def _serve(self) -> None:
        while (entry := self._queue.get()) is not None:
            work, done = entry
            error: Exception | None = None
            try:
                work()
            except Exception as e:
                error = e
            self._report(done, error)
            del entry, work, done  # they hold what was worked on

    def _report(self, done: Done, error: Exception | None) -> None:
        self._loop.post(lambda: done(error))

    def close(self) -> None:
        """End the thread after the work it has; its results are not reported any more."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=10)
