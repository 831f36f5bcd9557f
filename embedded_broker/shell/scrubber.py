"""Reads the closed segments of all partition logs slowly, and finds batches that have changed.

A reader meets damage only where it reads, and only the leader is read: without this, a bit that
has changed in a follower's old segment is found when the good copies may be gone. A step reads
about STEP_BYTES, the disk first in the background, then the checksums in the loop's thread; the
next one waits as long as the rate demands. What is found is left in the log's ``damage``, and the
core gives the copy up as it does one that a reader found damaged.

States: resting (between two passes, or switched off) -> reading a segment -> ... -> resting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from embedded_broker.core.ports import LogDamaged
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.storage.checking import follows, whole_batches
from embedded_broker.shell.storage.disk import METADATA_LOG, LogDirectory
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from embedded_broker.shell.storage.segment import Segment
from kafka_protocol.records.batch import BatchHeader

STEP_BYTES = 64 * 1024
STEP_BATCHES = 200
"""A step ends after so many, however small they are: each costs some microseconds of the loop."""
OFF_MS = 1_000
"""How soon a changed setting is noticed."""


class _Reading:
    """A segment that is being read, and how far."""

    def __init__(self, log: DiskPartitionLog, segment: Segment) -> None:
        """Raises: LogDamaged."""
        self.log = log
        self.segment = segment
        self.file = segment.file
        self.size = segment.size
        start = log.log_start_offset
        # Records before the start are deleted: what has become of them is of no concern.
        self.position = segment.position_of(start) if start > segment.base_offset else 0
        self.expected = segment.base_offset if not self.position else -1
        self.epoch = -1
        self._batches: Iterator[BatchHeader | None] = whole_batches(
            self.file, self.position, self.size, STEP_BYTES
        )

    @property
    def is_current(self) -> bool:
        """Return whether the segment still is as it was: closed, not cut, not deleted."""
        same = self.segment.file is self.file and self.segment.size == self.size
        return same and self.log.is_closed(self.segment)

    def step(self) -> tuple[int, bool]:
        """Check some batches; return how many bytes, and whether there are more.

        Raises:
            LogDamaged: the batch that has to follow is none, or another one.
        """
        begin = self.position
        for _ in range(STEP_BATCHES):
            if self.position >= self.size or self.position - begin >= STEP_BYTES:
                break
            header = next(self._batches, None)
            if header is None or not follows(header, self.expected, self.epoch):
                raise LogDamaged(f"{self.segment.path} is damaged at {self.position}")
            self.position += header.size
            self.expected, self.epoch = header.next_offset, header.leader_epoch
        more = self.position < self.size
        if not more and self.expected not in (-1, self.segment.next_offset):
            raise LogDamaged(f"{self.segment.path} ends before {self.segment.next_offset}")
        return self.position - begin, more


class Scrubber:
    """The background check of one log directory; all of it but the reads runs in the loop."""

    def __init__(
        self,
        loop: Loop,
        disk: LogDirectory,
        rate_bytes_per_s: Callable[[], int],
        interval_ms: Callable[[], int],
        warn: Callable[[str], None],
    ) -> None:
        """``rate_bytes_per_s`` and ``interval_ms`` (from the end of a pass to the next) are asked
        anew in each step; a rate of 0 switches the check off."""
        self._loop = loop
        self._disk = disk
        self._rate = rate_bytes_per_s
        self._interval = interval_ms
        self._warn = warn
        self._todo: list[tuple[str, int]] = []
        """The partitions that this pass has still to read, the next one last."""
        self._segments: list[Segment] = []
        """The segments of the current one that are still to be read, the next one last."""
        self._log: DiskPartitionLog | None = None
        self._reading: _Reading | None = None
        self._pass_at_ms = 0
        self.passes = 0
        """How often everything has been read."""
        self.found = 0
        """Damaged logs that were found."""

    def start(self) -> None:
        """Begin the first pass one interval from now, when the start's own work is done."""
        self._pass_at_ms = self._loop.now_ms() + self._interval()
        self._next(0)

    def _next(self, size: int) -> None:
        """Take the next step when the rate allows it after one of ``size`` bytes."""
        rate = self._rate()
        wait_ms = OFF_MS if rate <= 0 else max(1, size * 1000 // rate)
        self._loop.call_at(self._loop.now_ms() + wait_ms, self._prepare)

    def _prepare(self) -> None:
        """Let the background read what the next step checks: a slow disk holds up no request."""
        if self._rate() <= 0 or not self._choose():
            self._loop.call_at(self._loop.now_ms() + OFF_MS, self._prepare)
            return
        reading = self._reading
        if reading is None:
            self._next(0)
            return
        file, position = reading.file, reading.position

        def read() -> None:
            with suppress(LogDamaged):  # the step meets it again, and reports it
                file.read(STEP_BYTES, position)
            self._loop.post(self._check)

        self._disk.background(read)

    def _choose(self) -> bool:
        """Choose the segment to read unless there is one; return False while resting."""
        if self._reading is not None:
            return True
        if self._log is not None and self._segments:
            segment, log = self._segments.pop(), self._log
            if log.is_closed(segment) and not log.damage:
                try:
                    self._reading = _Reading(log, segment)
                except LogDamaged as e:
                    self._damaged(log, e)
            return True
        if self._todo:
            self._log = self._disk.log(*self._todo.pop())
            self._segments = self._log.closed_segments() if self._log is not None else []
            self._segments.reverse()
            return True
        self._log = None
        now = self._loop.now_ms()
        if self._pass_at_ms < 0:
            self.passes += 1
            self._pass_at_ms = now + self._interval()
        if now < self._pass_at_ms:
            return False
        self._pass_at_ms = -1
        # The metadata log is read whole at each start, and has its own way to be mended.
        self._todo = sorted(
            (
                (log.topic, log.partition)
                for log in self._disk.logs()
                if f"{log.topic}-{log.partition}" != METADATA_LOG
            ),
            reverse=True,
        )
        return True

    def _check(self) -> None:
        reading = self._reading
        assert reading is not None, "a step without a segment"
        size, more = 0, False
        if reading.is_current:
            try:
                size, more = reading.step()
            except LogDamaged as e:
                self._damaged(reading.log, e)
        if not more:
            self._reading = None
        self._next(size)

    def _damaged(self, log: DiskPartitionLog, error: LogDamaged) -> None:
        self.found += 1
        log.damage = str(error)
        self._warn(
            f"the background check found {log.topic}-{log.partition} damaged: {error}. The copy is "
            "fetched anew as soon as enough other copies are in sync; until then it is kept. "
            f"Damaged logs found since the start: {self.found}, in {self.passes} whole passes."
        )
