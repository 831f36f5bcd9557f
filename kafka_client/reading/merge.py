"""Merges the records of many partitions by time while they are read: a k-way merge that waits for
the partition that is behind.

Within a partition the order of offsets holds, also where timestamps go back: a record counts as
written no earlier than any before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from kafka_client.model import Record, TopicPartition
from kafka_client.reading.progress import record_bytes

NEVER = -(1 << 62)


class Merge:
    """Report every record that was read with ``passed``, ``add`` those that match, and ``take``
    those that nothing unread can precede.

    A partition is *open* while it may bring an earlier record: until ``close``.
    """

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self._heap: list[tuple[int, int, int, Record]] = []
        """(time in the order, partition, offset, record)."""
        self._read_to: dict[TopicPartition, int] = dict.fromkeys(partitions, NEVER)
        """The largest timestamp in ms that was read, by partition."""
        self._open = set(self._read_to)
        self._count: dict[TopicPartition, int] = dict.fromkeys(self._read_to, 0)
        self._bytes: dict[TopicPartition, int] = dict.fromkeys(self._read_to, 0)

    def __len__(self) -> int:
        """Records that wait in the merge."""
        return len(self._heap)

    def passed(self, tp: TopicPartition, timestamp_ms: int) -> int:
        """Report that a record with this timestamp was read; return its time in the order."""
        at = max(self._read_to[tp], timestamp_ms)
        self._read_to[tp] = at
        return at

    def add(self, tp: TopicPartition, at: int, record: Record) -> None:
        """Add a record that matches. ``at``: what ``passed`` returned for it."""
        heapq.heappush(self._heap, (at, record.partition, record.offset, record))
        self._count[tp] += 1
        self._bytes[tp] += record_bytes(record)

    def close(self, tp: TopicPartition) -> None:
        """Wait for this partition no longer: it ended, or it does not answer."""
        self._open.discard(tp)

    @property
    def watermark(self) -> int | None:
        """The time up to which every open partition was read; None when none is open."""
        return min((self._read_to[tp] for tp in self._open), default=None)

    def waiting(self, tp: TopicPartition) -> tuple[int, int]:
        """(records, bytes) of this partition that wait for other partitions."""
        return self._count[tp], self._bytes[tp]

    def behind(self) -> set[TopicPartition]:
        """The open partitions that the others wait for."""
        mark = self.watermark
        return {tp for tp in self._open if self._read_to[tp] == mark} if self._heap else set()

    def take(self) -> list[Record]:
        """Remove and return the records up to the watermark, in order; all when no partition is
        open."""
        mark = self.watermark
        out: list[Record] = []
        while self._heap and (mark is None or self._heap[0][0] <= mark):
            record = heapq.heappop(self._heap)[3]
            self._count[record.topic, record.partition] -= 1
            self._bytes[record.topic, record.partition] -= record_bytes(record)
            out.append(record)
        return out
