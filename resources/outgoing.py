"""Text that leaves the program: for the terminal, for spreadsheets, and made visible.

Names and values come from clusters, where anybody may have written them. A terminal would obey an
escape sequence, a spreadsheet run a formula, and a window show text backwards. Everything that the
program prints, and every CSV cell, goes through this module; the clipboard through
``widgets.clipboard``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

_VISIBLE = {code: 0x2400 + code for code in range(32)} | {0x7F: 0x2421}
for _code in (
    *(0xAD, 0x61C, 0x115F, 0x1160, 0x180E, 0x3164, 0xFEFF, 0xFFA0, 0xFFFE, 0xFFFF),
    *range(0x80, 0xA0),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),  # lone surrogates: Qt's strings and UTF-8 cannot hold them
    *range(0xE0000, 0xE0080),
):
    _VISIBLE[_code] = 0x25AB
_ONE_LINE = _VISIBLE
_MANY_LINES = {code: glyph for code, glyph in _VISIBLE.items() if code not in (9, 10)}
_FORMULA = tuple("=+-@＝＋－＠")
"""What a spreadsheet takes for the start of a formula, in the full width of East Asia too."""
_SKIPPED = "".join(map(chr, (*range(33), 0xA0, 0xFEFF, *range(0x2000, 0x2010), 0x3000)))
"""What it ignores in front of that."""
CLEAR = "\x1b[H\x1b[2J"
"""Moves to the top of the terminal and clears it."""


def visible(text: str, *, lines: bool = False, limit: int = 512) -> str:
    """Replace control, bidirectional and zero-width characters by visible signs.

    The text is cut to ``limit`` characters; ``lines`` keeps tabs and line ends.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text.translate(_MANY_LINES if lines else _ONE_LINE)


def exact(text: str) -> str:
    """Keep a text as it is, but for lone surrogates, which no other program can read."""
    return text.encode("utf-8", "replace").decode("utf-8")


# ---- spreadsheets
class _Writes(Protocol):
    def write(self, text: str, /) -> object: ...


def harmless(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula (OWASP ASVS
    1.2.10)."""
    return f"'{text}" if text.lstrip(_SKIPPED).startswith(_FORMULA) else text


class CsvWriter:
    """Writes rows of RFC 4180 with no cell that a spreadsheet would run."""

    def __init__(self, out: _Writes) -> None:
        self._writer = csv.writer(out, lineterminator="\r\n")

    def row(self, cells: Iterable[object]) -> None:
        """Write a row: numbers as they are, None as an empty cell, others as harmless text."""
        self._writer.writerow(
            cell if cell is None or isinstance(cell, int | float) else harmless(str(cell))
            for cell in cells
        )

    def own_row(self, cells: Iterable[str]) -> None:
        """Write a row of texts that the program made itself, such as negative numbers."""
        self._writer.writerow(cells)


# ---- the terminal
def say(text: str, *, clear: bool = False) -> None:
    """Print lines on standard output, with nothing in them that a terminal would obey. ``clear``
    prints them on a cleared screen."""
    _print(f"{CLEAR if clear else ''}{_safe(text)}", sys.stdout)


def say_json(value: object) -> None:
    """Print a value as one line of JSON: exact, and ASCII alone."""
    print(json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f"), flush=True)


def complain(text: str) -> None:
    """Print a sentence on standard error, as ``say`` does."""
    _print(_safe(text), sys.stderr)


def _safe(text: str) -> str:
    return visible(text, lines=True, limit=len(text) + 1)


def _print(text: str, file: TextIO) -> None:
    """Print what the encoding of ``file`` has, and escapes for the rest."""
    encoding = file.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)
