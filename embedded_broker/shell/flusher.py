"""The thread that waits for the disk: flushes of logs, and file work in the background.

Flushes requested while one runs are combined into the next: one fdatasync per file, however many
requests.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from embedded_broker.shell.loop import Loop
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from embedded_broker.shell.storage.segment import Segment
from embedded_broker.shell.storage.slices import LogFile

Unflushed = list[tuple[Segment, LogFile, int]]
"""(segment, its file, the segment's size when the flush was requested)"""


class Flusher:
    """``flush`` and ``run`` are called from the loop's thread; ``flushed(flush_id, error)`` and
    ``warn(text)`` are called in it."""

    def __init__(
        self, loop: Loop, flushed: Callable[[int, str], None], warn: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._flushed = flushed
        self._warn = warn
        self._flushes: deque[tuple[int, Unflushed]] = deque()
        self._work: deque[Callable[[], None]] = deque()
        self._requests = threading.Semaphore(0)
        """Counts entries of both queues; deques are safe to share between two threads."""
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="flusher", daemon=True)

    def start(self) -> None:
        """Start the thread. Call it after the fork, which no thread survives."""
        self._thread.start()

    def flush(self, flush_id: int, log: DiskPartitionLog | None) -> None:
        """Flush what the log holds now; ``flushed(flush_id, error)`` follows, with an empty error
        on success. A log that was deleted (None) has nothing to flush."""
        unflushed = log.unflushed() if log is not None else []
        if not unflushed:
            self._loop.post(lambda: self._flushed(flush_id, ""))
            return
        self._flushes.append((flush_id, unflushed))
        self._requests.release()

    def run(self, work: Callable[[], None]) -> None:
        """Do this file work some time soon; a failure becomes a warning."""
        self._work.append(work)
        self._requests.release()

    def _serve(self) -> None:
        while True:
            # One acquire for each request; flushes that were combined leave empty turns.
            self._requests.acquire()
            if self._flushes:
                self._flush_all()
            elif self._work:
                work = self._work.popleft()
                try:
                    work()
                except Exception as e:
                    # Whatever it is, report it and go on: a broker without this thread would
                    # never acknowledge a durable write again.
                    self._report(f"file work failed: {e}")
            elif self._stopping:
                return

    def _report(self, text: str) -> None:
        self._loop.post(lambda: self._warn(text))

    def _flush_all(self) -> None:
        """Flush every file of the waiting requests once, then report each request."""
        flushes: list[tuple[int, Unflushed]] = []
        while self._flushes:
            flushes.append(self._flushes.popleft())
        files = {id(file): file for _, unflushed in flushes for _, file, _ in unflushed}
        errors: dict[int, str] = {}
        for key, file in files.items():
            try:
                file.sync()
            except OSError as e:
                errors[key] = f"cannot flush {file.path}: {e.strerror or e}"
        del files  # holds deleted segments' files open otherwise

        def report() -> None:
            for flush_id, unflushed in flushes:
                error = next((errors[id(f)] for _, f, _ in unflushed if id(f) in errors), "")
                if not error:
                    for segment, file, size in unflushed:
                        # A truncation may have replaced the file, or cut the segment shorter.
                        if segment.file is file:
                            segment.flushed_size = max(
                                segment.flushed_size, min(size, segment.size)
                            )
                self._flushed(flush_id, error)

        self._loop.post(report)

    def stop(self) -> None:
        """Finish what is queued, then end the thread. Its results are not reported any more."""
        self._stopping = True
        self._requests.release()
        self._thread.join(timeout=30)
