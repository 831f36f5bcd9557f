"""What to read: from where until where, of each partition. Made before anything is read, from two
or three requests to each leader; ranges end by position, because compaction and transaction
markers leave offsets without a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kafka_client.api import EARLIEST, LATEST, ClusterClient
from kafka_client.errors import ClientError
from kafka_client.model import TopicPartition
from kafka_client.reading.filters import Contains

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
    """``start_at``: how many for LATEST, an offset, or ms since the epoch. ``until_at``: how many
    that match, the last offset (inclusive), or ms since the epoch (exclusive)."""

    topic: str
    partitions: tuple[int, ...]
    start: Start = Start.LATEST
    start_at: int = 500
    until: Until = Until.NOW
    until_at: int = 0
    order: Order = Order.TIME
    contains: Contains | None = None
    keep_records: int = KEPT_RECORDS
    keep_bytes: int = KEPT_BYTES

    @property
    def endless(self) -> bool:
        return self.start is Start.LIVE or self.until is Until.ENDLESS


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets ``start`` inclusive to ``end`` exclusive, as of now."""

    start: int
    end: int

    @property
    def span(self) -> int:
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """``errors``: partitions that cannot be read now, and why; the others are read. ``notes``:
    what differs from what was asked for."""

    ranges: Mapping[TopicPartition, Range]
    errors: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Offsets to pass over: an upper bound of the records."""
        return sum(r.span for r in self.ranges.values())


async def plan_scan(client: ClusterClient, request: ScanRequest) -> ScanPlan:
    """Raises: ClientError when no partition at all can be read."""
    wanted = [(request.topic, p) for p in request.partitions]
    firsts, errors = await client.offsets(dict.fromkeys(wanted, EARLIEST))
    ends, more = await client.offsets(dict.fromkeys(wanted, LATEST), "read_committed")
    errors = {**errors, **more}
    found = [tp for tp in wanted if tp in firsts and tp in ends]
    if wanted and not found:
        reason = next(iter(errors.values()), "No broker answered.")
        raise ClientError(
            f"No partition of {request.topic} can be read now: {reason}",
            next_step="Look at the brokers; try again when its leaders are back.",
            subject=request.topic,
        )
    starts = await _starts(client, request, found, firsts, ends)
    stops = await _stops(client, request, found, ends)
    notes: list[str] = []
    if request.start is Start.OFFSET:
        before = [tp[1] for tp in found if request.start_at < firsts[tp]]
        after = [tp[1] for tp in found if request.start_at > ends[tp]]
        if before:
            notes.append(
                f"{_partitions(before)}: that offset is gone already; reads from the first one kept."
            )
        if after:
            notes.append(f"{_partitions(after)}: that offset is not written yet.")
    ranges = {
        tp: Range(min(starts[tp], ends[tp]), max(stops[tp], min(starts[tp], ends[tp])))
        for tp in found
    }
    return ScanPlan(ranges, errors, tuple(notes))


async def _starts(
    client: ClusterClient,
    request: ScanRequest,
    found: list[TopicPartition],
    firsts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    match request.start:
        case Start.LIVE:
            return dict(ends)
        case Start.OFFSET:
            return {tp: max(firsts[tp], request.start_at) for tp in found}
        case Start.TIMESTAMP:
            at = await _at_time(client, found, request.start_at)
            return {tp: at[tp] if at.get(tp, -1) >= 0 else ends[tp] for tp in found}
        case _:  # LATEST goes backwards from the end, at most to here
            return dict(firsts)


async def _stops(
    client: ClusterClient,
    request: ScanRequest,
    found: list[TopicPartition],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    match request.until:
        case Until.OFFSET:
            return {tp: min(ends[tp], request.until_at + 1) for tp in found}
        case Until.TIMESTAMP:
            at = await _at_time(client, found, request.until_at)
            return {tp: min(at[tp], ends[tp]) if at.get(tp, -1) >= 0 else ends[tp] for tp in found}
        case _:
            return dict(ends)


async def _at_time(
    client: ClusterClient, found: list[TopicPartition], timestamp_ms: int
) -> dict[TopicPartition, int]:
    offsets, _ = await client.offsets(dict.fromkeys(found, max(0, timestamp_ms)), "read_committed")
    return offsets


def _partitions(numbers: list[int]) -> str:
    shown = ", ".join(str(n) for n in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"Partition{'s' if len(numbers) > 1 else ''} {shown}{more}"
