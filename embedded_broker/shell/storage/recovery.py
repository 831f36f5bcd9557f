"""Opening a partition's directory: finding which bytes of it are a log (decision 0014).

After a shutdown, everything is as it was left. After a kill in the same boot of the machine, the
page cache still has every complete write, so only the end can be torn: the last TAIL_BYTES of the
newest segment are read with checksums. After a power cut, everything past the recovery point is
read with checksums, and its indexes are rebuilt. The metadata log is small and is always read.

The log ends before the first batch that is incomplete, corrupt or out of order, and before the
first missing segment. A torn end is dropped; what was complete once is kept in a ``-stray`` folder.
Older batches are read with checksums when they are first served (``Segment.check``).
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from uuid import uuid4

from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.checking import READ_BYTES, follows, whole_batches
from embedded_broker.shell.storage.segment import Segment, file_name
from kafka_protocol.records.batch import HEADER_SIZE, BatchHeader, CorruptBatch, read_header

TAIL_BYTES = 64 * 1024 * 1024
STRAY = "-stray"
"""End of the names of folders that hold what is not used any more."""


class LastStop(Enum):
    """Says how the previous process of this directory ended."""

    CLEAN = "shut down"
    KILLED = "was killed"
    CRASHED = "ended with the machine, or on another one"


@dataclass(slots=True)
class Recovered:
    """The result of a recovery."""

    segments: list[Segment]
    cut_bytes: int = 0
    corrupt: bool = False
    """Whether a complete batch was invalid or a segment is missing, so that more than a torn end is
    lost."""
    deleted: dict[Path, int] = field(default_factory=dict)
    """Files of segments that the previous process was deleting, and their base offsets."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a recovery may believe of a log without reading it."""

    last_stop: LastStop
    recovery_point: int
    """The offset before which everything was on the disk."""
    index_interval: int
    """Bytes between index entries."""
    unread: bool = True
    """Whether batches that can only have rotted may stay unread."""


def open_segments(directory: Path, trust: Trust) -> Recovered:
    """Recover the segments of a log, oldest first; none when the directory has none.

    Files that an earlier process left half done are removed, but for those of ``deleted``.

    Raises:
        LogDamaged: a file cannot be read.
        StorageFailed: the directory cannot be read, or a file not opened or cut.
    """
    try:
        return _recover(directory, trust)
    except OSError as e:
        raise StorageFailed(f"cannot recover {directory}: {e.strerror or e}") from e


def _recover(directory: Path, trust: Trust) -> Recovered:
    result = Recovered([])
    bases = []
    for path in sorted(directory.iterdir()):
        base = files.natural(path.name.split(".")[0])
        if path.suffix == ".deleted" and base is not None:
            result.deleted[path] = base
        elif path.suffix in (".deleted", ".swap", ".tmp", ".cleaned"):
            path.unlink(missing_ok=True)
        elif path.suffix == ".log" and base is not None:
            bases.append(base)
    # An empty segment but the newest has lost its bytes, or was about to be replaced.
    for base in bases[:-1]:
        if not (directory / file_name(base, ".log")).stat().st_size:
            bases.remove(base)
            _delete(Segment(directory, base, 0, create=False))
    crashed = trust.last_stop is LastStop.CRASHED
    for i, base in enumerate(bases):
        next_base = bases[i + 1] if i + 1 < len(bases) else None
        modified_ms = int((directory / file_name(base, ".log")).stat().st_mtime * 1000)
        segment = Segment(directory, base, modified_ms, create=False)
        result.segments.append(segment)
        _open(segment, next_base, trust, result)
        if i and crashed and _epoch_goes_back(result.segments[-2], segment):
            # Left from before a truncation: a power cut has brought its name back.
            result.segments.pop()
            _set_aside(directory, bases[i:], result)
            break
        if next_base is not None and segment.next_offset != next_base:
            # A log has no holes: what follows one is not part of it.
            _set_aside(directory, bases[i + 1 :], result)
            break
    return result


def _set_aside(directory: Path, bases: list[int], result: Recovered) -> None:
    """Take these segments out of the log, and keep their files beside it."""
    result.corrupt = True
    later = [Segment(directory, base, 0, create=False) for base in bases]
    result.cut_bytes += sum(_file_size(dropped) for dropped in later)
    aside = _aside(directory)
    for dropped in later:
        os.replace(dropped.path, aside / dropped.path.name)
        _delete(dropped)


def _epoch_goes_back(before: Segment, after: Segment) -> bool:
    """Return whether a segment begins with an older leader epoch than the one before ends with."""
    with suppress(LogDamaged):  # a reader of it meets the damage and reports it
        first, last = next(after.headers(0), None), before.recount()
        return first is not None and last is not None and first.leader_epoch < last.leader_epoch
    return False


def _aside(directory: Path) -> Path:
    """Make a folder beside the log for what is no longer part of it."""
    folder = directory.with_name(f"{directory.name[:190]}.{uuid4().hex}{STRAY}")
    folder.mkdir()
    return folder


def _delete(segment: Segment) -> None:
    for left in segment.delete():
        left.unlink(missing_ok=True)


def _open(segment: Segment, next_base: int | None, trust: Trust, result: Recovered) -> None:
    """Set the bounds of a segment, and cut off what is not a log. Raises: OSError."""
    segment.size = _file_size(segment)
    # A clean stop has flushed the bytes, and with the first of them the names.
    segment.file.names_unsynced = trust.last_stop is not LastStop.CLEAN or segment.size == 0
    segment.offsets.open()
    segment.times.open()
    trusted = trust.unread and segment.offsets.rises() and segment.times.rises() and _fits(segment)
    crashed = trust.last_stop is LastStop.CRASHED
    # A sealed segment has changed no more since its successor began: only its end is read.
    if (
        trusted
        and next_base is not None
        and (not crashed or next_base <= trust.recovery_point)
        and _leads_to(segment, next_base)
    ):
        segment.next_offset = next_base
        segment.unchecked_size = segment.size
        if next_base <= trust.recovery_point:  # else the process was killed before it flushed it
            segment.flushed_size = segment.size
        _read_first(segment)
        return
    if trusted and next_base is None and trust.last_stop is LastStop.CLEAN:
        start = (segment.offsets.last() or (0, 0))[1]
    elif trusted and next_base is None and trust.last_stop is LastStop.KILLED:
        # A kill tears at most the last write; more is read to find bytes that rotted meanwhile.
        i = segment.offsets.find(segment.size - TAIL_BYTES, 1)
        start = segment.offsets.entry(i)[1] if i >= 0 else 0
    else:
        start = 0
    _scan(segment, start, trust, result)


def _leads_to(segment: Segment, next_base: int) -> bool:
    """Return whether the last batch of a sealed segment, whose timestamps are counted with it, ends
    where the next segment begins."""
    with suppress(LogDamaged):
        last = segment.recount()
        return (
            last is not None
            and last.position + last.size == segment.size
            and last.next_offset == next_base
        )
    return False


def _file_size(segment: Segment) -> int:
    return segment.path.stat().st_size


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


def _scan(segment: Segment, start: int, trust: Trust, result: Recovered) -> None:
    """Read the batches from ``start`` with checksums and rebuild their index entries; cut off what
    is not a log."""
    size = segment.size
    # Forget what lies behind ``start``, and count it again batch by batch.
    segment.offsets.cut(segment.offsets.find(start - 1, 1) + 1 if start else 0)
    segment.size = start
    segment.next_offset = segment.base_offset
    if start:
        entry = segment.offsets.last()
        base = segment.base_offset if entry is None else segment.base_offset + entry[0]
        segment.times.cut(segment.times.find(base - segment.base_offset, 1) + 1)
        segment.next_offset = base
        _read_first(segment)
    else:
        segment.times.cut(0)
    segment.recount()
    expected, epoch = -1 if start else segment.base_offset, -1
    corrupt = False
    for header in whole_batches(segment.file, start, size):
        if header is None or not follows(header, expected, epoch):
            corrupt = True
            break
        _count(segment, header, trust.index_interval)
        expected, epoch = header.next_offset, header.leader_epoch
    if segment.size == start and start:
        # Even the append of the trusted index entry is missing: trust no entry, read everything.
        segment.size = size
        _scan(segment, 0, trust, result)
        return
    segment.unchecked_size = start
    torn = size - segment.size
    if torn:
        result.cut_bytes += torn
        result.corrupt |= corrupt
        # What a power cut left of writes that were never on the disk is of no use.
        crashed = trust.last_stop is LastStop.CRASHED
        if corrupt and (not crashed or segment.next_offset < trust.recovery_point):
            shutil.copyfile(segment.path, _aside(segment.directory) / segment.path.name)
        segment.cut(segment.size, segment.next_offset)


def _count(segment: Segment, header: BatchHeader, index_interval: int) -> None:
    """Extend the segment by a batch, as an append of it would have."""
    if segment.since_entry > index_interval:
        segment.add_index_entries(header.last_offset, header.position)
    if segment.first_timestamp < 0:
        segment.first_timestamp = header.max_timestamp
    segment.note_timestamp(header)
    segment.size = header.position + header.size
    segment.next_offset = header.next_offset
    segment.since_entry += header.size
