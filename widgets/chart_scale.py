"""Where the lines of a chart's grid stand, and how samples become as many points as it has
pixels: pure functions."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TIME_STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    21_600,
    43_200,
    86_400,
)


def nice_top(largest: float, smallest_top: float = 1.0) -> float:
    """The next round figure above the largest value, with a little air: 1, 2, 2.5, 4, 5, 8 times
    a power of ten."""
    wanted = max(largest * 1.06, smallest_top)
    power = 10 ** math.floor(math.log10(wanted))
    return float(
        next(
            step * power
            for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
            if step * power >= wanted * 0.9999
        )
    )


def value_ticks(top: float, most: int = 4) -> list[float]:
    """Round figures from 0 to ``top``."""
    rough = top / max(most, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.9999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


def time_ticks(t0: float, t1: float, most: int) -> tuple[list[float], str]:
    """Round local times between two, and the strftime pattern that tells them apart."""
    rough = (t1 - t0) / max(most, 1)
    step = next((s for s in _TIME_STEPS_S if s >= rough), 86_400)
    offset = time.localtime(t1).tm_gmtoff
    first = math.ceil((t0 + offset) / step) * step - offset
    ticks = [float(t) for t in np.arange(first, t1, step)]
    return ticks, "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"


def peaks(
    times: Floats, values: Floats, t0: float, t1: float, pixels: int
) -> tuple[Floats, Floats]:
    """At most two points a pixel, the smallest and the largest of its samples, so that no peak is
    lost. NaN: a gap.

    ``times`` float64[n] rising; returns float64[m] each, m <= max(n, 2 * pixels).
    """
    if len(times) <= 2 * pixels:
        return times, values
    column = np.clip(((times - t0) / (t1 - t0) * pixels).astype(np.int64), 0, pixels - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduceat(values, starts)
        high = np.fmax.reduceat(values, starts)
    out_t = np.repeat(times[starts], 2)
    out_v = np.empty(2 * len(starts))
    rising = values[starts] <= high
    out_v[0::2] = np.where(rising, low, high)
    out_v[1::2] = np.where(rising, high, low)
    return out_t, out_v


def on_grid(times: Floats, values: Floats, grid: Floats, reach_s: float) -> Floats:
    """Values at the times of ``grid`` (float64[m]), for stacking; NaN where the nearest sample is
    further than ``reach_s`` away or is itself a gap."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(grid), np.nan)
    kt, kv = times[known], values[known]
    out = np.interp(grid, kt, kv)
    after = np.clip(np.searchsorted(kt, grid), 0, len(kt) - 1)
    before = np.clip(after - 1, 0, len(kt) - 1)
    distance = np.minimum(np.abs(kt[after] - grid), np.abs(grid - kt[before]))
    out[distance > reach_s] = np.nan
    return out


def usual_step(times: Floats) -> float:
    """The median distance of neighbouring samples in seconds; 1 when there are too few to say."""
    return float(np.median(np.diff(times))) if len(times) > 2 else 1.0


def runs(values: Floats) -> list[tuple[int, int]]:
    """Half-open ranges of indices without a gap."""
    known = np.isfinite(values)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))
