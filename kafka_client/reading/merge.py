"""Records of many partitions in one order by time, as they come: a k-way merge that waits for
whoever is behind.

Within a partition the order of offsets always holds, also where its timestamps go back: a record
counts as written no earlier than any before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from kafka_client.model import Record, TopicPartition

NEVER = -(1 << 62)


class Merge:
    """``add`` what matched, ``passed`` how far each partition was looked at, ``take`` what is
    certain to come next.

    ``open``: partitions that may still bring something earlier; one that ended or that nobody
    waits for is closed."""

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self._heap: list[tuple[int, int, int, Record]] = []
        self._seen: dict[TopicPartition, int] = dict.fromkeys(partitions, NEVER)
        self._open = set(self._seen)
        self._held: dict[TopicPartition, int] = dict.fromkeys(self._seen, 0)
        self._held_bytes: dict[TopicPartition, int] = dict.fromkeys(self._seen, 0)

    def __len__(self) -> int:
        return len(self._heap)

    def passed(self, tp: TopicPartition, timestamp_ms: int) -> int:
        """The partition was read up to a record of this time. Returns the record's place in the
        order."""
        at = max(self._seen[tp], timestamp_ms)
        self._seen[tp] = at
        return at

    def add(self, tp: TopicPartition, at: int, record: Record) -> None:
        """``at``: what ``passed`` returned for it."""
        heapq.heappush(self._heap, (at, record.partition, record.offset, record))
        self._held[tp] += 1
        self._held_bytes[tp] += _size(record)

    def close(self, tp: TopicPartition) -> None:
        self._open.discard(tp)

    def reopen(self, tp: TopicPartition) -> None:
        self._open.add(tp)

    @property
    def watermark(self) -> int | None:
        """Up to here every open partition was read; None when none is open."""
        return min((self._seen[tp] for tp in self._open), default=None)

    def held(self, tp: TopicPartition) -> tuple[int, int]:
        """Records of this partition that wait for others, and their bytes."""
        return self._held[tp], self._held_bytes[tp]

    def behind(self) -> set[TopicPartition]:
        """Open partitions that the others wait for."""
        mark = self.watermark
        return {tp for tp in self._open if self._seen[tp] == mark} if self._heap else set()

    def take(self, most: int = 1 << 30) -> list[Record]:
        mark = self.watermark
        out: list[Record] = []
        while self._heap and len(out) < most and (mark is None or self._heap[0][0] <= mark):
            record = heapq.heappop(self._heap)[3]
            self._held[record.topic, record.partition] -= 1
            self._held_bytes[record.topic, record.partition] -= _size(record)
            out.append(record)
        return out


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
