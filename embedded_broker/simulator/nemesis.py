"""What goes wrong, drawn up front as data: a list of faults that can be stored, cut down and run
again.

A fault: ``{"at_ms", "do", "aim", "pick", "for_ms"}``. ``aim`` names a role (leader, follower,
controller, coordinator, newest: who last came to lead; any) that is looked up when the fault
strikes; ``pick`` chooses among several.

Families: F0 nothing. F1 one fault at a time, each after the cluster is whole again. F2 any
overlap of what destroys no data, one destructive fault (power, a new disk) whenever every replica
is in sync. F3 power cuts at any time, with unclean elections: committed records may be lost, the
metadata and the order of things may not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from embedded_broker.simulator.network import Network
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import World

Fault = dict[str, Any]
CLIENTS = 100
"""Machines from this id on are clients'."""
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
    ]
)
DESTRUCTIVE = ["power"] * 4 + ["new_disk"]
WHOLE_WITHIN_MS = 30_000


def plan(rng: random.Random, family: str, length_ms: int, durable: bool = False) -> list[Fault]:
    """The faults of one run. Where every append is flushed before it counts (``durable``), all
    may lose power."""
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
        if kind == "trip":
            fault |= {"on": rng.choice(TRIPS), "for_ms": rng.choice([5, 50, 300, 2_000])}
        faults.append(fault)
        if kind == "power" and family != "F1" and rng.random() < 0.5:
            # Misfortunes that come together are what a lost tail needs to matter.
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


class Cluster(Protocol):
    """What the nemesis needs to know of the scenario."""

    @property
    def nodes(self) -> Mapping[int, Node]: ...
    def whole(self) -> bool: ...
    def who(self, aim: str, pick: int) -> int: ...
    def in_sync(self, pick: int) -> list[int]: ...
    def client_hosts(self) -> list[int]: ...


class Nemesis:
    """Carries out a plan. ``stop`` ends it; the scenario heals."""

    def __init__(
        self,
        world: World,
        network: Network,
        cluster: Cluster,
        family: str,
        faults: list[Fault],
        durable: bool,
    ) -> None:
        self.durable = durable
        self.world, self.network, self.cluster, self.family = world, network, cluster, family
        self.faults = faults
        self.rng = world.rng("nemesis at work")
        self.done = False
        self.struck = 0
        self.stuck = ""
        """Why the cluster was never whole again after a single fault (F1)."""
        self._over = 0
        self.destroyed = False
        """A destructive fault has struck and not every replica has been in sync since."""
        self._holds: dict[tuple[int, int], int] = {}
        """How many faults hold a link cut."""
        self._down: dict[int, int] = {}
        """How many faults keep a node down."""

    def start(self) -> None:
        base_ms = self.world.now_ms
        if self.family == "F1":
            self._next_single(0, base_ms, base_ms)
            return
        for fault in self.faults:
            self.world.at(base_ms + fault["at_ms"], self._strike, fault)
        if self.faults:
            self.world.at(base_ms + self.faults[-1]["at_ms"] + 1, self._finish)
        else:
            self.done = True

    def _finish(self) -> None:
        self.done = True

    def _next_single(self, index: int, base_ms: int, since_ms: int) -> None:
        """F1: the next fault strikes when the last is over and the cluster is whole."""
        if self.done:
            return
        if index == len(self.faults):
            self.done = True
            return
        fault = self.faults[index]
        due = self.world.now_ms >= base_ms + fault["at_ms"]
        if due and self._over == index and self.cluster.whole():
            self._strike(fault)
            index += 1
            since_ms = self.world.now_ms + fault["for_ms"]
        elif due and self._over == index and self.world.now_ms - since_ms > WHOLE_WITHIN_MS:
            self.stuck = f"not whole {WHOLE_WITHIN_MS} ms after fault {index}"
            self.done = True
        self.world.after(100, self._next_single, index, base_ms, since_ms)

    # ---- one fault
    def _strike(self, fault: Fault) -> None:
        if self.done:
            return
        node_id = self.cluster.who(fault["aim"], fault["pick"])
        node = self.cluster.nodes[node_id]
        kind: str = fault["do"]
        # What the quorum has forgotten nothing can give back: even F3 replaces one disk at a time.
        if (kind in DESTRUCTIVE or kind == "power_all") and (
            self.family != "F3" or kind == "new_disk"
        ):
            whole = self.cluster.whole()
            if whole:
                self.destroyed = False
            if self.durable and kind != "new_disk":
                if self.destroyed:
                    kind = "kill"
            elif not whole or self.destroyed or node_id in self._down:
                kind = "kill"
            else:
                self.destroyed = True
        self.world.trace(f"nemesis: {kind} {node_id} ({fault['aim']}) for {fault['for_ms']}")
        self.struck += 1
        undo = self._do(kind, node, fault)

        def over() -> None:
            self._over += 1
            if undo is not None and not self.done:
                undo()

        self.world.after(fault["for_ms"], over)

    def _do(self, kind: str, node: Node, fault: Fault) -> Callable[[], None] | None:
        others = [n for n in sorted(self.cluster.nodes) if n != node.node_id]
        other = others[fault.get("other", 0) % len(others)]
        me = node.node_id
        match kind:
            case "kill" | "power" | "new_disk":
                node.crash(power=kind == "power")
                if kind == "new_disk":
                    node.replace_disk()
                return self._keep_down(node)
            case "kill_in_sync":
                ups = []
                for replica in self.cluster.in_sync(fault["pick"]):
                    self.cluster.nodes[replica].crash(power=False)
                    ups.append(self._keep_down(self.cluster.nodes[replica]))
                return lambda: self._one_by_one(ups)
            case "power_all":
                ups = []
                for each in self.cluster.nodes.values():
                    each.crash(power=True)
                    ups.append(self._keep_down(each))
                return lambda: self._one_by_one(ups)
            case "disk_full":
                node.platter.full = True
                platter = node.platter
                return lambda: setattr(platter, "full", False)
            case "trip":
                node.trips[fault["on"]] = lambda: self._tripped(node, fault["for_ms"])
            case "stop":
                node.stop()
                self.world.after(4_000, self._must_be_gone, node, node.lives)
                return lambda: self.world.after(4_500, self.start_if_dead, node)
            case "pause":
                node.pause(fault["for_ms"])
            case "isolate":
                return self._cut([(me, o) for o in others] + [(o, me) for o in others])
            case "isolate_in":
                return self._cut([(o, me) for o in others])
            case "isolate_out":
                return self._cut([(me, o) for o in others])
            case "cut":
                return self._cut([(me, other), (other, me)])
            case "cut_one_way":
                return self._cut([(me, other)])
            case "cut_clients":
                clients = self.cluster.client_hosts()
                return self._cut([(me, c) for c in clients] + [(c, me) for c in clients])
            case "reset":
                self.network.reset(me, other)
            case "black_hole":
                self.network.black_hole(me, other)
            case "slow_link":
                self.network.slow[me, other] = self.network.slow[other, me] = (
                    20 + fault["pick"] * 10
                )
                return lambda: self._fast_link(me, other)
            case "slow_node":
                node.slow_ms = 10 + fault["pick"] * 5
                return lambda: setattr(node, "slow_ms", 0)
            case "slow_disk":
                node.slow_disk_ms = 50 + fault["pick"] * 20
                return lambda: setattr(node, "slow_disk_ms", 0)
            case "clock_jump":
                # Less than a day apart: beyond that a broker rightly forgets producers
                # (producer.id.expiration.ms).
                node.clock.wall_skew_ms = self.rng.choice([-1, 1]) * self.rng.choice(
                    [1_000, 3_600_000, 39_600_000]
                )
            case _:
                raise ValueError(kind)
        return None

    def _one_by_one(self, ups: list[Callable[[], None]]) -> None:
        self.rng.shuffle(ups)
        for i, up in enumerate(ups):
            self.world.after(i * self.rng.randint(0, 1_500), up)

    def _tripped(self, node: Node, for_ms: int) -> None:
        if not self.done:
            self.world.trace(f"nemesis: {node.node_id} trips")
            node.crash(power=False)
            self.world.after(for_ms, self._keep_down(node))

    def _fast_link(self, a: int, b: int) -> None:
        self.network.slow.pop((a, b), None)
        self.network.slow.pop((b, a), None)

    def _keep_down(self, node: Node) -> Callable[[], None]:
        self._down[node.node_id] = self._down.get(node.node_id, 0) + 1

        def up() -> None:
            self._down[node.node_id] -= 1
            if not self._down[node.node_id]:
                del self._down[node.node_id]
                if not self.done:
                    node.start()

        return up

    def _must_be_gone(self, node: Node, life: int) -> None:
        """An orderly stop that takes too long is cut short."""
        if node.running and node.lives == life and not self.done:
            node.crash(power=False)

    def start_if_dead(self, node: Node) -> None:
        if not self.done and node.node_id not in self._down:
            node.start()

    def _cut(self, links: list[tuple[int, int]]) -> Callable[[], None]:
        for link in links:
            self._holds[link] = self._holds.get(link, 0) + 1
            self.network.cut(*link)

        def heal() -> None:
            for link in links:
                self._holds[link] -= 1
                if not self._holds[link]:
                    self.network.heal(*link)

        return heal

    def stop(self) -> None:
        self.done = True
