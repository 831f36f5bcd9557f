"""The small files of a log directory: checkpoints and properties, each replaced as a whole.

The formats are Kafka's. A checkpoint has a line with the version, a line with the count, and a
line for each entry.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell import platform


def write_whole(path: Path, text: str, durable: bool) -> None:
    """Replace a file: a reader, or a start after a crash, finds the old text or the new one.

    With ``durable``, the new text is on the disk when this returns; without, a power cut may
    bring back the old one. Only the owner may read it: settings and metadata may hold secrets.

    Raises:
        StorageFailed: the disk is full or failed; the old file is still there.
    """
    name = os.fspath(path)
    temporary = name + ".tmp"
    data = text.encode()
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | platform.O_BINARY, 0o600)
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
    """Return the text of a file, or None when it does not exist.

    Raises:
        StorageFailed: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise StorageFailed(f"cannot read {path}: {e}") from e


def write_offsets(path: Path, offsets: dict[tuple[str, int], int]) -> None:
    """Write an offset checkpoint, with lines ``topic partition offset``."""
    lines = [
        f"{topic} {partition} {offset}\n" for (topic, partition), offset in sorted(offsets.items())
    ]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=True)


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
    """Read an offset checkpoint up to its first malformed line. No entries mean only that
    recovery reads more of the logs."""
    found: dict[tuple[str, int], int] = {}
    for fields in _entries(read_text(path), 3):
        topic, partition, offset = fields
        if partition.isdigit() and offset.isdigit():
            found[topic, int(partition)] = int(offset)
    return found


def write_epochs(path: Path, entries: Sequence[tuple[int, int]]) -> None:
    """Write a leader-epoch-checkpoint, with lines ``epoch start_offset``. Not flushed: every batch
    carries its epoch, so recovery can find lost entries again."""
    lines = [f"{epoch} {start}\n" for epoch, start in entries]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=False)


def read_epochs(path: Path) -> list[tuple[int, int]]:
    """Read a leader-epoch-checkpoint up to its first entry that does not rise."""
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
    """Lines of a checkpoint of version 0, split, up to the first without ``width`` fields."""
    lines = (text or "").splitlines()
    if len(lines) < 2 or lines[0] != "0":
        return
    for line in lines[2:]:
        fields = line.split(" ")
        if len(fields) != width:
            return
        yield fields


def write_properties(path: Path, values: dict[str, str], durable: bool = True) -> None:
    """Write ``key=value`` lines. Raises: StorageFailed."""
    write_whole(path, "".join(f"{k}={v}\n" for k, v in values.items()), durable)


def read_properties(path: Path) -> dict[str, str]:
    """Read ``key=value`` lines; empty when there is no such file. Raises: StorageFailed."""
    found: dict[str, str] = {}
    for line in (read_text(path) or "").splitlines():
        if line.strip() and not line.startswith("#") and "=" in line:
            key, value = line.split("=", 1)
            found[key.strip()] = value.strip()
    return found
