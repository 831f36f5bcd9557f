"""Rates of counters: how fast an offset grows, over a short sliding window; and sums of values of
which some are not known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

N = TypeVar("N", int, float)


class RateMeter:
    """The samples of one counter within the last ``window_s``, and at least two. A counter that
    goes back (a topic created again, a reset) starts over."""

    __slots__ = ("_samples", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float) -> None:
        """Add the counter's value at ``t``, in seconds."""
        samples = self._samples
        if samples and (value < samples[-1][1] or t <= samples[-1][0]):
            samples.clear()
        samples.append((t, value))
        while len(samples) > 2 and samples[1][0] <= t - self._window_s:
            samples.popleft()

    def per_s(self) -> float | None:
        """The growth per second; None until there are two samples."""
        if len(self._samples) < 2:
            return None
        (t0, v0), (t1, v1) = self._samples[0], self._samples[-1]
        return (v1 - v0) / (t1 - t0)


def sum_known(values: Iterable[N | None]) -> N | None:
    """The sum of the values that are known; None when none is."""
    total: N | None = None
    for value in values:
        if value is not None:
            total = value if total is None else total + value
    return total
