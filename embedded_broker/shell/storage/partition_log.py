"""One partition's log on this broker's disk: segments in a directory named ``topic-partition``.

States: open -> failed (the disk refused; reads of what is there may still work) -> closed or
deleted. All calls come from the broker's loop; only ``flush_files`` hands descriptors to the
flusher's thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

from embedded_broker.core.ports import SegmentInfo, StorageFailed
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.recovery import LastStop, open_segments
from embedded_broker.shell.storage.segment import MAX_RELATIVE_OFFSET, Segment
from embedded_broker.shell.storage.slices import NOTHING, FileSlice, LogFile
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader

EPOCHS = "leader-epoch-checkpoint"
IDENTITY = "partition.metadata"
Remove = Callable[[list[Path]], None]
"""Takes files away some time later, off the loop."""


class DiskPartitionLog:
    """See ``core.ports.PartitionLog`` for what is promised."""

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
        self._bases: list[int] = []
        self._start = 0
        self._size = 0
        self._segment_bytes = 1 << 30
        self._segment_ms = 7 * 24 * 3600 * 1000
        self._index_interval = 4096
        self._epochs_seen: list[tuple[int, int]] = []
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
        """Raises: StorageFailed."""
        log = cls(directory, topic, topic_id, partition, remove)
        try:
            directory.mkdir()
        except OSError as e:
            raise StorageFailed(f"cannot make {directory}: {e.strerror or e}") from e
        identity = f"version: 0\ntopic_id: {encode_uuid(topic_id)}\n"
        files.write_whole(directory / IDENTITY, identity, durable=False)
        log._begin(0, now_ms)
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
        """Recover what is there. Raises: StorageFailed."""
        log = cls(directory, topic, topic_id, partition, remove)
        recovered = open_segments(directory, last_stop, recovery_point, log._index_interval)
        log.was_corrupt, log.cut_bytes = recovered.corrupt, recovered.cut_bytes
        log._epochs_seen = recovered.epochs
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
        if active.size and self._due(active, size, headers, now_ms):
            self._roll(headers[0].base_offset, now_ms)
            active = self._active
        elif not active.size and headers[0].base_offset > active.next_offset:
            self._restart(headers[0].base_offset, now_ms)
            active = self._active
        active.append(records, headers, self._index_interval, now_ms)
        self._size += size

    def _due(self, active: Segment, size: int, headers: Sequence[BatchHeader], now_ms: int) -> bool:
        if active.size + size > self._segment_bytes:
            return True
        if headers[-1].last_offset - active.base_offset > MAX_RELATIVE_OFFSET or active.index_full:
            return True
        first = active.first_timestamp
        waited = headers[0].max_timestamp - first if first >= 0 else now_ms - active.created_ms
        return waited > self._segment_ms

    def roll(self) -> None:
        if self._active.size:
            self._roll(self._active.next_offset, self._active.modified_ms)

    def _roll(self, base_offset: int, now_ms: int) -> None:
        self._active.seal()
        self._begin(base_offset, now_ms)

    def _restart(self, offset: int, now_ms: int) -> None:
        """The empty active segment gets another name."""
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
            return NOTHING
        i = len(self._bases) - 1
        segment = active
        if start_offset < active.base_offset:
            i = max(0, bisect_right(self._bases, start_offset) - 1)
            segment = self._segments[i]
        start = segment.position_of(start_offset)
        while start == segment.size:
            i += 1
            segment = self._segments[i]
            start = segment.position_of(start_offset)
        limit = segment.size if end >= segment.next_offset else segment.position_of(end)
        if limit - start > max_bytes:
            cut = segment.boundary(start, start + max_bytes)
            if cut == start:
                cut = min(limit, segment.end_of_batch(start)) if at_least_one else start
            limit = min(limit, cut)
        return FileSlice(segment.file, start, limit - start) if limit > start else NOTHING

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
        self._epochs_seen = []

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
        known = [(e, s) for e, s in files.read_epochs(self.directory / EPOCHS) if s <= end]
        for epoch, start in self._epochs_seen:
            if start < end and (not known or epoch > known[-1][0]):
                known.append((epoch, max(start, known[-1][1] if known else start)))
        while len(known) > 1 and known[1][1] <= self._start:
            known.pop(0)
        return known

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        files.write_epochs(self.directory / EPOCHS, entries)

    # ---- the disk's side
    def unflushed(self) -> list[tuple[Segment, LogFile, int]]:
        """What a flush has to bring to the disk: segment, its file, and the size that is flushed
        when it is done."""
        return [(s, s.file, s.size) for s in self._segments if s.flushed_size < s.size]

    def recovery_point(self) -> int:
        """Everything before this offset is on the disk."""
        for segment in self._segments:
            if segment.flushed_size < segment.size:
                return segment.base_offset
        return self.log_end_offset

    def close(self) -> None:
        for segment in self._segments:
            segment.seal()
            segment.close()

    def release(self) -> None:
        """Let go of files that are being deleted."""
        for segment in self._segments:
            segment.offsets.release()
            segment.times.release()
        self._segments.clear()


def _latest_batch(segment: Segment, end_offset: int, start_offset: int) -> BatchHeader | None:
    """The first batch with the segment's greatest timestamp among those in [start_offset,
    end_offset)."""
    if end_offset >= segment.next_offset and segment.max_timestamp_offset >= start_offset:
        position = segment.position_of(segment.max_timestamp_offset)
        return next(segment.headers(position), None)
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
    """(offset, timestamp) of the first record in a batch at or after both ``timestamp`` and
    ``least_offset``."""
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
        return max(
            header.base_offset, least_offset
        ), header.max_timestamp  # its reader meets the damage there
    return None


def encode_uuid(value: UUID) -> str:
    """As Kafka writes ids: base64 for addresses, without padding."""
    import base64

    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def decode_uuid(text: str) -> UUID:
    import base64

    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))
