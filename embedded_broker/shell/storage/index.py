"""A segment's two indexes as memory-mapped files: a lookup is a binary search, an entry is eight
or twelve bytes.

``.index``: int32 (last offset of an append, less the segment's base), int32 (where in the file
that append starts). ``.timeindex``: int64 (greatest timestamp so far), int32 (last offset of the
batch that has it, less the base). Both are sparse, strictly rising, big-endian, not checksummed;
a doubtful one is rebuilt from the log. Kafka allots a file of its full size at once; here it
doubles from one page, and is trimmed when the segment closes.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path

from embedded_broker.core.ports import StorageFailed

OFFSET_ENTRY = struct.Struct(">ii")
TIME_ENTRY = struct.Struct(">qi")
FIRST_ENTRIES = 340
"""Fits one page in either index."""


def allot(fd: int, size: int) -> None:
    """Grow a file and take its blocks now: a store into a mapped hole on a full disk would kill
    the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:
        os.ftruncate(fd, size)


class MappedIndex:
    """Entries of one fixed form; the file is made with the first of them. Not thread-safe."""

    def __init__(self, path: Path, entry: struct.Struct, max_bytes: int) -> None:
        self.path = path
        self._entry = entry
        self._max = max_bytes // entry.size
        self._map: mmap.mmap | None = None
        self._capacity = 0
        self.count = 0

    @property
    def full(self) -> bool:
        return self.count >= self._max

    def open(self) -> None:
        """Read what the file holds; entries after the last one that rises are not counted.

        Call before the first other call when the file may exist.
        """
        self.count = 0
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        capacity = size // self._entry.size
        if capacity == 0:
            return
        self._remap(capacity)
        low, high = 0, capacity
        while low < high:  # the unused end is zeros
            middle = (low + high) // 2
            if any(self.entry(middle)):
                low = middle + 1
            else:
                high = middle
        self.count = low

    def rises(self) -> bool:
        """Whether no entry is negative, and each is greater in both numbers than the one before."""
        first, second = -1, -1
        for i in range(self.count):
            a, b = self.entry(i)
            if a <= first or b <= second:
                return False
            first, second = a, b
        return True

    def entry(self, i: int) -> tuple[int, int]:
        assert self._map is not None
        return self._entry.unpack_from(self._map, i * self._entry.size)

    def last(self) -> tuple[int, int] | None:
        return self.entry(self.count - 1) if self.count else None

    def append(self, first: int, second: int) -> None:
        """Raises: StorageFailed."""
        if self.count >= self._capacity:
            self._remap(min(max(FIRST_ENTRIES, 2 * self._capacity), max(self._max, self.count + 1)))
        assert self._map is not None
        self._entry.pack_into(self._map, self.count * self._entry.size, first, second)
        self.count += 1

    def find(self, value: int, column: int) -> int:
        """The place of the last entry whose ``column`` is at most ``value``; -1 when there is
        none."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.entry(middle)[column] <= value:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def cut(self, count: int) -> None:
        """Keep the first ``count`` entries; what follows becomes zeros again."""
        if count >= self.count or self._map is None:
            return
        size = self._entry.size
        self._map[count * size : self.count * size] = bytes((self.count - count) * size)
        self.count = count

    def trim(self) -> None:
        """Give back the unused end of the file and unmap it; the next use maps it again."""
        if self._map is not None:
            self._unmap()
            with open(self.path, "r+b") as f:
                f.truncate(self.count * self._entry.size)
            if self.count:
                self._remap(self.count)

    def close(self) -> None:
        if self._map is not None:
            self._unmap()
            with suppress(FileNotFoundError):  # the segment was deleted meanwhile
                os.truncate(self.path, self.count * self._entry.size)

    def release(self) -> None:
        """Unmap without touching the file, which is being deleted."""
        if self._map is not None:
            self._unmap()

    def _unmap(self) -> None:
        assert self._map is not None
        self._map.close()
        self._map = None
        self._capacity = 0

    def _remap(self, capacity: int) -> None:
        if self._map is not None:
            self._unmap()
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            try:
                if os.fstat(fd).st_size < capacity * self._entry.size:
                    allot(fd, capacity * self._entry.size)
                self._map = mmap.mmap(fd, capacity * self._entry.size)
            finally:
                os.close(fd)
        except OSError as e:
            raise StorageFailed(f"cannot map {self.path}: {e.strerror or e}") from e
        self._capacity = capacity
