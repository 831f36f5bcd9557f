"""A cluster in memory whose state is a function of time: what ``FakeClient`` answers from.

Producers send at a fixed rate, consumers read at theirs (those of ``sms`` are slower, so its lag
grows). Every 90 s one broker is down for 15 s: the next replica leads meanwhile, and in-sync sets
shrink. ``moving=False`` keeps all brokers up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    FailedLogDir,
    Header,
    Member,
    Partition,
    Record,
    Topic,
    TopicPartition,
)

CYCLE_S = 90.0
DOWN_FROM_S, DOWN_TO_S, IN_SYNC_AT_S, PREFERRED_AT_S = 45.0, 60.0, 65.0, 75.0
HISTORY_S = 600.0
RECORD_BYTES = 220


@dataclass(slots=True)
class FakeLog:
    """One partition. Records are generated at ``rate_per_s``; those that a test sends come between
    them."""

    topic: str
    partition: int
    replicas: tuple[int, ...]
    rate_per_s: float
    since_s: float
    start_offset: int = 0
    sent: dict[int, Record] = field(default_factory=dict)

    def end_offset(self, t: float) -> int:
        return max(0, int(self.rate_per_s * (t - self.since_s))) + len(self.sent)

    def record(self, offset: int) -> Record:
        if offset in self.sent:
            return self.sent[offset]
        seconds = offset / self.rate_per_s if self.rate_per_s else 0.0
        number = offset * 31 + self.partition
        value = {
            "id": number * 1_000_003 + 2**53,
            "to": f"user{number % 997}@example.org",
            "template": ("welcome", "invoice", "reminder", "code")[number % 4],
            "attempt": number % 3,
            "text": f"Notification {number} of {self.topic}",
        }
        return Record(
            self.topic,
            self.partition,
            offset,
            int((self.since_s + seconds) * 1000),
            "create",
            f"user-{number % 997}".encode(),
            json.dumps(value).encode(),
            (Header("trace", f"{number:08x}".encode()),),
            0,
        )


@dataclass(slots=True)
class FakeGroup:
    """One consumer group. ``placed``: (time, offset) of the last reset, by partition."""

    group_id: str
    topics: tuple[str, ...]
    rate_per_s: float
    since_s: float
    consumers: int = 1
    kind: str = "classic"
    placed: dict[TopicPartition, tuple[float, int]] = field(default_factory=dict)

    def committed(self, log: FakeLog, t: float) -> int:
        moment, offset = self.placed.get((log.topic, log.partition), (self.since_s, 0))
        read = int(self.rate_per_s * (int(t) - moment)) if self.consumers else 0
        return min(log.end_offset(t), max(offset, log.start_offset) + max(0, read))

    def members(self, partitions: list[TopicPartition]) -> tuple[Member, ...]:
        return tuple(
            Member(
                f"{self.group_id}-{n}-6f1c0de5",
                f"{self.group_id}-{n}",
                f"/10.0.0.{n + 10}",
                None,
                tuple(tp for i, tp in enumerate(partitions) if i % self.consumers == n),
            )
            for n in range(self.consumers)
        )


class FakeCluster:
    """The state and how it moves. ``clock`` returns seconds since the epoch; brokers have the ids
    1 to n."""

    def __init__(self, clock: Callable[[], float], brokers: int = 3, moving: bool = True) -> None:
        self.clock = clock
        self.size = brokers
        self.moving = moving
        self.since_s = clock()
        self.begun_s = self.since_s - HISTORY_S
        self.logs: dict[str, list[FakeLog]] = {}
        self.internal = {"__consumer_offsets"}
        self.topic_configs: dict[str, dict[str, str]] = {}
        self.broker_configs: dict[str, dict[str, str]] = {}
        self.groups: dict[str, FakeGroup] = {}
        self.killed: set[int] = set()
        self.failed_dirs: dict[int, tuple[FailedLogDir, ...]] = {}
        self.base_port = 19091
        """Broker 1 advertises the next port."""
        self.serial = 0
        self._ids: dict[str, str] = {}

    def populate(self) -> FakeCluster:
        """The topics and groups of the Notifications demo."""
        self.create("email", 3, 3, rate_per_s=12.0)
        self.create("slack", 3, 2, rate_per_s=8.0)
        self.create("sms", 3, 2, rate_per_s=20.0)
        self.create(
            "orders-by-customer", 6, 3, rate_per_s=3.0, configs={"cleanup.policy": "compact"}
        )
        self.create("__consumer_offsets", 6, 3, rate_per_s=0.5)
        for name, rate, consumers in (("email", 40.0, 3), ("slack", 40.0, 2), ("sms", 5.0, 1)):
            group = FakeGroup(f"{name}-senders", (name,), rate, self.begun_s, consumers)
            self.groups[group.group_id] = group
        self.groups["nightly-report"] = FakeGroup(
            "nightly-report", ("orders-by-customer",), 0.0, self.begun_s, 0
        )
        self.groups["audit"] = FakeGroup(
            "audit", ("email", "sms"), 50.0, self.begun_s, 2, "consumer"
        )
        return self

    def create(
        self,
        name: str,
        partitions: int,
        factor: int,
        rate_per_s: float = 0.0,
        configs: dict[str, str] | None = None,
    ) -> None:
        self.serial += 1
        self._ids[name] = f"fake{self.serial:018d}"
        self.logs[name] = []
        self.topic_configs[name] = dict(configs or {})
        self.grow(name, partitions, factor, rate_per_s / partitions if rate_per_s else 0.0)

    def grow(self, name: str, total: int, factor: int, rate_per_s: float = 0.0) -> None:
        logs = self.logs[name]
        for partition in range(len(logs), total):
            replicas = tuple((partition + self.serial + i) % self.size + 1 for i in range(factor))
            since = self.begun_s if rate_per_s else self.clock()
            logs.append(FakeLog(name, partition, replicas, rate_per_s, since))

    def delete(self, name: str) -> None:
        del self.logs[name], self._ids[name]
        self.topic_configs.pop(name, None)

    # ---- movement
    def cycle(self, t: float) -> tuple[int, float]:
        if not self.moving or t < self.since_s:
            return 0, 0.0
        number, within = divmod(t - self.since_s, CYCLE_S)
        return int(number), within

    def victim(self, number: int) -> int:
        return (number + 1) % self.size + 1

    def down(self, t: float) -> set[int]:
        number, within = self.cycle(t)
        victims = {self.victim(number)} if DOWN_FROM_S <= within < DOWN_TO_S else set()
        return victims | self.killed

    def partition(self, log: FakeLog, t: float) -> Partition:
        number, within = self.cycle(t)
        victim = self.victim(number)
        down = self.down(t)
        lagging = {victim} if DOWN_FROM_S <= within < IN_SYNC_AT_S else set()
        out = down | set(self.failed_dirs)
        isr = tuple(r for r in log.replicas if r not in (lagging | out))
        shunned = {victim} if DOWN_FROM_S <= within < PREFERRED_AT_S else set()
        leader = next((r for r in isr if r not in shunned), isr[0] if isr else None)
        preferred = log.replicas[0]
        epoch = sum(2 for k in range(number) if self.victim(k) == preferred)
        if victim == preferred:
            epoch += (within >= DOWN_FROM_S) + (within >= PREFERRED_AT_S)
        offline = tuple(r for r in log.replicas if r in out)
        return Partition(
            log.topic, log.partition, leader, epoch, log.replicas, isr or log.replicas[:1], offline
        )

    def controller(self, t: float) -> tuple[int, int]:
        """(broker, epoch) of the controller: it moves to the next broker when its own is down."""
        number, within = self.cycle(t)
        at, epoch = 1 % self.size + 1, 1
        for k in range(number + (within >= DOWN_FROM_S)):
            if self.victim(k) == at:
                at, epoch = at % self.size + 1, epoch + 1
        while at in self.killed and len(self.killed) < self.size:
            at, epoch = at % self.size + 1, epoch + 1
        return at, epoch

    def metadata(self, t: float, topics: set[str] | None = None) -> ClusterSnapshot:
        down = self.down(t)
        names = [n for n in self.logs if topics is None or n in topics]
        return ClusterSnapshot(
            "fake-cluster-0000000001",
            t,
            self.controller(t)[0],
            {
                i: Broker(i, "127.0.0.1", self.base_port + i, f"rack-{i}")
                for i in range(1, self.size + 1)
                if i not in down
            },
            {
                name: Topic(
                    name,
                    self._ids[name],
                    name in self.internal,
                    tuple(self.partition(log, t) for log in self.logs[name]),
                )
                for name in sorted(names)
            },
        )

    def size_bytes(self, log: FakeLog, t: float) -> int:
        return (log.end_offset(t) - log.start_offset) * RECORD_BYTES
