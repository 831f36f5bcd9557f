"""The input of a chart: series, marks, and how samples are read. No Qt, no pyqtgraph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from widgets.charts.scale import Floats

Samples = tuple[Floats, Floats]
"""(times, values), float64[n] each: seconds since the epoch, rising; a NaN value is a gap."""

Read = Callable[[Any, float, float], Samples]
"""(series key, from, until) -> samples. Called on the window's thread; must not wait."""


@dataclass(frozen=True, slots=True)
class SumOf:
    """The key of a series that is computed: the sum of some series less the sum of others, never
    below zero. "All other topics" is the total less the topics that are shown."""

    plus: tuple[Hashable, ...]
    minus: tuple[Hashable, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or area. ``color`` is an index into the theme's series colours; ``tone`` names a
    token of the theme and wins over it."""

    key: Hashable
    label: str
    color: int = 0
    tone: str = ""
    dashed: bool = False
    """Drawn as a dashed line, never stacked: e.g. a total over its parts."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment to point out on the time axis, e.g. a rebalance. ``tone`` is a token."""

    at_s: float
    label: str
    tone: str = "text_muted"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Summarizes the samples in the visible range; every field is NaN when there are none."""

    low: float
    mean: float
    high: float
    last: float


class Past(Protocol):
    """Samples older than what memory holds, read off the window's thread."""

    def request(
        self,
        keys: Sequence[Hashable],
        t0: float,
        t1: float,
        done: Callable[[Mapping[Hashable, Samples] | None], None],
    ) -> None:
        """Read those series; call ``done`` later on the window's thread, with None when they
        cannot be read now."""

    def request_beginning(
        self, keys: Sequence[Hashable], done: Callable[[float | None], None]
    ) -> None:
        """Find the time of the oldest sample of those series, None when there is none; call
        ``done`` later on the window's thread."""
