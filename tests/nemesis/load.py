"""Clients that load the cluster and record what they see: an idempotent writer and a group."""

from __future__ import annotations

import threading
import time
import warnings

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.nemesis.history import History, Stored

TOPIC = "under-fire"
GROUP = "watchers"
PARTITIONS = 3
READ_BACK_S = 40.0
VALUE = "{:0200d}"
"""Values are numbers, padded to 200 bytes."""


def create_topic(bootstrap: str, timeout_s: float = 20.0) -> None:
    """Create the topic: three partitions, three replicas, two of them in sync at least."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic = NewTopic(TOPIC, PARTITIONS, 3, config={"min.insync.replicas": "2"})
    admin.create_topics([topic])[TOPIC].result(timeout_s)


class Writer:
    """An idempotent acks=all producer of rising numbers, one every few ms to each partition."""

    def __init__(self, bootstrap: str, history: History, pause_s: float = 0.004) -> None:
        self._history = history
        self._pause_s = pause_s
        self._number = 0
        self._acknowledged = dict.fromkeys(range(PARTITIONS), -1)
        self._last_ack = time.monotonic()
        self.longest_gap_s = 0.0
        """The longest time without any acknowledgement since ``reset_gap``."""
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.left = 0
        """Records without an outcome after ``stop``."""
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "message.timeout.ms": 60000,
                "socket.timeout.ms": 3000,
                "socket.connection.setup.timeout.ms": 2000,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def _delivered(self, error: confluent_kafka.KafkaError | None, message: Message) -> None:
        partition, raw = message.partition(), message.value()
        assert partition is not None and raw is not None
        value = int(raw)
        if error is not None:
            self._history.add("writer", "send", "info", partition, -1, value, error.str())
            return
        offset = message.offset()
        assert offset is not None
        self._history.add("writer", "send", "ok", partition, offset, value)
        now = time.monotonic()
        with self._changed:
            self.longest_gap_s = max(self.longest_gap_s, now - self._last_ack)
            self._last_ack = now
            self._acknowledged[partition] = max(value, self._acknowledged[partition])
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            for partition in range(PARTITIONS):
                try:
                    self._producer.produce(
                        TOPIC,
                        VALUE.format(self._number),
                        partition=partition,
                        on_delivery=self._delivered,
                    )
                except BufferError:  # the cluster is away for long: wait for room
                    self._producer.poll(0.1)
            self._number += 1
            self._producer.poll(0)
            self._stop.wait(self._pause_s)
        self.left = self._producer.flush(60)

    def reset_gap(self) -> None:
        """Measure ``longest_gap_s`` anew."""
        with self._changed:
            self.longest_gap_s, self._last_ack = 0.0, time.monotonic()

    def wait_for_acknowledgements(self, count: int = 1, timeout_s: float = 30.0) -> float:
        """Wait until every partition has acknowledged ``count`` numbers sent after this call;
        return the seconds that it took."""
        began, last = time.monotonic(), self._number + count
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(number >= last for number in self._acknowledged.values()), timeout_s
            ), f"acknowledged up to {self._acknowledged}, not {last}, after {timeout_s:g} s"
        return time.monotonic() - began

    def stop(self) -> None:
        """Send no more, and wait for the outcome of every record."""
        self._stop.set()
        self._thread.join(90)


class Member:
    """A member of the group that reads and commits all the time."""

    def __init__(self, bootstrap: str, history: History, name: str) -> None:
        self._history = history
        self._name = name
        self._stop = threading.Event()
        self.rebalances = 0
        """How many times partitions were assigned to it."""
        self.assigned = 0
        """How many partitions it has now."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": GROUP,
                "client.id": name,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "socket.timeout.ms": 3000,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._consumer.subscribe([TOPIC], on_assign=self._assigned)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        self.assigned = len(partitions)
        for part in partitions:
            self._history.add(self._name, "assign", "ok", part.partition)

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    partition, offset, value = placed(message)
                    self._history.add(self._name, "read", "ok", partition, offset, value)
            try:
                for done in self._consumer.commit(asynchronous=False) or []:
                    outcome = "info" if done.error is not None or done.offset < 0 else "ok"
                    self._history.add(self._name, "commit", outcome, done.partition, done.offset)
            except KafkaException as e:  # the next round commits again
                self._history.add(self._name, "commit", "info", text=e.args[0].name())
        self._consumer.close()

    def stop(self) -> None:
        """Leave the group."""
        self._stop.set()
        self._thread.join(60)


def placed(message: Message) -> tuple[int, int, int]:
    """(partition, offset, number) of a record."""
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None and offset is not None and value is not None
    return partition, offset, int(value)


def read_back(bootstrap: str) -> Stored:
    """Read the whole topic with librdkafka."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False}
    )
    parts = [TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=10)[1] for p in parts}
    consumer.assign(parts)
    stored: Stored = {p: [] for p in range(PARTITIONS)}
    deadline = time.monotonic() + READ_BACK_S
    while any(end and (not stored[p] or stored[p][-1][0] < end - 1) for p, end in ends.items()):
        assert time.monotonic() < deadline, "reading the records back takes too long"
        for message in consumer.consume(5000, timeout=1):
            assert message.error() is None, message.error()
            partition, offset, value = placed(message)
            stored[partition].append((offset, value))
    consumer.close()
    return stored


def read_back_with_kafka_python(bootstrap: str, until: Stored) -> Stored:
    """Read the topic with kafka-python, up to the offsets of ``until``."""
    with warnings.catch_warnings():
        # It loads its schemas with a function that importlib.resources deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka import KafkaConsumer
        from kafka import TopicPartition as PythonTopicPartition
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
    parts = [PythonTopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    stored: Stored = {p: [] for p in range(PARTITIONS)}
    deadline = time.monotonic() + READ_BACK_S
    while any(len(stored[p]) < len(until[p]) for p in until):
        assert time.monotonic() < deadline, "reading the records back takes too long"
        for part, records in consumer.poll(timeout_ms=500, max_records=5000).items():
            stored[part.partition] += [(r.offset, int(r.value)) for r in records]
    consumer.close()
    return {p: records[: len(until[p])] for p, records in stored.items()}


def committed_offsets(bootstrap: str) -> dict[int, int]:
    """The group's committed offset by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    committed = {tp.partition: tp.offset for tp in consumer.committed(parts, timeout=20)}
    consumer.close()
    return committed
