"""Looking up batches by their timestamps, which need not rise: a segment or batch qualifies by its
greatest one."""

from __future__ import annotations

from collections.abc import Sequence

from embedded_broker.shell.storage.segment import Segment
from kafka_protocol.records.batch import BatchHeader


def batch_at_time(
    segments: Sequence[Segment], timestamp: int, start_offset: int, end_offset: int
) -> bytes | None:
    """See ``PartitionLog.batch_at_time``. Raises: LogDamaged."""
    for segment in list(segments):
        if segment.base_offset >= end_offset:
            return None
        if segment.max_timestamp < timestamp or segment.next_offset <= start_offset:
            continue
        position = segment.position_by_time(timestamp)
        if start_offset > segment.base_offset:
            position = max(position, segment.position_of(start_offset))
        for header in segment.headers(position):
            if header.base_offset >= end_offset:
                return None
            if header.max_timestamp >= timestamp and header.last_offset >= start_offset:
                return segment.file.read(header.size, header.position)
    return None


def batch_of_max_timestamp(
    segments: Sequence[Segment], log_start: int, end_offset: int
) -> bytes | None:
    """See ``PartitionLog.batch_of_max_timestamp``. Raises: LogDamaged."""
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
    _, segment, header = best
    return segment.file.read(header.size, header.position)


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
