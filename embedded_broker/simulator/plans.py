"""Plans of faults: what the nemesis does to a cluster, and when.

A plan is data, drawn before the run: a list of faults that can be stored, shrunk and run again. A
fault is ``{"at_ms", "do", "aim", "pick", "for_ms"}``. ``aim`` names a role that is resolved when
the fault strikes (leader, follower, controller, coordinator, any; newest: the node that became a
leader last), and ``pick`` chooses among several. Families are those of docs/reliability.md:

    F0  no fault.
    F1  one fault at a time, each after the cluster is healthy again.
    F2  any overlap of faults that destroy no data; a destructive one (power, a new disk) only
        while every replica is in sync.
    F3  power cuts at any time, with unclean elections: committed records may be lost.
    F4  plans that bring about one rare order of events; ``directed`` draws them.
"""

from __future__ import annotations

import random
from typing import Any

Fault = dict[str, Any]
# Entries are repeated to weigh them: faults aimed at leaders find bugs soonest.
AIMS = (
    ["leader"] * 5
    + ["controller"] * 3
    + ["coordinator"] * 2
    + ["newest"] * 2
    + ["follower"] * 2
    + ["any"] * 3
)
TRIPS = [
    "VoteResponse",
    "VoteRequest",
    "BeginQuorumEpochRequest",
    "AlterPartitionRequest",
    "AlterPartitionResponse",
    "BrokerRegistrationRequest",
    "BrokerRegistrationResponse",
    "FetchRequest",
    "FetchResponse",
    "ProduceResponse",
    "CreateTopicsResponse",
    "SyncGroupResponse",
    "OffsetCommitResponse",
]
GENTLE = (
    ["kill"] * 5
    + ["trip"] * 4
    + ["kill_in_sync"] * 2
    + ["pause"] * 4
    + ["isolate"] * 3
    + ["isolate_in", "isolate_out", "cut", "cut", "cut_one_way", "cut_one_way"]
    + ["stop"] * 2
    + [
        "reset",
        "black_hole",
        "slow_link",
        "slow_node",
        "slow_disk",
        "clock_jump",
        "cut_clients",
        "disk_full",
        "lossy",
        "lossy",
        "echo",
    ]
    + ["rot"] * 2
    + ["duel"] * 2
)
DESTRUCTIVE = ["power"] * 4 + ["new_disk"] + ["second_vote"] * 2 + ["dark_vote"]
LONG_MS = (8_000, 12_000)
"""An isolation that outlasts every timeout of the quorum."""


def plan(rng: random.Random, family: str, length_ms: int, durable: bool = False) -> list[Fault]:
    """Draw the faults of one run of ``length_ms``.

    ``durable`` says that every append is flushed before it counts. Then all nodes may lose power
    at the same time, because nothing acknowledged can be lost.
    """
    if family == "F0":
        return []
    faults: list[Fault] = []
    at_ms = rng.randint(200, 1_500)
    pace_ms = {
        "F1": 2_500,
        "F2": rng.choice([500, 1_200, 2_500]),
        "F3": rng.choice([500, 1_500]),
    }[family]
    destructive = {"F1": 0.2, "F2": 0.12, "F3": 0.35}[family]
    while at_ms < length_ms:
        kind = rng.choice(DESTRUCTIVE if rng.random() < destructive else GENTLE)
        if durable and family == "F2" and rng.random() < 0.2:
            kind = rng.choice(["power", "power_all"])
        # Short, around the timeouts, and longer than all of them.
        for_ms = rng.choice(
            [rng.randint(20, 400), rng.randint(300, 3_000), rng.randint(2_000, 8_000)]
        )
        fault = {
            "at_ms": at_ms,
            "do": kind,
            "aim": rng.choice(AIMS),
            "pick": rng.randrange(60),
            "for_ms": for_ms,
        }
        if kind in ("cut", "cut_one_way", "reset", "black_hole", "slow_link"):
            fault["other"] = rng.randrange(60)
        if kind == "isolate" and rng.random() < 0.5:
            fault |= {"aim": "controller", "for_ms": rng.randint(*LONG_MS)}
        if kind in ("duel", "second_vote", "dark_vote"):
            fault["aim"] = "controller"
        if kind == "trip":
            fault |= {"on": rng.choice(TRIPS), "for_ms": rng.choice([5, 50, 300, 2_000])}
        faults.append(fault)
        if kind == "power" and family != "F1" and rng.random() < 0.5:
            # A lost tail matters only if the nodes that have it fail soon after.
            for _ in range(rng.randint(1, 3)):
                after_ms = at_ms + rng.randint(0, 3_000)
                more = {
                    "at_ms": after_ms,
                    "do": "kill",
                    "aim": rng.choice(AIMS),
                    "pick": rng.randrange(60),
                }
                faults.append(more | {"for_ms": rng.randint(200, 5_000)})
        at_ms += int(rng.expovariate(1 / pace_ms)) + 20
    return sorted(faults, key=lambda f: int(f["at_ms"]))
