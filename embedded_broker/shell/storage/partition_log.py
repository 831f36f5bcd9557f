"""One partition's log on this broker's disk: segments in a directory named ``topic-partition``.

States: open -> closed (at the broker's end) or released (being deleted). When the disk fails, the
call raises StorageFailed and the log stays open: what is there may still be read. All calls come
from the broker's loop; ``unflushed`` is what the loop hands to the flusher's thread.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

from embedded_broker.core.ports import SegmentInfo, StorageFailed
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.recovery import LastStop, open_segments
from embedded_broker.shell.storage.segment import MAX_RELATIVE_OFFSET, Segment
from embedded_broker.shell.storage.slices import EMPTY_SLICE, FileSlice, LogFile
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader

EPOCHS = "leader-epoch-checkpoint"
IDENTITY = "partition.metadata"
Remove = Callable[[list[Path]], None]
"""Removes files some time later, outside of the event loop."""

UNFINISHED, STRAY = "-new", "-stray"
"""Ends of the names of folders: of a log that is being created, and of one that is not used."""


class DiskPartitionLog:
    """The PartitionLog port of ``core.ports``, which documents the methods.

    ``was_corrupt`` and ``cut_bytes`` say what recovery found. At least one segment exists; the
    last is the active one, to which appends go.
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
        self._remove = remove
        self._segments: list[Segment] = []
        """Oldest first."""
        self._bases: list[int] = []
        """The base offset of each segment, for bisection."""
        self._start = 0
        """The log start offset: at or above the first segment's base offset."""
        self._size = 0
        self._segment_bytes = 1 << 30
        self._segment_ms = 7 * 24 * 3600 * 1000
        self._index_interval = 4096
        self._epochs_found: list[tuple[int, int]] = []
        """Leader epochs and their start offsets, as far as recovery read batches."""
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
        last_stop: LastStop,
        recovery_point: int,
        log_start_offset: int,
        now_ms: int,
    ) -> DiskPartitionLog:
        """Open an existing directory and recover its log (see recovery.py).

        ``recovery_point`` and ``log_start_offset`` come from the broker's checkpoints.

        Raises:
            StorageFailed: the directory cannot be read.
        """
        log = cls(directory, topic, topic_id, partition, remove)
        recovered = open_segments(directory, last_stop, recovery_point, log._index_interval)
        log.was_corrupt, log.cut_bytes = recovered.corrupt, recovered.cut_bytes
        log._epochs_found = recovered.epochs
        if not recovered.segments:
            log._begin(log_start_offset, now_ms)
        else:
            log._segments = recovered.segments
            log._bases = [s.base_offset for s in log._segments]
            log._active = log._segments[-1]
            log._size = sum(s.size for s in log._segments)
        log._start = min(max(log_start_offset, log._bases[0]), log.log_end_offset)
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
    def size_bytes(self) -> int:
        return self._size

    def segments(self) -> Sequence[SegmentInfo]:
        return [
            SegmentInfo(s.base_offset, s.size, s.max_timestamp, s.modified_ms)
            for s in self._segments
        ]

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self._segment_ms = segment_ms
        self._index_interval = index_interval_bytes

    # ---- writing
    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
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
        start = segment.position_of(start_offset)
        while start == segment.size:  # a gap at the end of the segment: go on with the next
            i += 1
            segment = self._segments[i]
            start = segment.position_of(start_offset)
        limit = segment.size if end >= segment.next_offset else segment.position_of(end)
        if limit - start > max_bytes:
            cut = segment.boundary(start, start + max_bytes)
            if cut == start:  # KIP-74: a batch above the limit still makes progress
                cut = min(limit, segment.end_of_batch(start)) if at_least_one else start
            limit = min(limit, cut)
        return FileSlice(segment.file, start, limit - start) if limit > start else EMPTY_SLICE

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        for segment in list(self._segments):
            if segment.next_offset > start_offset:
                yield from segment.headers(
                    segment.position_of(max(start_offset, segment.base_offset))
                )

    # ---- cutting
    def truncate(self, offset: int) -> None:
        if offset >= self.log_end_offset:
            return
        if offset < self._bases[0]:
            self.reset(offset)
            return
        while self._segments[-1].base_offset > offset:
            self._drop(len(self._segments) - 1)
        self._active = active = self._segments[-1]
        position = active.position_of(offset)
        if position < active.size:
            # Inside a batch: drop the whole batch, so that the log ends at a boundary.
            first = next(active.headers(position))
            offset = min(offset, first.base_offset)
        self._size -= active.size - position
        active.cut(position, min(offset, active.next_offset))
        self._start = min(self._start, self.log_end_offset)

    def reset(self, offset: int) -> None:
        created_ms = self._active.modified_ms
        while self._segments:
            self._drop(len(self._segments) - 1)
        self._begin(offset, created_ms)
        self._start = offset
        self._epochs_found = []

    def advance_start(self, offset: int) -> None:
        self._start = max(self._start, min(offset, self.log_end_offset))
        while len(self._segments) > 1 and self._segments[0].next_offset <= self._start:
            self._drop(0)

    def _drop(self, i: int) -> None:
        segment = self._segments.pop(i)
        del self._bases[i]
        self._size -= segment.size
        self._remove(segment.delete())

    # ---- timestamps
    def offset_for_timestamp(self, timestamp: int, end_offset: int) -> tuple[int, int] | None:
        # Timestamps need not rise: a segment or batch qualifies by its greatest one, and then its
        # records are read one by one.
        for segment in list(self._segments):
            if segment.base_offset >= end_offset:
                return None
            if segment.max_timestamp < timestamp or segment.next_offset <= self._start:
                continue
            for header in segment.headers(segment.position_by_time(timestamp)):
                if header.base_offset >= end_offset:
                    return None
                if header.max_timestamp >= timestamp and header.last_offset >= self._start:
                    found = first_record(
                        segment.file, header, timestamp, max(self._start, header.base_offset)
                    )
                    if found is not None:
                        return found if found[0] < end_offset else None
        return None

    def offset_of_max_timestamp(self, end_offset: int) -> tuple[int, int] | None:
        best: tuple[int, Segment, BatchHeader] | None = None
        """(greatest timestamp, its segment, its batch)"""
        for segment in self._segments:
            if segment.base_offset >= end_offset or (
                best is not None and segment.max_timestamp <= best[0]
            ):
                continue
            header = _latest_batch(segment, end_offset, self._start)
            if header is not None and (best is None or header.max_timestamp > best[0]):
                best = header.max_timestamp, segment, header
        if best is None or best[0] < 0:
            return None
        timestamp, segment, header = best
        return first_record(segment.file, header, timestamp, header.base_offset)

    # ---- epochs
    def load_epochs(self) -> list[tuple[int, int]]:
        end = self.log_end_offset
        entries = [(e, s) for e, s in files.read_epochs(self.directory / EPOCHS) if s <= end]
        # The file is not flushed: a power cut may lose entries that the batches still show.
        for epoch, start in self._epochs_found:
            if start < end and (not entries or epoch > entries[-1][0]):
                entries.append((epoch, max(start, entries[-1][1] if entries else start)))
        # Epochs that ended before the log start have no batch any more.
        while len(entries) > 1 and entries[1][1] <= self._start:
            entries.pop(0)
        return entries

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        files.write_epochs(self.directory / EPOCHS, entries)

    # ---- flushing and closing
    def unflushed(self) -> list[tuple[Segment, LogFile, int]]:
        """Return (segment, its file, its size now) of the segments that a flush has to write."""
        return [(s, s.file, s.size) for s in self._segments if s.flushed_size < s.size]

    def recovery_point(self) -> int:
        """Return the offset before which everything is on the disk."""
        for segment in self._segments:
            if segment.flushed_size < segment.size:
                return segment.base_offset
        return self.log_end_offset

    def close(self) -> None:
        """Write the last index entries and close the files."""
        for segment in self._segments:
            segment.seal()
            segment.close()

    def release(self) -> None:
        """Release the files, which are being deleted."""
        for segment in self._segments:
            segment.offsets.release()
            segment.times.release()
        self._segments.clear()


def _latest_batch(segment: Segment, end_offset: int, start_offset: int) -> BatchHeader | None:
    """Return the first batch with the greatest timestamp of the segment's batches in
    [start_offset, end_offset)."""
    # The usual case: the segment's greatest timestamp is within the range.
    if end_offset >= segment.next_offset and segment.max_timestamp_offset >= start_offset:
        position = segment.position_of(segment.max_timestamp_offset)
        return next(segment.headers(position), None)
    # Else begin at the greatest timestamp that the index has before the end, and read on.
    i = segment.times.find(end_offset - 1 - segment.base_offset, 1)
    position = 0
    if i >= 0:
        position = segment.position_of(segment.base_offset + segment.times.entry(i)[1])
    position = max(
        position, segment.position_of(start_offset) if start_offset > segment.base_offset else 0
    )
    best: BatchHeader | None = None
    for header in segment.headers(position):
        if header.base_offset >= end_offset:
            break
        if best is None or header.max_timestamp > best.max_timestamp:
            best = header
    return best


def first_record(
    file: LogFile, header: BatchHeader, timestamp: int, least_offset: int
) -> tuple[int, int] | None:
    """Return (offset, timestamp) of the first record of a batch that is at or after both
    ``timestamp`` and ``least_offset``, or None.

    Raises:
        StorageFailed: the batch cannot be read.
    """
    from kafka_protocol.records.batch import TIMESTAMP_APPEND_TIME

    if header.attributes & TIMESTAMP_APPEND_TIME:
        return max(header.base_offset, least_offset), header.max_timestamp
    if header.record_count == 1 and header.base_offset >= least_offset:
        return header.base_offset, header.max_timestamp
    from kafka_protocol.records.compression import CannotDecompress
    from kafka_protocol.records.record import InvalidRecord, records

    batch = file.read(header.size, header.position)
    try:
        for record in records(batch):
            if record.timestamp >= timestamp and record.offset >= least_offset:
                return record.offset, record.timestamp
    except (InvalidRecord, CannotDecompress):
        # Return the batch: a reader of it meets the damage and reports it.
        return max(header.base_offset, least_offset), header.max_timestamp
    return None


def encode_uuid(value: UUID) -> str:
    """Encode an id as Kafka does: URL-safe base64 without padding."""
    import base64

    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def decode_uuid(text: str) -> UUID:
    """Decode an id as Kafka writes it. Raises: ValueError."""
    import base64

    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))
