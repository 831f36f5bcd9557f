"""Files of stopped brokers are damaged; the cluster serves every record and mends the copies."""

from __future__ import annotations

import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafka_protocol.records.batch import CorruptBatch, batches
from tests.integration.embedded import EmbeddedCluster

TOPIC = "kept"
COUNT = 600
MENDED_S = 20


def fill(servers: str) -> None:
    new = NewTopic(TOPIC, 1, 3, config={"segment.bytes": "20000"})
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([new])[TOPIC].result(20)
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "batch.num.messages": 10})
    for i in range(COUNT):
        producer.produce(TOPIC, f"{i}".zfill(200))
    assert producer.flush(20) == 0


def read_all(servers: str) -> list[int]:
    """The number in each record, from the first to the last."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found: list[int] = []
    deadline = time.monotonic() + 30
    try:
        while len(found) < COUNT and time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is None or message.error() is not None:
                continue
            value = message.value()
            assert value is not None and message.offset() == len(found)
            found.append(int(value))
    finally:
        consumer.close()
    return found


def flip(file: Path, number: int) -> None:
    """Change a bit in the body of the batch with this number."""
    raw = bytearray(file.read_bytes())
    raw[list(batches(bytes(raw)))[number].position + 70] ^= 1
    file.write_bytes(raw)


def whole(folder: Path) -> bool:
    """Whether every batch of a log can be read, and none is missing."""
    end = 0
    try:
        for file in sorted(folder.glob("*.log")):
            for header in batches(file.read_bytes()):
                if header.base_offset != end:
                    return False
                end = header.next_offset
    except (CorruptBatch, FileNotFoundError):  # still damaged, or just being written
        return False
    return end == COUNT


def leads(servers: str) -> int:
    """The id of the broker that leads the topic's partition."""
    admin = AdminClient({"bootstrap.servers": servers})
    deadline = time.monotonic() + MENDED_S
    while time.monotonic() < deadline:
        partition = admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions[0]
        if partition.leader >= 0:
            return int(partition.leader)
        time.sleep(0.1)
    raise AssertionError("no leader")


def test_that_damaged_old_records_are_served_from_a_good_copy_and_mended(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedCluster(brokers=3, data_dir=data) as cluster:
        fill(cluster.bootstrap_servers)
    with EmbeddedCluster("--restart-after", "1", brokers=3, data_dir=data) as cluster:
        # The leader has opened its old segments, and nobody has read them yet.
        own = data / f"broker-{leads(cluster.bootstrap_servers)}"
        (logs,) = own.rglob(f"{TOPIC}-0")
        old = sorted(logs.glob("*.log"))
        assert len(old) > 3
        flip(old[1], 1)
        assert read_all(cluster.bootstrap_servers) == list(range(COUNT))
        deadline = time.monotonic() + MENDED_S
        while not whole(logs) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert list(own.rglob(f"{TOPIC}-0.*-stray"))
        assert whole(logs)


def test_that_damage_in_a_follower_is_mended_without_a_reader(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = (
        *("--set", "log.check.interval.ms=1000"),
        *("--set", "replica.lag.time.max.ms=2000"),
    )
    with EmbeddedCluster(*settings, brokers=3, data_dir=data) as cluster:
        fill(cluster.bootstrap_servers)
        follower = next(i for i in (1, 2, 3) if i != leads(cluster.bootstrap_servers))
        own = data / f"broker-{follower}"
        (logs,) = own.rglob(f"{TOPIC}-0")
        old = sorted(logs.glob("*.log"))
        assert len(old) > 3
        with old[1].open("r+b") as file:  # in place: the broker has the file open
            file.seek(list(batches(old[1].read_bytes()))[1].position + 70)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        assert not whole(logs)
        deadline = time.monotonic() + MENDED_S
        kept: list[Path] = []
        while not (whole(logs) and kept) and time.monotonic() < deadline:
            time.sleep(0.2)
            kept = list(own.rglob(f"{TOPIC}-0.*-stray"))
        assert whole(logs) and kept
        assert leads(cluster.bootstrap_servers) != follower
        (log,) = own.rglob("broker.log")
        assert "the background check found kept-0 damaged" in log.read_text()


def test_that_a_damaged_metadata_log_is_fetched_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedCluster(brokers=3, data_dir=data) as cluster:
        fill(cluster.bootstrap_servers)
    (log,) = (data / "broker-2").rglob("__cluster_metadata-0")
    (file,) = log.glob("*.log")
    before = file.stat().st_size
    flip(file, 3)
    with EmbeddedCluster("--restart-after", "1", brokers=3, data_dir=data) as cluster:
        assert read_all(cluster.bootstrap_servers) == list(range(COUNT))
        deadline = time.monotonic() + MENDED_S
        while file.stat().st_size < before and time.monotonic() < deadline:
            time.sleep(0.2)
    assert file.stat().st_size >= before
    assert all(list(batches(file.read_bytes())))
    written = "\n".join(p.read_text() for p in data.rglob("broker.log"))
    assert "recovery cut off" in written and "corrupt metadata" not in written
