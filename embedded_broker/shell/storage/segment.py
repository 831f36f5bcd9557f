"""One segment of a partition's log: a .log file and its two sparse indexes.

The positions of the newest batches are kept in memory, so that a read near the end, which is
nearly every read, accesses no file to find its bounds.
"""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage.checking import follows, whole_batches
from embedded_broker.shell.storage.index import OFFSET_ENTRY, TIME_ENTRY, MappedIndex
from embedded_broker.shell.storage.slices import LogFile
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import HEADER_SIZE, BatchHeader, CorruptBatch, read_header

RECENT = 4096
"""Batches of which the positions are in memory, at most; after trimming it is half of that."""
CHUNK = 16_384
"""Bytes read at a time to walk over batch headers."""
CHECK_BYTES = 1 << 22
"""Bytes read with checksums for one read, about 2 ms."""
CHECK_BATCHES = 4096
"""Batches read with checksums for one read, about 15 ms when they are small."""
NOTHING_CHECKED = (0, 0, -1, -1)
CUT_UNSYNCED = -1
COPY = 1 << 20
"""Bytes copied at a time."""
INDEX_BYTES = 10 * 1024 * 1024
MAX_RELATIVE_OFFSET = 2**31 - 1


def file_name(base_offset: int, suffix: str) -> str:
    """The name of a file of the segment that begins at this offset."""
    return f"{base_offset:020d}{suffix}"


class Segment:
    """The batches of offsets [base_offset, next_offset). Only the active segment is appended to.

    ``create`` makes an empty file; without it the file exists, and recovery sets the bounds.
    """

    def __init__(
        self, directory: Path, base_offset: int, created_ms: int, create: bool = True
    ) -> None:
        self.directory = directory
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size = 0
        """Bytes that are valid; the file may be longer after a failed write."""
        self.max_timestamp = -1
        self.max_timestamp_offset = -1
        """Last offset of the first batch with ``max_timestamp``."""
        self.first_timestamp = -1
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.flushed_size = 0
        """Bytes that are on the disk; below zero after a cut, which is not there yet itself."""
        self.path = directory / file_name(base_offset, ".log")
        self.offsets = MappedIndex(
            directory / file_name(base_offset, ".index"), OFFSET_ENTRY, INDEX_BYTES
        )
        self.times = MappedIndex(
            directory / file_name(base_offset, ".timeindex"), TIME_ENTRY, INDEX_BYTES
        )
        self.file = self._create() if create else LogFile(self.path, create=False)
        self.since_entry = 0
        """Bytes since the append of the last index entry."""
        self._torn = False
        """Whether the file is longer than ``size`` after a failed write."""
        self.unchecked_size = 0
        """Bytes at the start of the file in which no checksum has been compared since it was
        opened, but for those of ``_checked``."""
        self._checked = NOTHING_CHECKED
        """A part of them that has been read since: its first position, its end, the offset that is
        next there (-1: any), and the leader epoch before it."""
        self._recent_offsets = array("q")
        self._recent_positions = array("q")
        """Base offset and position of the newest batches, without a gap up to the end."""

    def _create(self) -> LogFile:
        """Make an empty file, in place of one of this name if there is one.

        Raises:
            StorageFailed: the old file is still there, perhaps without its indexes.
        """
        temporary = self.path.with_suffix(".log.swap")
        try:
            # An index that a failed deletion left would be taken for this segment's.
            for stale in (temporary, self.offsets.path, self.times.path):
                stale.unlink(missing_ok=True)
            file = LogFile(temporary, create=True)
            os.replace(temporary, self.path)
        except OSError as e:
            raise StorageFailed(f"cannot create {self.path}: {e.strerror or e}") from e
        file.path = self.path
        return file

    # ---- writing
    def append(
        self, records: Buffer, headers: Sequence[BatchHeader], index_interval: int, now_ms: int
    ) -> None:
        """Append batches with one write; ``index_interval`` bytes lie between index entries.

        Raises:
            StorageFailed: and none of the batches is readable.
        """
        position, size = self.size, len(records)
        last = headers[-1]
        if self.since_entry > index_interval:
            # The entries first, because they may need space too; undone when the write fails.
            counts = self.offsets.count, self.times.count
            try:
                self.add_index_entries(last.last_offset, position)
                self._write(records, position)
            except StorageFailed:
                self.offsets.cut(counts[0])
                self.times.cut(counts[1])
                raise
        else:
            self._write(records, position)
        if len(headers) == 1:
            self._recent_offsets.append(last.base_offset)
            self._recent_positions.append(position)
        else:
            self._recent_offsets.extend([h.base_offset for h in headers])
            self._recent_positions.extend([position + h.position for h in headers])
        # Half at once: dropping one per append would move the whole array each time.
        if len(self._recent_offsets) > RECENT:
            del self._recent_offsets[: RECENT // 2]
            del self._recent_positions[: RECENT // 2]
        if self.first_timestamp < 0:
            self.first_timestamp = headers[0].max_timestamp
        for header in headers:
            self.note_timestamp(header)
        self.size = position + size
        self.next_offset = last.last_offset + 1
        self.modified_ms = now_ms
        self.since_entry += size

    def note_timestamp(self, header: BatchHeader) -> None:
        """Count a batch in ``max_timestamp``."""
        if header.max_timestamp > self.max_timestamp:
            self.max_timestamp = header.max_timestamp
            self.max_timestamp_offset = header.last_offset

    def _write(self, records: Buffer, position: int) -> None:
        """Write all of the bytes, or raise StorageFailed and leave none."""
        try:
            platform.write_all(self.file.fd, records, position)
        except OSError as e:
            # Remove the part that was written: it was never readable, so no slice refers to it.
            # Should even that fail, ``size`` still says where the log ends, and the next start
            # cuts the torn end off.
            self._torn = True
            with suppress(StorageFailed):
                self._remove_torn_end()
            raise StorageFailed(f"cannot write {self.path}: {e.strerror or e}") from e

    def _remove_torn_end(self) -> None:
        """Cut the file to its valid bytes. Raises: StorageFailed."""
        try:
            os.ftruncate(self.file.fd, self.size)
        except OSError as e:
            raise StorageFailed(f"cannot cut {self.path}: {e.strerror or e}") from e
        self._torn = False

    def add_index_entries(self, last_offset: int, position: int) -> None:
        """Index an append that starts at ``position`` and ends with ``last_offset``; call it before
        the append's own timestamps count."""
        self.offsets.append(last_offset - self.base_offset, position)
        self.add_time_entry()
        self.since_entry = 0

    def add_time_entry(self) -> None:
        """Index the greatest timestamp so far, unless it is there already."""
        if self.max_timestamp <= 0:
            return
        last = self.times.last()
        relative = self.max_timestamp_offset - self.base_offset
        if last is None or (self.max_timestamp > last[0] and relative > last[1]):
            self.times.append(self.max_timestamp, relative)

    @property
    def index_full(self) -> bool:
        """Return whether one of the indexes has no room for a further entry."""
        return self.offsets.full or self.times.full

    def seal(self) -> None:
        """End the appends: add the last time entry and trim the index files.

        Raises:
            StorageFailed: the file ends with a part of a failed write, in front of which no other
                segment may follow.
        """
        if self._torn:
            self._remove_torn_end()
        self.add_time_entry()
        self.offsets.trim()
        self.times.trim()

    def cut(self, position: int, next_offset: int) -> None:
        """Drop the batches at and after ``position``, a batch boundary, so that the segment ends
        at ``next_offset``.

        Raises:
            StorageFailed: the disk failed.
        """
        relative = next_offset - 1 - self.base_offset
        self.offsets.cut(
            min(self.offsets.find(position - 1, 1), self.offsets.find(relative, 0)) + 1
        )
        self.times.cut(self.times.find(relative, 1) + 1)
        try:
            # Responses that are not sent yet may hold slices of the file: those bytes must stay,
            # so the file is then replaced by a copy. (One reference is ours, one getrefcount's.)
            if sys.getrefcount(self.file) > 2:
                self._replace_file(position)
            else:
                os.ftruncate(self.file.fd, position)
        except OSError as e:
            raise StorageFailed(f"cannot cut {self.path}: {e.strerror or e}") from e
        keep = bisect_right(self._recent_positions, position - 1)
        del self._recent_positions[keep:], self._recent_offsets[keep:]
        self.size = position
        # A power cut may bring back what was cut off, in this file and in those behind it, and
        # what is appended behind them until then would not fit any more.
        self.flushed_size = CUT_UNSYNCED
        self.file.names_unsynced = True
        self.unchecked_size = min(self.unchecked_size, position)
        self._checked = NOTHING_CHECKED
        self.next_offset = next_offset
        self.recount()

    def _replace_file(self, size: int) -> None:
        """Continue with a copy of the first ``size`` bytes of the file.

        Raises:
            StorageFailed, OSError: the file is the old one.
        """
        temporary = self.path.with_suffix(".log.swap")
        temporary.unlink(missing_ok=True)
        fresh = LogFile(temporary, create=True)
        position = 0
        while position < size:
            data = self.file.read(min(COPY, size - position), position)
            if not data:
                raise LogDamaged(f"{self.path} ends before {size}")
            platform.write_all(fresh.fd, data, position)
            position += len(data)
        # What was on the disk before must be there after a power cut too.
        platform.fdatasync(fresh.fd)
        os.replace(temporary, self.path)
        fresh.path = self.path
        self.file = fresh

    def recount(self) -> BatchHeader | None:
        """Derive ``max_timestamp`` and ``since_entry`` from the indexes and the batches after their
        last entries; return the last of these. Raises: LogDamaged."""
        last_time = self.times.last()
        self.max_timestamp, self.max_timestamp_offset = -1, -1
        if last_time is not None:
            self.max_timestamp = last_time[0]
            self.max_timestamp_offset = last_time[1] + self.base_offset
        last = self.offsets.last()
        start = last[1] if last is not None else 0
        self.since_entry = self.size - start
        header = None
        for header in self.headers(start):
            self.note_timestamp(header)
        return header

    # ---- checking
    def needs_check(self, start: int, limit: int) -> bool:
        """Return whether batches in [start, limit) were never read with their checksums."""
        begin, end, _, _ = self._checked
        return start < self.unchecked_size and not begin <= start <= limit <= end

    def check(self, start: int, limit: int, offset: int) -> int:
        """Read the batches from position ``start``, whose first has ``offset``, up to ``limit``
        with their checksums, at least one, about CHECK_BYTES and CHECK_BATCHES at most; return
        where the last whole one ends.

        Raises:
            LogDamaged: there is no whole batch with ``offset`` at ``start``.
        """
        begin, reached, expected, epoch = self._checked
        if not begin <= start <= reached:
            begin, reached, expected, epoch = start, start, -1, -1
        limit = min(limit, reached + CHECK_BYTES)
        batches = whole_batches(self.file, reached, self.size, max(CHUNK, limit - reached))
        for header in islice(batches, CHECK_BATCHES):
            if header is None or not follows(header, expected, epoch):
                break
            if expected < 0 and not header.base_offset <= offset <= header.last_offset:
                break
            end = header.position + header.size
            if end > limit and reached > start:
                break
            reached, expected, epoch = end, header.next_offset, header.leader_epoch
            if reached >= limit:
                break
        # At the end, the last batch leads to the next segment.
        if reached == start or (reached == self.size and expected != self.next_offset):
            raise LogDamaged(f"{self.path} is damaged at {start}, where offset {offset} has to be")
        self._checked = begin, reached, expected, epoch
        if begin == 0 and reached >= self.unchecked_size:
            self.unchecked_size = 0
        return reached

    # ---- finding
    def headers(self, position: int) -> Iterator[BatchHeader]:
        """Yield the headers from a batch boundary to the end, with their positions in the file.

        Raises:
            LogDamaged: the file cannot be read, or has no batch where one has to be.
        """
        chunk, chunk_start = b"", position
        while position < self.size:
            at = position - chunk_start
            if at + HEADER_SIZE > len(chunk):
                chunk = self.file.read(min(CHUNK, self.size - position), position)
                chunk_start, at = position, 0
            try:
                header = read_header(chunk, at)
            except CorruptBatch as e:
                raise LogDamaged(f"{self.path} has no batch at {position}: {e}") from e
            if header.size < HEADER_SIZE:
                raise LogDamaged(f"{self.path} has no batch at {position}")
            yield header._replace(position=position)
            position += header.size

    def position_of(self, offset: int) -> int:
        """Return where the batch with ``offset``, which is not below ``base_offset``, starts; past
        the end, the size. Raises: LogDamaged: there is none."""
        if offset >= self.next_offset:
            return self.size
        recent = self._recent_offsets
        if recent and offset >= recent[0]:
            return self._recent_positions[bisect_right(recent, offset) - 1]
        i = self.offsets.find(offset - self.base_offset, 0)
        for header in self.headers(self.offsets.entry(i)[1] if i >= 0 else 0):
            if header.last_offset >= offset:
                return header.position
        raise LogDamaged(f"{self.path} has no batch with offset {offset}")

    def boundary(self, start: int, limit: int) -> int:
        """Return the last batch boundary in [start, limit]; ``start`` is one."""
        if limit >= self.size:
            return self.size
        recent = self._recent_positions
        if recent and limit >= recent[0]:
            return max(start, recent[bisect_right(recent, limit) - 1])
        i = self.offsets.find(limit, 1)
        at = max(start, self.offsets.entry(i)[1] if i >= 0 else 0)
        for header in self.headers(at):
            if header.position + header.size > limit:
                return header.position
        return self.size

    def end_of_batch(self, position: int) -> int:
        """Return where the batch that starts at ``position`` ends."""
        recent = self._recent_positions
        if recent and position >= recent[0]:
            i = bisect_right(recent, position)
            return recent[i] if i < len(recent) else self.size
        return position + next(self.headers(position)).size

    def position_by_time(self, timestamp: int) -> int:
        """Return a batch boundary before which every record is older than ``timestamp``."""
        i = self.times.find(timestamp, 0)
        if i < 0:
            return 0
        reached, relative = self.times.entry(i)
        # The entry's batch is the first with its timestamp: all batches before it are older.
        return self.position_of(self.base_offset + relative) if reached <= timestamp else 0

    # ---- end
    def close(self) -> None:
        """Close the three files."""
        self.offsets.close()
        self.times.close()
        self.file.close()

    def release(self) -> None:
        """Let go of the indexes, whose files are deleted or replaced."""
        self.offsets.release()
        self.times.release()

    def delete(self) -> list[Path]:
        """Rename the files out of the log and return the new names, which are to be removed.
        Slices of the open file can still be sent.

        Raises:
            StorageFailed: the segment is still there.
        """
        left = []
        for path in (self.path, self.offsets.path, self.times.path):
            renamed = path.with_name(path.name + ".deleted")
            try:
                os.replace(path, renamed)
            except FileNotFoundError:
                continue
            except OSError as e:
                if path != self.path:
                    continue  # an index without its segment is ignored
                raise StorageFailed(f"cannot delete {path}: {e.strerror or e}") from e
            left.append(renamed)
        self.release()
        return left
