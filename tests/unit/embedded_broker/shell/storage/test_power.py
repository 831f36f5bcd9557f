"""The disk of these tests forgets what was not synced, and nothing else."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage import files
from tests.unit.embedded_broker.shell.storage.power import PowerLossDisk


def written(path: Path, data: bytes, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    platform.write_all(fd, data, 0)
    if sync:
        os.fsync(fd)
    os.close(fd)


def test_that_the_worst_power_cut_leaves_what_was_synced(tmp_path: Path) -> None:
    disk = PowerLossDisk(tmp_path / "a", random.Random(1))
    with disk.watched():
        root = disk.root
        written(root / "kept", b"old", sync=True)
        written(root / "unsynced", b"data", sync=False)
        platform.sync_directory(root)
        written(root / "kept", b"newer", sync=False)
        written(root / "nameless", b"data", sync=True)
        os.replace(root / "kept", root / "renamed")
        (root / "folder").mkdir()
        disk.lose_power(tmp_path / "b", worst=True)
    left = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert left == {"kept": b"old", "unsynced": b""}


def test_that_a_power_cut_may_leave_anything_between_the_synced_and_the_newest(
    tmp_path: Path,
) -> None:
    seen: set[tuple[tuple[str, bytes], ...]] = set()
    for seed in range(200):
        disk = PowerLossDisk(tmp_path / f"{seed}a", random.Random(seed))
        with disk.watched():
            written(disk.root / "f", b"old", sync=True)
            platform.sync_directory(disk.root)
            files.write_whole(disk.root / "f", "newer", durable=False)
            disk.lose_power(tmp_path / f"{seed}b")
        seen.add(tuple((p.name, p.read_bytes()) for p in sorted(disk.root.iterdir())))
    assert (("f", b"old"),) in seen and (("f", b"newer"),) in seen
    assert any(name == "f.tmp" for names in seen for name, _ in names)
    # Renamed before its bytes were there.
    assert (("f", b""),) in seen and any(d in b"newer" and 0 < len(d) < 5 for ((_, d), *_) in seen)


def test_that_a_call_fails_when_it_is_due(tmp_path: Path) -> None:
    disk = PowerLossDisk(tmp_path / "a", random.Random(1))
    with disk.watched():
        for calls in range(5):  # open, write, fsync, replace, fsync of the folder
            disk.fail_after(calls, errno.ENOSPC)
            with pytest.raises(StorageFailed, match="No space"):
                files.write_whole(disk.root / "f", "data", durable=True)
        disk.fail_after(5, errno.ENOSPC)
        files.write_whole(disk.root / "f", "data", durable=True)
    assert disk.failed == 5
