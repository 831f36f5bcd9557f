"""Java's properties files, as server.properties is one.

``key=value``, ``key:value`` or ``key value``; lines that begin with # or ! are comments; a
backslash at the end of a line continues it, and \\t \\n \\r \\f \\uXXXX stand for characters.
Source: java.util.Properties.load.
"""

from __future__ import annotations

from collections.abc import Iterator

from embedded_broker.options.option import SettingError

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> dict[str, str]:
    """Keys and values; a key that stands twice has its last value, as in Java.

    Raises:
        SettingError: a \\u that four hexadecimal digits do not follow.
    """
    found: dict[str, str] = {}
    for number, line in _logical_lines(text):
        end = 0
        while end < len(line) and line[end] not in "=: \t\f":
            end += 2 if line[end] == "\\" else 1
        rest = line[end:].lstrip(" \t\f")
        if rest[:1] in ("=", ":"):
            rest = rest[1:].lstrip(" \t\f")
        found[_unescape(line[:end], number)] = _unescape(rest, number)
    return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    whole, begun = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        line = line.lstrip(" \t\f")
        if not begun and (not line or line[0] in "#!"):
            continue
        begun = begun or number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            whole += line[:-1]
            continue
        yield begun, whole + line
        whole, begun = "", 0
    if begun:
        yield begun, whole


def _unescape(text: str, number: int) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    p = 0
    while p < len(text):
        c = text[p]
        p += 1
        if c != "\\" or p == len(text):
            out.append(c)
            continue
        c = text[p]
        p += 1
        if c != "u":
            out.append(_ESCAPES.get(c, c))
            continue
        try:
            out.append(chr(int(text[p : p + 4], 16)) if len(text[p : p + 4]) == 4 else _fail())
        except ValueError:
            raise SettingError(f"line {number}: \\u needs four hexadecimal digits") from None
        p += 4
    return "".join(out)


def _fail() -> str:
    raise ValueError
