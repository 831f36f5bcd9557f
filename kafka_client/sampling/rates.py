"""Speeds from counters: how fast an offset grows, over a short sliding window."""

from __future__ import annotations

from collections import deque


class RateMeter:
    """Samples of one counter within ``window_s``, at least two. A counter that goes back (a topic
    made anew, a reset) begins again."""

    __slots__ = ("_samples", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float) -> None:
        samples = self._samples
        if samples and (value < samples[-1][1] or t <= samples[-1][0]):
            samples.clear()
        samples.append((t, value))
        while len(samples) > 2 and samples[1][0] <= t - self._window_s:
            samples.popleft()

    def per_s(self) -> float | None:
        """None until there are two samples."""
        if len(self._samples) < 2:
            return None
        (t0, v0), (t1, v1) = self._samples[0], self._samples[-1]
        return (v1 - v0) / (t1 - t0)


def add_known(values: list[float | None]) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None
