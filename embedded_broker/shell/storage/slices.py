"""Open log files, and the slices of them that answer a Fetch."""

from __future__ import annotations

import os
from pathlib import Path

from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage.identity import IDENTITY


class LogFile:
    """An open .log file. It closes with its last reference: a slice in a response that is not sent
    yet keeps it open after its segment was deleted."""

    __slots__ = ("__weakref__", "fd", "names_unsynced", "path")

    def __init__(self, path: Path, create: bool) -> None:
        """Raises: StorageFailed."""
        # Also of a file that is there: a process that was killed may have made it.
        self.names_unsynced = True
        flags = (
            os.O_RDWR
            | platform.O_BINARY
            | getattr(os, "O_CLOEXEC", 0)
            | (os.O_CREAT if create else 0)
        )
        self.path = path
        self.fd = -1
        try:
            self.fd = os.open(path, flags, 0o600)
        except OSError as e:
            raise StorageFailed(f"cannot open {path}: {e.strerror or e}") from e

    def read(self, size: int, position: int) -> bytes:
        """Read at most ``size`` bytes; fewer only at the end of the file. Raises: LogDamaged."""
        try:
            return platform.pread(self.fd, size, position)
        except OSError as e:
            raise LogDamaged(f"cannot read {self.path}: {e.strerror or e}") from e

    def sync(self) -> None:
        """Flush the bytes to the disk, and once also the file's name, its folder's, and what says
        whose log it is. Called by the flusher's thread too. Raises: OSError."""
        platform.fdatasync(self.fd)
        if self.names_unsynced:
            # Without its identity, the next start would set the whole log aside.
            platform.sync_file(self.path.with_name(IDENTITY))
            platform.sync_directory(self.path.parent)
            platform.sync_directory(self.path.parent.parent)
            self.names_unsynced = False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()


class FileSlice:
    """Whole batches in a log file: ``size`` bytes at ``position``, to be sent with sendfile.

    Its bytes never change: a file with slices is replaced by a copy instead of truncated (see
    ``Segment.cut``).
    """

    __slots__ = ("file", "position", "size")

    def __init__(self, file: LogFile | None, position: int, size: int) -> None:
        self.file = file
        self.position = position
        self.size = size

    def __len__(self) -> int:
        return self.size

    def tobytes(self) -> bytes:
        """Read the slice. Raises: LogDamaged."""
        if self.file is None or self.size == 0:
            return b""
        data = self.file.read(self.size, self.position)
        if len(data) != self.size:
            raise LogDamaged(f"{self.file.path} ends before {self.position + self.size}")
        return data


EMPTY_SLICE = FileSlice(None, 0, 0)
