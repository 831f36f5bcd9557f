"""The samples behind every chart: one series per key, recent ones as sampled, older ones as
ten-second means.

Keys are tuples, first the measure: ("lag", group[, topic[, partition]]), ("lag_s", ...),
("committed_rate", ...), ("end_rate", ...), ("rate"[, topic[, partition]]), ("bytes"[, topic]),
("broker_rtt", broker_id), ("under_replicated",), ("lag",).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from kafka_client.sampling.rings import Floats, Ring

Series = tuple[str | int, ...]

FINE_SAMPLES = 3600
COARSE_S = 10.0
COARSE_SAMPLES = 8640

_EMPTY: Floats = np.empty(0)


class _Tiers:
    """One series: a fine ring, and a coarse ring that begins to fill when the fine one is full."""

    __slots__ = ("bucket", "bucket_count", "bucket_sum", "coarse", "fine", "newest")

    def __init__(self) -> None:
        self.fine = Ring(FINE_SAMPLES)
        self.coarse: Ring | None = None
        self.bucket = 0.0
        self.bucket_sum = 0.0
        self.bucket_count = 0
        self.newest = float("-inf")

    def append(self, t: float, value: float) -> None:
        self.newest = t
        if self.fine.full:
            times, values = self.fine.views()
            self._pass_on(float(times[0]), float(values[0]))
        self.fine.append(t, value)

    def _pass_on(self, t: float, value: float) -> None:
        bucket = t // COARSE_S * COARSE_S
        if bucket != self.bucket:
            self._close_bucket()
            self.bucket = bucket
        if value == value:
            self.bucket_sum += value
            self.bucket_count += 1

    def _close_bucket(self) -> None:
        if self.bucket == 0.0:
            return
        if self.coarse is None:
            self.coarse = Ring(COARSE_SAMPLES)
        mean = self.bucket_sum / self.bucket_count if self.bucket_count else float("nan")
        self.coarse.append(self.bucket + COARSE_S / 2, mean)
        self.bucket_sum, self.bucket_count = 0.0, 0


class SeriesStore:
    """Written by the client thread, read by the window's thread. ``append`` and ``window`` take
    no lock on the samples; a lock guards only the dictionary of series."""

    def __init__(self) -> None:
        self._series: dict[Series, _Tiers] = {}
        self._lock = threading.Lock()

    def append(self, series: Series, t: float, value: float) -> None:
        """Add one sample, NaN for a gap. Samples of one series come in the order of time; an
        older one is dropped."""
        tiers = self._series.get(series)
        if tiers is None:
            tiers = _Tiers()
            with self._lock:
                self._series[series] = tiers
        if t >= tiers.newest:
            tiers.append(t, value)

    def gap(self, series: Series, t: float) -> None:
        """Mark a gap, once: a second gap in a row adds nothing."""
        tiers = self._series.get(series)
        if tiers is None:
            return
        _, values = tiers.fine.views()
        if len(values) and values[-1] == values[-1]:
            tiers.append(t, float("nan"))

    def window(self, series: Series, t0: float, t1: float) -> tuple[Floats, Floats]:
        """(times, values) with t0 <= time <= t1, float64, same length. Views without a copy when
        the fine samples reach back to t0; do not write to them. Empty arrays for an unknown
        series."""
        tiers = self._series.get(series)
        if tiers is None:
            return _EMPTY, _EMPTY
        times, values = _between(tiers.fine, t0, t1)
        coarse = tiers.coarse
        fine_times, _ = tiers.fine.views()
        if coarse is None or not len(fine_times) or fine_times[0] <= t0:
            return times, values
        older_times, older_values = _between(coarse, t0, min(t1, float(fine_times[0])))
        return np.concatenate((older_times, times)), np.concatenate((older_values, values))

    def last(self, series: Series) -> tuple[float, float] | None:
        """The newest sample that is not a gap, or None."""
        tiers = self._series.get(series)
        if tiers is None:
            return None
        times, values = tiers.fine.views()
        for i in range(len(values) - 1, -1, -1):
            if values[i] == values[i]:
                return float(times[i]), float(values[i])
        return None

    def keys(self, *prefix: str | int) -> list[Series]:
        """Series whose key begins with this, sorted by text: ``keys("lag", "orders")``."""
        with self._lock:
            found = [key for key in self._series if key[: len(prefix)] == prefix]
        return sorted(found, key=_in_order)

    def forget(self, *prefix: str | int) -> None:
        """Drop the series of a thing that is gone."""
        with self._lock:
            for key in [key for key in self._series if key[: len(prefix)] == prefix]:
                del self._series[key]

    def __contains__(self, series: Series) -> bool:
        return series in self._series

    def __iter__(self) -> Iterator[Series]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._series)

    @property
    def nbytes(self) -> int:
        with self._lock:
            return sum(
                t.fine.nbytes + (t.coarse.nbytes if t.coarse else 0) for t in self._series.values()
            )


def _between(ring: Ring, t0: float, t1: float) -> tuple[Floats, Floats]:
    times, values = ring.views()
    start = int(np.searchsorted(times, t0, side="left"))
    stop = int(np.searchsorted(times, t1, side="right"))
    return times[start:stop], values[start:stop]


def _in_order(key: Series) -> tuple[str, ...]:
    return tuple(str(part).zfill(9) if isinstance(part, int) else part for part in key)
