"""One frame of a chart as arrays: what of each series is drawn in a time range, and how its values
reach. Pure numpy; the drawing is in ``curves_item``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from widgets.charts.columns import Columns, statistics
from widgets.charts.model import Past, Read, Samples, Series, Statistics, SumOf
from widgets.charts.past import PastSamples
from widgets.charts.scale import Floats, sum_of, usual_step, with_gaps

SLACK_S = 130.0
"""Samples so far outside of the range are read too: a line leaves the chart at its edge. More than
two steps of the coarsest samples (1 min)."""
CARRY_STEPS = 3.0
FINE_SERIES = 100
"""So many lines have a column for each pixel; more have one for every other pixel, which nobody
sees and which halves their cost."""
STEPS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
_NAN = float("nan")
NO_STATISTICS = Statistics(_NAN, _NAN, _NAN, _NAN)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line, or an area from ``below`` up to ``values``. float64[n] each, NaN is a gap."""

    series: Series
    times: Floats
    values: Floats
    below: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """``low`` and ``high`` are the extremes of what is drawn, NaN when nothing is."""

    t0: float
    t1: float
    curves: tuple[Curve, ...] = ()
    statistics: Mapping[Hashable, Statistics] = field(default_factory=dict)
    low: float = _NAN
    high: float = _NAN

    @property
    def empty(self) -> bool:
        return not np.isfinite(self.high)


class FrameMaker:
    """Reads, thins and stacks the samples of one chart, and keeps what the next frame can use."""

    def __init__(self, read: Read, past: Past | None) -> None:
        self._read = read
        self._past = None if past is None else PastSamples(past, self._past_arrived)
        self._columns: dict[Hashable, Columns] = {}
        self.past_arrived = False
        """Older samples have come since the last frame."""

    def _past_arrived(self, keys: Sequence[Hashable]) -> None:
        self._columns.clear()
        self.past_arrived = True

    def keep_only(self, keys: Sequence[Hashable]) -> None:
        """Other series are shown: drop what belonged to the previous ones."""
        self._columns = {key: c for key, c in self._columns.items() if key in keys}
        if self._past is not None:
            parts = [part for k in keys if isinstance(k, SumOf) for part in (*k.plus, *k.minus)]
            self._past.keep_only([*keys, *parts])

    def forget(self) -> None:
        """Read all samples anew, e.g. because other series are shown."""
        self._columns.clear()

    def samples(self, key: Hashable, t0: float, t1: float) -> Samples:
        """Samples of memory and, as far as it was read, of the history."""
        if isinstance(key, SumOf):
            return sum_of(
                [self.samples(part, t0, t1) for part in key.plus],
                [self.samples(part, t0, t1) for part in key.minus],
            )
        memory = self._read(key, t0, t1)
        return memory if self._past is None else self._past.window(key, t0, t1, memory)

    def make(
        self, series: Sequence[Series], t0: float, t1: float, pixels: int, stacked: bool
    ) -> Frame:
        """``pixels`` is the width of the plot: no curve gets more than two points for each."""
        self.past_arrived = False
        if not stacked and len(series) > FINE_SERIES:
            pixels //= 2
        slack = max(SLACK_S, (t1 - t0) * 0.02)
        data = [(s, self.samples(s.key, t0 - slack, t1 + slack)) for s in series]
        # The same width in each frame although t1 - t0 is rounded: the columns are kept by it.
        width_s = float(f"{(t1 - t0) / max(pixels, 1):.6g}")
        figures: dict[Hashable, Statistics] = {}
        curves: list[Curve] = []
        if stacked:
            areas = [(s, samples) for s, samples in data if not s.dashed]
            curves += self._areas(areas, figures, t0, t1, width_s)
            data = [(s, samples) for s, samples in data if s.dashed]
        for one, (times, values) in data:
            curves.append(self._line(one, times, values, figures, t0, t1, width_s, pixels))
        if self._past is not None:
            self._past.ask()
        return Frame(t0, t1, tuple(curves), figures, *_extremes(curves, figures, t0, t1))

    def _line(
        self,
        series: Series,
        times: Floats,
        values: Floats,
        figures: dict[Hashable, Statistics],
        t0: float,
        t1: float,
        width_s: float,
        pixels: int,
    ) -> Curve:
        low, high = np.searchsorted(times, (t0, t1)).tolist()
        if high - low > 2 * pixels:
            columns = self._columns_of(series.key, times, values, width_s)
            figures[series.key] = _with_last(columns.statistics(t0, t1), values[:high])
            return Curve(series, *columns.line(t0, t1))
        figures[series.key] = statistics(times, values, t0, t1)
        times, values = with_gaps(times, values)
        low, high = np.searchsorted(times, (t0, t1)).tolist()
        part = slice(max(0, low - 1), high + 1)
        return Curve(series, times[part], values[part])

    def _columns_of(self, key: Hashable, times: Floats, values: Floats, width_s: float) -> Columns:
        columns = self._columns.get(key)
        if columns is None or columns.width_s != width_s:
            columns = self._columns[key] = Columns(width_s)
        since = float(times[0]) if len(times) else float("inf")
        columns.update(times, values, since)
        return columns

    def _areas(
        self,
        data: list[tuple[Series, Samples]],
        figures: dict[Hashable, Statistics],
        t0: float,
        t1: float,
        width_s: float,
    ) -> list[Curve]:
        """Upper and lower edges on one grid of columns. An area is not drawn where its series has
        a gap; nothing is where all have one."""
        steps = [usual_step(times[-64:]) for _, (times, _) in data if len(times) > 2]
        step_s = min(steps, default=1.0)
        width_s = max(width_s, next((s for s in STEPS_S if s >= step_s * 0.75), STEPS_S[-1]))
        newest = max((float(times[-1]) for _, (times, _) in data if len(times)), default=t0)
        first, last = int(t0 // width_s) - 1, int(min(t1, newest) // width_s)
        if not data or last <= first:
            return []
        layers = np.empty((len(data), last - first + 1))
        for place, (series, (times, values)) in enumerate(data):
            columns = self._columns_of(series.key, times, values, width_s)
            carry_s = CARRY_STEPS * usual_step(times[-16:])
            layers[place] = columns.means(first, last, carry_s)
            high = int(np.searchsorted(times, t1, side="right"))
            figures[series.key] = _with_last(columns.statistics(t0, t1), values[:high])
        known = np.isfinite(layers)
        edges = np.cumsum(np.where(known, layers, 0.0), axis=0)
        tops = np.where(known, edges, np.nan)
        grid: Floats = np.arange(first + 0.5, last + 1.0) * width_s
        curves: list[Curve] = []
        below: Floats = np.zeros(len(grid))
        for place, (series, _) in enumerate(data):
            curves.append(Curve(series, grid, tops[place], below))
            below = np.asarray(edges[place], dtype=np.float64)
        return curves


def _with_last(figures: Statistics, values: Floats) -> Statistics:
    """Columns know the mean of the newest samples; the newest one itself stands at the end."""
    for value in values[-1:-16:-1].tolist():
        if value == value:
            return Statistics(figures.low, figures.mean, figures.high, value)
    return figures


def _extremes(
    curves: Sequence[Curve], figures: Mapping[Hashable, Statistics], t0: float, t1: float
) -> tuple[float, float]:
    lows, highs = [], []
    for curve in curves:
        if curve.below is None:
            lows.append(figures[curve.series.key].low)
            highs.append(figures[curve.series.key].high)
        else:
            inside = (curve.times >= t0) & (curve.times <= t1) & np.isfinite(curve.values)
            if inside.any():
                lows.append(float(curve.values[inside].min()))
                highs.append(float(curve.values[inside].max()))
    lows = [value for value in lows if value == value]
    highs = [value for value in highs if value == value]
    return min(lows, default=_NAN), max(highs, default=_NAN)
