"""Which of many series a chart shows by themselves; the others are one sum."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

from resources.wording import counted
from widgets.charts.columns import statistics
from widgets.charts.model import Read, Series, SumOf

STAYS = 1.2
"""A series that is shown already counts so many times, so that two equal ones do not take turns."""


def top_series(
    series: Sequence[Series],
    read: Read,
    t0: float,
    t1: float,
    most: int,
    shown: Collection[Hashable] = (),
) -> list[Series]:
    """At most ``most`` series in the given order, those with the greatest mean in the range, and
    the sum of the others behind them. ``shown`` are the keys of those chosen before."""
    if len(series) <= most:
        return list(series)

    def rank(one: Series) -> float:
        mean = statistics(*read(one.key, t0, t1), t0, t1).mean
        return (mean if mean == mean else -1.0) * (STAYS if one.key in shown else 1.0)

    best = {one.key for one in sorted(series, key=rank, reverse=True)[:most]}
    others = tuple(one.key for one in series if one.key not in best)
    rest = Series(SumOf(others), counted(len(others), "other"), tone="text_faint")
    return [*(one for one in series if one.key in best), rest]
