"""The samples behind every chart: one series per key, the newest as sampled, older ones as
ten-second means.

Keys are tuples, the measure first: ("lag", group[, topic[, partition]]), ("lag_s", ...),
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
STEP_BACK_S = 10.0
"""A sample that is older than the newest by more than this shows that the clock was set back."""

_EMPTY: Floats = np.empty(0)


class _Tiers:
    """One series: a ring of samples, and a ring of ten-second means of the samples that fell out
    of the first."""

    __slots__ = ("bucket", "bucket_count", "bucket_sum", "coarse", "fine", "newest")

    def __init__(self) -> None:
        self.fine = Ring(FINE_SAMPLES)
        self.coarse: Ring | None = None
        self.bucket = 0.0
        """Start of the ten seconds that are being summed, in seconds since the epoch."""
        self.bucket_sum = 0.0
        self.bucket_count = 0
        self.newest = float("-inf")
        """Time of the newest sample or gap."""

    def append(self, t: float, value: float) -> None:
        """Add a sample. When the clock was set back, those of the time to come go first: they
        would hide the new ones until that time has come. The history has them all."""
        if t < self.newest - STEP_BACK_S:
            self.fine = self.fine.until(t)
            self.coarse = self.coarse.until(t) if self.coarse is not None else None
            self.bucket, self.bucket_sum, self.bucket_count = 0.0, 0.0, 0
        self.newest = t
        if self.fine.full:
            times, values = self.fine.views()
            self._add_to_bucket(float(times[0]), float(values[0]))
        self.fine.append(t, value)

    def _add_to_bucket(self, t: float, value: float) -> None:
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
    no lock on the samples; a lock guards only the dictionaries of keys.

    ``_children`` is a tree over the keys: under each prefix the keys or longer prefixes that
    follow it. Thus ``keys`` and ``forget`` cost what lies under their prefix, not what the whole
    store holds: a cluster has tens of thousands of series, and a coordinator that fails asks for
    hundreds of prefixes a second.
    """

    def __init__(self) -> None:
        self._series: dict[Series, _Tiers] = {}
        self._children: dict[Series, dict[Series, None]] = {}
        self._lock = threading.Lock()

    def append(self, series: Series, t: float, value: float) -> None:
        """Add one sample, NaN for a gap. A sample that is at most STEP_BACK_S older than the
        newest of its series is dropped; with an older one the series goes on from there."""
        tiers = self._series.get(series)
        if tiers is None:
            tiers = _Tiers()
            with self._lock:
                self._series[series] = tiers
                self._link(series)
        if t >= tiers.newest or t < tiers.newest - STEP_BACK_S:
            tiers.append(t, value)

    def gap(self, series: Series, t: float) -> None:
        """Mark a gap; a second gap in a row adds nothing, nor does one of an unknown series."""
        tiers = self._series.get(series)
        if tiers is None:
            return
        _, values = tiers.fine.views()
        if len(values) and values[-1] == values[-1]:
            tiers.append(t, float("nan"))

    def mark_gaps(self, t: float, *prefix: str | int) -> None:
        """Mark a gap in every series whose key begins with ``prefix``."""
        with self._lock:
            under = list(self._under(prefix))
        for series in under:
            self.gap(series, t)

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

    def keys(self, *prefix: str | int, longest: int | None = None) -> list[Series]:
        """The series whose key begins with ``prefix``, sorted by text: ``keys("lag", "orders")``.
        ``longest``: only keys of at most so many parts."""
        with self._lock:
            under = list(self._under(prefix, longest))
        return sorted(under, key=_in_order)

    def forget(self, *prefix: str | int) -> None:
        """Drop the series whose key begins with ``prefix``."""
        with self._lock:
            for series in list(self._under(prefix)):
                del self._series[series]
                self._unlink(series)

    def __contains__(self, series: Series) -> bool:
        return series in self._series

    def __iter__(self) -> Iterator[Series]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._series)

    @property
    def nbytes(self) -> int:
        """Bytes of all samples, without the keys."""
        with self._lock:
            return sum(
                t.fine.nbytes + (t.coarse.nbytes if t.coarse else 0) for t in self._series.values()
            )

    # ---- the tree over the keys; call with the lock held
    def _link(self, series: Series) -> None:
        for length in range(len(series), 0, -1):
            child = series[:length]
            siblings = self._children.setdefault(series[: length - 1], {})
            if child in siblings:
                return
            siblings[child] = None

    def _unlink(self, series: Series) -> None:
        """Remove a key that left ``_series``, and each prefix that leads nowhere then."""
        node = series
        while node and node not in self._series and not self._children.get(node):
            self._children.pop(node, None)
            self._children.get(node[:-1], {}).pop(node, None)
            node = node[:-1]

    def _under(self, prefix: Series, longest: int | None = None) -> Iterator[Series]:
        """The keys that begin with ``prefix``, itself included, in no particular order."""
        waiting = [prefix]
        while waiting:
            node = waiting.pop()
            if node in self._series:
                yield node
            if longest is None or len(node) < longest:
                waiting.extend(self._children.get(node, ()))


def _between(ring: Ring, t0: float, t1: float) -> tuple[Floats, Floats]:
    times, values = ring.views()
    start = int(np.searchsorted(times, t0, side="left"))
    stop = int(np.searchsorted(times, t1, side="right"))
    return times[start:stop], values[start:stop]


def _in_order(key: Series) -> tuple[str, ...]:
    """Sort by text, numbers by value."""
    return tuple(str(part).zfill(9) if isinstance(part, int) else part for part in key)
