"""Computes the texts of the Overview's tiles from a snapshot. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gui.health import Tally, brokers_up
from gui.status import BAD, WARN, replica_status
from kafka_client.model import ClusterSnapshot, GroupStatus
from resources.wording import counted, numbered, verb
from widgets import figures

Floats = NDArray[np.float64]
MEAN_OVER_S = 120.0
"""seconds of the sparklines and their means"""


@dataclass(frozen=True, slots=True)
class TileContent:
    """``aside`` stands small after the figure, ``note`` below it in ``tone``."""

    figure: str
    note: str = ""
    tone: str = ""
    aside: str = ""
    tip: str = ""


def broker_tile(snapshot: ClusterSnapshot) -> TileContent:
    up, total = brokers_up(snapshot), len(snapshot.brokers)
    down = sorted(
        i for i, b in snapshot.brokers.items() if not b.in_cluster or b.reachable is False
    )
    if down:
        note = f"{numbered('broker', down)} {verb(len(down))} down"
        return TileContent(str(up), note, WARN if up else BAD, aside=f"/ {total}", tip=note)
    quorum = snapshot.quorum
    controller = quorum.leader_id if quorum is not None else snapshot.controller_id
    note = f"controller {controller}" if controller is not None else "no controller known"
    return TileContent(str(up), note, aside=f"/ {total}")


def partition_tile(tally: Tally) -> TileContent:
    status = replica_status(tally.offline, tally.under_replicated)
    tip = [f"{counted(tally.partitions, 'partition')}, those of internal topics included."]
    tip.append(status.meaning)
    if tally.at_risk:
        tip.append(f"{counted(tally.at_risk, 'partition')} with one in-sync replica left.")
    return TileContent(
        figures.count(tally.partitions), status.text, status.text_tone, tip="\n".join(tip)
    )


def topic_tile(tally: Tally) -> TileContent:
    own = tally.topics - tally.internal
    note = f"and {tally.internal:,} internal" if tally.internal else ""
    return TileContent(figures.count(own), note)


def group_tile(snapshot: ClusterSnapshot) -> TileContent:
    statuses = [group.status for group in snapshot.groups.values()]
    stopped = sum(s in (GroupStatus.STALLED, GroupStatus.STOPPED) for s in statuses)
    behind, late = statuses.count(GroupStatus.BEHIND), statuses.count(GroupStatus.LATE)
    if stopped:
        note, tone = f"{stopped:,} stopped or stalled", WARN
    elif behind:
        note, tone = f"{behind:,} falling behind", WARN
    elif late:
        note, tone = f"{late:,} late", WARN
    else:
        note, tone = "none falls behind" if statuses else "", ""
    return TileContent(figures.count(len(statuses)), note, tone)


def lag_tile(snapshot: ClusterSnapshot) -> TileContent:
    known = [g for g in snapshot.groups.values() if g.lag_records is not None]
    lag = sum(g.lag_records or 0 for g in known) if known else None
    worst = max(known, key=lambda g: g.lag_seconds or 0.0, default=None)
    note = ""
    if worst is not None and worst.lag_seconds:
        note = f"{figures.duration(worst.lag_seconds)}, {worst.group_id}"
    tip = f"Messages that groups have not consumed yet: {figures.count(lag)}"
    if note:
        tip += f"\nFurthest behind: {note}"
    return TileContent(figures.short(lag), note, tip=tip)


def rate_tile(
    total: float | None,
    internal: float | None,
    values: Floats,
    form: Callable[[float | None], str],
) -> TileContent:
    """``total`` counts internal topics, the figure does not; ``values`` are the sparkline's."""
    own = None if total is None else max(total - (internal or 0.0), 0.0)
    mean = _mean(values)
    note = f"mean {form(mean)}" if mean is not None else ""
    tip = "Into all topics except internal ones; the mean is over 2 minutes"
    if internal:
        tip += f"\nInto internal topics: {form(internal)}"
    return TileContent(form(own), note, tip=tip)


def without_internal(total: Floats, internal: Iterable[Floats]) -> Floats:
    """Subtract the series of internal topics where they were sampled together with the total."""
    own = total.copy()
    for values in internal:
        if len(values) == len(own):
            own -= np.nan_to_num(values)
    return np.maximum(own, 0.0)


def _mean(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
