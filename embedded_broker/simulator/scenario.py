"""One seed: a cluster with clients and faults, then the heal, after which all must recover.

Phases: start -> topics created -> clients run under faults -> heal -> converge (acknowledgements
flow, producers finish, replicas are in sync, consumers reach the end) -> final checks. A violation
in any phase ends the run.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from embedded_broker.options import Settings
from embedded_broker.simulator.admin import Admin
from embedded_broker.simulator.bounds import Bounds
from embedded_broker.simulator.checkers import Checks
from embedded_broker.simulator.client import SimClient
from embedded_broker.simulator.consuming import Reader
from embedded_broker.simulator.directed import DURABLE_PLANS, directed
from embedded_broker.simulator.disk import Platter
from embedded_broker.simulator.history import History, Operation
from embedded_broker.simulator.members import Member
from embedded_broker.simulator.nemesis import CLIENTS, Nemesis
from embedded_broker.simulator.network import Network
from embedded_broker.simulator.node import MakePlatter, Node
from embedded_broker.simulator.plans import Fault, plan
from embedded_broker.simulator.probes import Probes
from embedded_broker.simulator.producing import Producer
from embedded_broker.simulator.properties import settings_text
from embedded_broker.simulator.recovery import OFFSETS_TOPIC, Recovery
from embedded_broker.simulator.report import describe, images
from embedded_broker.simulator.small_bounds import small_bounds
from embedded_broker.simulator.state_probes import StateProbes
from embedded_broker.simulator.transcript import Transcript
from embedded_broker.simulator.trimming import TRIMMED, TRIMMED_CONFIGS, Trimmer
from embedded_broker.simulator.world import Violation, World

START_WITHIN_MS = 30_000
HEAL_WITHIN_MS = 45_000
CHECK_REPLICAS_MS = 150
SILENT_MEMBER_MS = 4_000
"""After the end of a silent member's session: the heartbeats of the others, and the rebalance."""
FAMILIES = ("F0", "F1", "F2", "F3", "F4")


@dataclass(slots=True)
class Result:
    """The outcome of a seed. ``failure`` is empty when it passed, else ``check`` names the check;
    ``healed_in_ms`` is how long the cluster took to converge after the heal."""

    seed: int
    brokers: int
    family: str
    failure: str = ""
    check: str = ""
    events: int = 0
    simulated_ms: int = 0
    acks: int = 0
    faults: int = 0
    elections: int = 0
    trace_hash: str = ""
    plan: list[Fault] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    healed_in_ms: int = 0
    operations: list[Operation] = field(default_factory=list)


class Scenario:
    """Builds the world of a seed and runs it; the Cluster of its nemesis."""

    def __init__(
        self,
        seed: int,
        brokers: int,
        family: str,
        faults: list[Fault] | None,
        watch: Callable[[str], None] | None,
        make_platter: MakePlatter = Platter,
    ) -> None:
        self.seed, self.family, self.size = seed, family, brokers
        self.world = World(seed)
        self.world.watch = watch
        self.rng = self.world.rng("scenario")
        self.network = Network(self.world, codec=self.rng.random() < 0.4)
        overrides = self._timeouts()
        self.durable = self.rng.random() < 0.25
        """Whether data is flushed before it counts; then even a power cut of the whole cluster
        must lose nothing."""
        self.plan, planned = family, None
        if family == "F4":
            self.plan, planned = directed(seed, self.world.rng("nemesis"))
            self.durable = self.durable or self.plan in DURABLE_PLANS
        overrides["log.durable"] = str(self.durable).lower()
        if family == "F3":
            overrides["unclean.leader.election.enable"] = "true"
        self.nodes = {}
        for n in range(1, brokers + 1):
            settings = Settings.parse(settings_text(n, brokers, overrides))
            self.nodes[n] = Node(self.world, self.network, n, settings, make_platter)
        for node in self.nodes.values():
            node.peers = self.nodes
        self.checks = Checks(self.world, self.nodes, strict=family != "F3")
        self.probes = Probes(self.world, self.nodes, self.checks.newest)
        self.state_probes = StateProbes(self.nodes)
        self.bounds = Bounds(self.nodes)
        self.checks.on_commit = self.probes.committed
        self.history = History()
        self.length_ms = self.rng.choice([5_000, 8_000, 15_000])
        if faults is None:
            faults = planned or plan(
                self.world.rng("nemesis"), family, self.length_ms, self.durable
            )
        self.nemesis = Nemesis(self.world, self.network, self, family, faults, self.durable)
        self.checks.restart = self.nemesis.start_if_dead
        self.clients: list[SimClient] = []
        self.producers: list[Producer] = []
        self.readers: list[Reader] = []
        self.members: list[Member] = []
        self.groups = {"g": 1, "h": 0}
        """Each with its partition of __consumer_offsets: Java's hashes of the names are 103 and
        104, modulo 2."""
        self.admin = Admin(self._client("admin"), 3)
        self.topics = {"data": self.rng.choice([1, 2, 3])}
        self.partitions = [(topic, p) for topic, n in self.topics.items() for p in range(n)]
        self.trimmer = Trimmer(self._client("trimmer"), self.checks)
        self.retained = self.rng.random() < 0.5
        """Whether retention deletes from the trimmed topic too, if there is one."""
        if self.plan == "trimming" or (family in ("F1", "F2") and self.rng.random() < 0.2):
            self.topics[TRIMMED[0]] = 1
        self.core = dict(self.nodes)
        """The nodes that run after the heal."""
        self.recovery = Recovery(self)
        self.healed_in_ms = 0

    def _timeouts(self) -> dict[str, Any]:
        """Draw timeouts and limits, most of them short, so that much happens in little time."""
        rng = self.rng
        return {
            "broker.session.timeout.ms": rng.choice([1_500, 3_000]),
            "broker.heartbeat.interval.ms": rng.choice([250, 500]),
            "controller.quorum.election.timeout.ms": rng.choice([500, 1_000]),
            "controller.quorum.fetch.timeout.ms": rng.choice([1_000, 2_000]),
            "controller.quorum.request.timeout.ms": rng.choice([1_000, 2_000]),
            "controller.quorum.election.backoff.max.ms": rng.choice([300, 1_000]),
            "replica.lag.time.max.ms": rng.choice([800, 2_000, 5_000]),
            "replica.fetch.wait.max.ms": rng.choice([100, 500]),
            "replica.fetch.max.bytes": rng.choice([200, 1 << 20, 1 << 20]),
            "log.retention.check.interval.ms": rng.choice([300, 1_000, 300_000]),
            "offsets.retention.check.interval.ms": rng.choice([300, 1_000, 300_000]),
            "log.segment.bytes": rng.choice([400, 2_000, 1 << 30]),
        }

    def _client(self, name: str) -> SimClient:
        host = CLIENTS + len(self.clients)
        client = SimClient(self.world, self.network, self.nodes, name, host, self.history)
        self.clients.append(client)
        return client

    # ---- for the nemesis
    def client_hosts(self) -> list[int]:
        return [client.host_id for client in self.clients]

    def target(self, aim: str, pick: int) -> int:
        everyone = sorted(self.nodes)
        anyone = everyone[pick % len(everyone)]
        found = images(self.nodes)
        if not found or aim == "any":
            return anyone
        # The newest metadata of any running broker decides; a role that nobody has falls to anyone.
        image = found[0]
        if aim == "controller":
            leaders = [n for n in self.nodes.values() if n.running and n.broker.quorum.is_leader]
            return max(leaders, key=lambda n: n.broker.quorum.epoch).node_id if leaders else anyone
        if aim == "newest":
            return self.checks.newest_leader or anyone
        topic, index = self.partitions[pick % len(self.partitions)]
        if aim == "coordinator":
            topic, index = OFFSETS_TOPIC, pick % 2
        partition = image.partition(topic, index)
        if partition is None or partition.leader < 0:
            return anyone
        if aim == "follower":
            followers = [r for r in partition.isr if r != partition.leader]
            return followers[pick % len(followers)] if followers else anyone
        return partition.leader  # type: ignore[no-any-return]

    def in_sync(self, pick: int) -> list[int]:
        topic, index = self.partitions[pick % len(self.partitions)]
        found = images(self.nodes)
        partition = found[0].partition(topic, index) if found else None
        return [] if partition is None else list(partition.isr)

    def healthy(self) -> bool:
        """Return whether every node is running and unfenced, every replica in sync, and every
        broker has the same metadata."""
        controller = self.checks.controller()
        if controller is None or not all(
            n.running and not n.platter.unclean for n in self.nodes.values()
        ):
            return False
        image = controller.broker.image
        if not all(image.alive(n) for n in self.nodes):
            return False
        partitions = [p for t in image.topics.values() for p in t.partitions.values()]
        if not all(p.leader >= 0 and sorted(p.isr) == sorted(p.replicas) for p in partitions):
            return False
        return all(n.broker.image.offset == image.offset for n in self.nodes.values()) and all(
            n.broker.quorum.epoch == controller.broker.quorum.epoch for n in self.nodes.values()
        )

    # ---- phases
    def run(self) -> None:
        """Run all phases.

        Raises:
            Violation: a check failed, or a phase took too long (C12).
        """
        for node in self.nodes.values():
            self.world.after(self.rng.randint(0, 600), node.start)
        self._wait(self.healthy, START_WITHIN_MS, "the cluster did not start")
        ready: list[str] = []
        for topic, count in self.topics.items():
            configs = TRIMMED_CONFIGS if topic == TRIMMED[0] and self.retained else None
            self.admin.create(topic, count, partial(ready.append, topic), configs)
        self._wait(lambda: len(ready) == len(self.topics), START_WITHIN_MS, "topics are missing")
        self._start_clients()
        self._check_replicas()
        if self.family == "F0":
            self._run_undisturbed()
        else:
            self._run_faults()
        self._heal()
        self._converge()

    def _run_undisturbed(self) -> None:
        """F0: nothing fails, so nothing may be elected or rebalanced."""
        self._wait(self._clients_work, START_WITHIN_MS, "clients do not work")
        before = self._changes_of_roles()
        self.world.run_until(self.world.now_ms + self.length_ms)
        after = self._changes_of_roles()
        if before != after:
            raise Violation(
                "F0", f"elections, quorum elections, generation went from {before} to {after}"
            )
        if len([m for m in self.members if m.group == "g"]) > 1:
            self._lose_a_member()

    def _lose_a_member(self) -> None:
        """C9: the partitions of a member that is silent go to the others after its session."""
        silent = self.members[0]
        others = [m for m in self.members[1:] if m.group == silent.group]
        within_ms = silent.session_timeout_ms + SILENT_MEMBER_MS
        silent.vanish(within_ms + 1_000)

        def owned() -> bool:
            owners = [m for m in others if m.stable]
            return all(any(p in m.fetcher.positions for m in owners) for p in self.partitions)

        self._wait(owned, within_ms, "the partitions of a silent member have no owner")

    def _changes_of_roles(self) -> tuple[int, int, int]:
        checks = self.checks
        generations = sum(checks.generation(group) for group in self.groups)
        return checks.elections, checks.quorum_elections, generations

    def _run_faults(self) -> None:
        self.nemesis.start()
        end_ms = self.world.now_ms + self.length_ms * 4
        while not self.nemesis.done and self.world.now_ms < end_ms:
            self.world.run_until(self.world.now_ms + 200)
        if self.nemesis.stuck:
            raise Violation("C12", f"{self.nemesis.stuck}: {self._state()}")

    def _check_replicas(self) -> None:
        self.checks.check_replicas()
        self.probes.check()
        self.state_probes.check()
        self.bounds.check()
        self.world.after(CHECK_REPLICAS_MS, self._check_replicas)

    def _wait(self, until: Callable[[], bool], within_ms: int, what: str) -> None:
        """Run the world until a condition holds; C12 when it does not in time."""
        end_ms = self.world.now_ms + within_ms
        while not until():
            if self.world.now_ms >= end_ms:
                raise Violation("C12", f"{what} within {within_ms} ms: {self._state()}")
            self.world.run_until(self.world.now_ms + 50)

    def _start_clients(self) -> None:
        kinds: list[dict[str, Any]] = [
            {"idempotent": True},
            {"idempotent": self.rng.random() < 0.5},
        ]
        if self.rng.random() < 0.3:
            kinds.append({"acks": 1})
        for i, kind in enumerate(kinds):
            period_ms = self.rng.choice([30, 80, 200])
            client = self._client(f"p{i}")
            self.producers.append(
                Producer(client, self.checks, self.partitions, period_ms=period_ms, **kind)
            )
        self.readers.append(Reader(self._client("reader"), self.checks, self.partitions))
        for group, sizes in (("g", (1, 2, 3)), ("h", (0, 0, 1, 2))):
            static = self.rng.random() < 0.3
            for i in range(self.rng.choice(sizes)):
                client = self._client(f"{group}{i}")
                self.members.append(Member(client, self.checks, group, self.partitions, static))
        starts: list[Callable[[], None]] = [a.start for a in self.producers]
        starts += [a.start for a in self.readers]
        starts += [a.start for a in self.members]
        if TRIMMED[0] in self.topics:
            starts.append(self.trimmer.start)
            self.producers.append(self.trimmer.producer)
        for start in starts:
            self.world.after(self.rng.randint(0, 400), start)
        if self.family != "F0":
            self.admin.start()
            self._churn_members()

    def _churn_members(self) -> None:
        """Let a member vanish, leave or freeze now and then."""
        if self.nemesis.done:
            return
        if self.members and self.rng.random() < 0.3:
            member = self.rng.choice(self.members)
            away = self.rng.choice([member.vanish, member.leave, member.freeze, member.freeze])
            away(self.rng.randint(100, 5_000))
        self.world.after(self.rng.randint(1_000, 4_000), self._churn_members)

    def _clients_work(self) -> bool:
        acked = all(self.checks.newest_ack_ms.get(p, -1) >= 0 for p in self.partitions)
        return acked and all(m.stable for m in self.members)

    def _heal(self) -> None:
        """End the faults. In some runs a minority of the nodes stays dead: a majority must do."""
        self.nemesis.stop()
        self.world.happened("nemesis", "heals everything")
        self.network.heal_all()
        self.admin.client.stopped = True
        core = sorted(self.nodes)
        if self.family == "F2" and self.rng.random() < 0.25 and not self.nemesis.destroyed:
            self.rng.shuffle(core)
            core = sorted(core[: self.size // 2 + 1])
        self.core = {n: self.nodes[n] for n in core}
        for node in self.nodes.values():
            node.slow_ms = node.slow_disk_ms = 0
            node.trips.clear()
            node.platter.full = node.platter.failing = False
            if node.node_id not in self.core:
                node.crash(power=False)
            else:
                node.resume()
        self.world.after(self.rng.randint(0, 1_000), self._keep_alive)

    def _keep_alive(self) -> None:
        """Start nodes that are dead, periodically: some still shut down when the faults ended."""
        for node in self.core.values():
            node.start()
        self.world.after(500, self._keep_alive)

    def _converge(self) -> None:
        healed_ms = self.world.now_ms
        writable = self.recovery.writable_partitions
        self._wait(
            lambda: all(self.checks.newest_ack_ms.get(p, -1) > healed_ms for p in writable()),
            HEAL_WITHIN_MS,
            "acknowledgements do not flow",
        )
        for producer in self.producers:
            producer.paused = True
        self._wait(
            lambda: all(p.idle for p in self.producers), HEAL_WITHIN_MS, "producers are not done"
        )
        self._wait(self.recovery.settled, HEAL_WITHIN_MS, "the cluster does not settle")
        self._wait(self.recovery.consumers_done, HEAL_WITHIN_MS, "consumers do not reach the end")
        if TRIMMED[0] in self.topics and self.recovery.writable(*TRIMMED):
            caught_up = "the reader of the trimmed topic does not reach the end"
            self._wait(lambda: self.trimmer.read_to_the_end, HEAL_WITHIN_MS, caught_up)
        self.healed_in_ms = self.world.now_ms - healed_ms
        self.world.run_until(self.world.now_ms + 1_500)
        self.checks.finish()
        self.checks.check_replicas()
        self.trimmer.check(self.core.values())
        self.recovery.check_topics()

    def _state(self) -> str:
        return describe(self.nodes, self.producers, self.readers, self.members)


def run_seed(
    seed: int,
    brokers: int,
    family: str,
    faults: list[Fault] | None = None,
    watch: Callable[[str], None] | None = None,
    keep_history: bool = False,
    transcript: Transcript | None = None,
    make_platter: MakePlatter = Platter,
) -> Result:
    """Run one seed to its end or to its first violation.

    ``faults`` replaces the seed's own plan; ``watch`` gets the lines of the trace, ``transcript``
    what a person follows. ``make_platter`` makes the nodes' disks.
    """
    scenario = Scenario(seed, brokers, family, faults, watch, make_platter)
    if transcript is not None:
        transcript.attach(scenario.world, scenario.nodes, scenario.history)
    result = Result(seed, brokers, family, plan=json.loads(json.dumps(scenario.nemesis.faults)))
    try:
        with small_bounds():
            scenario.run()
    except Violation as violation:
        result.check, result.failure = violation.check, str(violation)
        result.lines = list(scenario.world.lines)
    except Exception:
        # A bug of the simulator, or of the core outside of an event: report the seed, so that a
        # campaign of many goes on.
        result.check, result.failure = "bug", f"bug: {traceback.format_exc()}"
        result.lines = list(scenario.world.lines)
    world, checks = scenario.world, scenario.checks
    result.events, result.simulated_ms, result.acks = world.events, world.now_ms, checks.acks
    result.faults, result.elections = scenario.nemesis.struck, checks.elections
    result.trace_hash = world.trace_hash
    result.counts = scenario.history.counts
    result.healed_in_ms = scenario.healed_in_ms
    if transcript is not None and result.failure:
        transcript.found(result.failure)
    if keep_history:
        result.operations = scenario.history.operations
    return result
