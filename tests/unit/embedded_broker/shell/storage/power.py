"""A disk that loses power and fails, for the real storage code.

The code runs on a real directory. Its calls of the operating system are watched where Python makes
them, so pathlib and shutil are too, and for each file and folder it is kept what POSIX promises to
be on the disk: a file's bytes as of its last fsync, a folder's entries as of its own last fsync.
``lose_power`` leaves in a new directory what a power cut may leave: that, and of everything after
it a random part. The entries of a folder change in the order of the calls, each as a whole; the
bytes of a file that are not synced are torn anywhere, mixed with those before, or zeros.

``fail_after`` lets a later call that changes something fail, as on a full or broken disk; a write
may write a part first.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from embedded_broker.shell import platform

SECTOR = 512


@dataclass(eq=False)
class Node:
    """A file or folder, as far as it is on the disk."""

    is_folder: bool
    data: bytes = b""
    """A file's bytes as of its last fsync."""
    last: bytes = b""
    """Its bytes when its name was removed."""
    entries: dict[str, Node] = field(default_factory=dict)
    """A folder's entries as of its last fsync."""
    changes: list[dict[str, Node]] = field(default_factory=list)
    """The entries after each call since then."""


class PowerLossDisk:
    """Watches ``root`` and everything below it, from ``watched`` on."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        """The directory that is watched; ``lose_power`` moves on to another."""
        self._rng = rng
        self._nodes: dict[int, Node] = {}
        """By inode number, of what is in the directory now."""
        self._real: dict[str, Callable[..., Any]] = {}
        self._calls_left = -1
        """Calls until one fails; below zero, none does."""
        self._failures = 0
        self._error = errno.EIO
        self.failed = 0
        """Calls that have failed."""
        self.full = self.failing = False
        """Whether nothing can be added, or changed, until this is set back."""
        root.mkdir(parents=True, exist_ok=True)
        self._note_tree(root)

    # ---- what fails
    def fail_after(self, calls: int, error: int, count: int = 1) -> None:
        """Let ``count`` calls fail with this error, after so many that succeed."""
        self._calls_left, self._error, self._failures = calls, error, count

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._calls_left = -1

    def _may_fail(self, grows: bool = False) -> None:
        if self.failing or (self.full and grows):
            self.failed += 1
            error = errno.EIO if self.failing else errno.ENOSPC
            raise OSError(error, os.strerror(error))
        if self._calls_left < 0:
            return
        if self._calls_left > 0:
            self._calls_left -= 1
            return
        self._failures -= 1
        if not self._failures:
            self._calls_left = -1
        self.failed += 1
        raise OSError(self._error, os.strerror(self._error))

    # ---- what is watched
    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the calls of this process."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "open"):
                self._patch(patch, os, name, getattr(self, f"_{name}", self._changing))
            self._patch(patch, os, "fsync", self._fsync)
            self._patch(patch, platform, "fdatasync", self._fsync, key="fsync")
            for name in ("pwrite", "ftruncate", "truncate", "posix_fallocate"):
                self._patch(patch, os, name, self._writing)
            yield

    def _patch(
        self, patch: pytest.MonkeyPatch, owner: Any, name: str, by: Any, key: str = ""
    ) -> None:
        real = self._real.setdefault(key or name, getattr(owner, name))

        def call(*args: Any, **kwargs: Any) -> Any:
            return by(real, *args, **kwargs)

        patch.setattr(owner, name, call)

    def _is_below(self, path: Any) -> bool:
        return not isinstance(path, int) and Path(os.fspath(path)).is_relative_to(self.root)

    def _node(self, status: os.stat_result, is_folder: bool) -> Node:
        return self._nodes.setdefault(status.st_ino, Node(is_folder))

    def _note_tree(self, folder: Path) -> None:
        """Take what is there now for durable."""
        node = self._node(folder.stat(), True)
        for path in folder.iterdir():
            if path.is_dir():
                self._note_tree(path)
            else:
                self._node(path.stat(), False).data = path.read_bytes()
        node.entries, node.changes = self._entries(folder), []

    def _entries(self, folder: Path) -> dict[str, Node]:
        """What a folder holds now."""
        with os.scandir(folder) as found:
            return {
                entry.name: self._node(entry.stat(follow_symlinks=False), entry.is_dir())
                for entry in sorted(found, key=lambda entry: entry.name)
            }

    def _changed(self, *paths: Any) -> None:
        for folder in {Path(os.fspath(path)).parent for path in paths}:
            if folder.is_dir() and folder.is_relative_to(self.root):
                self._nodes[folder.stat().st_ino].changes.append(self._entries(folder))

    def _changing(self, real: Any, *args: Any, **kwargs: Any) -> Any:
        """A call that changes the entries of one or two folders."""
        paths = [path for path in args[:2] if isinstance(path, str | os.PathLike)]
        if kwargs.get("dir_fd") is not None:  # shutil.rmtree
            paths = [Path(os.readlink(f"/proc/self/fd/{kwargs['dir_fd']}")) / args[0]]
        if not any(map(self._is_below, paths)):
            return real(*args, **kwargs)
        self._may_fail(grows=real is self._real["mkdir"])
        contents = {
            status.st_ino: Path(os.fspath(path)).read_bytes()
            for path in paths
            if (status := _status(path)) and stat.S_ISREG(status.st_mode)
        }
        result = real(*args, **kwargs)
        left = {status.st_ino for path in paths if (status := _status(path))}
        for number in contents:
            if number not in left:  # another file may get this number
                self._nodes.pop(number, Node(False)).last = contents[number]
        self._changed(*paths)
        return result

    def _rmdir(self, real: Any, *args: Any, **kwargs: Any) -> Any:
        path = Path(os.fspath(args[0]))
        if kwargs.get("dir_fd") is not None:
            path = Path(os.readlink(f"/proc/self/fd/{kwargs['dir_fd']}")) / args[0]
        status = _status(path)
        result = self._changing(real, *args, **kwargs)
        if status is not None and self._is_below(path):
            self._nodes.pop(status.st_ino, None)
        return result

    def _open(self, real: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if not (self._is_below(path) and flags & os.O_CREAT):
            return int(real(path, flags, *args, **kwargs))
        self._may_fail(grows=True)
        is_new = not os.path.exists(path)
        fd = int(real(path, flags, *args, **kwargs))
        if is_new:
            self._changed(path)
        return fd

    def _writing(self, real: Any, target: Any, *args: Any) -> Any:
        path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else target
        if self._is_below(path):
            try:
                self._may_fail(grows=real in (self._real["pwrite"], self._real["posix_fallocate"]))
            except OSError:
                if real is self._real["pwrite"] and self._rng.random() < 0.5:
                    data, position = args
                    real(target, data[: self._rng.randrange(len(data))], position)
                raise
        return real(target, *args)

    def _fsync(self, real: Any, fd: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}").removesuffix(" (deleted)"))
        if not self._is_below(path):
            real(fd)
            return
        status = os.fstat(fd)
        self._may_fail()
        node = self._nodes.get(status.st_ino)
        if node is None:
            return  # it was deleted
        if node.is_folder:
            node.entries, node.changes = self._entries(path), []
        else:
            node.data = path.read_bytes()

    def flip_bit(self, path: Path, position: int) -> None:
        """Change a bit of a file as it is and as it is on the disk."""
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        node = self._nodes[path.stat().st_ino]
        with path.open("r+b") as file:
            file.seek(position)
            file.write(data[position : position + 1])
        if position < len(node.data):
            node.data = bytes(data[: len(node.data)])

    # ---- what is left
    def lose_power(self, target: Path, worst: bool = False) -> None:
        """Write to ``target``, which does not exist, what a power cut may leave, and watch that
        from now on. In the ``worst`` case only what has been synced is left."""
        current: dict[int, bytes] = {}
        by_id = {id(node): number for number, node in self._nodes.items()}
        for path in self.root.rglob("*"):
            if path.is_file():
                current[path.stat().st_ino] = path.read_bytes()
        target.mkdir()

        def restore(folder: Node, place: Path) -> None:
            states = [folder.entries, *folder.changes]
            reached = self._rng.choice((0, len(states) - 1, self._rng.randrange(len(states))))
            reached = 0 if worst else reached
            for name, node in states[reached].items():
                if node.is_folder:
                    (place / name).mkdir()
                    restore(node, place / name)
                else:
                    now = current.get(by_id.get(id(node), -1), node.last)
                    left = node.data if worst else self._left_of(node.data, now)
                    (place / name).write_bytes(left)

        restore(self._nodes[self.root.stat().st_ino], target)
        self.root, self._nodes = target, {}
        self._note_tree(target)

    def _left_of(self, durable: bytes, now: bytes) -> bytes:
        """The bytes of a file of which only ``durable`` was synced."""
        rng = self._rng
        if durable == now or rng.random() < 0.2:
            return durable
        size = rng.choice((len(durable), len(now), len(now)))
        if len(now) > len(durable):
            size = rng.choice((size, rng.randint(len(durable), len(now))))
        left = bytearray(now[:size].ljust(size, b"\0"))
        kind = rng.randrange(3)
        for start in range(0, size, SECTOR):
            end = min(start + SECTOR, size)
            if durable[start:end] == now[start:end] or kind == 0:
                continue
            if rng.random() < 0.3:  # this sector has not been written
                old = durable[start:end]
                left[start:end] = old.ljust(end - start, b"\0")
        return bytes(left)


def _status(path: Any) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
