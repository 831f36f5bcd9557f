"""A cluster under attack beside a healthy client, and the checks of what it did.

Whatever is sent: every broker process lives, its memory grows by less than MAX_GROWTH_BYTES, its
log has neither a traceback (a request that met a bug is one line with a count,
docs/reliability.md row 47) nor the secret, connections are closed afterwards, the healthy client's
acknowledged records are all there, its slowest call stays below SLOWEST_S, and every response
parses or the connection is closed.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded_broker import ClusterSpec, LocalCluster, State, TopicSpec
from embedded_broker.core import api
from embedded_broker.shell import admin
from embedded_broker.shell.authentication import find_secret
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest
from kafka_protocol.messages.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from tests.fuzz import healthy
from tests.fuzz.cases import GROUP_APIS, make_case
from tests.fuzz.link import Found, Link, Step
from tests.fuzz.samples import TOPICS, Known

MAX_GROWTH_BYTES = 128 * 1024 * 1024
SLOWEST_S = 2.0
CLOSED_WITHIN_S = 10.0
LANES = 12
"""Connections between brokers that may be open after the attack and were not before."""
STALL_PERIOD_S = 0.05
KEPT_FRAMES = 200
LOOK_EVERY = 50
"""Cases between two looks at the processes, and between two rounds that make lost topics again."""
BROKERS = 3
INSIDER_ID = 77
"""The id of a broker that is not registered, for attacks by a program that knows the secret."""
PROTECTED = {
    "min.insync.replicas": "1",
    "compression.type": "producer",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
}
"""The healthy topic's own values, so that changes of the brokers' settings do not reach it."""
DATA_APIS = (
    *(ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.LIST_OFFSETS, ApiKey.DELETE_RECORDS),
    ApiKey.OFFSET_FOR_LEADER_EPOCH,
)
"""The attacked topics' first replica is broker 1."""
CONTROLLER_APIS = tuple(key for key, one in api.TABLE.items() if one.controller)
SETTINGS = {
    "auto.create.topics.enable": "false",
    "group.min.session.timeout.ms": "200",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
}
BUG = re.compile(r"Traceback|internal error: |Fatal Python error|Exception ignored", re.MULTILINE)
REQUEST_FAILED = ("Internal error while handling", "cannot encode the response")
"""Lines of requests that met a bug, and were answered or their connection closed (row 47)."""


@dataclass
class Report:
    """What a run did and found."""

    seed: int
    cases: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    failed_requests: list[str] = field(default_factory=list)
    """Lines of the brokers' logs about requests that met a bug."""
    growth_bytes: int = 0
    slowest_s: float = 0.0
    stall_s: float = 0.0
    """The longest time for which this machine kept even an idle thread waiting."""
    calls: int = 0
    acknowledged: int = 0


class Stalls:
    """Measures how long this process waits for the machine: a thread that only sleeps."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(STALL_PERIOD_S):
            now = time.monotonic()
            self.worst_s = max(self.worst_s, now - last - STALL_PERIOD_S)
            last = now

    def finish(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()


class Attack:
    """A running cluster with its attacker."""

    def __init__(self, cluster: LocalCluster, report: Report, insider: bool = False) -> None:
        self.cluster, self.report = cluster, report
        self.known = Known()
        self._insider = insider
        self.known.own_id = INSIDER_ID if insider else -1
        statuses = cluster.statuses()
        self._pids = {s.broker_id: s.pid for s in statuses}
        self.addresses = [(s.host, s.port) for s in statuses]
        self._rss = {s.broker_id: self._rss_bytes(s.broker_id) for s in statuses}
        self._sockets = {s.broker_id: self._open_sockets(s.broker_id) for s in statuses}
        secret = find_secret(cluster.spec.directory)
        self._links = [
            Link((s.host, s.port), (secret, INSIDER_ID, s.broker_id) if insider else None)
            for s in statuses
        ]
        self._homes: dict[int, int] = {}
        """The index of the broker that can carry out a request, by API key."""
        self.frames: deque[tuple[int, int, str, str]] = deque(maxlen=KEPT_FRAMES)
        """The last frames that were sent: case, broker, lies, bytes in hex."""

    # ---- attacking
    def case(self, number: int) -> None:
        """Carry out a case. What it finds is in the report."""
        case, steps = make_case(self.report.seed, number, self.known, self._insider)
        chosen = case.rng.randrange(len(self._links))
        case.may_move = case.rng.random() < 0.8
        self.report.cases[case.kind] += 1
        try:
            for step in steps:
                lies = "; ".join(case.lies)
                self.frames.append((number, chosen + 1, lies, step.data.hex()))
                case.lies.clear()
                self.report.sent += 1
                home = self._home(step, chosen) if case.may_move else chosen
                for api_key, message in self._links[home].perform(step):
                    self.report.answered[ApiKey(api_key).name] += 1
                    self.known.learn(message)
        except Found as e:
            self.report.findings.append(f"case {number} ({case.kind}): {e}")
        except OSError as e:
            self.report.findings.append(f"case {number} ({case.kind}): no connection ({e})")

    def _home(self, step: Step, chosen: int) -> int:
        """The broker that can carry out the request of a step, else the one that was chosen."""
        api_key = int.from_bytes(step.data[4:6], "big")
        return self._homes.get(api_key, chosen) if len(step.data) > 6 else chosen

    def look(self) -> bool:
        """Check the processes; return whether the run may go on."""
        before = len(self.report.findings)
        for status in self.cluster.statuses():
            if status.state is not State.SERVING or status.pid != self._pids[status.broker_id]:
                self.report.findings.append(
                    f"broker {status.broker_id} ended: {status.state.value}, {status.reason}"
                )
                continue
            growth = self._rss_bytes(status.broker_id) - self._rss[status.broker_id]
            self.report.growth_bytes = max(self.report.growth_bytes, growth)
            if growth > MAX_GROWTH_BYTES:
                self.report.findings.append(
                    f"broker {status.broker_id} grew by {growth >> 20} MiB, "
                    f"allowed are {MAX_GROWTH_BYTES >> 20}"
                )
        return len(self.report.findings) == before

    def make_topics(self) -> None:
        """Make those of the attacked topics that are missing, and learn the topics' ids."""
        on_first = [CreatableReplicaAssignment(i, [1, 2, 3]) for i in range(2)]
        specs = [CreatableTopic(name, -1, -1, on_first) for name in TOPICS]
        specs[-1].configs = [CreatableTopicConfig("cleanup.policy", "compact")]
        message = CreateTopicsRequest(specs, timeout_ms=5_000)
        admin.request(self.addresses[0], message, admin.CREATE_TOPICS_VERSION, 15.0)
        listed = admin.request(self.addresses[0], MetadataRequest(topics=None), 12, 15.0)
        self.known.cluster_id = listed.cluster_id
        coordinator = admin.request(self.addresses[0], FindCoordinatorRequest("g"), 2, 15.0)
        homes = [(DATA_APIS, 1), (GROUP_APIS, coordinator.node_id)]
        for keys, broker_id in [*homes, (CONTROLLER_APIS, listed.controller_id)]:
            self._homes |= {int(key): max(0, broker_id - 1) for key in keys}
        for topic in listed.topics:
            if topic.name in TOPICS:
                self.known.topic_ids[topic.name] = topic.topic_id

    def _rss_bytes(self, broker_id: int) -> int:
        usage = self.cluster.usage(broker_id)
        return 0 if usage is None else usage.rss_bytes

    def _open_sockets(self, broker_id: int) -> int:
        """Sockets of a broker's process."""
        count = 0
        for descriptor in Path(f"/proc/{self._pids[broker_id]}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                count += "socket:" in str(descriptor.readlink())
        return count

    def close(self) -> None:
        """Close the attacker's connections."""
        for link in self._links:
            link.close()

    def check_sockets(self) -> None:
        """The brokers close their side too, once the ends of the connections are read."""
        for broker_id, before in self._sockets.items():
            most = before + LANES
            deadline = time.monotonic() + CLOSED_WITHIN_S
            while self._open_sockets(broker_id) > most and time.monotonic() < deadline:
                time.sleep(STALL_PERIOD_S)
            left = self._open_sockets(broker_id)
            if left > most:
                self.report.findings.append(f"broker {broker_id} has {left} sockets, not {most}")


def read_logs(cluster_directory: Path, report: Report) -> None:
    """Add what the brokers' logs and standard errors say of bugs to the report, and whether they
    say the cluster's secret."""
    secret = find_secret(cluster_directory)
    for path in sorted(cluster_directory.glob("broker-*/broker.*")):
        if path.suffix not in (".log", ".err"):
            continue
        data = path.read_bytes()
        if secret in data or secret.hex().encode() in data:
            report.findings.append(f"{path.parent.name}/{path.name} has the cluster's secret")
        for line in data.decode(errors="replace").splitlines():
            if any(text in line for text in REQUEST_FAILED):
                if path.suffix == ".log":
                    report.failed_requests.append(f"{path.parent.name}: {line}")
            elif BUG.search(line):
                report.findings.append(f"{path.parent.name}/{path.name}: {line[:300]}")


@contextmanager
def attacked(folder: Path, report: Report, insider: bool = False) -> Iterator[Attack]:
    """Start a cluster with a healthy client. After the block everything is checked."""
    directory = folder / ("insider" if insider else "cluster")
    stalls = Stalls()
    try:
        with LocalCluster(ClusterSpec(directory, BROKERS, 0, settings=SETTINGS)) as cluster:
            attack = Attack(cluster, report, insider)
            attack.make_topics()
            _make_healthy_topic(attack)
            client = healthy.Healthy(attack.addresses)
            try:
                yield attack
            finally:
                attack.close()
                client.finish()
            if attack.look():
                attack.check_sockets()
            read_logs(directory, report)
            _check(client, stalls, report)
            _write_frames(folder / "last-frames.jsonl", attack.frames)
    finally:
        stalls.finish()


def _make_healthy_topic(attack: Attack) -> None:
    configs = [CreatableTopicConfig(name, value) for name, value in PROTECTED.items()]
    topic = CreatableTopic(healthy.TOPIC, 1, BROKERS, configs=configs)
    message = CreateTopicsRequest([topic], timeout_ms=5_000)
    answer = admin.request(attack.addresses[0], message, admin.CREATE_TOPICS_VERSION, 15.0)
    assert answer.topics[0].error_code == 0, answer
    attack.cluster.create_topics([TopicSpec(healthy.TOPIC, 1, BROKERS)])  # waits until it is there


def _check(client: healthy.Healthy, stalls: Stalls, report: Report) -> None:
    report.stall_s = stalls.worst_s
    report.slowest_s = max(client.produced.slowest_s, client.fetched.slowest_s)
    report.calls = client.produced.calls + client.fetched.calls
    report.acknowledged = len(client.produced.acknowledged)
    # A machine that keeps an idle thread waiting keeps the brokers waiting too.
    report.findings += client.findings(SLOWEST_S + stalls.worst_s)


def _write_frames(path: Path, frames: Any) -> None:
    keys = ("case", "broker", "lies", "bytes")
    path.write_text("".join(json.dumps(dict(zip(keys, f, strict=True))) + "\n" for f in frames))
