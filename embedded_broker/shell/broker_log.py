"""A broker's own log: ``broker.log`` beside its properties, and errors on standard error.

A line may contain text from a client, so control and bidirectional characters are escaped. A
client can also cause lines, so only LINES_PER_SECOND are written in one second; the next second
begins with the number of those left out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TextIO

from embedded_broker.core.effects import Level

LINES_PER_SECOND = 50
ROTATE_BYTES = 10 * 1024 * 1024
_ESCAPES = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))}
_ESCAPES |= {
    c: f"\\u{c:04x}" for c in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def escaped(text: str) -> str:
    """Replace characters that would change the terminal, the line or the reading direction."""
    return text.translate(_ESCAPES)


def _open(path: Path) -> TextIO:
    """Open a log that only its owner may read."""
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        "a",
        encoding="utf-8",
        buffering=1,
    )


class BrokerLog:
    """Writes lines ``2026-11-22 16:20:01.123 WARNING text``. Not thread-safe: the event loop's
    thread owns it."""

    def __init__(
        self,
        path: Path | None,
        least: Level = Level.INFO,
        echo: TextIO | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """``least`` is the lowest level that is written; ``echo`` (standard error if None) gets
        the errors, and every line when there is no ``path``."""
        self._path = path
        self._least = least
        self._echo = sys.stderr if echo is None else echo
        self._now_s = now_s
        self._file: TextIO | None = None
        self._second = 0
        self._lines = 0
        """Lines in the current second, the omitted ones included."""
        if path is not None:
            self._file = _open(path)

    def write(self, level: Level, text: str) -> None:
        """Write a line, unless this second has had its share; errors are always written."""
        if level < self._least:
            return
        now = self._now_s()
        if int(now) != self._second:
            left_out = self._lines - LINES_PER_SECOND
            self._second, self._lines = int(now), 0
            if left_out > 0:
                self._put(now, Level.WARNING, f"left out {left_out} more lines of the last second")
        self._lines += 1
        if self._lines <= LINES_PER_SECOND or level >= Level.ERROR:
            self._put(now, level, text)

    def _put(self, now: float, level: Level, text: str) -> None:
        stamp = datetime.fromtimestamp(now).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        line = f"{stamp} {level.name:<7} {escaped(text)}\n"
        try:
            if self._file is not None:
                self._file.write(line)
                if self._file.tell() > ROTATE_BYTES:
                    self._rotate()
            if self._file is None or level >= Level.ERROR:
                self._echo.write(line)
                self._echo.flush()
        except OSError:
            return  # a full disk must not stop the broker because of its log

    def _rotate(self) -> None:
        assert self._file is not None and self._path is not None
        self._file.close()
        os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        self._file = _open(self._path)

    def close(self) -> None:
        """Close the file; later lines go to ``echo`` alone."""
        if self._file is not None:
            self._file.close()
            self._file = None
