"""Which records hold a text: searched in the raw bytes, before anything is decoded.

A text may stand in a record as it is (UTF-8), as JSON writes it (``é`` as ``\\u00e9`` with hex
digits of either case, ``"`` as ``\\"``), and each of these in small or capital letters. ``0x``
and hex digits search for these bytes.
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
    """Where in a record to look."""

    ANYWHERE = "anywhere"
    KEY = "key"
    VALUE = "value"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True)
class Contains:
    text: str
    part: Part = Part.ANYWHERE
    match_case: bool = False


def needles(text: str, match_case: bool) -> tuple[bytes, ...]:
    """The byte strings of which one must stand in the data; ASCII letters small unless
    ``match_case``."""
    hexes = _HEX.fullmatch(text)
    forms = [text] if match_case else [text, text.lower(), text.upper()]
    found: dict[bytes, None] = {}
    for form in forms:
        escaped = json.dumps(form)[1:-1]
        capital = _ESCAPE.sub(lambda m: "\\u" + m.group()[2:].upper(), escaped)
        for written in (form, json.dumps(form, ensure_ascii=False)[1:-1], escaped, capital):
            data = written.encode("utf-8", "surrogatepass")
            found[data if match_case else data.lower()] = None
    if hexes:
        found[bytes.fromhex(hexes.group(1))] = None
    return tuple(found)


def make_filter(contains: Contains | None) -> Matches | None:
    """None when everything matches."""
    if contains is None or not contains.text:
        return None
    wanted = needles(contains.text, contains.match_case)
    exact = contains.match_case
    raw = _HEX.fullmatch(contains.text)
    raw_bytes = bytes.fromhex(raw.group(1)) if raw else None

    def holds(data: bytes | None) -> bool:
        if not data:
            return False
        if raw_bytes is not None and raw_bytes in data:
            return True
        if not exact:
            data = data.lower()
        return any(needle in data for needle in wanted)

    def in_headers(record: Record) -> bool:
        return any(
            holds(h.value) or holds(h.key.encode("utf-8", "surrogatepass")) for h in record.headers
        )

    match contains.part:
        case Part.KEY:
            return lambda record: holds(record.key)
        case Part.VALUE:
            return lambda record: holds(record.value)
        case Part.HEADERS:
            return in_headers
        case Part.ANYWHERE:
            return lambda record: holds(record.value) or holds(record.key) or in_headers(record)
