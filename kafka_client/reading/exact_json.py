"""Parses JSON without loss: integers of any size, decimals with all their digits, repeated keys.

Nothing here raises on hostile text: nesting that is too deep, numbers of thousands of digits and
broken text give a message instead of a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

LONGEST_INT = 4000
"""Digits; Python refuses to convert longer ones to int (and takes long)."""
DEEPEST_INDENT = 24
"""Levels that get lines of their own; deeper ones stay in the line."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that Python would round or refuse, as it is written."""

    literal: str


Pairs = tuple[tuple[str, Any], ...]
"""An object: its keys in order, repeated ones too. Arrays are lists."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value, or in ``problem`` why there is none."""

    value: Any = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


def _pairs(pairs: list[tuple[str, Any]]) -> Pairs:
    return tuple(pairs)


def _integer(literal: str) -> int | Number:
    return int(literal) if len(literal) <= LONGEST_INT else Number(literal)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_integer,
    parse_float=Number,
    parse_constant=Number,
    strict=True,
)


def parse(data: bytes | str) -> Parsed:
    """Parse a whole document."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Parsed(problem=f"Not valid UTF-8: byte {error.start:,} is invalid.")
    try:
        return Parsed(_DECODER.decode(text.removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        return Parsed(problem=f"Not valid JSON: {reason} at character {error.pos + 1:,}.")
    except RecursionError:
        return Parsed(problem="Nested too deeply to be shown as a tree.")
    except (ValueError, MemoryError) as error:
        return Parsed(problem=f"Not valid JSON: {type(error).__name__}.")


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def indented(text: str, most_tokens: int = 1 << 60) -> str:
    """Indent the text token by token. No value is parsed, so numbers stay as they are and nothing
    recurses. Text that is not quite JSON, or was cut, is indented as far as possible; what follows
    after ``most_tokens`` stays as it is."""
    out: list[str] = []
    depth = 0
    tokens = _peeked(_TOKEN.finditer(text))
    for token, after in tokens:
        most_tokens -= 1
        if most_tokens < 0:
            out += [token, text[tokens.end :]]
            break
        if token in ("{", "["):
            out.append(token)
            if after in ("}", "]"):
                out.append(after)
                next(tokens)
                continue
            depth += 1
            out.append(_line(depth))
        elif token in ("}", "]"):
            depth = max(0, depth - 1)
            out += [_line(depth), token]
        elif token == ",":
            out += [token, _line(depth)]
        elif token == ":":
            out.append(": ")
        else:
            out.append(token)
            if after and after not in (",", ":", "}", "]"):
                out.append(" ")
    return "".join(out)


def _line(depth: int) -> str:
    return "\n" + "  " * depth if depth <= DEEPEST_INDENT else " "


class _peeked:
    """Iterates over (token, next token); ``end`` is the end of the token returned last."""

    def __init__(self, matches: Iterator[re.Match[str]]) -> None:
        self._matches = matches
        self.end = self._next_end = 0
        self._next = self._pull()

    def _pull(self) -> str:
        for match in islice(self._matches, 1):
            self._next_end = match.end()
            return match.group()
        return ""

    def __iter__(self) -> _peeked:
        return self

    def __next__(self) -> tuple[str, str]:
        token = self._next
        if not token:
            raise StopIteration
        self.end = self._next_end
        self._next = self._pull()
        return token, self._next
