"""The small files of a log directory: checkpoints and properties, written whole or not at all.

Formats are Kafka's: a checkpoint is a version line, a count line, and one line an entry.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell import platform


def write_whole(path: Path, text: str, durable: bool) -> None:
    """Replace the file: a reader, or a start after a crash, finds the old text or the new one.

    ``durable``: on the disk when this returns.
    Raises: StorageFailed.
    """
    name = os.fspath(path)
    temporary = name + ".tmp"
    data = text.encode()
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | platform.O_BINARY, 0o644)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, name)
        if durable:
            platform.sync_directory(path.parent)
    except OSError as e:
        raise StorageFailed(f"cannot write {path}: {e.strerror or e}") from e


def read_text(path: Path) -> str | None:
    """None when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise StorageFailed(f"cannot read {path}: {e}") from e


def write_offsets(path: Path, offsets: dict[tuple[str, int], int]) -> None:
    """An offset checkpoint: ``topic partition offset`` a line."""
    lines = [
        f"{topic} {partition} {offset}\n" for (topic, partition), offset in sorted(offsets.items())
    ]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=True)


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
    """Empty when the file is absent or unreadable: what it holds can always be found again, only
    slower."""
    found: dict[tuple[str, int], int] = {}
    for fields in _entries(read_text(path), 3):
        topic, partition, offset = fields
        if partition.isdigit() and offset.isdigit():
            found[topic, int(partition)] = int(offset)
    return found


def write_epochs(path: Path, entries: Sequence[tuple[int, int]]) -> None:
    """leader-epoch-checkpoint: ``epoch startOffset`` a line. Not flushed: every batch carries its
    epoch."""
    lines = [f"{epoch} {start}\n" for epoch, start in entries]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=False)


def read_epochs(path: Path) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for epoch, start in _entries(read_text(path), 2):
        if not (epoch.isdigit() and start.isdigit()):
            break
        entry = int(epoch), int(start)
        if found and not (entry[0] > found[-1][0] and entry[1] >= found[-1][1]):
            break
        found.append(entry)
    return found


def _entries(text: str | None, width: int) -> Iterable[list[str]]:
    lines = (text or "").splitlines()
    if len(lines) < 2 or lines[0] != "0":
        return
    for line in lines[2:]:
        fields = line.split(" ")
        if len(fields) != width:
            return
        yield fields


def write_properties(path: Path, values: dict[str, str], durable: bool = True) -> None:
    write_whole(path, "".join(f"{k}={v}\n" for k, v in values.items()), durable)


def read_properties(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (read_text(path) or "").splitlines():
        if line.strip() and not line.startswith("#") and "=" in line:
            key, value = line.split("=", 1)
            found[key.strip()] = value.strip()
    return found
