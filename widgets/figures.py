"""Numbers for tables and tiles: thousands separators, readable units, an en dash for unknown.

Exact values stand in tooltips and in what is copied.
"""

from __future__ import annotations

import math
import time

UNKNOWN = "–"
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SI = ("", " k", " M", " G", " T")


def count(value: float | None) -> str:
    """12345 -> 12,345."""
    return UNKNOWN if value is None or value != value else f"{value:,.0f}"


def short(value: float | None) -> str:
    """12345 -> 12.3 k, for tiles."""
    if value is None or value != value:
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    step = 0
    while abs(value) >= 999.95 and step < len(_SI) - 1:
        value /= 1000
        step += 1
    return f"{_digits(value, step > 0)}{_SI[step]}"


def _digits(value: float, scaled: bool = False) -> str:
    if value == int(value) and (not scaled or abs(value) >= 100):
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10 or scaled:
        return f"{value:.1f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def size(value: float | None) -> str:
    """Bytes: 1536 -> 1.5 KiB."""
    if value is None or value != value:
        return UNKNOWN
    step = 0
    while abs(value) >= 1023.95 and step < len(_BINARY) - 1:
        value /= 1024
        step += 1
    return (
        f"{value:,.0f} {_BINARY[step]}"
        if step == 0 or abs(value) >= 100
        else f"{value:.1f} {_BINARY[step]}"
    )


def rate(value: float | None, unit: str = "") -> str:
    """Per second: 1234.5 -> 1,234/s; 5.56 -> 5.6/s; 0.25 -> 0.25/s."""
    if value is None or value != value:
        return UNKNOWN
    digits = (
        f"{value:,.0f}" if abs(value) >= 100 else _digits(round(value, 1 if abs(value) >= 1 else 2))
    )
    return f"{digits}{' ' + unit if unit else ''}/s"


def size_rate(value: float | None) -> str:
    return UNKNOWN if value is None or value != value else f"{size(value)}/s"


def duration(seconds: float | None) -> str:
    """0.25 -> 250 ms; 75 -> 1 min 15 s; 200000 -> 2 d 7 h."""
    if seconds is None or seconds != seconds:
        return UNKNOWN
    if math.isinf(seconds):
        return "∞"
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "< 1 ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for big, small, big_name, small_name in (
        (60, 1, "min", "s"),
        (3600, 60, "h", "min"),
        (86_400, 3600, "d", "h"),
    ):
        if whole < big * (60 if big < 3600 else 24 if big == 3600 else 10**9):
            head, tail = whole // big, (whole % big) // small
            return f"{head} {big_name} {tail} {small_name}" if tail else f"{head} {big_name}"
    raise AssertionError("the last step has no end")


def percent(value: float | None) -> str:
    """0.25 -> 25 %."""
    return UNKNOWN if value is None or value != value else f"{value * 100:.0f} %"


def clock(at_s: float | None) -> str:
    """The local time of day of seconds since the epoch."""
    return UNKNOWN if at_s is None else time.strftime("%H:%M:%S", time.localtime(at_s))
