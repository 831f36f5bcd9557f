"""Looking up records by their timestamps, which need not rise: a segment or batch qualifies by its
greatest one, and then its records are read one by one."""

from __future__ import annotations

from collections.abc import Sequence

from embedded_broker.shell.storage.segment import Segment
from embedded_broker.shell.storage.slices import LogFile
from kafka_protocol.records.batch import TIMESTAMP_APPEND_TIME, BatchHeader


def offset_for_timestamp(
    segments: Sequence[Segment], log_start: int, timestamp: int, end_offset: int
) -> tuple[int, int] | None:
    """See ``PartitionLog.offset_for_timestamp``. Raises: LogDamaged."""
    for segment in list(segments):
        if segment.base_offset >= end_offset:
            return None
        if segment.max_timestamp < timestamp or segment.next_offset <= log_start:
            continue
        for header in segment.headers(segment.position_by_time(timestamp)):
            if header.base_offset >= end_offset:
                return None
            if header.max_timestamp >= timestamp and header.last_offset >= log_start:
                found = first_record(
                    segment.file, header, timestamp, max(log_start, header.base_offset)
                )
                if found is not None:
                    return found if found[0] < end_offset else None
    return None


def offset_of_max_timestamp(
    segments: Sequence[Segment], log_start: int, end_offset: int
) -> tuple[int, int] | None:
    """See ``PartitionLog.offset_of_max_timestamp``. Raises: LogDamaged."""
    best: tuple[int, Segment, BatchHeader] | None = None
    """(greatest timestamp, its segment, its batch)"""
    for segment in segments:
        if segment.base_offset >= end_offset or (
            best is not None and segment.max_timestamp <= best[0]
        ):
            continue
        header = _latest_batch(segment, end_offset, log_start)
        if header is not None and (best is None or header.max_timestamp > best[0]):
            best = header.max_timestamp, segment, header
    if best is None or best[0] < 0:
        return None
    timestamp, segment, header = best
    return first_record(segment.file, header, timestamp, header.base_offset)


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
