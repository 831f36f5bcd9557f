"""Where the ticks of an axis stand and how far it reaches: pure functions."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from widgets import figures
from widgets.charts.scale import Floats
from widgets.charts.units import Unit
from widgets.time_style import DAY_S, TimeStyle

YEAR_S = 365 * DAY_S
TIME_STEPS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S, 91 * DAY_S, YEAR_S, 2 * YEAR_S, 5 * YEAR_S,
    10 * YEAR_S, 20 * YEAR_S, 50 * YEAR_S,
)  # fmt: skip
AIR = 1.05
"""The axis reaches so much further than the largest value."""

Ticks = list[tuple[float, str]]
"""(place on the axis, label)"""


@dataclass(frozen=True, slots=True)
class ValueScale:
    """A linear or logarithmic value axis. A logarithmic one is linear around zero, so that zeros
    and negative values have a place: y = sign(v) * log10(1 + |v| / linear_below)."""

    unit: Unit
    log: bool = False

    def place(self, values: Floats) -> Floats:
        """Values to places on the axis, NaN for NaN."""
        if not self.log:
            return values
        return np.sign(values) * np.log10(1.0 + np.abs(values) / self.unit.linear_below)

    def place_of(self, value: float) -> float:
        return float(self.place(np.array([value]))[0])

    def bounds(self, low: float, high: float, most: int) -> tuple[float, float]:
        """The places that the axis shows for values from ``low`` to ``high`` (NaN when there are
        none): zero is always in it, ends are round so that the axis does not move each frame."""
        low = low if math.isfinite(low) and low < -1e-9 else 0.0
        high = max(high, 0.0) if math.isfinite(high) else 0.0
        if high < self.unit.smallest_top and not low:
            high = self.unit.smallest_top
        if self.log:
            return self._log_end(low), self._log_end(high)
        step = self.unit.step((high - low) / max(most, 1)) / 2
        bottom = -math.ceil(-low * AIR / step) * step if low < 0 else 0.0
        top = math.ceil(high * AIR / step) * step if high > self.unit.smallest_top else high
        return bottom, top

    def _log_end(self, value: float) -> float:
        if not value:
            return 0.0
        return math.copysign(math.ceil(self.place_of(abs(value)) * 4 + 0.2) / 4, value)

    def ticks(self, bottom: float, top: float, most: int) -> Ticks:
        """At most about ``most`` ticks between two places, each with a label of its own."""
        if top <= bottom:
            return []
        values = (
            self._log_values(bottom, top, most) if self.log else self._values(bottom, top, most)
        )
        made: Ticks = []
        for value in values:
            label = self.unit.tick(value).replace(".0 ", " ")
            if not made or made[-1][1] != label:
                made.append((self.place_of(value), label))
        return made

    def _values(self, bottom: float, top: float, most: int) -> list[float]:
        # One more than asked: the round ends of the axis must not double the step.
        step = self.unit.step((top - bottom) / (max(most, 1) + 1))
        first = math.ceil(bottom / step - 1e-9)
        last = math.floor(top / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def _log_values(self, bottom: float, top: float, most: int) -> list[float]:
        values = [v for v in self.unit.log_values if self.place_of(v) <= top]
        below = [-v for v in self.unit.log_values if -self.place_of(v) >= bottom]
        every = max(1, math.ceil((len(values) + len(below) + 1) / max(most, 1)))
        return [*below[every - 1 :: every][::-1], 0.0, *values[every - 1 :: every]]


def time_step(t0: float, t1: float, most: int) -> float:
    rough = (t1 - t0) / max(most, 1)
    return float(next((s for s in TIME_STEPS_S if s >= rough), 100 * YEAR_S))


def time_ticks(t0: float, t1: float, most: int, style: TimeStyle, now_s: float) -> Ticks:
    """At most about ``most`` round moments in a range. A day's first tick names the day."""
    step = time_step(t0, t1, most)
    if style.relative:
        return _relative_ticks(t0, t1, step, now_s)
    offset = style.offset_s(t1)
    first = math.ceil((t0 + offset) / step) * step - offset
    moments = np.arange(first, t1 + 1e-6, step).tolist()
    return [(at, _clock(at, style.parts(at), step)) for at in moments]


def _clock(at: float, parts: time.struct_time, step: float) -> str:
    if step < 1:
        return time.strftime("%M:%S", parts) + f".{round(at % 1 * 1000) % 1000:03d}"
    if step >= 28 * DAY_S:
        return time.strftime("%d %b %Y" if step < YEAR_S else "%Y", parts)
    if step >= DAY_S or (step >= 300 and parts.tm_hour == parts.tm_min == 0):
        return time.strftime("%d %b", parts)
    return time.strftime("%H:%M:%S" if step < 60 else "%H:%M", parts)


def _relative_ticks(t0: float, t1: float, step: float, now_s: float) -> Ticks:
    first = math.ceil((t0 - now_s) / step - 1e-9)
    last = math.floor((t1 - now_s) / step + 1e-9)
    made: Ticks = []
    for i in range(first, last + 1):
        label = "now" if i == 0 else ("+" if i > 0 else "-") + figures.duration(abs(i) * step)
        made.append((now_s + i * step, label.replace(".0 s", " s")))
    return made
