"""Brokers are killed under a producer and a group: nothing acknowledged is lost, moved or repeated.

The cluster is `kafkarium cluster run` as a user runs it: a killed broker comes back by itself
after the time given.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from tests.integration.embedded import EmbeddedCluster

PARTITIONS = 3
LEADERS_BACK_S = 5.0
TOPIC = "under-fire"
GROUP = "watchers"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster("--restart-after", "1", brokers=3, data_dir=tmp_path / "data") as up:
        yield up


class SteadyProducer:
    """An idempotent acks=all producer that never stops; remembers what was acknowledged, and
    where."""

    def __init__(self, bootstrap: str) -> None:
        self.acknowledged: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.failed: list[str] = []
        self.last_ack = defaultdict(float)
        self._stop = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "message.timeout.ms": 60000,
            }
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _delivered(self, error: object, message: Message) -> None:
        if error is not None:
            self.failed.append(str(error))
            return
        partition = message.partition()
        self.acknowledged[partition].append((message.offset(), int(message.value())))
        self.last_ack[partition] = time.monotonic()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            for partition in range(PARTITIONS):
                self._producer.produce(
                    TOPIC, str(number), partition=partition, on_delivery=self._delivered
                )
            number += 1
            self._producer.poll(0)
            self._stop.wait(0.002)
        self.left = self._producer.flush(30)

    def wait_until_all_partitions_take_writes(self, since: float, timeout_s: float) -> float:
        """Seconds after ``since`` at which each partition had acknowledged something sent after
        it."""
        deadline = since + timeout_s
        while time.monotonic() < deadline:
            if all(self.last_ack[p] > since + 0.001 for p in range(PARTITIONS)):
                return max(self.last_ack[p] for p in range(PARTITIONS)) - since
            time.sleep(0.01)
        silent = [p for p in range(PARTITIONS) if self.last_ack[p] <= since]
        raise AssertionError(f"partitions {silent} took no write within {timeout_s} s")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert self.left == 0


class GroupReader:
    """A member of a group that reads and commits all the time."""

    def __init__(self, bootstrap: str) -> None:
        self.seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.committed: dict[int, int] = {}
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": GROUP,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
            }
        )
        self._consumer.subscribe([TOPIC])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    self.seen[message.partition()].append((message.offset(), int(message.value())))
            try:
                for done in self._consumer.commit(asynchronous=False) or []:
                    if done.error is None and done.offset >= 0:
                        self.committed[done.partition] = done.offset
            except (
                Exception
            ):  # nothing to commit, or the coordinator is away: the next round commits
                continue
        self._consumer.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


def leader_of(admin: AdminClient, topic: str, partition: int) -> int:
    return admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader


def in_sync(admin: AdminClient) -> bool:
    topics = admin.list_topics(timeout=10).topics
    return all(
        len(p.isrs) == len(p.replicas) for t in topics.values() for p in t.partitions.values()
    )


def wait_until_in_sync(admin: AdminClient, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not in_sync(admin):
        assert time.monotonic() < deadline, "the replicas did not all come back into sync"
        time.sleep(0.1)


def coordinator_of(admin: AdminClient) -> int:
    return (
        admin.describe_consumer_groups([GROUP], request_timeout=10)[GROUP].result(10).coordinator.id
    )


def controller_of(admin: AdminClient) -> int:
    return admin.describe_cluster(request_timeout=10).result(10).controller.id


@pytest.mark.timeout(240)
def test_that_kills_of_leader_controller_and_coordinator_lose_nothing(
    cluster: EmbeddedCluster,
) -> None:
    bootstrap = cluster.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"min.insync.replicas": "2"}
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 3, config=config)])[TOPIC].result(20)
    producer, reader = SteadyProducer(bootstrap), GroupReader(bootstrap)
    resumed: dict[str, float] = {}
    try:
        producer.wait_until_all_partitions_take_writes(time.monotonic(), 20)
        for victim in ("leader", "controller", "coordinator"):
            match victim:
                case "leader":
                    broker = leader_of(admin, TOPIC, 0)
                case "controller":
                    broker = controller_of(admin)
                case _:
                    broker = coordinator_of(admin)
            killed_at = time.monotonic()
            old = cluster.kill(broker)
            time.sleep(
                0.2
            )  # what was on its way when the broker died is not a sign of a new leader
            took = producer.wait_until_all_partitions_take_writes(time.monotonic(), 20)
            resumed[victim] = took + 0.2
            cluster.wait_for_new_pid(broker, old)
            wait_until_in_sync(admin)
            assert time.monotonic() - killed_at < 40
    finally:
        producer.stop()
        reader.stop()
    assert not producer.failed, producer.failed[:3]
    print("writes resumed after (s):", {k: round(v, 2) for k, v in resumed.items()})
    assert max(resumed.values()) < LEADERS_BACK_S, resumed

    stored = read_back(bootstrap)
    for partition, acknowledged in producer.acknowledged.items():
        kept = dict(stored[partition])
        lost = [(o, v) for o, v in acknowledged if kept.get(o) != v]
        assert not lost, (
            f"partition {partition}: {len(lost)} acknowledged records lost or moved, first {lost[0]}"
        )
        values = [v for _, v in stored[partition]]
        assert values == sorted(set(values)), f"partition {partition}: repeated or out of order"
    for partition, seen in reader.seen.items():
        kept = dict(stored[partition])
        assert all(kept.get(o) == v for o, v in seen), "a consumer saw what is not there any more"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    now = {
        tp.partition: tp.offset
        for tp in consumer.committed([TopicPartition(TOPIC, p) for p in range(3)], timeout=10)
    }
    consumer.close()
    assert all(now[p] >= offset for p, offset in reader.committed.items()), (now, reader.committed)


def read_back(bootstrap: str) -> dict[int, list[tuple[int, int]]]:
    """Every record of the topic, by partition, in offset order."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False}
    )
    parts = [TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=10)[1] for p in parts}
    consumer.assign(parts)
    found: dict[int, list[tuple[int, int]]] = {p: [] for p in range(PARTITIONS)}
    deadline = time.monotonic() + 30
    while any(not found[p] or found[p][-1][0] < ends[p] - 1 for p in ends):
        assert time.monotonic() < deadline, "the records could not be read back in 30 s"
        for message in consumer.consume(5000, timeout=1):
            assert message.error() is None, message.error()
            found[message.partition()].append((message.offset(), int(message.value())))
    consumer.close()
    return found


@pytest.mark.timeout(120)
def test_that_all_brokers_killed_at_once_keep_what_they_acknowledged(
    cluster: EmbeddedCluster,
) -> None:
    bootstrap = cluster.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 3, config={"min.insync.replicas": "2"})])[
        TOPIC
    ].result(20)
    producer = SteadyProducer(bootstrap)
    producer.wait_until_all_partitions_take_writes(time.monotonic(), 20)
    time.sleep(1)
    old = {broker: cluster.kill(broker) for broker in (1, 2, 3)}
    for broker, pid in old.items():
        cluster.wait_for_new_pid(broker, pid)
    try:
        producer.wait_until_all_partitions_take_writes(time.monotonic(), 20)
    finally:
        producer.stop()
    assert not producer.failed, producer.failed[:3]
    stored = read_back(bootstrap)
    for partition, acknowledged in producer.acknowledged.items():
        kept = dict(stored[partition])
        assert all(kept.get(o) == v for o, v in acknowledged)


def test_that_a_setting_changed_while_running_outlives_its_brokers(
    cluster: EmbeddedCluster,
) -> None:
    bootstrap = cluster.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("kept", 1, 3)])["kept"].result(20)
    entry = ConfigEntry("retention.ms", "1234567", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "kept", incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(20)
    old = {broker: cluster.kill(broker) for broker in (1, 2, 3)}
    for broker, pid in old.items():
        cluster.wait_for_new_pid(broker, pid)
    again = AdminClient({"bootstrap.servers": bootstrap})
    wait_until_in_sync(again)
    asked = ConfigResource(ConfigResource.Type.TOPIC, "kept")
    entries = again.describe_configs([asked])[asked].result(20)
    assert entries["retention.ms"].value == "1234567"
