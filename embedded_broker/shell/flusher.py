"""The thread that waits for the disk: flushes of logs, and file work that nobody waits for.

Flushes that are asked for while one runs are done together by the next: one fdatasync a file,
however many asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from embedded_broker.shell import platform
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from embedded_broker.shell.storage.segment import Segment
from embedded_broker.shell.storage.slices import LogFile

Unflushed = list[tuple[Segment, LogFile, int]]


class Flusher:
    """``flush`` and ``run`` are called from the loop; results come back through it."""

    def __init__(
        self, loop: Loop, flushed: Callable[[int, str], None], note: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._flushed = flushed
        self._note = note
        self._flushes: deque[tuple[int, Unflushed]] = deque()
        self._work: deque[Callable[[], None]] = deque()
        self._wanted = threading.Semaphore(0)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="flusher", daemon=True)

    def start(self) -> None:
        """After the fork: a thread does not survive it."""
        self._thread.start()

    def flush(self, flush_id: int, log: DiskPartitionLog | None) -> None:
        """``flushed(flush_id, error)`` follows, in the loop. A log that is gone has nothing to
        flush."""
        unflushed = log.unflushed() if log is not None else []
        if not unflushed:
            self._loop.post(lambda: self._flushed(flush_id, ""))
            return
        self._flushes.append((flush_id, unflushed))
        self._wanted.release()

    def run(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        self._wanted.release()

    def _serve(self) -> None:
        while True:
            self._wanted.acquire()
            if self._flushes:
                self._flush_all()
            elif self._work:
                work = self._work.popleft()
                try:
                    work()
                except (
                    Exception
                ) as e:  # reported in the loop's thread; the thread itself must live on
                    text = f"file work failed: {e}"
                    self._loop.post(lambda text=text: self._note(text))  # type: ignore[misc]
            elif self._stopping:
                return

    def _flush_all(self) -> None:
        flushes: list[tuple[int, Unflushed]] = []
        while self._flushes:
            flushes.append(self._flushes.popleft())
        files = {id(file): file for _, unflushed in flushes for _, file, _ in unflushed}
        errors: dict[int, str] = {}
        for key, file in files.items():
            try:
                platform.fdatasync(file.fd)
            except OSError as e:
                errors[key] = f"cannot flush {file.path}: {e.strerror or e}"
        del files

        def report() -> None:
            for flush_id, unflushed in flushes:
                error = next((errors[id(f)] for _, f, _ in unflushed if id(f) in errors), "")
                if not error:
                    for segment, file, size in unflushed:
                        if segment.file is file:
                            segment.flushed_size = max(
                                segment.flushed_size, min(size, segment.size)
                            )
                self._flushed(flush_id, error)

        self._loop.post(report)

    def stop(self) -> None:
        """Finish what was asked for, then end. Its answers may come no more."""
        self._stopping = True
        self._wanted.release()
        self._thread.join(timeout=30)
