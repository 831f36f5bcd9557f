"""The small files of a log directory: checkpoints and properties, each replaced as a whole.

The formats are Kafka's. A checkpoint has a line with the version, a line with the count, and a
line for each entry.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell import platform

INT64_MAX = (1 << 63) - 1
DIGITS_MAX = 20
"""As many as the name of a segment's file has."""
EPOCH_MAX = (1 << 31) - 1
"""The newest leader epoch that a batch can carry."""


def write_whole(path: Path, content: str | bytes, durable: bool) -> None:
    """Replace a file: a reader, or a start after a crash, finds the old content or the new.

    With ``durable``, the new one is on the disk when this returns; without, a power cut may
    bring back the old one. Only the owner may read it: settings and metadata may hold secrets.

    Raises:
        StorageFailed: the disk is full or failed; the old file is still there.
    """
    name = os.fspath(path)
    temporary = name + ".tmp"
    data = content.encode() if isinstance(content, str) else content
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | platform.O_BINARY, 0o600)
        try:
            platform.write_all(fd, data, 0)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, name)
        if durable:
            platform.sync_directory(path.parent)
    except OSError as e:
        raise StorageFailed(f"cannot write {path}: {e.strerror or e}") from e


def sync_names(folder: Path) -> None:
    """Flush the names in a folder. Raises: StorageFailed."""
    try:
        platform.sync_directory(folder)
    except OSError as e:
        raise StorageFailed(f"cannot flush {folder}: {e.strerror or e}") from e


def read_rebuildable(path: Path) -> str | None:
    """Return the text of a file whose content can be found again, or None when it does not exist
    or is not text. Raises: StorageFailed when it cannot be read."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    except OSError as e:
        raise StorageFailed(f"cannot read {path}: {e.strerror or e}") from e


def natural(text: str) -> int | None:
    """Return a number written in decimal digits that 64 signed bits can hold, else None.

    ``str.isdigit`` is not enough: it accepts digits such as a superscript two, which ``int``
    refuses.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX):
        return None
    number = int(text)
    return number if number <= INT64_MAX else None


def write_offsets(path: Path, offsets: dict[tuple[str, int], int]) -> None:
    """Write an offset checkpoint, with lines ``topic partition offset``."""
    lines = [
        f"{topic} {partition} {offset}\n" for (topic, partition), offset in sorted(offsets.items())
    ]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=True)


def read_offsets(path: Path) -> dict[tuple[str, int], int] | None:
    """Read an offset checkpoint; None when there is none, or when it is not whole."""
    entries = _entries(read_rebuildable(path), 3)
    if entries is None:
        return None
    found: dict[tuple[str, int], int] = {}
    for topic, partition, offset in entries:
        index, value = natural(partition), natural(offset)
        if index is None or value is None:
            return None
        found[topic, index] = value
    return found


def write_epochs(path: Path, entries: Sequence[tuple[int, int]]) -> None:
    """Write a leader-epoch-checkpoint, with lines ``epoch start_offset``. Not flushed: every batch
    carries its epoch, and a start compares the file with them."""
    lines = [f"{epoch} {start}\n" for epoch, start in entries]
    write_whole(path, f"0\n{len(lines)}\n{''.join(lines)}", durable=False)


def read_epochs(path: Path) -> list[tuple[int, int]] | None:
    """Read a leader-epoch-checkpoint; None when there is none, when it is not whole, or when its
    entries do not rise."""
    entries = _entries(read_rebuildable(path), 2)
    if entries is None:
        return None
    found: list[tuple[int, int]] = []
    for fields in entries:
        epoch, start = natural(fields[0]), natural(fields[1])
        if epoch is None or start is None or epoch > EPOCH_MAX:
            return None
        if found and not (epoch > found[-1][0] and start >= found[-1][1]):
            return None
        found.append((epoch, start))
    return found


def _entries(text: str | None, width: int) -> list[list[str]] | None:
    """Return the lines of a checkpoint of version 0, split into ``width`` fields; None when it is
    not whole."""
    lines = (text or "").split("\n")
    if len(lines) < 3 or lines[0] != "0" or lines[-1] != "":
        return None
    entries = [line.split(" ") for line in lines[2:-1]]
    if natural(lines[1]) != len(entries) or any(len(fields) != width for fields in entries):
        return None
    return entries


def write_properties(path: Path, values: dict[str, str], durable: bool = True) -> None:
    """Write ``key=value`` lines. Raises: StorageFailed."""
    write_whole(path, "".join(f"{k}={v}\n" for k, v in values.items()), durable)


def read_properties(path: Path) -> dict[str, str]:
    """Read ``key=value`` lines; empty when there is no such file, or it is not text. Raises:
    StorageFailed."""
    found: dict[str, str] = {}
    for line in (read_rebuildable(path) or "").splitlines():
        if line.strip() and not line.startswith("#") and "=" in line:
            key, value = line.split("=", 1)
            found[key.strip()] = value.strip()
    return found
