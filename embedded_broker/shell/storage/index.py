"""A segment's two indexes as memory-mapped files, searched by bisection.

An entry of ``.index`` is int32 (last offset of an append, relative to the segment's base offset)
and int32 (position of that append in the file). An entry of ``.timeindex`` is int64 (greatest
timestamp so far) and int32 (relative last offset of the batch that has it). Both are big-endian,
sparse and strictly rising in both numbers. They have no checksum: a doubtful one is rebuilt from
the log. Kafka allocates the full size at once; here a file starts with one page, doubles, and is
trimmed when the segment is sealed.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

from embedded_broker.core.ports import StorageFailed

OFFSET_ENTRY = struct.Struct(">ii")
TIME_ENTRY = struct.Struct(">qi")
FIRST_ENTRIES = 340
"""The entries of the first page of a file, in either index."""


def allocate(fd: int, size: int) -> None:
    """Grow a file and reserve its blocks: on a full disk, a store into a hole of a mapped file
    would kill the process with SIGBUS instead of raising an error."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:
        os.ftruncate(fd, size)


class MappedIndex:
    """A file of fixed-size entries, created with the first of them. Not thread-safe.

    ``count`` entries are in use; the file beyond them is zeros.
    """

    def __init__(self, path: Path, entry: struct.Struct, max_bytes: int) -> None:
        self.path = path
        self._entry = entry
        self._max = max_bytes // entry.size
        self._map: mmap.mmap | None = None
        self._capacity = 0
        self.count = 0

    @property
    def full(self) -> bool:
        """Return whether no entry can be added, so that the segment has to be rolled."""
        return self.count >= self._max

    def open(self) -> None:
        """Map an existing file and find its ``count``; call it before anything else."""
        self.count = 0
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        capacity = size // self._entry.size
        if capacity == 0:
            return
        self._remap(capacity)
        # No entry is all zeros (timestamps and positions of entries are above 0), and after the
        # last one there are only zeros: bisect for the boundary.
        low, high = 0, capacity
        while low < high:
            middle = (low + high) // 2
            if any(self.entry(middle)):
                low = middle + 1
            else:
                high = middle
        self.count = low

    def rises(self) -> bool:
        """Return whether the entries are valid: none negative, each above the one before in both
        numbers."""
        first, second = -1, -1
        for i in range(self.count):
            a, b = self.entry(i)
            if a <= first or b <= second:
                return False
            first, second = a, b
        return True

    def entry(self, i: int) -> tuple[int, int]:
        """Return the entry at this index."""
        assert self._map is not None
        return self._entry.unpack_from(self._map, i * self._entry.size)

    def last(self) -> tuple[int, int] | None:
        """Return the last entry, or None."""
        return self.entry(self.count - 1) if self.count else None

    def append(self, first: int, second: int) -> None:
        """Add an entry.

        Raises:
            StorageFailed: there is no space for it on the disk.
        """
        if self.count >= self._capacity:
            self._remap(min(max(FIRST_ENTRIES, 2 * self._capacity), max(self._max, self.count + 1)))
        assert self._map is not None
        self._entry.pack_into(self._map, self.count * self._entry.size, first, second)
        self.count += 1

    def find(self, value: int, column: int) -> int:
        """Return the index of the last entry whose ``column`` is at most ``value``, or -1."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.entry(middle)[column] <= value:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def cut(self, count: int) -> None:
        """Keep the first ``count`` entries, and fill the rest with zeros, which mark it as
        unused."""
        if count >= self.count or self._map is None:
            return
        size = self._entry.size
        self._map[count * size : self.count * size] = bytes((self.count - count) * size)
        self.count = count

    def trim(self) -> None:
        """Cut the file to its entries, to save space: without success, the zeros after them
        stay."""
        if self.count == 0:
            self.close()
        elif self.count < self._capacity:
            with suppress(StorageFailed):
                self._remap(self.count, trim=True)

    def close(self) -> None:
        """Unmap the file and cut it to its entries, if the file is there and the disk allows it."""
        if self._map is not None:
            self._unmap()
            with suppress(OSError):
                os.truncate(self.path, self.count * self._entry.size)

    def release(self) -> None:
        """Unmap the file without changing it, because it is being deleted."""
        if self._map is not None:
            self._unmap()

    def _unmap(self) -> None:
        assert self._map is not None
        self._map.close()
        self._map = None
        self._capacity = 0

    def _remap(self, capacity: int, trim: bool = False) -> None:
        """Map ``capacity`` entries, for which the file grows, or shrinks with ``trim``.

        Raises:
            StorageFailed: the mapping is the old one.
        """
        size = capacity * self._entry.size
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                if os.fstat(fd).st_size < size:
                    allocate(fd, size)
                fresh = mmap.mmap(fd, size)
                if trim and sys.platform != "win32":  # which refuses to cut a mapped file
                    os.ftruncate(fd, size)
            finally:
                os.close(fd)
        except OSError as e:
            raise StorageFailed(f"cannot map {self.path}: {e.strerror or e}") from e
        if self._map is not None:
            self._unmap()
        self._map, self._capacity = fresh, capacity
