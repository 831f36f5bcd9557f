"""The progress of a scan: what was read, what matched, how fast, and when to stop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kafka_client.model import Record, TopicPartition
from kafka_client.reading.filters import Matches
from kafka_client.reading.plan import ScanRequest, Start, Until

REPORT_EVERY_S = 0.1
RATE_WINDOW_S = 3.0
"""The window over which the rate and the time left are computed."""
WAITING_SHOWN = 5


class Ended(StrEnum):
    """Why a scan ended."""

    ALL = "all"
    """Its range was read."""
    COUNT = "count"
    """As many records as requested matched."""
    KEPT = "kept"
    """The limit of records or bytes that are kept was reached."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a scan at one time."""

    scanned: int = 0
    matched: int = 0
    scanned_bytes: int = 0
    fraction: float | None = None
    """0 to 1; None when the end is not known."""
    records_per_s: float = 0.0
    eta_s: float | None = None
    """Estimated seconds left; None when the end is not known."""
    waiting_for: tuple[int, ...] = ()
    """Partitions that have brought nothing for some seconds, at most WAITING_SHOWN."""
    unreadable: int = 0
    """Offsets that could not be read."""


Emit = Callable[[Sequence[Record]], Awaitable[None]]
"""Takes matching records; awaited, so that a slow taker slows the reading down."""
Report = Callable[[Progress], None]


@dataclass
class ScanCounter:
    """Counts the records of one scan, passes on those that match until there are enough, and
    reports the progress ten times a second."""

    request: ScanRequest
    emit: Emit
    report: Report
    total: int
    """Offsets in the range: an upper bound of its records."""
    matches: Matches | None
    """None: every record matches."""
    started_s: float = field(default_factory=time.monotonic)
    scanned: int = 0
    matched: int = 0
    scanned_bytes: int = 0
    unreadable: int = 0
    """Offsets that could not be read."""
    kept: int = 0
    """Records and marks that were emitted."""
    kept_bytes: int = 0
    passed_offsets: int = 0
    """Offsets of the range that were passed, with or without a record."""
    waiting_for: tuple[int, ...] = ()
    ended: Ended = Ended.ALL
    enough: bool = False
    _reported_s: float = 0.0
    _marks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=32))
    """(time, records scanned, offsets passed) of the last reports."""

    def count(self, record: Record) -> bool:
        """Count a record that was read, or a mark; return whether it matches."""
        if record.unreadable is not None:
            self.unreadable += record.unreadable_offsets
            return True
        self.scanned += 1
        self.scanned_bytes += record_bytes(record)
        return self.matches is None or self.matches(record)

    async def take(self, records: Sequence[Record]) -> None:
        """Emit records that match, as far as they are wanted, and set ``enough`` when no more
        are."""
        request = self.request
        wanted = request.until_at if request.until is Until.COUNT else 1 << 62
        # A live view drops its oldest records instead of ending.
        room = 1 << 62 if request.endless else request.keep_records
        room_bytes = 1 << 62 if request.endless else request.keep_bytes
        taken: list[Record] = []
        for record in records:
            if self.matched >= wanted or self.kept >= room or self.kept_bytes > room_bytes:
                self.enough = True
                break
            self.kept += 1
            self.matched += record.unreadable is None
            self.kept_bytes += record_bytes(record)
            taken.append(record)
        if self.matched >= wanted or self.kept >= room:
            self.enough = True
        if self.enough:
            counted = self.request.until is Until.COUNT and self.matched >= self.request.until_at
            self.ended = Ended.COUNT if counted else Ended.KEPT
        if taken:
            await self.emit(taken)

    def wait_for(self, partitions: Iterable[TopicPartition]) -> None:
        """Report these partitions as the ones that bring nothing."""
        self.waiting_for = tuple(sorted(p for _, p in partitions)[:WAITING_SHOWN])

    def report_progress(self) -> None:
        """Report, unless that happened within the last REPORT_EVERY_S."""
        now = time.monotonic()
        if now - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = now
            self.report(self.progress())

    def progress(self) -> Progress:
        now = time.monotonic()
        self._marks.append((now, self.scanned, self.passed_offsets))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_WINDOW_S:
            self._marks.popleft()
        since_s, scanned, passed = self._marks[0]
        elapsed_s = max(now - since_s, 1e-3)
        fraction, eta_s = self._estimate((self.passed_offsets - passed) / elapsed_s)
        return Progress(
            self.scanned,
            self.matched,
            self.scanned_bytes,
            fraction,
            (self.scanned - scanned) / elapsed_s,
            eta_s,
            self.waiting_for,
            self.unreadable,
        )

    def _estimate(self, offsets_per_s: float) -> tuple[float | None, float | None]:
        """(fraction, seconds left), each None when it is not known."""
        request = self.request
        if request.endless or self.total <= 0:
            return None, None
        fraction = min(1.0, self.passed_offsets / self.total)
        left = self.total - self.passed_offsets
        eta_s = left / offsets_per_s if offsets_per_s > 0 else None
        wanted = request.start_at if request.start is Start.LATEST else 0
        if request.until is Until.COUNT:
            wanted = request.until_at
        if wanted and self.matched / wanted > fraction:
            return min(1.0, self.matched / wanted), None
        if wanted and self.matches is None:
            return fraction, None  # it ends long before the whole log is passed
        return fraction, eta_s


def record_bytes(record: Record) -> int:
    """The size of a record as the limits count it: key and value."""
    return len(record.value or b"") + len(record.key or b"")
