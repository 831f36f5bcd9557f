"""What the cluster has promised: every partition's committed prefix, kept apart from all brokers.

A record is committed once a leader's high watermark has passed it. From then on it may never
change or go, whoever leads; no follower may show more than this; no client may see anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from embedded_broker.simulator.batches import records
from embedded_broker.simulator.disk import SimLog
from embedded_broker.simulator.world import Violation
from kafka_protocol.records.batch import BatchHeader

Key = tuple[str, UUID, int]
Print = tuple[int, int, int, bytes]
"""A batch's identity: (base offset, last offset, leader epoch, checksum)."""


def fingerprint(header: BatchHeader, data: bytes) -> Print:
    return header.base_offset, header.last_offset, header.leader_epoch, data[17:21]


class Value(NamedTuple):
    """A client's value: ``producer/session/number``."""

    producer: str
    session: int
    number: int


def parse(value: bytes | None) -> Value | None:
    parts = (value or b"").decode(errors="replace").split("/")
    return (
        Value(parts[0], int(parts[1]), int(parts[2]))
        if len(parts) == 3 and parts[0].startswith("p")
        else None
    )


class Committed:
    """One partition's committed prefix."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.prints: dict[int, Print] = {}
        """By base offset."""
        self.values: dict[int, bytes | None] = {}
        self.end = 0
        self._end_by_epoch: dict[int, int] = {}
        """How far the leaders of each epoch have committed."""
        self.offsets: dict[bytes, int] = {}
        """Where a producer's value is."""
        self._newest: dict[tuple[str, int], int] = {}
        """Per producer and session, the newest number."""

    def __repr__(self) -> str:
        return f"{self.key[0]}-{self.key[2]}"

    def end_before(self, epoch: int) -> int:
        """How far older epochs' leaders had committed: what a leader of this epoch must have,
        however late it learns that it leads (by then others may have led, and committed more)."""
        return max((end for other, end in self._end_by_epoch.items() if other < epoch), default=0)

    def extend(self, log: SimLog, end: int, epoch: int, idempotent: Iterable[str]) -> None:
        """The high watermark of the leader of ``epoch`` moved to ``end``."""
        self._end_by_epoch[epoch] = end
        if end > log.log_end_offset:
            raise Violation(
                "C6", f"{self}: high watermark {end} past the log's end {log.log_end_offset}"
            )
        at = self.end
        for header, data in log.between(self.end, end):
            if header.base_offset != at:
                raise Violation(
                    "C5", f"{self}: committed offsets jump from {at} to {header.base_offset}"
                )
            at = header.next_offset
            self.prints[header.base_offset] = fingerprint(header, data)
            if not header.is_control:
                for record in records(data):
                    self._take(record.offset, record.value, idempotent)
        if at != end:
            raise Violation(
                "C6", f"{self}: high watermark {end} inside a batch that begins at {at}"
            )
        self.end = end

    def _take(self, offset: int, value: bytes | None, idempotent: Iterable[str]) -> None:
        self.values[offset] = value
        parsed = parse(value)
        if parsed is None or value is None or self.key[0].startswith("__"):
            return
        if parsed.producer in idempotent:
            if value in self.offsets:
                raise Violation(
                    "C8", f"{self}: {value!r} is at {self.offsets[value]} and again at {offset}"
                )
            newest = self._newest.get(parsed[:2], 0)
            if parsed.number <= newest:
                raise Violation("C8", f"{self}: {value!r} at {offset} comes after number {newest}")
            self._newest[parsed[:2]] = parsed.number
        self.offsets.setdefault(value, offset)

    def check_prefix(self, who: str, log: SimLog, start: int, end: int) -> None:
        """``log`` holds in [start, end) exactly what was committed there."""
        end = min(end, self.end)
        start = max(start, log.log_start_offset)
        at = start
        for header, data in log.between(start, end):
            known = self.prints.get(header.base_offset)
            found = fingerprint(header, data)
            if known != found:
                raise Violation("C2", f"{who} has {found} of {self} where {known} was committed")
            at = header.next_offset
        if at < end:
            raise Violation(
                "C1",
                f"{who} has {self} up to {at} (log {log.log_start_offset}-{log.log_end_offset}), committed: {end}",
            )


class Truth:
    """All partitions' committed prefixes, and every batch that was ever written anywhere."""

    def __init__(self) -> None:
        self.partitions: dict[Key, Committed] = {}
        self._written: dict[tuple[Key, int, int], bytes] = {}

    def of(self, key: Key) -> Committed:
        found = self.partitions.get(key)
        if found is None:
            found = self.partitions[key] = Committed(key)
        return found

    def written(self, key: Key, header: BatchHeader, data: bytes) -> None:
        """C3: what a leader epoch put at an offset is the same in every log in which it ever
        stood."""
        place = (key, header.leader_epoch, header.base_offset)
        before = self._written.setdefault(place, data[17:21])
        if before != data[17:21]:
            raise Violation(
                "C3",
                f"{key[0]}-{key[2]}: epoch {header.leader_epoch} wrote two batches at {header.base_offset}",
            )
