"""What a node is given at its start: its disk, its clock, its random number generator.

The shell gives real ones, the simulator its own.

The disk is called directly and not by effects: an append is one write into the page cache (4 us),
and a log that is read back in the same step must show it. What can be late or be lost, the flush,
is an effect with its event. A disk that fails raises ``StorageFailed``; the partition goes
offline, the node lives (decision record 0002).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader


class StorageFailed(Exception):
    """The disk refused a read or a write (full, I/O error). The text names the file and the
    cause."""


class Clock(Protocol):
    def wall_ms(self) -> int:
        """Milliseconds since the epoch; may jump, so only for timestamps, never for timeouts."""


class Rng(Protocol):
    """The node's random number generator; a simulated one repeats itself for the same seed."""

    def below(self, n: int) -> int:
        """A random integer in [0, n)."""

    def uuid(self) -> UUID: ...


class RecordSlice(Protocol):
    """Whole record batches somewhere in a log: what a Fetch answers with. ``len()`` is their size
    in bytes."""

    def __len__(self) -> int: ...

    def tobytes(self) -> bytes:
        """The bytes themselves; the shell's sends them with sendfile instead."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    base_offset: int
    size_bytes: int
    max_timestamp: int
    last_modified_ms: int


class PartitionLog(Protocol):
    """One partition's log on one node: segments, indexes, and the small files beside them.

    Offsets are inclusive at the start and exclusive at the end. Appends are whole, checked
    batches whose base offset and leader epoch are already in place. Not thread-safe; called from
    the node's loop only.
    """

    topic: str
    topic_id: UUID
    partition: int

    @property
    def log_start_offset(self) -> int: ...
    @property
    def log_end_offset(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...

    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
        """Write batches at the end in one write; rolls the segment first when due (size, time,
        index).

        ``headers`` are the batches in ``records`` in order; ``headers[0].base_offset`` is at or
        past the end offset (past it only after compaction on the leader's side). ``now_ms`` is
        wall time. Raises: StorageFailed (nothing of it is readable afterwards).
        """

    def read(
        self, start_offset: int, max_bytes: int, end_offset: int, at_least_one: bool
    ) -> RecordSlice:
        """Batches from the one that holds ``start_offset`` up to, not including, the one that
        holds ``end_offset``.

        At most ``max_bytes``, but with ``at_least_one`` the first batch whole whatever its size
        (KIP-74). Never a part of a batch. ``start_offset`` is in [log_start_offset,
        log_end_offset]. Raises: StorageFailed.
        """

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        """Batch headers from the batch that holds ``start_offset`` to the end; for rebuilding
        state."""

    def truncate(self, offset: int) -> None:
        """Cut off everything at and after ``offset`` (a batch boundary at or before it)."""

    def reset(self, offset: int) -> None:
        """Drop everything; start and end offset become ``offset``."""

    def advance_start(self, offset: int) -> None:
        """Move the start offset forward and delete segments that lie before it whole
        (DeleteRecords, retention)."""

    def segments(self) -> Sequence[SegmentInfo]:
        """Oldest first; the last is the active one."""

    def roll(self) -> None:
        """Begin a new segment when the active one has anything in it."""

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None: ...

    def offset_for_timestamp(self, timestamp: int, end_offset: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record at or after ``timestamp`` below ``end_offset``;
        None if none."""

    def offset_of_max_timestamp(self, end_offset: int) -> tuple[int, int] | None: ...

    def load_epochs(self) -> list[tuple[int, int]]:
        """(leader epoch, its start offset), ascending; from leader-epoch-checkpoint, checked
        against the log."""

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None: ...


class Disk(Protocol):
    """A node's log directory."""

    def logs(self) -> Iterable[PartitionLog]:
        """Every partition log found at the start, recovered: a torn tail is cut off already."""

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> PartitionLog:
        """Raises: StorageFailed."""

    def delete_log(self, log: PartitionLog) -> None: ...

    def load_high_watermarks(self) -> dict[tuple[str, int], int]: ...
    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None: ...

    def load_quorum_state(self) -> dict[str, Any]:
        """Empty on a new disk."""

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        """On the disk when this returns (write, fsync, rename)."""

    @property
    def directory_id(self) -> UUID: ...

    @property
    def was_clean(self) -> bool:
        """Whether nothing that was appended can have been lost: an orderly stop, or a kill in the
        same boot of the machine (the page cache outlives the process). False on a new disk. Stays
        false, through further crashes, until ``registered``."""

    def registered(self) -> None:
        """The controller has committed the registration that told it of ``was_clean``: from here
        on a kill leaves the disk clean."""

    def total_bytes(self) -> tuple[int, int]:
        """(size of the volume, free on it)."""
