"""Reads what a plan says, with a reader that joins no group: forward merged by time or partition
after partition, backward from the end for the latest N, or on and on. Cancelling its task ends it
within one wait of the reader.

All on the client loop. ``emit`` is awaited, so that a slow taker slows the reading and nothing
piles up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kafka_client.api import ClusterClient, RecordReader
from kafka_client.errors import TimedOut
from kafka_client.model import Record, TopicPartition
from kafka_client.reading.filters import Matches, make_filter
from kafka_client.reading.latest import read_latest
from kafka_client.reading.merge import Merge
from kafka_client.reading.plan import Order, Range, ScanPlan, ScanRequest, Start, Until

BATCH = 2000
WAIT_S = 0.1
HELD_HIGH, HELD_LOW = (30_000, 16 << 20), (5000, 4 << 20)
"""records and bytes that a partition may hold back while others are behind: above either it
pauses, below both it goes on; a pause throws away what was fetched in advance, so they are few"""
STALLED_S = 3.0
"""a partition that brings nothing for so long is no longer waited for"""
SILENT_S = 30.0
"""nothing from any partition: the scan gives up"""
REPORT_EVERY_S = 0.1


class Ended(StrEnum):
    ALL = "all"
    COUNT = "count"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Progress:
    """``fraction`` and ``eta_s`` are None when the end is not known."""

    scanned: int = 0
    matched: int = 0
    scanned_bytes: int = 0
    fraction: float | None = None
    records_per_s: float = 0.0
    eta_s: float | None = None
    waiting_for: str = ""


@dataclass(frozen=True, slots=True)
class ScanResult:
    ended: Ended
    progress: Progress
    took_s: float
    missed: tuple[int, ...] = ()
    """partitions that did not answer to the end"""


Emit = Callable[[Sequence[Record]], Awaitable[None]]
Report = Callable[[Progress], None]


@dataclass
class Tally:
    """Counts what passes, tells it ten times a second, and says when enough is kept."""

    request: ScanRequest
    emit: Emit
    report: Report
    total: int
    matches: Matches | None
    begun_s: float = field(default_factory=time.monotonic)
    scanned: int = 0
    matched: int = 0
    scanned_bytes: int = 0
    kept_bytes: int = 0
    passed_offsets: int = 0
    waiting_for: str = ""
    ended: Ended = Ended.ALL
    enough: bool = False
    _told_s: float = 0.0
    _marks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=32))

    def look(self, record: Record) -> bool:
        """Count it; whether it matches."""
        self.scanned += 1
        self.scanned_bytes += len(record.value or b"") + len(record.key or b"")
        return self.matches is None or self.matches(record)

    async def give(self, records: Sequence[Record]) -> None:
        """Hand over what matched, up to what is wanted and what is kept."""
        request = self.request
        most = request.until_at if request.until is Until.COUNT else 1 << 62
        if (
            request.until is not Until.ENDLESS
            and request.start is not Start.LIVE
            and request.keep_records < most
        ):
            most = request.keep_records
        taken: list[Record] = []
        for record in records:
            if self.matched >= most or (
                self.kept_bytes > request.keep_bytes and not request.endless
            ):
                self.enough = True
                break
            self.matched += 1
            self.kept_bytes += len(record.value or b"") + len(record.key or b"")
            taken.append(record)
        if self.matched >= most:
            self.enough = True
        if self.enough:
            counted = request.until is Until.COUNT and self.matched >= request.until_at
            self.ended = Ended.COUNT if counted else Ended.KEPT
        if taken:
            await self.emit(taken)

    def tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told_s >= REPORT_EVERY_S:
            self._told_s = now
            self.report(self.progress())

    def progress(self) -> Progress:
        now = time.monotonic()
        self._marks.append((now, self.scanned, self.passed_offsets))
        while len(self._marks) > 2 and now - self._marks[0][0] > 3.0:
            self._marks.popleft()
        since, scanned, passed = self._marks[0]
        passing = max(now - since, 1e-3)
        rate = (self.scanned - scanned) / passing
        fraction = eta = None
        request = self.request
        if not request.endless and self.total > 0:
            fraction = min(1.0, self.passed_offsets / self.total)
            speed = (self.passed_offsets - passed) / passing
            eta = (self.total - self.passed_offsets) / speed if speed > 0 else None
            counted = request.start_at if request.start is Start.LATEST else 0
            counted = request.until_at if request.until is Until.COUNT else counted
            if counted and self.matched / counted > fraction:
                fraction, eta = min(1.0, self.matched / counted), None
            elif counted and self.matches is None:
                eta = None  # it ends long before the whole log is passed
        return Progress(
            self.scanned, self.matched, self.scanned_bytes, fraction, rate, eta, self.waiting_for
        )


async def run_scan(
    client: ClusterClient, request: ScanRequest, plan: ScanPlan, emit: Emit, report: Report
) -> ScanResult:
    """Raises: ClientError when the reader fails or nobody answers for 30 s."""
    tally = Tally(request, emit, report, plan.total, make_filter(request.contains))
    missed: set[int] = set()
    if request.start is Start.LATEST:
        await read_latest(client, request.start_at, plan.ranges, tally)
        if request.until is Until.ENDLESS:
            await _forward(
                client, {tp: Range(r.end, r.end) for tp, r in plan.ranges.items()}, tally, missed
            )
    elif request.order is Order.PARTITION and not request.endless:
        for tp in sorted(plan.ranges):
            if not tally.enough and plan.ranges[tp].span:
                await _forward(client, {tp: plan.ranges[tp]}, tally, missed)
    else:
        await _forward(client, plan.ranges, tally, missed)
    took_s = max(time.monotonic() - tally.begun_s, 1e-6)
    tally.waiting_for = ""
    last = tally.progress()
    final = Progress(
        last.scanned, last.matched, last.scanned_bytes, last.fraction, last.scanned / took_s, None
    )
    report(final)
    return ScanResult(tally.ended, final, took_s, tuple(sorted(missed)))


async def _forward(
    client: ClusterClient, ranges: Mapping[TopicPartition, Range], tally: Tally, missed: set[int]
) -> None:
    endless = tally.request.endless
    wanted = {tp: r for tp, r in ranges.items() if endless or r.span}
    if not wanted:
        return
    reader = await client.open_reader(
        {tp: r.start for tp, r in wanted.items()}, 20_000 if not endless else 1000
    )
    try:
        await _Forward(reader, wanted, tally, missed).run()
    finally:
        await reader.close()


class _Forward:
    """One pass over some ranges, merged by time."""

    def __init__(
        self,
        reader: RecordReader,
        ranges: Mapping[TopicPartition, Range],
        tally: Tally,
        missed: set[int],
    ) -> None:
        self.reader, self.ranges, self.tally, self.missed = reader, ranges, tally, missed
        self.endless = tally.request.endless
        self.merge = Merge(ranges)
        self.left = set(ranges)
        self.at = {tp: r.start for tp, r in ranges.items()}
        self.moved_s = dict.fromkeys(ranges, time.monotonic())
        self.paused: set[TopicPartition] = set()
        for tp, r in ranges.items():
            if not r.span:
                self.merge.close(tp)  # it is at its end now: nothing earlier can come

    async def run(self) -> None:
        tally = self.tally
        while self.left and not tally.enough:
            for record in await self.reader.next(BATCH, WAIT_S):
                tp = (record.topic, record.partition)
                bounds = self.ranges.get(tp)
                if (
                    bounds is None
                    or tp not in self.left
                    or (not self.endless and record.offset >= bounds.end)
                ):
                    continue
                at = self.merge.passed(tp, record.timestamp_ms)
                if tally.look(record):
                    self.merge.add(tp, at, record)
            self._advance()
            self._wait_for_whom()
            await tally.give(self.merge.take())
            self._balance()
            tally.tell()
        if not tally.enough:
            await tally.give(self.merge.take())

    def _advance(self) -> None:
        now = time.monotonic()
        ended: list[TopicPartition] = []
        for tp, position in self.reader.positions().items():
            if tp not in self.left or position <= self.at[tp]:
                continue
            bounds = self.ranges[tp]
            before, self.at[tp] = self.at[tp], position
            self.tally.passed_offsets += max(0, min(position, bounds.end) - min(before, bounds.end))
            self.moved_s[tp] = now
            if position >= bounds.end:
                self.merge.close(tp)
                if not self.endless:
                    ended.append(tp)
        if ended:
            self.left.difference_update(ended)
            self.reader.pause(ended)

    def _wait_for_whom(self) -> None:
        """Who brought nothing for seconds is not waited for; who brings nothing at all ends the
        scan."""
        now = time.monotonic()
        for tp in self.paused:
            self.moved_s[tp] = now
        slow = {
            tp
            for tp in self.left
            if now - self.moved_s[tp] > STALLED_S and self.at[tp] < self.ranges[tp].end
        }
        for tp in slow & self.merge.behind():
            self.merge.close(tp)
        self.tally.waiting_for = ", ".join(str(p) for _, p in sorted(slow)[:5])
        if self.endless or not slow or now - max(self.moved_s[tp] for tp in self.left) <= SILENT_S:
            return
        if self.tally.scanned == 0:
            numbers = ", ".join(str(p) for _, p in sorted(self.left)[:5])
            raise TimedOut(
                f"Partition {numbers} did not answer for {SILENT_S:.0f} s.",
                next_step="Look at the brokers; try again when its leader is back.",
            )
        self.missed.update(p for _, p in self.left)
        self.left.clear()

    def _balance(self) -> None:
        """Who is far ahead of the others pauses, so that memory stays bounded."""
        held = self.merge.held
        behind = self.merge.behind()
        ahead = {
            tp
            for tp in self.left - self.paused - behind
            if held(tp)[0] > HELD_HIGH[0] or held(tp)[1] > HELD_HIGH[1]
        }
        low = {
            tp
            for tp in self.paused & self.left
            if held(tp)[0] < HELD_LOW[0] and held(tp)[1] < HELD_LOW[1]
        }
        ready = low | (self.paused & self.left & behind)
        if ahead:
            self.reader.pause(ahead)
        if ready:
            self.reader.resume(ready)
        self.paused = (self.paused | ahead) - ready
