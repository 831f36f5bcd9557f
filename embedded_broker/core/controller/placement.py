"""Place the replicas of new partitions on brokers.

The brokers form a ring in which the racks alternate. Each partition's leader is the
next live broker of the ring, which spreads a topic's leaders. Its followers come from
the ring behind the leader, one step further in each round: first one of every rack,
live brokers before fenced ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A broker that may get replicas."""

    broker_id: int
    rack: str | None
    usable: bool
    """Alive and not shutting down; others get followers only when there are too few."""


def ring(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order the brokers so that racks alternate; within a rack by id."""
    racks: dict[str | None, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: c.broker_id):
        racks.setdefault(candidate.rack, []).append(candidate)
    order = [racks[name] for name in sorted(racks, key=lambda r: (r is None, r or ""))]
    rounds = max((len(members) for members in order), default=0)
    return [members[i] for i in range(rounds) for members in order if i < len(members)]


def place(
    candidates: Sequence[Candidate], partitions: int, factor: int, start: int, first: int = 0
) -> list[list[int]]:
    """Return the replicas of ``partitions`` partitions, the leader first in each;
    ``first`` is the index of the first of them.

    ``start`` is any number that differs between topics. At least one candidate must be
    usable, and there must be at least ``factor`` candidates.
    """
    order = ring(candidates)
    leaders = [i for i, candidate in enumerate(order) if candidate.usable]
    placement: list[list[int]] = []
    for number in range(first, first + partitions):
        turn, position = divmod(start + number, len(leaders))
        at = leaders[position]
        behind = [*order[at + 1 :], *order[:at]]
        if behind:
            # Another follower each time round, or the same broker would follow every
            # leader.
            shift = turn % len(behind)
            behind = behind[shift:] + behind[:shift]
        placement.append([order[at].broker_id, *_followers(order[at], behind, factor - 1)])
    return placement


def _followers(leader: Candidate, behind: Sequence[Candidate], count: int) -> list[int]:
    chosen: list[int] = []
    racks = {leader.rack}
    # Being alive matters more than the rack: a fenced broker holds no copy for now.
    for usable in (True, False):
        for new_rack in (True, False):
            for candidate in behind:
                if len(chosen) == count:
                    return chosen
                if (
                    candidate.usable is usable
                    and candidate.broker_id not in chosen
                    and (not new_rack or candidate.rack not in racks)
                ):
                    chosen.append(candidate.broker_id)
                    racks.add(candidate.rack)
    return chosen
