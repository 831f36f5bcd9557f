"""On which brokers the replicas of new partitions go.

Brokers stand in a ring in which the racks alternate. Each partition's leader is the next living
broker of the ring, so that a topic's leaders are spread; its followers are taken from the ring
behind the leader, one step further each time round, first one of every rack, living brokers
before fenced ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spot:
    broker_id: int
    rack: str | None
    usable: bool
    """Alive and staying; others get followers only when there are too few."""


def ring(spots: Sequence[Spot]) -> list[Spot]:
    """The racks alternate, brokers of a rack by id."""
    racks: dict[str | None, list[Spot]] = {}
    for spot in sorted(spots, key=lambda s: s.broker_id):
        racks.setdefault(spot.rack, []).append(spot)
    order = [racks[name] for name in sorted(racks, key=lambda r: (r is None, r or ""))]
    rounds = max((len(members) for members in order), default=0)
    return [members[i] for i in range(rounds) for members in order if i < len(members)]


def place(
    spots: Sequence[Spot], partitions: int, factor: int, start: int, first: int = 0
) -> list[list[int]]:
    """Replicas of ``partitions`` partitions, the leader first in each; ``first`` is the number of
    the first of them.

    ``start`` is any number that is not the same for every topic. At least one spot is usable and
    there are at least ``factor`` of them.
    """
    order = ring(spots)
    leaders = [i for i, spot in enumerate(order) if spot.usable]
    found: list[list[int]] = []
    for number in range(first, first + partitions):
        turn, position = divmod(start + number, len(leaders))
        at = leaders[position]
        behind = [*order[at + 1 :], *order[:at]]
        if behind:
            shift = turn % len(behind)
            behind = behind[shift:] + behind[:shift]
        found.append([order[at].broker_id, *_followers(order[at], behind, factor - 1)])
    return found


def _followers(leader: Spot, behind: Sequence[Spot], count: int) -> list[int]:
    chosen: list[int] = []
    racks = {leader.rack}
    for usable in (True, False):
        for new_rack in (True, False):
            for spot in behind:
                if len(chosen) == count:
                    return chosen
                if (
                    spot.usable is usable
                    and spot.broker_id not in chosen
                    and (not new_rack or spot.rack not in racks)
                ):
                    chosen.append(spot.broker_id)
                    racks.add(spot.rack)
    return chosen
