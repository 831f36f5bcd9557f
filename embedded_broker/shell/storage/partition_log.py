"""One partition's log on this broker's disk: segments in a directory named ``topic-partition``.

States: open -> closed (at the broker's end) or released (being deleted). When the disk fails, the
call raises StorageFailed and the log stays open: what is there may still be read. All calls come
from the broker's loop; ``unflushed`` is what the loop hands to the flusher's thread.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid4

from embedded_broker.core.log.epochs import checked_epochs
from embedded_broker.core.ports import LogDamaged, SegmentInfo, StorageFailed
from embedded_broker.shell.storage import files, times
from embedded_broker.shell.storage.identity import IDENTITY, encode_uuid
from embedded_broker.shell.storage.recovery import STRAY, Trust, open_segments
from embedded_broker.shell.storage.segment import (
    CUT_UNSYNCED,
    MAX_RELATIVE_OFFSET,
    Segment,
)
from embedded_broker.shell.storage.slices import EMPTY_SLICE, FileSlice, LogFile
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader

EPOCHS = "leader-epoch-checkpoint"
PRODUCERS = ".producers"
"""End of the name of a snapshot of the producers; Kafka's ``.snapshot`` has less in it."""
Remove = Callable[[list[Path]], None]
"""Removes files some time later, outside of the event loop."""

UNFINISHED = "-new"
"""End of the name of the folder of a log that is being created."""
FLUSHED = 1 << 63
INDEX_INTERVAL = 4096
"""index.interval.bytes of Kafka."""


P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate["DiskPartitionLog", P], R]


def _notes_damage(method: Method[P, R]) -> Method[P, R]:
    """Let a method that raises LogDamaged leave the reason in ``damage``."""

    def call(self: DiskPartitionLog, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except LogDamaged as e:
            self.damage = str(e)
            raise

    return call


class DiskPartitionLog:
    """The PartitionLog port of ``core.ports``, which documents the methods.

    At least one segment exists; the last is the active one, to which appends go. ``was_corrupt``
    and ``cut_bytes`` say what recovery found.
    """

    def __init__(
        self, directory: Path, topic: str, topic_id: UUID, partition: int, remove: Remove
    ) -> None:
        self.directory = directory
        self.topic = topic
        self.topic_id = topic_id
        self.partition = partition
        self.was_corrupt = False
        self.cut_bytes = 0
        self.left_over: list[Path] = []
        """Files of deleted segments that are still to be removed."""
        self.lost_records = False
        self.damage = ""
        self._remove = remove
        self.before_cut: Callable[[int, int], None] = lambda unsynced, end: None
        """Called before the log is cut, with the offset from which on it will not be as it is on
        the disk, and with its new end. May raise StorageFailed."""
        self._segments: list[Segment] = []
        """Oldest first."""
        self._replaced: list[Segment] = []
        """Segments that are no longer in the log, and whose files could not be deleted yet."""
        self._reset_from = FLUSHED
        """The recovery point before a reset that is not on the disk yet: until then, a power cut
        may undo it."""
        self._bases: list[int] = []
        """The base offset of each segment, for bisection."""
        self._start = 0
        """The log start offset: at or above the first segment's base offset."""
        self._size = 0
        self._segment_bytes = 1 << 30
        self._segment_ms = 7 * 24 * 3600 * 1000
        self._index_interval = INDEX_INTERVAL
        self._epochs: list[tuple[int, int]] = []
        """Leader epochs and their start offsets, as the file has them since the start."""
        self._active: Segment

    # ---- opening
    @classmethod
    def create(
        cls,
        directory: Path,
        topic: str,
        topic_id: UUID,
        partition: int,
        remove: Remove,
        now_ms: int,
    ) -> DiskPartitionLog:
        """Create an empty log that begins at offset 0.

        The folder gets its name once it has its identity: killed before, it is a folder that the
        next start removes. What an earlier version left under the name is set aside.

        Raises:
            StorageFailed: nothing is left of the log.
        """
        log = cls(directory, topic, topic_id, partition, remove)
        prefix = f"{topic[:180]}-{partition}.{uuid4().hex}"
        fresh = directory.with_name(f"{prefix}{UNFINISHED}")
        identity = f"version: 0\ntopic_id: {encode_uuid(topic_id)}\n"
        try:
            fresh.mkdir()
            files.write_whole(fresh / IDENTITY, identity, durable=False)
            if directory.exists():
                directory.rename(directory.with_name(f"{prefix}{STRAY}"))
            fresh.rename(directory)
        except (OSError, StorageFailed) as e:
            shutil.rmtree(fresh, ignore_errors=True)
            raise StorageFailed(f"cannot create {directory}: {e}") from e
        try:
            log._begin(0, now_ms)
        except StorageFailed:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return log

    @classmethod
    def open(
        cls,
        directory: Path,
        topic: str,
        topic_id: UUID,
        partition: int,
        remove: Remove,
        trust: Trust,
        log_start_offset: int | None,
        now_ms: int,
    ) -> DiskPartitionLog:
        """Open an existing directory and recover its log (see recovery.py).

        The recovery point of ``trust`` and ``log_start_offset`` come from the broker's checkpoints;
        None when that of the starts is lost: the log then begins with what there is.

        Raises:
            LogDamaged: a file of it cannot be read.
            StorageFailed: the disk failed.
        """
        log = cls(directory, topic, topic_id, partition, remove)
        recovered = open_segments(directory, trust)
        log.was_corrupt, log.cut_bytes = recovered.corrupt, recovered.cut_bytes
        log.left_over = list(recovered.deleted)
        saved_start = log_start_offset or 0
        if not recovered.segments:
            log._begin(saved_start, now_ms)
        else:
            log._segments = recovered.segments
            log._bases = [s.base_offset for s in log._segments]
            log._active = log._segments[-1]
            log._size = sum(s.size for s in log._segments)
        first = log._bases[0]
        log._start = min(max(saved_start, first), log.log_end_offset)
        # Before a segment is deleted, the checkpoint says that the log begins after it.
        uncertain = first > saved_start and not any(
            base < first for base in recovered.deleted.values()
        )
        if uncertain and log_start_offset is not None:
            log.damage = f"the records from {saved_start} to {first - 1} are missing"
        with suppress(LogDamaged):
            log._epochs = checked_epochs(log, files.read_epochs(directory / EPOCHS))
        log.lost_records = (
            recovered.corrupt or uncertain or log.log_end_offset < trust.recovery_point
        )
        return log

    def _begin(self, base_offset: int, now_ms: int) -> None:
        """Add an empty active segment."""
        segment = Segment(self.directory, base_offset, now_ms)
        self._segments.append(segment)
        self._bases.append(base_offset)
        self._active = segment

    # ---- bounds
    @property
    def log_start_offset(self) -> int:
        return self._start

    @property
    def log_end_offset(self) -> int:
        return self._active.next_offset

    @property
    def newest_segment_offset(self) -> int:
        """Where the active segment begins."""
        return self._active.base_offset

    @property
    def size_bytes(self) -> int:
        return self._size

    def segments(self) -> Sequence[SegmentInfo]:
        return [
            SegmentInfo(s.base_offset, s.size, s.max_timestamp, s.modified_ms)
            for s in self._segments
        ]

    def closed_segments(self) -> list[Segment]:
        """All but the active one, oldest first."""
        return self._segments[:-1]

    def is_closed(self, segment: Segment) -> bool:
        """Return whether this is a segment of the log that takes no appends any more."""
        i = bisect_right(self._bases, segment.base_offset) - 1
        return 0 <= i < len(self._segments) - 1 and self._segments[i] is segment

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self._segment_ms = segment_ms
        self._index_interval = index_interval_bytes

    # ---- writing
    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
        if self._replaced:
            self._delete_replaced()
        active = self._active
        size = len(records)
        assert headers[0].base_offset >= active.next_offset, "an append before the end of the log"
        if active.size and self._must_roll(active, size, headers, now_ms):
            self._roll(headers[0].base_offset, now_ms)
            active = self._active
        elif not active.size and headers[0].base_offset > active.next_offset:
            # A segment's name is its base offset, which an empty one can still change.
            self._replace_empty(headers[0].base_offset, now_ms)
            active = self._active
        active.append(records, headers, self._index_interval, now_ms)
        self._size += size

    def _must_roll(
        self, active: Segment, size: int, headers: Sequence[BatchHeader], now_ms: int
    ) -> bool:
        """Return whether this append has to begin a new segment, by Kafka's rules."""
        if active.size + size > self._segment_bytes:
            return True
        # Index entries have 32 bits for an offset.
        if headers[-1].last_offset - active.base_offset > MAX_RELATIVE_OFFSET or active.index_full:
            return True
        # segment.ms counts in time of the records, and only without timestamps in time of the wall.
        first = active.first_timestamp
        waited = headers[0].max_timestamp - first if first >= 0 else now_ms - active.created_ms
        return waited > self._segment_ms

    def roll(self) -> None:
        if self._active.size:
            self._roll(self._active.next_offset, self._active.modified_ms)

    def _roll(self, base_offset: int, now_ms: int) -> None:
        self._active.seal()
        self._begin(base_offset, now_ms)

    def _replace_empty(self, offset: int, now_ms: int) -> None:
        """Replace the empty active segment by one with another base offset."""
        self._begin(offset, now_ms)
        empty = self._segments.pop(-2)
        del self._bases[-2]
        self._remove(empty.delete())
        if not self._size:
            self._start = offset

    # ---- reading
    @_notes_damage
    def read(
        self, start_offset: int, max_bytes: int, end_offset: int, at_least_one: bool
    ) -> FileSlice:
        active = self._active
        end = min(end_offset, active.next_offset)
        if start_offset >= end:
            return EMPTY_SLICE
        i = len(self._bases) - 1
        segment = active
        if start_offset < active.base_offset:
            i = max(0, bisect_right(self._bases, start_offset) - 1)
            segment = self._segments[i]
        return _slice(segment, start_offset, max_bytes, end, at_least_one)

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        try:
            for segment in list(self._segments):
                if segment.next_offset > start_offset:
                    yield from segment.headers(
                        segment.position_of(max(start_offset, segment.base_offset))
                    )
        except LogDamaged as e:
            self.damage = str(e)
            raise

    # ---- cutting
    @_notes_damage
    def truncate(self, offset: int) -> None:
        if offset >= self.log_end_offset:
            return
        if offset < self._bases[0]:
            self.reset(offset)
            return
        i = bisect_right(self._bases, offset) - 1
        active = self._segments[i]
        position = active.position_of(offset)
        if position < active.size:
            # Inside a batch: drop the whole batch, so that the log ends at a boundary.
            first = next(active.headers(position))
            offset = min(offset, first.base_offset)
        # That the segment ends there is not on the disk either.
        self._announce_cut(active.base_offset, offset)
        while len(self._segments) > i + 1:
            self._drop(len(self._segments) - 1)
        size = active.size
        active.cut(position, min(offset, active.next_offset))
        self._size -= size - position
        self._start = min(self._start, self.log_end_offset)

    def reset(self, offset: int) -> None:
        start = self._start
        self._announce_cut(offset, offset)
        # The new segment first: an append to one that is being deleted would be lost.
        try:
            fresh = Segment(self.directory, offset, self._active.modified_ms)
        except StorageFailed:
            self._start = start
            raise
        self._reset_from = min(self.recovery_point(), offset)
        fresh.flushed_size = CUT_UNSYNCED
        self._replaced += self._segments
        self._segments, self._bases = [fresh], [offset]
        self._active, self._start, self._size = fresh, offset, 0
        self.damage = ""
        self._delete_replaced()

    def _delete_replaced(self) -> None:
        """Delete the segments that a reset has replaced. While one is left, nothing may be
        appended: the next start would find a hole, and drop what is behind it.

        Raises:
            StorageFailed
        """
        left: list[Path] = []
        try:
            while self._replaced:
                segment = self._replaced[-1]
                if segment.base_offset == self._active.base_offset:
                    segment.release()  # its file has been replaced
                else:
                    left += segment.delete()
                self._replaced.pop()
        finally:
            self._remove(left)

    def _announce_cut(self, unsynced: int, end: int) -> None:
        """See ``before_cut``. The log starts at its new end, if that is lower, from now on: another
        thread may write the checkpoint. Raises: StorageFailed."""
        start, self._start = self._start, min(self._start, end)
        try:
            self.before_cut(unsynced, end)
        except StorageFailed:
            self._start = start
            raise

    def advance_start(self, offset: int) -> None:
        self._start = max(self._start, min(offset, self.log_end_offset))
        while len(self._segments) > 1 and self._segments[0].next_offset <= self._start:
            self._drop(0)

    def _drop(self, i: int) -> None:
        """Delete the first or the last of several segments. Raises: StorageFailed, and it stays."""
        left = self._segments[i].delete()
        self._size -= self._segments.pop(i).size
        del self._bases[i]
        self._active = self._segments[-1]
        self._remove(left)

    # ---- timestamps
    @_notes_damage
    def batch_at_time(self, timestamp: int, start_offset: int, end_offset: int) -> bytes | None:
        return times.batch_at_time(self._segments, timestamp, start_offset, end_offset)

    @_notes_damage
    def batch_of_max_timestamp(self, end_offset: int) -> bytes | None:
        return times.batch_of_max_timestamp(self._segments, self._start, end_offset)

    # ---- epochs
    def load_epochs(self) -> list[tuple[int, int]]:
        return list(self._epochs)

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        files.write_epochs(self.directory / EPOCHS, entries)
        self._epochs = list(entries)

    # ---- producers
    def load_producers(self) -> list[tuple[int, bytes]]:
        found = []
        for offset, path in reversed(self._snapshots()):
            # What cannot be read is as good as none: the batches say the same.
            with suppress(OSError):
                if offset <= self.log_end_offset:
                    found.append((offset, path.read_bytes()))
        return found

    def save_producers(self, offset: int, snapshot: bytes) -> None:
        path = self.directory / f"{offset:020d}{PRODUCERS}"
        files.write_whole(path, snapshot, durable=False)
        found = self._snapshots()
        older = [other for at, other in found if at < offset]
        newer = [other for at, other in found if at > offset]
        self._remove(older[:-1] + newer)

    def _snapshots(self) -> list[tuple[int, Path]]:
        """(offset, file) of the snapshots of producers, in the order of their offsets."""
        names = [path.name for path in self.directory.glob(f"*{PRODUCERS}")]
        offsets = [int(n.removesuffix(PRODUCERS)) for n in names if n[:20].isdecimal()]
        return [(at, self.directory / f"{at:020d}{PRODUCERS}") for at in sorted(offsets)]

    # ---- flushing and closing
    def unflushed(self) -> list[tuple[Segment, LogFile, int]]:
        """Return (segment, its file, its size now) of the segments that a flush has to write."""
        return [(s, s.file, s.size) for s in self._segments if s.flushed_size < s.size]

    def recovery_point(self) -> int:
        """Return the offset before which everything is on the disk."""
        for segment in self._segments:
            if segment.flushed_size < segment.size:
                return min(segment.base_offset, self._reset_from)
        if self._replaced:
            return self._reset_from
        self._reset_from = FLUSHED
        return self.log_end_offset

    def close(self) -> None:
        """Write the last index entries and close the files."""
        for segment in self._segments:
            segment.seal()
            segment.close()

    def release(self) -> None:
        """Release the files, which are being deleted."""
        for segment in self._segments:
            segment.release()
        self._segments.clear()


def _slice(
    segment: Segment, start_offset: int, max_bytes: int, end: int, at_least_one: bool
) -> FileSlice:
    """Return the batches of one segment from ``start_offset`` to ``end``; see ``read``.

    Raises:
        LogDamaged: the batch at ``start_offset`` is not whole.
    """
    start = segment.position_of(start_offset)
    limit = segment.size if end >= segment.next_offset else segment.position_of(end)
    most = min(limit, start + max_bytes)
    if segment.needs_check(start, most):
        checked = segment.check(start, most, start_offset)
        limit = checked if checked <= most or at_least_one else start
    elif limit > most:
        cut = segment.boundary(start, most)
        if cut == start:  # KIP-74: a batch above the limit still makes progress
            cut = min(limit, segment.end_of_batch(start)) if at_least_one else start
        limit = min(limit, cut)
    return FileSlice(segment.file, start, limit - start) if limit > start else EMPTY_SLICE
