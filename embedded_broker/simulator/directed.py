"""Directed plans (family F4): each brings about one rare order of events, a few times in a run.

A seed chooses its plan by its remainder, so that every plan has its turn within a few seeds.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from embedded_broker.simulator.plans import Fault

TEN_YEARS_MS = 315_000_000_000
DURABLE_PLANS = ("darkness",)
"""Plans that need data that is flushed before it counts."""


def _fault(
    at_ms: int, do: str, for_ms: int, aim: str = "any", pick: int = 0, **more: object
) -> Fault:
    return {
        "at_ms": at_ms,
        "do": do,
        "aim": aim,
        "pick": pick,
        "for_ms": for_ms,
        "other": 0,
        **more,
    }


def duel(rng: random.Random) -> list[Fault]:
    """Two candidates in one epoch, and a voter that dies when it has voted."""
    return [
        _fault(at_ms, "duel", rng.randint(1_000, 3_000), "controller", rng.randrange(60))
        for at_ms in range(500, 16_000, 7_500)
    ]


def second_vote(rng: random.Random) -> list[Fault]:
    """A voter loses its power, and another candidate of the same epoch asks for its vote."""
    return [
        _fault(at_ms, "second_vote", 9_000, "controller", rng.randrange(60))
        for at_ms in range(500, 20_000, 14_000)
    ]


def dark_vote(rng: random.Random) -> list[Fault]:
    """A voter loses its power when it has given its vote."""
    return [
        _fault(at_ms, "dark_vote", rng.randint(500, 3_000), "controller", rng.randint(1, 60))
        for at_ms in range(1_500, 15_000, 6_000)
    ]


def echo(rng: random.Random) -> list[Fault]:
    """Requests between brokers arrive a second time, also from incarnations that are over."""
    faults = [_fault(100, "echo", 14_000)]
    for at_ms in range(1_000, 13_000, 2_000):
        follower = _fault(at_ms, "pause", rng.randint(900, 2_000), "follower", rng.randrange(60))
        faults += [follower, _fault(at_ms + 1_000, "kill", rng.randint(5, 100), "leader")]
    return faults


def darkness(rng: random.Random) -> list[Fault]:
    """Every machine loses power while the disks are slow."""
    faults = []
    for at_ms in range(500, 15_000, 7_000):
        # The remainder of a pick chooses the node, the pick itself the slowness.
        faults += [_fault(at_ms, "slow_disk", 3_000, pick=pick) for pick in range(30, 35)]
        at_ms += rng.randint(1_200, 2_800)
        faults.append(_fault(at_ms, "power_all", rng.randint(50, 500)))
    return faults


def lost_answer(rng: random.Random) -> list[Fault]:
    """The controller commits a change of an in-sync set, and dies before it answers; the leader's
    links are slow."""
    faults = []
    for at_ms in range(500, 15_000, 5_000):
        for other in range(4):
            slow = {"pick": rng.randint(3, 15), "other": other}
            faults.append(_fault(at_ms, "slow_link", 4_500, "leader") | slow)
        for_ms = rng.choice([5, 50, 300])
        answer = {"on": "before AlterPartitionResponse"}
        faults.append(_fault(at_ms + 100, "trip", for_ms, "controller") | answer)
        faults.append(
            _fault(at_ms + 200, "kill", rng.randint(50, 800), "follower", rng.randrange(60))
        )
    return faults


def trimming(rng: random.Random) -> list[Fault]:
    """Replicas are away while records are deleted from the front of a log."""
    faults = []
    for at_ms in range(500, 12_000, 2_500):
        kind = rng.choice(["kill", "pause", "isolate"])
        aim = rng.choice(["follower", "follower", "leader", "any"])
        faults.append(_fault(at_ms, kind, rng.randint(500, 4_000), aim, rng.randrange(60)))
    return faults


def leap(rng: random.Random) -> list[Fault]:
    """Brokers start under a clock that is years ahead or behind, which is put right later."""
    faults = []
    for at_ms in range(500, 14_000, 2_500):
        pick = rng.randrange(60)
        by_ms = rng.choice([1, 1, -1]) * TEN_YEARS_MS
        faults += [
            _fault(at_ms, "clock_jump", 0, pick=pick, by_ms=by_ms),
            _fault(at_ms + rng.randint(0, 300), "kill", rng.randint(50, 500), pick=pick),
            _fault(at_ms + 2_000, "clock_jump", 0, pick=pick, by_ms=0),
        ]
    return faults


PLANS: tuple[Callable[[random.Random], list[Fault]], ...] = (
    duel,
    second_vote,
    dark_vote,
    echo,
    darkness,
    lost_answer,
    trimming,
    leap,
)


def directed(seed: int, rng: random.Random) -> tuple[str, list[Fault]]:
    """Return the name and the faults of a seed's plan."""
    chosen = PLANS[seed % len(PLANS)]
    faults = chosen(rng)
    end_ms = max(fault["at_ms"] + fault["for_ms"] for fault in faults)
    faults.append(_fault(end_ms + 500, "rest", 0))
    return chosen.__name__, sorted(faults, key=lambda f: int(f["at_ms"]))
