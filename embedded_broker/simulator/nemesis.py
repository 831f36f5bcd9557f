"""The nemesis: applies a plan of faults (``plans``) to a running cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from embedded_broker.core.metadata.topics import METADATA_TOPIC
from embedded_broker.simulator.network import Network
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.plans import DESTRUCTIVE, LONG_MS, Fault
from embedded_broker.simulator.world import World

CLIENTS = 100
"""Machines from this id on belong to clients."""
HEALTHY_WITHIN_MS = 30_000
LEAPS_MS = (1_000, 3_600_000, 40_000_000, 315_000_000_000)
"""The longest is ten years."""
STOP_TIMEOUT_MS = 4_000
"""How long a controlled shutdown may take before the process is killed."""


class Cluster(Protocol):
    """Declares what the nemesis needs of the scenario."""

    @property
    def nodes(self) -> Mapping[int, Node]: ...

    def healthy(self) -> bool:
        """Return whether every node is up and every replica in sync."""

    def target(self, aim: str, pick: int) -> int:
        """The id of the node that has this role now."""

    def in_sync(self, pick: int) -> list[int]:
        """The in-sync replicas of a partition."""

    def client_hosts(self) -> list[int]: ...


class Nemesis:
    """Applies a plan. ``stop`` ends it; the scenario heals what is still broken."""

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
        self._happened = partial(world.happened, "nemesis")
        self.done, self.struck = False, 0
        self.stuck = ""
        """Why the cluster did not become healthy again after a single fault (F1)."""
        self._over = 0
        """Faults that are over."""
        self.destroyed = False
        """Whether a destructive fault has struck and not every replica was in sync since."""
        self._cut_by: dict[tuple[int, int], int] = {}
        """By link: the faults that keep it cut."""
        self._kept_down_by: dict[int, int] = {}
        """By node: the faults that keep it down."""

    def start(self) -> None:
        """Schedule the faults of the plan, counted from now."""
        base_ms = self.world.now_ms
        if self.family == "F1":
            self._next_single(0, base_ms, base_ms)
            return
        for fault in self.faults:
            self.world.at(base_ms + fault["at_ms"], self._strike, fault)
        if self.faults:
            ends = (
                f["at_ms"] + (LONG_MS[0] if f["for_ms"] >= LONG_MS[0] else 1) for f in self.faults
            )
            self.world.at(base_ms + max(ends), lambda: setattr(self, "done", True))
        else:
            self.done = True

    def _next_single(self, index: int, base_ms: int, since_ms: int) -> None:
        """F1: let the next fault strike once the last is over and the cluster is healthy;
        ``since_ms`` is when the last was over."""
        if self.done:
            return
        if index == len(self.faults):
            self.done = True
            return
        fault = self.faults[index]
        due = self.world.now_ms >= base_ms + fault["at_ms"]
        if due and self._over == index and self.cluster.healthy():
            self._strike(fault)
            index += 1
            since_ms = self.world.now_ms + fault["for_ms"]
        elif due and self._over == index and self.world.now_ms - since_ms > HEALTHY_WITHIN_MS:
            self.stuck = f"not healthy {HEALTHY_WITHIN_MS} ms after fault {index}"
            self.done = True
        self.world.after(100, self._next_single, index, base_ms, since_ms)

    # ---- one fault
    def _strike(self, fault: Fault) -> None:
        if self.done:
            return
        node_id = self.cluster.target(fault["aim"], fault["pick"])
        node = self.cluster.nodes[node_id]
        kind = self._permitted(fault["do"], node_id)
        self._happened(f"{kind} broker {node_id} ({fault['aim']}) for {fault['for_ms']} ms")
        self.struck += 1
        undo = self._do(kind, node, fault)

        def over() -> None:
            self._over += 1
            if undo is not None and not self.done:
                undo()

        self.world.after(fault["for_ms"], over)

    def _permitted(self, kind: str, node_id: int) -> str:
        """Return the kind of fault, or "kill" in place of a destructive one that now would destroy
        more than the family allows."""
        if kind not in DESTRUCTIVE and kind != "power_all":
            return kind
        # F3 may lose data, but nothing could give back metadata that a majority has lost: even
        # there, disks are replaced one at a time.
        if self.family == "F3" and kind != "new_disk":
            return kind
        healthy = self.cluster.healthy()
        if healthy:
            self.destroyed = False
        logs = [log for n in self.cluster.nodes.values() for log in n.platter.logs.values()]
        rotten = any(log.rotten for log in logs)  # a copy less, though nobody has met it yet
        if self.durable and kind != "new_disk":
            # Power takes nothing that is flushed, unless a new disk is still being filled. But who
            # starts after a power cut takes rot near the end for what was never flushed, and when
            # all do so, nothing says which of them has lost something.
            return "kill" if self.destroyed or (rotten and kind == "power_all") else kind
        if not healthy or self.destroyed or rotten or node_id in self._kept_down_by:
            return "kill"
        self.destroyed = True
        return kind

    def _do(self, kind: str, node: Node, fault: Fault) -> Callable[[], None] | None:
        """Apply a fault; returns what ends it, or None when it ends by itself."""
        others = [n for n in sorted(self.cluster.nodes) if n != node.node_id]
        other = others[fault.get("other", 0) % len(others)]
        me = node.node_id
        match kind:
            case "kill" | "power" | "new_disk":
                node.crash(power=kind == "power")
                if kind == "new_disk":
                    node.replace_disk()
                    # On a new disk there is nothing to compare a wrong clock with.
                    node.clock.wall_skew_ms = 0
                return self._keep_down(node)
            case "kill_in_sync":
                return self._crash_all(self.cluster.in_sync(fault["pick"]), power=False)
            case "power_all":
                return self._crash_all(list(self.cluster.nodes), power=True)
            case "duel":
                return self._duel(node, others, fault)
            case "second_vote":
                return self._second_vote(node, others, fault["pick"])
            case "dark_vote":
                return self._dark_vote(node, others, fault["pick"])
            case "echo":
                self.network.echo = True
                return lambda: setattr(self.network, "echo", False)
            case "rest":
                pass
            case "disk_full":
                node.platter.full = True
                platter = node.platter
                return lambda: setattr(platter, "full", False)
            case "rot":
                self._rot(node, fault["pick"])
            case "trip":
                node.trips[fault["on"]] = lambda: self._tripped(node, fault["for_ms"])
            case "stop":
                node.stop()
                self.world.after(STOP_TIMEOUT_MS, self._kill_if_running, node, node.incarnations)
                # Later than the timeout, so that a stop and a start never cross.
                return lambda: self.world.after(STOP_TIMEOUT_MS + 500, self.start_if_dead, node)
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
            case "lossy":
                return self._lossy([(me, o) for o in [*others, *self.cluster.client_hosts()]])
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
                by_ms = self.rng.choice([-1, 1]) * self.rng.choice(LEAPS_MS)
                node.clock.wall_skew_ms = fault.get("by_ms", by_ms)
            case _:
                raise ValueError(kind)
        return None

    def _duel(self, leader: Node, others: list[int], fault: Fault) -> Callable[[], None] | None:
        """Freeze everybody: the others wake up at the same moment, when the leader has been silent
        for long, and campaign. The leader is dead, or wakes up last, and is killed after its vote,
        while the other candidate still waits for one."""
        frozen_ms = max(fault["for_ms"], 3_000)
        for other in others:
            self.cluster.nodes[other].pause(frozen_ms)
        if fault["pick"] % 2:
            leader.crash(power=False)
            return self._keep_down(leader)
        leader.pause(frozen_ms + fault["pick"])

        def voted() -> None:
            if self.done or not leader.running:
                return
            if leader.broker.quorum.voted_id not in others:
                leader.trips["VoteResponse"] = voted
            else:
                leader.crash(power=False)
                self.world.after(fault["pick"] % 7, self._keep_down(leader))

        leader.trips["VoteResponse"] = voted
        return None

    def _second_vote(self, leader: Node, others: list[int], pick: int) -> Callable[[], None]:
        """Let a candidate win by the vote of a node that then loses its power, and cut it off: the
        former leader asks that node for its vote in the same epoch."""
        nodes = self.cluster.nodes
        candidate, voter = (nodes[others[(pick + i) % len(others)]] for i in (0, 1))
        cuts = [(candidate.node_id, n) for n in nodes if n != candidate.node_id]
        heals: list[Callable[[], None]] = [self._cut([(leader.node_id, candidate.node_id)])]
        leader.crash(power=False)
        self.world.after(100, self._keep_down(leader))

        def won() -> None:
            if heals and not self.done and voter.running:
                voter.crash(power=True)
                self.world.after(30, self._keep_down(voter))
                heals.append(self._cut(cuts + [(n, c) for c, n in cuts]))

        candidate.trips["BeginQuorumEpochRequest"] = won

        def heal() -> None:
            while heals:
                heals.pop()()

        return lambda: self.world.after(LONG_MS[0], heal)

    def _dark_vote(self, leader: Node, others: list[int], pick: int) -> Callable[[], None]:
        """Kill the quorum's leader; cut the power of the first voter that votes for another."""
        voters = [self.cluster.nodes[n] for n in others]

        def disarm() -> None:
            for voter in voters:
                voter.trips.pop("VoteResponse", None)

        def answered(voter: Node) -> None:
            quorum = voter.broker.quorum
            if quorum.leader_id >= 0 or quorum.voted_id in (-1, voter.node_id):  # no vote yet
                voter.trips["VoteResponse"] = partial(answered, voter)
                return
            disarm()
            voter.crash(power=True)
            self.world.after(pick, self._keep_down(voter))

        for voter in voters:
            voter.trips["VoteResponse"] = partial(answered, voter)
        leader.crash(power=False)
        start = self._keep_down(leader)

        def back() -> None:
            disarm()
            start()

        return back

    def _rot(self, node: Node, pick: int) -> None:
        """Damage an old batch of one of the node's logs, of which every other copy is whole."""
        if self.family == "F3" or not self.cluster.healthy():
            return  # the other copies may be lost
        others = [n.platter.logs for n in self.cluster.nodes.values() if n is not node]
        logs = node.platter.logs
        keys = sorted((k for k in logs if k[0] != METADATA_TOPIC), key=lambda k: (k[0], k[2]))
        for i in range(len(keys)):
            key = keys[(pick + i) % len(keys)]
            copies = [other[key] for other in others if key in other]
            if logs[key].rot(copies, pick):
                self._happened(f"flip a bit of {key[0]}-{key[2]} on broker {node.node_id}")
                return

    def _crash_all(self, node_ids: list[int], power: bool) -> Callable[[], None]:
        """Crash several nodes at once; they start again one by one, in random order."""
        starts = []
        for node_id in node_ids:
            node = self.cluster.nodes[node_id]
            node.crash(power)
            starts.append(self._keep_down(node))

        def start_all() -> None:
            self.rng.shuffle(starts)
            for i, start in enumerate(starts):
                self.world.after(i * self.rng.randint(0, 1_500), start)

        return start_all

    def _tripped(self, node: Node, for_ms: int) -> None:
        """Kill a node right after it has sent the message of its trip."""
        if not self.done:
            self._happened(f"broker {node.node_id} trips")
            node.crash(power=False)
            self.world.after(for_ms, self._keep_down(node))

    def _fast_link(self, a: int, b: int) -> None:
        self.network.slow.pop((a, b), None)
        self.network.slow.pop((b, a), None)

    def _keep_down(self, node: Node) -> Callable[[], None]:
        """Keep a crashed node down; returns what ends this. The node starts when the last of
        several overlapping faults has ended."""
        kept_down_by = self._kept_down_by
        kept_down_by[node.node_id] = kept_down_by.get(node.node_id, 0) + 1

        def start() -> None:
            kept_down_by[node.node_id] -= 1
            if not kept_down_by[node.node_id]:
                del kept_down_by[node.node_id]
                if not self.done:
                    node.start()

        return start

    def _kill_if_running(self, node: Node, incarnation: int) -> None:
        """Kill an incarnation whose controlled shutdown takes too long."""
        if node.running and node.incarnations == incarnation and not self.done:
            node.crash(power=False)

    def start_if_dead(self, node: Node) -> None:
        """Start a node, unless a fault keeps it down."""
        if not self.done and node.node_id not in self._kept_down_by:
            node.start()

    def _cut(self, links: list[tuple[int, int]]) -> Callable[[], None]:
        """Cut links; returns what ends this. A link heals when the last of several overlapping
        faults has ended."""
        for link in links:
            self._cut_by[link] = self._cut_by.get(link, 0) + 1
            self.network.cut(*link)

        def heal() -> None:
            for link in links:
                self._cut_by[link] -= 1
                if not self._cut_by[link]:
                    self.network.heal(*link)

        return heal

    def _lossy(self, links: list[tuple[int, int]]) -> Callable[[], None]:
        """Let links lose messages in both directions; returns what ends this."""
        both = {*links, *((b, a) for a, b in links)} - self.network.lossy
        self.network.lossy |= both

        def end() -> None:
            self.network.lossy -= both

        return end

    def stop(self) -> None:
        """Let no further fault strike, and none that is under way end."""
        self.done = True
