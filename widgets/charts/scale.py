"""From samples to what a chart has pixels for: pure functions over numpy arrays.

A gap is a NaN value, or a step between two samples that is far longer than the usual steps on
both of its sides. The usual step is judged per stretch, because one curve may hold samples of 1 s
beside means of 10 s or 1 min.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

GAP_STEPS = 4.0
"""A step so many times longer than the usual steps beside it is an outage."""
_NEIGHBOURS = 3
_NONE: Places = np.zeros(0, dtype=np.int64)


def runs(values: Floats) -> list[tuple[int, int]]:
    """Half-open ranges of indices without a gap."""
    known = np.isfinite(values)
    if known.all():
        return [(0, len(values))] if len(values) else []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def breaks(times: Floats) -> Places:
    """Indices i such that nothing was sampled between times[i] and times[i + 1].

    ``times`` float64[n] rising. With fewer than three samples there is no usual step to judge by.
    """
    if len(times) < 3:
        return _NONE
    steps = np.diff(times)
    # One step in ten is shorter than this: only longer ones by far need the closer look.
    short = float(np.partition(steps, len(steps) // 10)[len(steps) // 10])
    suspects = np.flatnonzero(steps > GAP_STEPS * max(short, 1e-9))
    if not len(suspects):
        return _NONE
    padded = np.concatenate((np.zeros(_NEIGHBOURS), steps, np.zeros(_NEIGHBOURS)))
    reach = np.arange(_NEIGHBOURS)
    before = np.median(padded[suspects[:, None] + reach], axis=1)
    after = np.median(padded[suspects[:, None] + reach + _NEIGHBOURS + 1], axis=1)
    found: Places = suspects[steps[suspects] > GAP_STEPS * np.maximum(before, after)]
    return found


def with_gaps(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The samples with a NaN put into each outage."""
    gaps = breaks(times)
    if not len(gaps):
        return times, values
    middles = (times[gaps] + times[gaps + 1]) / 2
    return np.insert(times, gaps + 1, middles), np.insert(values, gaps + 1, np.nan)


def usual_step(times: Floats) -> float:
    """The median distance of neighbouring samples in seconds; 1 when there are too few to say."""
    return float(np.median(np.diff(times))) if len(times) > 2 else 1.0


def sampled_at(times: Floats, values: Floats, at_s: float, reach_s: float) -> float:
    """The value of the sample nearest to a time, NaN when none is within ``reach_s``."""
    if not len(times):
        return float("nan")
    place = int(np.searchsorted(times, at_s))
    near = [i for i in (place - 1, place) if 0 <= i < len(times)]
    best = min(near, key=lambda i: abs(float(times[i]) - at_s))
    return float(values[best]) if abs(float(times[best]) - at_s) <= reach_s else float("nan")


def sum_of(
    plus: list[tuple[Floats, Floats]], minus: list[tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """The sum of some series less the sum of others at the times of the longest of ``plus``;
    not below zero. NaN where that one has a gap; a gap in another counts as nothing."""
    if not plus:
        return np.zeros(0), np.zeros(0)
    times, values = with_gaps(*max(plus, key=lambda samples: len(samples[0])))
    total = np.zeros(len(times))
    for sign, many in ((1.0, plus), (-1.0, minus)):
        for t, v in many:
            total += sign * np.nan_to_num(at_times(*with_gaps(t, v), times))
    return times, np.where(np.isfinite(values), np.maximum(total, 0.0), np.nan)


def at_times(times: Floats, values: Floats, wanted: Floats) -> Floats:
    """Values between the samples by straight lines, NaN outside of them and in their gaps."""
    out = np.full(len(wanted), np.nan)
    for start, end in runs(values):
        slack = usual_step(times[start:end])
        low = int(np.searchsorted(wanted, times[start] - slack, side="left"))
        high = int(np.searchsorted(wanted, times[end - 1] + slack, side="right"))
        out[low:high] = np.interp(wanted[low:high], times[start:end], values[start:end])
    return out
