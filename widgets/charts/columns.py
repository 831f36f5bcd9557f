"""The samples of one series gathered into columns of one width on the time axis.

Columns begin at whole multiples of their width, so a chart that moves with the clock groups the
same samples each frame: the curve does not shimmer, and only the newest column changes. That is
why columns are kept from frame to frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from widgets.charts.model import Statistics
from widgets.charts.scale import Floats, Places, breaks

CONTEXT = 8
"""Samples before the newest column that are looked at again to judge whether it follows a gap."""
_ROOM = 64
_NAN = float("nan")


class Columns:
    """Only columns that hold samples are listed. Arrays of one length, oldest first:

    ``at`` int64: the column covers [at * width_s, (at + 1) * width_s). ``low``, ``high``: of its
    samples, NaN when all of them are gaps. ``total``, ``count``: of the known ones. ``after_gap``
    bool: an outage lies between the column before and this one.
    """

    def __init__(self, width_s: float) -> None:
        self.width_s = width_s
        self.since_s = float("inf")
        """Samples from here on were taken in."""
        self._newest_s = _NAN
        self._size = 0
        self._at: Places = np.zeros(_ROOM, dtype=np.int64)
        self._cells: Floats = np.zeros((4, _ROOM))
        self._after_gap = np.zeros(_ROOM, dtype=bool)

    def __len__(self) -> int:
        return self._size

    @property
    def at(self) -> Places:
        return self._at[: self._size]

    @property
    def low(self) -> Floats:
        return self._cells[0, : self._size]

    @property
    def high(self) -> Floats:
        return self._cells[1, : self._size]

    @property
    def total(self) -> Floats:
        return self._cells[2, : self._size]

    @property
    def count(self) -> Floats:
        return self._cells[3, : self._size]

    @property
    def after_gap(self) -> NDArray[np.bool_]:
        return self._after_gap[: self._size]

    def update(self, times: Floats, values: Floats, t0: float) -> None:
        """Take in samples that begin at ``t0``: all of them at first, later only those from the
        newest column on. Samples of earlier columns do not change."""
        if not len(times):
            return
        newest = int(self._at[self._size - 1]) if self._size else 0
        begin_s = newest * self.width_s
        # Samples that begin behind the newest column do not say what lies before them; such that
        # end before it were taken after the clock was set back.
        if (
            t0 < self.since_s
            or not self._size
            or float(times[0]) > begin_s
            or float(times[-1]) < begin_s
        ):
            self._size = 0
            self.since_s = t0
            self._append(times, values, 0)
            return
        if float(times[-1]) != self._newest_s:
            start = int(np.searchsorted(times, begin_s))
            if start < len(times):
                self._size -= 1
                self._append(times, values, start)
        self._forget(t0)

    def _forget(self, t0: float) -> None:
        """Drop columns left of ``t0`` once they are as many as those that are shown."""
        gone = int(np.searchsorted(self.at, int(t0 // self.width_s)))
        if gone > 256 and gone * 2 > self._size:
            keep = slice(gone, self._size)
            self._at, self._cells = self._at[keep].copy(), self._cells[:, keep].copy()
            self._after_gap = self._after_gap[keep].copy()
            self._size -= gone
            self.since_s = t0

    def _append(self, times: Floats, values: Floats, start: int) -> None:
        """Add the columns of samples[start:]."""
        if start >= len(times):
            return
        context = max(0, start - CONTEXT)
        gaps = breaks(times[context:]) + context + 1
        self._newest_s = float(times[-1])
        times, values = times[start:], values[start:]
        places = np.floor(times / self.width_s).astype(np.int64)
        starts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
        known = np.isfinite(values)
        values = np.where(known, values, np.nan)  # infinity is no value that a chart can show
        part = slice(self._size, self._size + len(starts))
        self._make_room(part.stop)
        self._at[part] = places[starts]
        cells = self._cells[:, part]
        cells[0] = np.fmin.reduceat(values, starts)
        cells[1] = np.fmax.reduceat(values, starts)
        cells[2] = np.add.reduceat(np.nan_to_num(values), starts)
        cells[3] = np.add.reduceat(known, starts, dtype=np.float64)
        self._after_gap[part] = np.isin(starts + start, gaps) if len(gaps) else False
        self._size = part.stop

    def _make_room(self, size: int) -> None:
        if size > len(self._at):
            more = max(size, 2 * len(self._at)) - len(self._at)
            self._at = np.pad(self._at, (0, more))
            self._cells = np.pad(self._cells, ((0, 0), (0, more)))
            self._after_gap = np.pad(self._after_gap, (0, more))

    def between(self, t0: float, t1: float) -> slice:
        """The columns that touch a time range, and one more on either side."""
        low = int(np.searchsorted(self.at, int(t0 // self.width_s)))
        high = int(np.searchsorted(self.at, int(t1 // self.width_s), side="right"))
        return slice(max(0, low - 1), high + 1)

    def line(self, t0: float, t1: float) -> tuple[Floats, Floats]:
        """Two points a column, its least and greatest sample, so that no peak is lost: (times,
        values), float64[2 * n] and more where there are gaps.

        Every other column runs from its greatest sample to its least: the line meets the next
        column where it left this one, and half of the strokes are saved.
        """
        part = self.between(t0, t1)
        at, low, high = self.at[part], self.low[part], self.high[part]
        times = np.repeat((at + 0.5) * self.width_s, 2)
        values = np.empty(len(times))
        rising = at % 2 == 0
        values[0::2] = np.where(rising, low, high)
        values[1::2] = np.where(rising, high, low)
        gaps = np.flatnonzero(self.after_gap[part]) * 2
        if len(gaps):
            times = np.insert(times, gaps, times[gaps])
            values = np.insert(values, gaps, np.nan)
        return times, values

    def means(self, first: int, last: int, carry_s: float) -> Floats:
        """The mean of each column from ``first`` to ``last``, float64[last - first + 1]: straight
        lines over empty columns, NaN in outages and outside of the samples. The newest value is
        carried on for ``carry_s``, because series of one round are not sampled at one moment."""
        out = np.full(last - first + 1, np.nan)
        known = np.flatnonzero(self.count)
        if not len(known):
            return out
        at, mean = self.at[known], self.total[known] / self.count[known]
        low = max(int(np.searchsorted(at, first)) - 1, 0)
        high = int(np.searchsorted(at, last, side="right")) + 1
        at, mean, known = at[low:high], mean[low:high], known[low:high]
        end = int(at[-1])
        if known[-1] == self._size - 1:
            end += int(carry_s / self.width_s)
        left, right = max(first, int(at[0])), min(last, end)
        if left > right:
            return out
        grid = np.arange(left, right + 1)
        out[left - first : right - first + 1] = np.interp(grid, at, mean)
        walls = np.cumsum(self.after_gap | (self.count == 0))
        for i in np.flatnonzero(np.diff(walls[known])).tolist():
            out[max(0, int(at[i]) + 1 - first) : max(0, int(at[i + 1]) - first)] = np.nan
        return out

    def statistics(self, t0: float, t1: float) -> Statistics:
        """Least, mean, greatest and newest known sample of the columns in a range."""
        low = int(np.searchsorted(self.at, int(t0 // self.width_s)))
        high = int(np.searchsorted(self.at, int(t1 // self.width_s), side="right"))
        known = np.flatnonzero(self.count[low:high]) + low
        if not len(known):
            return Statistics(_NAN, _NAN, _NAN, _NAN)
        mean = float(self.total[low:high].sum() / self.count[low:high].sum())
        newest = known[-1]
        return Statistics(
            float(np.fmin.reduce(self.low[low:high])),
            mean,
            float(np.fmax.reduce(self.high[low:high])),
            float(self.total[newest] / self.count[newest]),
        )


def statistics(times: Floats, values: Floats, t0: float, t1: float) -> Statistics:
    """Least, mean, greatest and newest known sample in a range of samples."""
    low, high = np.searchsorted(times, (t0, t1), side="left")
    known = values[int(low) : int(high) + 1]
    known = known[np.isfinite(known)]
    if not len(known):
        return Statistics(_NAN, _NAN, _NAN, _NAN)
    return Statistics(float(known.min()), float(known.mean()), float(known.max()), float(known[-1]))
