"""Brokers are killed under a producer and a group, and no acknowledged record is lost, moved or
repeated (docs/reliability.md, R2 to R5).

The cluster is `kafkarium cluster run`, as a user runs it; it restarts a killed broker.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
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
EXPECTED_COMMIT_ERRORS = {
    "_NO_OFFSET",  # nothing was read since the last commit
    "_TIMED_OUT",
    "_TRANSPORT",
    "_WAIT_COORD",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "ILLEGAL_GENERATION",
    "NOT_COORDINATOR",
    "REBALANCE_IN_PROGRESS",
    "REQUEST_TIMED_OUT",
    "UNKNOWN_MEMBER_ID",
}
"""What a commit may meet while the coordinator is away, or the group rebalances."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster("--restart-after", "1", brokers=3, data_dir=tmp_path / "data") as up:
        yield up


def placed(message: Message) -> tuple[int, int, int]:
    """(partition, offset, the number in the value) of a record that arrived or was sent."""
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None and offset is not None and value is not None
    return partition, offset, int(value)


class SteadyProducer:
    """An idempotent acks=all producer that sends a number to each partition about every 2 ms."""

    def __init__(self, bootstrap: str) -> None:
        self.acknowledged: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """(offset, number) by partition."""
        self.failed: list[str] = []
        self._next = 0
        self._acked = dict.fromkeys(range(PARTITIONS), -1)
        """The greatest acknowledged number by partition."""
        self._changed = threading.Condition()
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
        partition, offset, number = placed(message)
        with self._changed:
            self.acknowledged[partition].append((offset, number))
            self._acked[partition] = max(number, self._acked[partition])
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            for partition in range(PARTITIONS):
                self._producer.produce(
                    TOPIC, str(self._next), partition=partition, on_delivery=self._delivered
                )
            self._next += 1
            self._producer.poll(0)
            self._stop.wait(0.002)
        self.left = self._producer.flush(30)

    def wait_for_acknowledgements(self, count: int = 1, timeout_s: float = 20) -> float:
        """Wait until every partition has acknowledged ``count`` numbers that were sent after this
        call; returns the seconds that it took."""
        began = time.monotonic()
        last = self._next + count
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(acked >= last for acked in self._acked.values()), timeout_s
            ), f"acknowledged up to {self._acked}, not {last}, within {timeout_s} s"
        return time.monotonic() - began

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert self.left == 0


class GroupReader:
    """A member of a group that reads and commits all the time."""

    def __init__(self, bootstrap: str) -> None:
        self.seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.committed: dict[int, int] = {}
        self.commit_errors: set[str] = set()
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
                    partition, offset, value = placed(message)
                    self.seen[partition].append((offset, value))
            try:
                for done in self._consumer.commit(asynchronous=False) or []:
                    if done.error is None and done.offset >= 0:
                        self.committed[done.partition] = done.offset
            except KafkaException as e:  # the next round commits again
                self.commit_errors.add(e.args[0].name())
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
        assert time.monotonic() < deadline, "some replicas did not come back into sync"
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
        producer.wait_for_acknowledgements()
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
            resumed[victim] = producer.wait_for_acknowledgements()
            cluster.wait_for_new_pid(broker, old)
            wait_until_in_sync(admin)
            assert time.monotonic() - killed_at < 40
    finally:
        producer.stop()
        reader.stop()
    assert not producer.failed, producer.failed[:3]
    assert reader.commit_errors <= EXPECTED_COMMIT_ERRORS
    print("writes resumed after (s):", {k: round(v, 2) for k, v in resumed.items()})
    assert max(resumed.values()) < LEADERS_BACK_S, resumed

    stored = read_back(bootstrap)
    for partition, acknowledged in producer.acknowledged.items():
        kept = dict(stored[partition])
        lost = [(o, v) for o, v in acknowledged if kept.get(o) != v]
        assert not lost, f"partition {partition}: {len(lost)} records lost or moved, {lost[:3]}"
        values = [v for _, v in stored[partition]]
        assert values == sorted(set(values)), f"partition {partition}: repeated or out of order"
    for partition, seen in reader.seen.items():
        kept = dict(stored[partition])
        assert all(kept.get(o) == v for o, v in seen), "a record that was read is not stored"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    now = {
        tp.partition: tp.offset
        for tp in consumer.committed([TopicPartition(TOPIC, p) for p in range(3)], timeout=10)
    }
    consumer.close()
    assert all(now[p] >= offset for p, offset in reader.committed.items()), (now, reader.committed)


def read_back(bootstrap: str) -> dict[int, list[tuple[int, int]]]:
    """Read every record of the topic; (offset, number) by partition, in offset order."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False}
    )
    parts = [TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=10)[1] for p in parts}
    consumer.assign(parts)
    found: dict[int, list[tuple[int, int]]] = {p: [] for p in range(PARTITIONS)}
    deadline = time.monotonic() + 30
    while any(not found[p] or found[p][-1][0] < ends[p] - 1 for p in ends):
        assert time.monotonic() < deadline, "reading the records back takes longer than 30 s"
        for message in consumer.consume(5000, timeout=1):
            assert message.error() is None, message.error()
            partition, offset, value = placed(message)
            found[partition].append((offset, value))
    consumer.close()
    return found


@pytest.mark.timeout(120)
def test_that_brokers_killed_at_once_keep_every_acknowledged_record(
    cluster: EmbeddedCluster,
) -> None:
    bootstrap = cluster.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 3, config={"min.insync.replicas": "2"})])[
        TOPIC
    ].result(20)
    producer = SteadyProducer(bootstrap)
    producer.wait_for_acknowledgements(200)
    old = {broker: cluster.kill(broker) for broker in (1, 2, 3)}
    for broker, pid in old.items():
        cluster.wait_for_new_pid(broker, pid)
    try:
        producer.wait_for_acknowledgements()
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
    assert settings_of(again, "kept")["retention.ms"].value == "1234567"


def settings_of(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    """The settings of a topic. librdkafka fails what waits on an address that it was given at the
    moment when it learns which broker that is: then ask again."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    while True:
        try:
            return admin.describe_configs([resource])[resource].result(20)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._DESTROY_BROKER:
                raise
