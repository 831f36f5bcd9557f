"""Which topics and groups the charts of the Overview draw, and in which colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kafka_client.model import ClusterSnapshot, Group
from resources.wording import counted
from widgets.charts.model import Series, SumOf
from widgets.charts.series_colors import SeriesColors

TOPICS_SHOWN = 7
GROUPS_SHOWN = 6


def rate_series(
    rates: Mapping[str, float], internal: Sequence[str], colors: SeriesColors
) -> list[Series]:
    """The topics with the highest rates, by name, and the sum of the others.

    ``rates`` leaves out the ``internal`` topics, and so does the sum.
    """
    top = sorted(sorted(rates, key=lambda name: -rates[name])[:TOPICS_SHOWN])
    own = colors.distinct([("topic", name) for name in top])
    areas = [Series(("rate", name), name, color) for name, color in zip(top, own, strict=True)]
    if len(rates) > len(top):
        left_out = tuple(("rate", name) for name in (*top, *internal))
        others = counted(len(rates) - len(top), "other")
        areas.append(Series(SumOf((("rate",),), left_out), others, tone="text_faint"))
    return areas


def worst_groups(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda g: -(g.lag_records or 0))[:GROUPS_SHOWN]


def lag_series(snapshot: ClusterSnapshot, colors: SeriesColors) -> list[Series]:
    """A line for each of the worst groups, by name, and one for the total if there are several."""
    groups = sorted(worst_groups(snapshot.groups.values()), key=lambda g: g.group_id)
    for group in groups:
        # A group that reads one topic has that topic's colour: the two charts read together.
        like = ("topic", group.topics[0]) if len(group.topics) == 1 else None
        colors.color("group", group.group_id, like)
    own = colors.distinct([("group", g.group_id) for g in groups])
    lines = [
        Series(("lag", g.group_id), g.group_id, color) for g, color in zip(groups, own, strict=True)
    ]
    if len(lines) > 1:
        lines.append(Series(("lag",), "total", tone="text_faint", dashed=True))
    return lines
