"""Values of settings in readable units, and their descriptions as plain text."""

from __future__ import annotations

import html
import re

from kafka_client.model import ConfigEntry
from widgets import figures

LARGEST_MS, LARGEST_BYTES = 10**15, 10**18
"""beyond these a number means "for ever" or is no size; Kafka uses 2^63 - 1 so"""
_BREAK = re.compile(r"<\s*(?:/p|p|br|/li|/ul|ul)\s*/?\s*>", re.IGNORECASE)
_BULLET = re.compile(r"<\s*li\s*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_BLANK_LINES = re.compile(r"\n\s*\n\s*")


def readable(name: str, value: str | None) -> str:
    """The value in a unit, where the setting's name tells it: 604800000 of retention.ms is 7 d.

    Empty where there is nothing to add.
    """
    try:
        number = int(value or "")
    except ValueError:
        return ""
    if name.startswith("local.") and number == -2:
        return f"as {name.removeprefix('local.')}"
    if number < 0:
        return "no limit" if number == -1 and name.endswith((".bytes", ".ms")) else ""
    if name.endswith(".ms") and number < LARGEST_MS:
        return figures.duration(number / 1000)
    if name.endswith(".bytes") and number < LARGEST_BYTES:
        return figures.size(number)
    return ""


def with_unit(name: str, value: str | None) -> str:
    """``604800000 (7 d)``."""
    unit = readable(name, value)
    shown = value if value else "empty"
    return f"{shown} ({unit})" if unit else shown


def plain_description(entry: ConfigEntry) -> str:
    """Kafka's description of a setting without its HTML tags."""
    text = _BULLET.sub("\n- ", _BREAK.sub("\n", entry.text))
    text = html.unescape(_TAG.sub("", text))
    return _BLANK_LINES.sub("\n\n", text).strip()
