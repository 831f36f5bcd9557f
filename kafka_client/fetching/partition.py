"""A partition that is read: where the reader is, and what was fetched in advance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from kafka_client.errors import ClientError
from kafka_client.fetching.segment import Gap, Segment
from kafka_client.model import Record, TopicPartition

UNPACKED_SMALL = 1 << 20
"""Bytes of an unpacked batch that may wait for the next call. A larger one is read to its end
first, so that of all partitions one large batch at most is in memory."""


class PartitionRead:
    """Changed on the loop alone, but for ``take``, which runs in a worker while nothing else
    takes."""

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        self.tp = tp
        self.position = offset
        """The offset after what was delivered."""
        self.fetch_at = offset
        """The offset after what was fetched."""
        self.paused = False
        self.leader: int | None = None
        self.log_end = offset
        """The offset after what a consumer may read, as the leader said last."""
        self.segments: deque[Segment | Gap] = deque()
        self.busy = False
        """Whether its next offset is being looked for."""
        self.failures = 0
        """Answers with an error since the last without."""
        self.not_before = 0.0
        """Monotonic time of the next try."""
        self.problem: ClientError | None = None
        """Why the last try failed."""
        self.last_timestamp_ms = -1
        """Of the last record that was read, where marks of what cannot be read stand."""
        self.starving = False
        """Whether the last response had no whole batch of it, though there is more."""

    @property
    def kept_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    @property
    def unpacked_bytes(self) -> int:
        return self.segments[0].unpacked_bytes if self.segments else 0

    def add(self, segment: Segment | Gap) -> None:
        self.segments.append(segment)
        self.fetch_at = segment.end
        self.starving = False

    def pause(self) -> None:
        self.paused = True
        if self.unpacked_bytes > UNPACKED_SMALL:
            self.segments[0].drop_unpacked()

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """Records that were fetched. Only of the first segment, as the place of the next is not
        sure before the first is read."""
        if not self.segments:
            return []
        first = self.segments[0]
        first.last_timestamp_ms = max(first.last_timestamp_ms, self.last_timestamp_ms)
        records = first.take(max_records, max_bytes)
        self.last_timestamp_ms = first.last_timestamp_ms
        return records

    def settle(self) -> str:
        """Note what ``take`` has read. Return why reading cannot go on at ``position``, or nothing
        when it can."""
        while self.segments and not self.segments[0].left:
            segment = self.segments.popleft()
            self.position = max(self.position, segment.position)
            if segment.unpassable or segment.position != segment.end:
                # What comes next is somewhere else than was believed.
                self.segments.clear()
                self.fetch_at = self.position
            if segment.unpassable:
                return segment.unpassable
        if self.segments:
            self.position = max(self.position, self.segments[0].position)
        return ""


def take_from(
    partitions: Iterable[PartitionRead], max_records: int, max_bytes: int
) -> list[Record]:
    """Records of partitions in turn, the same number of each, within both bounds. Blocks: for a
    worker thread."""
    waiting = sorted(partitions, key=lambda p: -p.unpacked_bytes)
    records: list[Record] = []
    room = max_bytes
    each = max(1, max_records // max(1, len(waiting)))
    for p in waiting:
        while room > 0 and len(records) < max_records:
            large = p.unpacked_bytes > UNPACKED_SMALL
            most = max_records - len(records) if large else min(each, max_records - len(records))
            some = p.take(most, room)
            records += some
            room -= sum(len(r.key or b"") + len(r.value or b"") for r in some)
            if p.unpacked_bytes <= UNPACKED_SMALL:
                break
    return records
