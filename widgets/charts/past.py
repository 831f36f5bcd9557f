"""Reads the samples of a chart that are no longer in memory from the history.

They are requested for one range, cached for it, and drawn when they arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from widgets.charts import model
from widgets.charts.model import Samples
from widgets.charts.scale import Floats

MARGIN = 0.5
"""The extra range to read on the left, as a share of the shown range, so that panning finds it
in the cache."""
FINER = 8.0
"""The range is read again when the cached range is more than this many times the shown one: the
history has finer steps for a shorter range."""
RETRY_S = 5.0
"""The wait after a failed read, before the next one."""
_NONE: Floats = np.zeros(0)


class PastSamples:
    """Caches the older samples of one chart. ``changed`` is called when samples have arrived."""

    def __init__(self, past: model.Past, changed: Callable[[Sequence[Hashable]], None]) -> None:
        self._past = past
        self._changed = changed
        self._samples: dict[Hashable, Samples] = {}
        self._range: dict[Hashable, tuple[float, float]] = {}
        self._wanted: dict[Hashable, tuple[float, float]] = {}
        self._waiting = False
        self._not_before_s = 0.0

    def window(self, key: Hashable, t0: float, t1: float, memory: Samples) -> Samples:
        """Return the samples in memory with the cached ones of the history before them. The next
        ``ask`` requests those that are missing."""
        times, values = memory
        until = float(times[0]) if len(times) else t1
        if until <= t0 + max(2.0, (t1 - t0) * 0.01):
            return memory
        self._want(key, t0, min(until, t1), t1 - t0)
        old_times, old_values = self._samples.get(key, (_NONE, _NONE))
        low = int(np.searchsorted(old_times, t0))
        high = int(np.searchsorted(old_times, until, side="left"))
        if low == high:
            return memory
        return (
            np.concatenate((old_times[low:high], times)),
            np.concatenate((old_values[low:high], values)),
        )

    def _want(self, key: Hashable, t0: float, until: float, length: float) -> None:
        have = self._range.get(key)
        covered = have is not None and have[0] <= t0 and have[1] >= until - 2.0
        if covered and have is not None and have[1] - have[0] <= length * FINER:
            return
        self._wanted[key] = (t0 - length * MARGIN, until + length * MARGIN)

    def ask(self) -> None:
        """Read what the last frame missed, all series at once; one question at a time."""
        if self._waiting or not self._wanted or time.monotonic() < self._not_before_s:
            return
        wanted, self._wanted = self._wanted, {}
        t0 = min(low for low, _ in wanted.values())
        t1 = max(high for _, high in wanted.values())
        self._waiting = True
        self._past.request(
            list(wanted), t0, t1, lambda samples: self._take(list(wanted), t0, t1, samples)
        )

    def _take(
        self,
        keys: list[Hashable],
        t0: float,
        t1: float,
        samples: Mapping[Hashable, Samples] | None,
    ) -> None:
        self._waiting = False
        if samples is None:
            self._not_before_s = time.monotonic() + RETRY_S
            return
        for key in keys:
            self._range[key] = (t0, t1)
            self._samples[key] = samples.get(key, (_NONE, _NONE))
        self._changed(keys)

    def keep_only(self, keys: Sequence[Hashable]) -> None:
        """Forget series that the chart no longer shows."""
        for key in set(self._range) - set(keys):
            del self._range[key], self._samples[key]
