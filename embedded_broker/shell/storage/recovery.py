"""Opening a partition's directory: which bytes of it are a log.

After an orderly stop everything is as it was left. After a kill in the same boot of the machine
the page cache still has every whole write, so only the end can be torn: the last stretch of the
newest segment is read with checksums. After a power cut everything past the recovery point is
read with checksums and its indexes are made again. The log ends before the first batch that is
cut off, corrupt, or out of order; what follows it is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage.segment import Segment
from kafka_protocol.records.batch import (
    CRC_START,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_V2,
    BatchHeader,
)
from kafka_protocol.records.checksum import crc32c

TAIL_BYTES = 64 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024


class LastStop(Enum):
    """How the process that had this directory ended."""

    CLEAN = "in order"
    KILLED = "killed, the machine went on"
    CRASHED = "with the machine, or before a change of machine"


@dataclass(slots=True)
class Recovered:
    segments: list[Segment]
    epochs: list[tuple[int, int]] = field(default_factory=list)
    """Leader epochs of the batches that were read, with their first offset there."""
    cut_bytes: int = 0
    corrupt: bool = False
    """Whether a whole batch was bad, and not only the end missing."""


def open_segments(
    directory: Path, last_stop: LastStop, recovery_point: int, index_interval: int
) -> Recovered:
    """The segments of a log, oldest first, recovered; an empty list when the directory holds none.

    Raises: StorageFailed.
    """
    try:
        names = sorted(p for p in directory.iterdir())
    except OSError as e:
        raise StorageFailed(f"cannot read {directory}: {e.strerror or e}") from e
    bases = []
    for path in names:
        if path.suffix in (".deleted", ".swap", ".tmp", ".cleaned"):
            path.unlink(missing_ok=True)
        elif path.suffix == ".log" and path.stem.isdigit():
            bases.append(int(path.stem))
    result = Recovered([])
    for i, base in enumerate(bases):
        newest = i == len(bases) - 1
        modified_ms = int((directory / f"{base:020d}.log").stat().st_mtime * 1000)
        segment = Segment(directory, base, modified_ms, create=False)
        result.segments.append(segment)
        intact = _open(
            segment,
            bases[i + 1] if not newest else None,
            last_stop,
            recovery_point,
            index_interval,
            result,
        )
        if not intact and not newest:
            for later in bases[i + 1 :]:
                dropped = Segment(directory, later, 0, create=False)
                result.cut_bytes += _file_size(dropped)
                for left in dropped.delete():
                    left.unlink(missing_ok=True)
            break
    return result


def _open(
    segment: Segment,
    next_base: int | None,
    last_stop: LastStop,
    recovery_point: int,
    index_interval: int,
    result: Recovered,
) -> bool:
    """Set the segment's bounds; False when something had to be cut off."""
    segment.size = _file_size(segment)
    segment.offsets.open()
    segment.times.open()
    trusted = segment.offsets.rises() and segment.times.rises() and _fits(segment)
    crashed = last_stop is LastStop.CRASHED
    if trusted and next_base is not None and (not crashed or next_base <= recovery_point):
        segment.next_offset = next_base
        segment.flushed_size = segment.size
        _read_first(segment)
        segment.recount()
        return True
    if trusted and last_stop is LastStop.CLEAN:
        start = (segment.offsets.last() or (0, 0))[1]
    elif trusted and last_stop is LastStop.KILLED:
        i = segment.offsets.find(segment.size - TAIL_BYTES, 1)
        start = segment.offsets.entry(i)[1] if i >= 0 else 0
    else:
        start = 0
    return _scan(segment, start, index_interval, result)


def _file_size(segment: Segment) -> int:
    try:
        return segment.path.stat().st_size
    except OSError as e:
        raise StorageFailed(f"cannot read {segment.path}: {e.strerror or e}") from e


def _fits(segment: Segment) -> bool:
    """Whether the last index entry points at the batches it claims to."""
    last = segment.offsets.last()
    if last is None:
        return segment.size <= 2 * READ_BYTES
    if last[1] + HEADER_SIZE > segment.size:
        return False
    base, length, _epoch, magic, *_rest = HEADER.unpack(segment.file.read(HEADER_SIZE, last[1]))
    return bool(
        magic == MAGIC_V2
        and length + LOG_OVERHEAD >= HEADER_SIZE
        and segment.base_offset <= base <= segment.base_offset + last[0]
    )


def _read_first(segment: Segment) -> None:
    if segment.size >= HEADER_SIZE:
        header = HEADER.unpack(segment.file.read(HEADER_SIZE, 0))
        segment.first_timestamp = header[8]


def _scan(segment: Segment, start: int, index_interval: int, result: Recovered) -> bool:
    """Read batches with checksums from ``start``, making index entries again; cut off what is not
    a log."""
    size = segment.size
    segment.offsets.cut(segment.offsets.find(start - 1, 1) + 1 if start else 0)
    segment.size = start
    segment.next_offset = segment.base_offset
    if start:
        entry = segment.offsets.last()
        base = segment.base_offset if entry is None else segment.base_offset + entry[0]
        segment.times.cut(segment.times.find(base - segment.base_offset, 1) + 1)
        segment.recount()
        segment.next_offset = base
        _read_first(segment)
    else:
        segment.times.cut(0)
    expected, epoch = -1 if start else segment.base_offset, -1
    corrupt = False
    for header in _whole_batches(segment, start, size):
        # Offset and epoch are outside the checksum; a log is dense (nothing here compacts) and
        # epochs only rise.
        if header is None or not _follows(header, expected, epoch):
            corrupt = True
            break
        _count(segment, header, index_interval, result)
        expected, epoch = header.next_offset, header.leader_epoch
    if segment.size == start and start:
        # Nothing after a trusted entry: the entry's own append is gone, look at all of it.
        segment.size = size
        return _scan(segment, 0, index_interval, result)
    torn = size - segment.size
    if torn:
        result.cut_bytes += torn
        result.corrupt |= corrupt
        segment.cut(segment.size, segment.next_offset)
    return torn == 0


def _follows(header: BatchHeader, expected: int, epoch: int) -> bool:
    return (
        (expected < 0 or header.base_offset == expected)
        and header.last_offset >= header.base_offset
        and header.leader_epoch >= epoch
    )


def _count(segment: Segment, header: BatchHeader, index_interval: int, result: Recovered) -> None:
    if segment._since_entry > index_interval:
        segment.add_index_entries(header.last_offset, header.position)
    if segment.first_timestamp < 0:
        segment.first_timestamp = header.max_timestamp
    if header.max_timestamp > segment.max_timestamp:
        segment.max_timestamp, segment.max_timestamp_offset = (
            header.max_timestamp,
            header.last_offset,
        )
    if not result.epochs or header.leader_epoch > result.epochs[-1][0]:
        result.epochs.append((header.leader_epoch, header.base_offset))
    segment.size = header.position + header.size
    segment.next_offset = header.next_offset
    segment._since_entry += header.size


def _whole_batches(segment: Segment, start: int, size: int) -> Iterator[BatchHeader | None]:
    """Whole batches with right checksums; None once for one that is whole and wrong; ends at a
    cut-off one."""
    position, data, data_start = start, b"", start
    while position < size:
        at = position - data_start
        if at + HEADER_SIZE > len(data):
            data, data_start, at = (
                segment.file.read(min(READ_BYTES, size - position), position),
                position,
                0,
            )
            if len(data) < HEADER_SIZE:
                return
        try:
            (
                base,
                length,
                epoch,
                magic,
                crc,
                attributes,
                delta,
                first_ts,
                max_ts,
                pid,
                pepoch,
                seq,
                count,
            ) = HEADER.unpack_from(data, at)
        except struct.error:
            return
        whole = length + LOG_OVERHEAD
        if magic != MAGIC_V2 or whole < HEADER_SIZE:
            yield None
            return
        if position + whole > size:
            return
        if at + whole > len(data):
            data = segment.file.read(max(whole, min(READ_BYTES, size - position)), position)
            data_start, at = position, 0
            if len(data) < whole:
                return
        if crc32c(memoryview(data)[at + CRC_START : at + whole]) != crc:
            yield None
            return
        yield BatchHeader(
            position,
            whole,
            base,
            base + delta,
            epoch,
            attributes,
            first_ts,
            max_ts,
            pid,
            pepoch,
            seq,
            count,
        )
        position += whole
