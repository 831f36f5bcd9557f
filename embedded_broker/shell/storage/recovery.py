"""Opening a partition's directory: finding which bytes of it are a log (decision 0014).

After a shutdown, everything is as it was left. After a kill in the same boot of the machine, the
page cache still has every complete write, so only the end can be torn: the last TAIL_BYTES of the
newest segment are read with checksums. After a power cut, everything past the recovery point is
read with checksums, and its indexes are rebuilt. The log ends before the first batch that is
incomplete, corrupt or out of order; what follows is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage.segment import Segment
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    BatchHeader,
    CorruptBatch,
    crc_matches,
    read_header,
)

TAIL_BYTES = 64 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024


class LastStop(Enum):
    """Says how the previous process of this directory ended."""

    CLEAN = "shut down"
    KILLED = "was killed"
    CRASHED = "ended with the machine, or on another one"


@dataclass(slots=True)
class Recovered:
    """The result of a recovery."""

    segments: list[Segment]
    epochs: list[tuple[int, int]] = field(default_factory=list)
    """Leader epochs of the batches that were read, each with its first offset."""
    cut_bytes: int = 0
    corrupt: bool = False
    """Whether a complete batch was invalid, so that more than a torn end is lost."""


def open_segments(
    directory: Path, last_stop: LastStop, recovery_point: int, index_interval: int
) -> Recovered:
    """Recover the segments of a log, oldest first; none when the directory has none.

    Files that an earlier process left half done are removed.

    Raises:
        StorageFailed: the directory or a file cannot be read or cut.
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
            # A log has no holes: what follows a cut is not part of it.
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
    """Set the bounds of a segment; False when its end had to be cut off."""
    segment.size = _file_size(segment)
    segment.offsets.open()
    segment.times.open()
    trusted = segment.offsets.rises() and segment.times.rises() and _fits(segment)
    crashed = last_stop is LastStop.CRASHED
    # A sealed segment has changed no more since its successor began: no batch of it is read.
    if trusted and next_base is not None and (not crashed or next_base <= recovery_point):
        segment.next_offset = next_base
        segment.flushed_size = segment.size
        _read_first(segment)
        segment.recount()
        return True
    if trusted and last_stop is LastStop.CLEAN:
        start = (segment.offsets.last() or (0, 0))[1]
    elif trusted and last_stop is LastStop.KILLED:
        # A kill tears at most the last write; more is read to find bytes that rotted meanwhile.
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
    """Return whether the last index entry points at a batch that it can be of."""
    last = segment.offsets.last()
    if last is None:
        return segment.size <= 2 * READ_BYTES  # an index that was lost would cost a scan each time
    if last[1] + HEADER_SIZE > segment.size:
        return False
    try:
        header = read_header(segment.file.read(HEADER_SIZE, last[1]))
    except CorruptBatch:
        return False
    last_offset = segment.base_offset + last[0]
    return header.size >= HEADER_SIZE and segment.base_offset <= header.base_offset <= last_offset


def _read_first(segment: Segment) -> None:
    """Set the timestamp from which segment.ms counts."""
    if segment.size >= HEADER_SIZE:
        # A sealed segment is not checked here: a reader of it meets the damage and reports it.
        with suppress(CorruptBatch):
            header = read_header(segment.file.read(HEADER_SIZE, 0))
            segment.first_timestamp = header.max_timestamp


def _scan(segment: Segment, start: int, index_interval: int, result: Recovered) -> bool:
    """Read the batches from ``start`` with checksums and rebuild their index entries; cut off what
    is not a log. False when something was cut off."""
    size = segment.size
    # Forget what lies behind ``start``, and count it again batch by batch.
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
    for header in _complete_batches(segment, start, size):
        # The checksum does not cover offset and epoch: a log is dense (nothing compacts it) and
        # its epochs only rise.
        if header is None or not _follows(header, expected, epoch):
            corrupt = True
            break
        _count(segment, header, index_interval, result)
        expected, epoch = header.next_offset, header.leader_epoch
    if segment.size == start and start:
        # Even the append of the trusted index entry is missing: trust no entry, read everything.
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
    """Extend the segment by a batch, as an append of it would have."""
    if segment.since_entry > index_interval:
        segment.add_index_entries(header.last_offset, header.position)
    if segment.first_timestamp < 0:
        segment.first_timestamp = header.max_timestamp
    segment.note_timestamp(header)
    if not result.epochs or header.leader_epoch > result.epochs[-1][0]:
        result.epochs.append((header.leader_epoch, header.base_offset))
    segment.size = header.position + header.size
    segment.next_offset = header.next_offset
    segment.since_entry += header.size


def _complete_batches(segment: Segment, start: int, size: int) -> Iterator[BatchHeader | None]:
    """Yield the complete batches with valid checksums. Ends at an incomplete one, and with None at
    a complete one that is invalid."""
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
            header = read_header(data, at)
        except CorruptBatch:
            yield None
            return
        if header.size < HEADER_SIZE:
            yield None
            return
        if position + header.size > size:
            return
        if at + header.size > len(data):
            # The batch is longer than what was read: read again, from its start.
            data = segment.file.read(max(header.size, min(READ_BYTES, size - position)), position)
            data_start, at = position, 0
            if len(data) < header.size:
                return
            header = header._replace(position=at)
        if not crc_matches(data, header):
            yield None
            return
        yield header._replace(position=position)
        position += header.size
