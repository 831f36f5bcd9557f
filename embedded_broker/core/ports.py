"""The outside world of a node: its disk, clock and random numbers. The shell supplies
real ones, the simulator its own. Also the one port that machines of several packages
share.

The machines call the disk directly, without effects: an append is one write into the
page cache (4 us), and a read in the same step must see it. The flush can be late or
lost, so it is an effect with an event. A failing disk raises ``StorageFailed``: the
partition goes offline, the node keeps running (decision record 0002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from kafka_protocol.fields import Buffer, Message
from kafka_protocol.records.batch import BatchHeader


class StorageFailed(Exception):
    """The disk refused a read or a write (full, I/O error). The text names the file and
    the cause."""


class LogDamaged(StorageFailed):
    """What was read of a log is not what was written: a bit has changed, or a part is missing.
    The directory still works; this copy of the partition does not."""


class Clock(Protocol):
    """Wall time; monotonic time comes with each event."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch; may jump, so only for timestamps, never for
        timeouts."""


class Rng(Protocol):
    """Random numbers; in the simulator they follow from the seed."""

    def below(self, n: int) -> int:
        """A random integer in [0, n)."""

    def uuid(self) -> UUID:
        """A random UUID (version 4)."""


CallDone = Callable[[int, Any, str], None]
"""(now_ms, response or None, why there is no response)"""


class ControllerCalls(Protocol):
    """Requests to the active controller, wherever it is; ``controller.channel``
    implements it."""

    def call(
        self, now_ms: int, message: Message, version: int, timeout_ms: int, done: CallDone
    ) -> None:
        """Send ``message``; call ``done`` once, later (never before ``call`` returns):
        with the response, or with None and a reason after ``timeout_ms``."""


class RecordSlice(Protocol):
    """Whole record batches in a log, as a Fetch response carries them. ``len()`` is
    their size in bytes."""

    def __len__(self) -> int: ...

    def tobytes(self) -> bytes:
        """The bytes themselves; the shell sends its own slices with sendfile
        instead."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One segment file of a log, for retention."""

    base_offset: int
    size_bytes: int
    max_timestamp: int
    """The largest record timestamp in ms; -1 when no record has one."""
    last_modified_ms: int
    """Wall time of the last write."""


class PartitionLog(Protocol):
    """One partition's log on one node: segments, indexes, and the small files beside
    them.

    Offsets are inclusive at the start and exclusive at the end. Appends are whole,
    checked batches whose base offset and leader epoch are already in place. Not
    thread-safe; called from the node's loop only.
    """

    topic: str
    topic_id: UUID
    partition: int
    lost_records: bool
    """Whether the start found fewer records than were on the disk once."""
    damage: str
    """Empty, or a clause that says which records the start, or a read since, has found missing or
    unreadable before the end: fetching on at the end does not bring them back."""

    @property
    def log_start_offset(self) -> int:
        """The first offset that is still there."""

    @property
    def log_end_offset(self) -> int:
        """The offset of the next record."""

    @property
    def size_bytes(self) -> int:
        """Size of all segments."""

    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
        """Write batches at the end in one write; roll the segment first when due (size,
        time, index).

        ``headers`` are the batches in ``records`` in order; ``headers[0].base_offset``
        is at or past the end offset (past it only after compaction on the leader's
        side). ``now_ms`` is wall time.

        Raises:
            StorageFailed: no record of ``records`` is readable afterwards.
        """

    def read(
        self, start_offset: int, max_bytes: int, end_offset: int, at_least_one: bool
    ) -> RecordSlice:
        """Return the batches from the one that holds ``start_offset`` up to, not
        including, the one that holds ``end_offset``.

        At most ``max_bytes``; but with ``at_least_one`` the first batch whole, whatever
        its size (KIP-74). Never part of a batch. ``start_offset`` is in
        [log_start_offset, log_end_offset].

        Raises:
            LogDamaged: the batch at ``start_offset`` is not whole; ``damage`` says so too.
            StorageFailed
        """

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        """Yield the batch headers from the batch that holds ``start_offset`` to the
        end; used to rebuild state."""

    def truncate(self, offset: int) -> None:
        """Remove the records at and after ``offset``, from the batch boundary at or
        before it."""

    def reset(self, offset: int) -> None:
        """Remove all records; the start and the end offset become ``offset``."""

    def advance_start(self, offset: int) -> None:
        """Move the start offset forward and delete the segments that lie wholly before
        it (DeleteRecords, retention)."""

    def segments(self) -> Sequence[SegmentInfo]:
        """The segments, oldest first; the last is the active one."""

    def roll(self) -> None:
        """Start a new segment unless the active one is empty."""

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None:
        """Apply changed topic settings from the next append on."""

    def batch_at_time(self, timestamp: int, start_offset: int, end_offset: int) -> bytes | None:
        """Return the first batch with its greatest timestamp at or after ``timestamp`` that ends
        at or after ``start_offset`` and begins below ``end_offset``, or None.

        Raises:
            StorageFailed: the batch cannot be read.
        """

    def batch_of_max_timestamp(self, end_offset: int) -> bytes | None:
        """Return the first batch with the greatest timestamp of those that begin below
        ``end_offset``, or None. Raises: StorageFailed."""

    def load_epochs(self) -> list[tuple[int, int]]:
        """(leader epoch, its start offset), ascending; from leader-epoch-checkpoint,
        checked against the log."""

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        """Replace leader-epoch-checkpoint.

        Raises:
            StorageFailed: the old one is still there.
        """

    def load_producers(self) -> list[tuple[int, bytes]]:
        """(offset, snapshot of the producers before it), newest first, none beyond the end of
        the log. They may be damaged, or of batches that were lost."""

    def save_producers(self, offset: int, snapshot: bytes) -> None:
        """Add a snapshot of the producers at the end of the log; the two newest are kept.

        Raises:
            StorageFailed: those before are still there.
        """


class Disk(Protocol):
    """A node's log directory."""

    def logs(self) -> Iterable[PartitionLog]:
        """Every partition log found at the start, after recovery removed torn tails."""

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> PartitionLog:
        """Raises: StorageFailed."""

    def delete_log(self, log: PartitionLog) -> None:
        """Remove a log; its files may be deleted later.

        Raises:
            StorageFailed: the log is still there.
        """

    def set_aside(self, log: PartitionLog) -> None:
        """Take a log out of use and keep its files under another name.

        Raises:
            StorageFailed: the log is still there.
        """

    def load_high_watermarks(self) -> dict[tuple[str, int], int]:
        """Read the checkpoint: (topic, partition) -> high watermark."""

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        """Replace the checkpoint.

        Raises:
            StorageFailed
        """

    def load_wall_ms(self) -> int:
        """The wall time that a process before this one has saved; -1 when there is none."""

    def save_wall_ms(self, wall_ms: int) -> None:
        """Keep the wall time that is believed, some time soon; a failure is not reported."""

    def load_quorum_state(self) -> dict[str, Any]:
        """Empty on a new disk."""

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        """Write, fsync, rename: the state is on disk when this returns.

        Raises:
            StorageFailed: the old state is still there.
        """

    @property
    def directory_id(self) -> UUID:
        """Id of the log directory; a new disk has a new one."""

    @property
    def was_clean(self) -> bool:
        """Return whether no appended record can be lost: the previous process stopped
        in order, or was killed within the same boot of the machine (the page cache
        outlives the process). False on a new disk. Stays false, through further
        crashes, until ``registered``."""

    def registered(self) -> None:
        """The controller has committed the registration that reported ``was_clean``:
        from now on a kill leaves the disk clean.

        Raises:
            StorageFailed: a kill still leaves it unclean.
        """

    def probe(self) -> None:
        """Write and flush a small file, to learn whether a disk that failed works again.

        Raises:
            StorageFailed
        """

    @property
    def logs_most(self) -> int:
        """How many partition logs the process can have open, by its limit of open files."""

    def total_bytes(self) -> tuple[int, int]:
        """(size of the volume, free bytes on it)."""
