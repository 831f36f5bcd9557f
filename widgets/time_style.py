"""How the window writes moments: in local time, in UTC, or relative to now. One object for the
whole window; charts, tables and readouts ask it and follow ``changed``."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, Signal

from widgets import figures

LOCAL, UTC, RELATIVE = "local", "utc", "relative"
STYLES: tuple[tuple[str, str], ...] = (
    (LOCAL, "Local time"),
    (UTC, "UTC"),
    (RELATIVE, "Relative"),
)
"""(style, its name for people)"""
DAY_S = 86_400


class TimeStyle(QObject):
    """Window's thread only. Times are seconds since the epoch."""

    changed = Signal()

    def __init__(self, style: str = LOCAL, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._style = LOCAL
        self.choose(style)

    @property
    def style(self) -> str:
        """One of STYLES; not an unknown value from a preferences file."""
        return self._style

    def choose(self, style: str) -> None:
        """Unknown names are taken as local time."""
        wanted = style if style in (name for name, _ in STYLES) else LOCAL
        if wanted != self._style:
            self._style = wanted
            self.changed.emit()

    @property
    def relative(self) -> bool:
        return self._style == RELATIVE

    def parts(self, at_s: float) -> time.struct_time:
        """The calendar time in this style; relative times are compared in local time."""
        return time.gmtime(at_s) if self._style == UTC else time.localtime(at_s)

    def offset_s(self, at_s: float) -> int:
        """Seconds that this style's calendar is ahead of UTC."""
        return 0 if self._style == UTC else self.parts(at_s).tm_gmtoff

    def moment(self, at_s: float, now_s: float, *, subseconds: bool = False) -> str:
        """A moment as exact as a readout needs it: ``14:03:12``, ``25 Nov 14:03:12`` on another
        day, ``14:03:12 UTC``, or ``2 min 5 s ago``."""
        if self.relative:
            return ago(at_s - now_s)
        parts, today = self.parts(at_s), self.parts(now_s)
        text = time.strftime("%H:%M:%S", parts)
        if subseconds:
            text += f".{int(at_s % 1 * 1000):03d}"
        if parts[:3] != today[:3]:
            text = time.strftime("%d %b ", parts) + text
        return text + " UTC" if self._style == UTC else text

    def span(self, t0: float, t1: float, now_s: float) -> str:
        """From when to when: ``14:02:10 – 14:07:10``."""
        first, last = self.moment(t0, now_s), self.moment(t1, now_s)
        if self._style == UTC:
            first = first.removesuffix(" UTC")
        return f"{first} – {last}"

    def exact(self, at_s: float) -> str:
        """ISO 8601 with milliseconds and the offset, for exports: in UTC or in local time."""
        parts = self.parts(at_s)
        text = time.strftime("%Y-%m-%dT%H:%M:%S", parts) + f".{int(at_s % 1 * 1000):03d}"
        if self._style == UTC:
            return text + "Z"
        offset = self.offset_s(at_s)
        hours, minutes = divmod(abs(offset) // 60, 60)
        return f"{text}{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def ago(seconds: float) -> str:
    """-125 -> 2 min 5 s ago; 0 -> now; 5 -> in 5 s."""
    whole = round(seconds)
    if not whole:
        return "now"
    words = figures.duration(float(abs(whole)))
    return f"{words} ago" if whole < 0 else f"in {words}"
