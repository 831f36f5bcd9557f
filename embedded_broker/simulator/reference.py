"""The reference model: the committed prefix of every partition, kept apart from all brokers.

A record is committed when a leader's high watermark has passed it. From then on it may neither
change nor disappear, whoever leads; no follower may show more, and no client anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from embedded_broker.simulator.batches import records
from embedded_broker.simulator.log import SimLog
from embedded_broker.simulator.world import Violation
from kafka_protocol.records.batch import BatchHeader

Key = tuple[str, UUID, int]
Fingerprint = tuple[int, int, int, bytes]
"""A batch's identity: (base offset, last offset, leader epoch, checksum)."""


def fingerprint(header: BatchHeader, data: bytes) -> Fingerprint:
    """Return the identity of a batch."""
    return header.base_offset, header.last_offset, header.leader_epoch, data[17:21]


class Value(NamedTuple):
    """A value of a simulated producer, written ``producer/session/number``."""

    producer: str
    session: int
    number: int


def parse(value: bytes | None) -> Value | None:
    """Parse a producer's value; None for a value of anything else."""
    parts = (value or b"").decode(errors="replace").split("/")
    return (
        Value(parts[0], int(parts[1]), int(parts[2]))
        if len(parts) == 3 and parts[0].startswith("p")
        else None
    )


class Committed:
    """The committed prefix of one partition."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.fingerprints: dict[int, Fingerprint] = {}
        """By base offset of the batch."""
        self.values: dict[int, bytes | None] = {}
        """By offset."""
        self.timestamps: dict[int, int] = {}
        """By offset, in ms."""
        self.end = 0
        """The offset after the last committed record."""
        self._end_by_epoch: dict[int, int] = {}
        """By leader epoch: the end of what its leaders committed."""
        self.offsets: dict[bytes, int] = {}
        """By value of a producer: its first offset."""
        self._newest: dict[tuple[str, int], int] = {}
        """By producer and session: the newest number."""

    def __repr__(self) -> str:
        return f"{self.key[0]}-{self.key[2]}"

    def end_before(self, epoch: int) -> int:
        """Return the end of what leaders of older epochs committed.

        This is what a leader of ``epoch`` must have. ``end`` may be more: by the time the leader
        learns of its election, a later one may have led and committed.
        """
        return max((end for other, end in self._end_by_epoch.items() if other < epoch), default=0)

    def extend(self, log: SimLog, end: int, epoch: int, idempotent: Iterable[str]) -> None:
        """Add what the leader of ``epoch`` committed by moving its high watermark to ``end``.

        Raises:
            Violation: C5, C6 or C8.
        """
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
            self.fingerprints[header.base_offset] = fingerprint(header, data)
            if not header.is_control:
                for record in records(data):
                    self.timestamps[record.offset] = record.timestamp
                    self._add(record.offset, record.value, idempotent)
        if at != end:
            raise Violation(
                "C6", f"{self}: high watermark {end} inside a batch that begins at {at}"
            )
        self.end = end

    def _add(self, offset: int, value: bytes | None, idempotent: Iterable[str]) -> None:
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
        """Check that ``log`` has in [start, end) exactly what is committed there.

        Raises:
            Violation: C2 if a batch differs, C1 if the log ends before.
        """
        end = min(end, self.end)
        start = max(start, log.log_start_offset)
        at = start
        for header, data in log.between(start, end):
            committed = self.fingerprints.get(header.base_offset)
            found = fingerprint(header, data)
            if committed != found:
                raise Violation("C2", f"{who} has {found} of {self}, committed is {committed}")
            at = header.next_offset
        if at < end:
            raise Violation(
                "C1",
                f"{who} has {self} up to {at} "
                f"(log {log.log_start_offset}-{log.log_end_offset}), committed is {end}",
            )


class Reference:
    """The committed prefixes of all partitions, and every batch that was ever written."""

    def __init__(self) -> None:
        self.partitions: dict[Key, Committed] = {}
        self._written: dict[tuple[Key, int, int], bytes] = {}

    def of(self, key: Key) -> Committed:
        """Return the committed prefix of a partition, empty at first."""
        found = self.partitions.get(key)
        if found is None:
            found = self.partitions[key] = Committed(key)
        return found

    def written(self, key: Key, header: BatchHeader, data: bytes) -> None:
        """C3: a leader epoch writes one batch at an offset, the same in every log."""
        place = (key, header.leader_epoch, header.base_offset)
        before = self._written.setdefault(place, data[17:21])
        if before != data[17:21]:
            raise Violation(
                "C3",
                f"{key[0]}-{key[2]}: epoch {header.leader_epoch} has two batches "
                f"at {header.base_offset}",
            )
