"""An offset checkpoint that is written from two threads: in the background, and in the loop's
before a log is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from embedded_broker.shell.storage import files

Offsets = dict[tuple[str, int], int]


class Checkpoint:
    """The file of (topic, partition) -> offset at ``path``. ``found`` is what the start read; None
    without a whole file."""

    def __init__(self, path: Path) -> None:
        """Raises: StorageFailed."""
        self._path = path
        self.found = files.read_offsets(path)
        self._most: Offsets = dict(self.found or {})
        self._lock = Lock()

    def most(self, key: tuple[str, int]) -> int:
        """The largest offset of this log that a start may find in the file now."""
        return self._most.get(key, 0)

    def has(self, offsets: Offsets) -> bool:
        """Return whether the file certainly has these."""
        return offsets == self._most

    def write(self, current: Callable[[], Offsets]) -> None:
        """Write the values of the moment of writing, so that no older ones replace newer.

        Raises:
            StorageFailed: the file has the old values or the new ones.
        """
        with self._lock:
            offsets = dict(current())
            for key, offset in offsets.items():
                self._most[key] = max(offset, self._most.get(key, 0))
            files.write_offsets(self._path, offsets)
            self._most = offsets
