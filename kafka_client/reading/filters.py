"""Filters for records that contain a text: a search in the raw bytes, before anything is decoded.

The text is searched in UTF-8 and as JSON escapes it (``é`` as ``\\u00e9`` with hex digits of
either case, ``"`` as ``\\"``), each in lower and upper case unless case matters. ``0x`` followed
by hex digits searches for these bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kafka_client.model import Record

_HEX = re.compile(r"0[xX]((?:[0-9a-fA-F]{2})+)")
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")

Matches = Callable[[Record], bool]


class Part(StrEnum):
    """The part of a record that is searched."""

    ANYWHERE = "anywhere"
    KEY = "key"
    VALUE = "value"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True)
class Contains:
    """A text to search for; empty matches every record."""

    text: str
    part: Part = Part.ANYWHERE
    match_case: bool = False


def needles(text: str, match_case: bool) -> tuple[bytes, ...]:
    """The byte strings of which one must occur in the data. Without ``match_case`` their ASCII
    letters are in lower case, and the data must be converted likewise."""
    forms = [text] if match_case else [text, text.lower(), text.upper()]
    encoded: dict[bytes, None] = {}  # a set that keeps its order
    for form in forms:
        escaped = json.dumps(form)[1:-1]
        capital = _ESCAPE.sub(lambda m: "\\u" + m.group()[2:].upper(), escaped)
        for written in (form, json.dumps(form, ensure_ascii=False)[1:-1], escaped, capital):
            data = written.encode("utf-8", "surrogatepass")
            encoded[data if match_case else data.lower()] = None
    return tuple(encoded)


def make_filter(contains: Contains | None) -> Matches | None:
    """A function that returns whether a record matches; None when every record does. What could not
    be read may hold the text, so it matches."""
    if contains is None or not contains.text:
        return None
    wanted = needles(contains.text, contains.match_case)
    exact = contains.match_case
    raw = _HEX.fullmatch(contains.text)
    raw_bytes = bytes.fromhex(raw.group(1)) if raw else None

    def matches(data: bytes | None) -> bool:
        if not data:
            return False
        if raw_bytes is not None and raw_bytes in data:
            return True
        if not exact:
            data = data.lower()
        return any(needle in data for needle in wanted)

    def in_headers(record: Record) -> bool:
        return any(
            matches(h.value) or matches(h.key.encode("utf-8", "surrogatepass"))
            for h in record.headers
        )

    in_part: dict[Part, Matches] = {
        Part.KEY: lambda record: matches(record.key),
        Part.VALUE: lambda record: matches(record.value),
        Part.HEADERS: in_headers,
        Part.ANYWHERE: lambda record: (
            matches(record.value) or matches(record.key) or in_headers(record)
        ),
    }
    found = in_part[contains.part]
    return lambda record: found(record) or record.unreadable is not None
