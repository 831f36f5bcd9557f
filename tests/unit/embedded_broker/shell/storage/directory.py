"""A log directory with one full log, for the storage's tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID

from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed

ID = UUID(int=7)
COUNT = 60
"""Batches of one record in the log of these tests, about six in a segment."""
SEGMENT = 500


def opened(path: Path) -> LogDirectory:
    return LogDirectory(path, 1, "cluster-a", boot_id="boot-1")


def log_of(disk: LogDirectory, topic: str = "t") -> DiskPartitionLog:
    log = disk.log(topic, 0)
    assert log is not None
    return log


def fill(disk: LogDirectory, topic: str = "t", epochs: tuple[int, ...] = (2, 4, 4)) -> None:
    """A log of COUNT offsets, of which each of the epochs wrote the same number."""
    log = disk.create_log(topic, ID, 0)
    log.configure(SEGMENT, 10**9, 100)
    for offset in range(COUNT):
        epoch = epochs[offset * len(epochs) // COUNT]
        data = batch(offset, timestamp=1000 + offset, epoch=epoch)
        log.append(data, parsed(data), 0)
    starts: dict[int, int] = {}
    for i, epoch in enumerate(epochs):
        starts.setdefault(epoch, i * COUNT // len(epochs))
    log.save_epochs(sorted(starts.items()))


def flush(disk: LogDirectory) -> None:
    for log in disk.logs():
        for unflushed, file, size in log_of(disk, log.topic).unflushed():
            file.sync()
            unflushed.flushed_size = size


def files_of(path: Path) -> list[Path]:
    return sorted((path / "t-0").glob("*.log"))


def without_oldest(path: Path) -> None:
    files_of(path)[0].unlink()


def without_folder(path: Path) -> None:
    shutil.rmtree(path / "t-0")
