"""Runs a scan plan with a reader that joins no group: forwards merged by time or one partition
after the other, backwards from the end for the latest N, or without an end. Cancelling its task
ends it within one wait of the reader.

All on the client loop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kafka_client.api import ClusterReader, RecordReader
from kafka_client.errors import TimedOut
from kafka_client.model import TopicPartition
from kafka_client.reading.filters import make_filter
from kafka_client.reading.latest import read_latest
from kafka_client.reading.merge import Merge
from kafka_client.reading.plan import Order, Range, ScanPlan, ScanRequest, Start, Until
from kafka_client.reading.progress import Emit, Ended, Progress, Report, ScanCounter
from resources.wording import numbered

__all__ = ["Emit", "Ended", "Progress", "Report", "ScanResult", "run_scan"]

BATCH = 2000
WAIT_S = 0.1
READ_AHEAD, READ_AHEAD_LIVE = 20_000, 1000
PAUSE_ABOVE, RESUME_BELOW = (30_000, 16 << 20), (5000, 4 << 20)
"""(records, bytes) of a partition that wait for other partitions: above either it pauses, below
both it resumes. A pause discards what was fetched in advance, so the two lie far apart."""
STALLED_S = 3.0
"""The merge no longer waits for a partition that brings nothing for so long."""
SILENT_S = 30.0
"""The scan fails when no partition brings anything for so long."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Says how a scan ended."""

    ended: Ended
    progress: Progress
    took_s: float
    missed: tuple[int, ...] = ()
    """Partitions that did not answer to the end of their range."""


async def run_scan(
    client: ClusterReader, request: ScanRequest, plan: ScanPlan, emit: Emit, report: Report
) -> ScanResult:
    """Read what ``plan`` says and emit what matches. Raises: ClientError when the reader fails or
    no partition answers for SILENT_S."""
    counter = ScanCounter(request, emit, report, plan.total, make_filter(request.contains))
    missed: set[int] = set()
    if request.start is Start.LATEST:
        await read_latest(client, request.start_at, plan.ranges, counter)
        if request.until is Until.ENDLESS:
            ends = {tp: Range(r.end, r.end) for tp, r in plan.ranges.items()}
            await _read_forward(client, ends, counter, missed)
    elif request.order is Order.PARTITION and not request.endless:
        for tp in sorted(plan.ranges):
            if not counter.enough and plan.ranges[tp].span:
                await _read_forward(client, {tp: plan.ranges[tp]}, counter, missed)
    else:
        await _read_forward(client, plan.ranges, counter, missed)
    took_s = max(time.monotonic() - counter.started_s, 1e-6)
    last = counter.progress()
    rate_per_s = last.scanned / took_s
    final = replace(last, records_per_s=rate_per_s, eta_s=None, waiting_for=())
    report(final)
    return ScanResult(counter.ended, final, took_s, tuple(sorted(missed)))


async def _read_forward(
    client: ClusterReader,
    ranges: Mapping[TopicPartition, Range],
    counter: ScanCounter,
    missed: set[int],
) -> None:
    endless = counter.request.endless
    ranges = {tp: r for tp, r in ranges.items() if endless or r.span}
    if not ranges:
        return
    starts = {tp: r.start for tp, r in ranges.items()}
    reader = await client.open_reader(starts, READ_AHEAD_LIVE if endless else READ_AHEAD)
    try:
        await _ForwardScan(reader, ranges, counter, missed).run()
    finally:
        await reader.close()


class _ForwardScan:
    """One pass over some ranges, merged by time."""

    def __init__(
        self,
        reader: RecordReader,
        ranges: Mapping[TopicPartition, Range],
        counter: ScanCounter,
        missed: set[int],
    ) -> None:
        """``missed`` gets the partitions that do not answer to the end."""
        self._reader, self._ranges, self._counter = reader, ranges, counter
        self._missed = missed
        self._endless = counter.request.endless
        self._merge = Merge(ranges)
        self._left = set(ranges)
        """Partitions that are not read to their end."""
        self._positions = {tp: r.start for tp, r in ranges.items()}
        self._progress_s = dict.fromkeys(ranges, time.monotonic())
        """When each partition last brought something, or was paused."""
        self._paused: set[TopicPartition] = set()
        for tp, r in ranges.items():
            if not r.span:
                self._merge.close(tp)  # at its end already: it brings nothing earlier

    async def run(self) -> None:
        while self._left and not self._counter.enough:
            for record in await self._reader.next(BATCH, WAIT_S):
                tp = (record.topic, record.partition)
                bounds = self._ranges.get(tp)
                if bounds is None or tp not in self._left:
                    continue
                if record.offset >= bounds.end and not self._endless:
                    continue
                if not self._endless:
                    record = record.before(bounds.end)
                at = self._merge.passed(tp, record.timestamp_ms)
                if self._counter.count(record):
                    self._merge.add(tp, at, record)
            self._advance()
            self._give_up_on_silent()
            await self._counter.take(self._merge.take())
            self._pause_those_ahead()
            self._counter.report_progress()
        if not self._counter.enough:
            await self._counter.take(self._merge.take())

    def _advance(self) -> None:
        """Note the reader's positions; stop reading the partitions that reached their end."""
        now = time.monotonic()
        ended: list[TopicPartition] = []
        for tp, position in self._reader.positions().items():
            if tp not in self._left or position <= self._positions[tp]:
                continue
            end = self._ranges[tp].end
            before, self._positions[tp] = self._positions[tp], position
            self._counter.passed_offsets += max(0, min(position, end) - min(before, end))
            self._progress_s[tp] = now
            if position >= end:
                self._merge.close(tp)
                if not self._endless:
                    ended.append(tp)
        if ended:
            self._left.difference_update(ended)
            self._reader.pause(ended)

    def _give_up_on_silent(self) -> None:
        """Let the merge go on without partitions that stalled. When all are silent, end the scan
        with what there is. Raises: TimedOut when there is nothing."""
        now = time.monotonic()
        for tp in self._paused:
            self._progress_s[tp] = now
        stalled = {
            tp
            for tp in self._left
            if now - self._progress_s[tp] > STALLED_S and self._positions[tp] < self._ranges[tp].end
        }
        for tp in stalled & self._merge.behind():
            self._merge.close(tp)
        self._counter.wait_for(stalled)
        if self._endless or not stalled:
            return
        if now - max(self._progress_s[tp] for tp in self._left) <= SILENT_S:
            return
        if self._counter.scanned == 0:
            partitions = numbered("Partition", sorted(p for _, p in self._left))
            raise TimedOut(
                f"{partitions} did not answer for {SILENT_S:.0f} s.",
                next_step="Look at the brokers; try again when its leader is back.",
            )
        self._missed.update(p for _, p in self._left)
        self._left.clear()

    def _pause_those_ahead(self) -> None:
        """Pause partitions of which much waits for others, so that memory stays bounded; resume
        those of which little waits, or that the others wait for."""
        waiting = {tp: self._merge.waiting(tp) for tp in self._left}
        behind = self._merge.behind()
        ahead = {
            tp
            for tp in self._left - self._paused - behind
            if waiting[tp][0] > PAUSE_ABOVE[0] or waiting[tp][1] > PAUSE_ABOVE[1]
        }
        ready = {
            tp
            for tp in self._paused & self._left
            if tp in behind
            or (waiting[tp][0] < RESUME_BELOW[0] and waiting[tp][1] < RESUME_BELOW[1])
        }
        if ahead:
            self._reader.pause(ahead)
        if ready:
            self._reader.resume(ready)
        self._paused = (self._paused | ahead) - ready
