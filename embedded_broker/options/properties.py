"""Parser of Java properties files, the format of server.properties.

A line is ``key=value``, ``key:value`` or ``key value``. Lines that begin with # or ! are comments.
A backslash at the end continues a line; \\t \\n \\r \\f \\uXXXX are escapes. Source:
java.util.Properties.load.
"""

from __future__ import annotations

from collections.abc import Iterator

from embedded_broker.options.option import SettingError

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> dict[str, str]:
    """Return keys and values; of a repeated key the last value, as in Java.

    Raises:
        SettingError: a \\u without four hexadecimal digits.
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
    """Yield (number of the first line, text) with continuations joined and comments skipped."""
    whole, begun = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        line = line.lstrip(" \t\f")
        if not begun and (not line or line[0] in "#!"):
            continue
        begun = begun or number
        # An even number of backslashes is escaped backslashes, not a continuation.
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
