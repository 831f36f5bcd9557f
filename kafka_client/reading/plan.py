"""Scan plans: the range of offsets to read of each partition, computed before anything is read,
with two or three requests per leader. Ranges end by position, because compaction and transaction
markers leave offsets without a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kafka_client.api import EARLIEST, LATEST, ClusterReader, Offsets
from kafka_client.errors import ClientError
from kafka_client.model import TopicPartition
from kafka_client.reading.filters import Contains
from resources.wording import numbered

KEPT_RECORDS = 100_000
KEPT_BYTES = 256 << 20


class Start(StrEnum):
    LATEST = "latest"
    EARLIEST = "earliest"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    LIVE = "live"


class Until(StrEnum):
    NOW = "now"
    COUNT = "count"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    ENDLESS = "endless"


class Order(StrEnum):
    TIME = "time"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """Describes what a person wants to read."""

    topic: str
    partitions: tuple[int, ...]
    start: Start = Start.LATEST
    start_at: int = 500
    """For LATEST the number of records, for OFFSET an offset, for TIMESTAMP ms since the epoch."""
    until: Until = Until.NOW
    until_at: int = 0
    """For COUNT the number of matches, for OFFSET the last offset (inclusive), for TIMESTAMP ms
    since the epoch (exclusive)."""
    order: Order = Order.TIME
    contains: Contains | None = None
    keep_records: int = KEPT_RECORDS
    keep_bytes: int = KEPT_BYTES

    @property
    def endless(self) -> bool:
        """Return whether it goes on until it is cancelled."""
        return self.start is Start.LIVE or self.until is Until.ENDLESS


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets from ``start`` (inclusive) to ``end`` (exclusive)."""

    start: int
    end: int

    @property
    def span(self) -> int:
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """The ranges to read."""

    ranges: Mapping[TopicPartition, Range]
    errors: Mapping[str, str] = field(default_factory=dict)
    """Why some partitions are left out, by subject."""
    notes: tuple[str, ...] = ()
    """How the ranges differ from the request, as sentences."""

    @property
    def total(self) -> int:
        """Offsets in all ranges: an upper bound of the records."""
        return sum(r.span for r in self.ranges.values())


async def plan_scan(client: ClusterReader, request: ScanRequest) -> ScanPlan:
    """Read the offsets of the partitions and compute their ranges. Partitions that cannot be read
    are left out. Raises: ClientError when none can be read."""
    wanted = [(request.topic, p) for p in request.partitions]
    firsts, errors = await client.offsets(dict.fromkeys(wanted, EARLIEST))
    ends, end_errors = await client.offsets(dict.fromkeys(wanted, LATEST), "read_committed")
    errors = {**errors, **end_errors}
    readable = [tp for tp in wanted if tp in firsts and tp in ends]
    if wanted and not readable:
        error = next(iter(errors.values()), "No broker answered.")
        raise ClientError(
            f"No partition of {request.topic} can be read now: {error}",
            next_step="Look at the brokers; try again when the partitions have leaders.",
            subject=request.topic,
        )
    starts = await _starts(client, request, readable, firsts, ends)
    stops = await _stops(client, request, readable, ends)
    ranges = {}
    for tp in readable:
        start = min(starts[tp], ends[tp])
        ranges[tp] = Range(start, max(stops[tp], start))
    return ScanPlan(ranges, errors, _notes(request, readable, firsts, ends))


def _notes(
    request: ScanRequest, readable: list[TopicPartition], firsts: Offsets, ends: Offsets
) -> tuple[str, ...]:
    if request.start is not Start.OFFSET:
        return ()
    deleted = [tp[1] for tp in readable if request.start_at < firsts[tp]]
    future = [tp[1] for tp in readable if request.start_at > ends[tp]]
    notes = []
    if deleted:
        partitions = numbered("Partition", deleted)
        notes.append(f"{partitions}: that offset was deleted; reads from the first that exists.")
    if future:
        notes.append(f"{numbered('Partition', future)}: that offset is not written yet.")
    return tuple(notes)


async def _starts(
    client: ClusterReader,
    request: ScanRequest,
    readable: list[TopicPartition],
    firsts: Offsets,
    ends: Offsets,
) -> Offsets:
    match request.start:
        case Start.LIVE:
            return dict(ends)
        case Start.OFFSET:
            return {tp: max(firsts[tp], request.start_at) for tp in readable}
        case Start.TIMESTAMP:
            at = await _at_time(client, readable, request.start_at)
            return {tp: at[tp] if at.get(tp, -1) >= 0 else ends[tp] for tp in readable}
        case Start.EARLIEST | Start.LATEST:
            return dict(firsts)  # LATEST reads backwards from the end, at most to here


async def _stops(
    client: ClusterReader, request: ScanRequest, readable: list[TopicPartition], ends: Offsets
) -> Offsets:
    match request.until:
        case Until.OFFSET:
            return {tp: min(ends[tp], request.until_at + 1) for tp in readable}
        case Until.TIMESTAMP:
            at = await _at_time(client, readable, request.until_at)
            return {
                tp: min(at[tp], ends[tp]) if at.get(tp, -1) >= 0 else ends[tp] for tp in readable
            }
        case Until.NOW | Until.COUNT | Until.ENDLESS:
            return dict(ends)


async def _at_time(
    client: ClusterReader, readable: list[TopicPartition], timestamp_ms: int
) -> Offsets:
    """The first offset at or after a time, -1 where there is none."""
    at = dict.fromkeys(readable, max(0, timestamp_ms))
    offsets, _ = await client.offsets(at, "read_committed")
    return offsets
