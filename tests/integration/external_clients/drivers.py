"""Five external clients behind one Protocol: create a topic, produce, and consume in a group.

Each driver uses its client as the client's documentation shows, with the usual settings.
``consume`` joins a group, reads ``count`` records from the beginning, commits, and leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Protocol

Pair = tuple[str, str]
"""(key, value)"""
Consumed = tuple[int, int, str, str]
"""(partition, offset, key, value)"""

TIMEOUT_S = 45


class Driver(Protocol):
    name: str

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None: ...
    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None: ...
    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]: ...


class ConfluentKafka:
    name = "confluent-kafka"

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": bootstrap})
        futures = admin.create_topics(
            [NewTopic(topic, partitions, replication)], operation_timeout=20
        )
        futures[topic].result(TIMEOUT_S)

    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None:
        from confluent_kafka import Producer

        failed: list[str] = []

        def delivered(error: object, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        settings = {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
        }
        producer = Producer(settings)
        for key, value in records:
            producer.produce(
                topic,
                value,
                key,
                headers={"by": self.name},
                on_delivery=delivered,
            )
        assert producer.flush(TIMEOUT_S) == 0
        assert not failed, failed[0]

    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]:
        from confluent_kafka import Consumer

        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer({**settings, "enable.auto.commit": False})
        consumer.subscribe([topic])
        consumed: list[Consumed] = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(consumed) < count and time.monotonic() < deadline:
            for message in consumer.consume(count - len(consumed), timeout=1):
                assert message.error() is None, message.error()
                assert dict(message.headers() or [])
                partition, offset = message.partition(), message.offset()
                key, value = message.key(), message.value()
                assert partition is not None and offset is not None and key and value
                consumed.append((partition, offset, key.decode(), value.decode()))
        consumer.commit(asynchronous=False)
        consumer.close()
        return consumed


class KafkaPython:
    name = "kafka-python"

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None:
        from kafka.admin import KafkaAdminClient, NewTopic

        admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
        admin.create_topics([NewTopic(topic, partitions, replication)])
        admin.close()

    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None:
        from kafka import KafkaProducer

        producer = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            compression_type=None if codec == "none" else codec,
        )
        by = [("by", self.name.encode())]
        sent = [
            producer.send(topic, key=k.encode(), value=v.encode(), headers=by) for k, v in records
        ]
        producer.flush(TIMEOUT_S)
        for future in sent:
            future.get(TIMEOUT_S)
        producer.close()

    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]:
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap.split(","),
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        consumed: list[Consumed] = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(consumed) < count and time.monotonic() < deadline:
            for batch in consumer.poll(1000).values():
                consumed += [
                    (r.partition, r.offset, r.key.decode(), r.value.decode()) for r in batch
                ]
        consumer.commit()
        consumer.close()
        return consumed


class Aiokafka:
    name = "aiokafka"

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        async def run() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(topic, partitions, replication)])
            finally:
                await admin.close()

        asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))

    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None:
        from aiokafka import AIOKafkaProducer

        async def run() -> None:
            compression = None if codec == "none" else codec
            producer = AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                compression_type=compression,
                enable_idempotence=True,
                acks="all",
            )
            await producer.start()
            try:
                by = [("by", self.name.encode())]
                sent = [
                    await producer.send(topic, v.encode(), k.encode(), headers=by)
                    for k, v in records
                ]
                await asyncio.gather(*sent)
            finally:
                await producer.stop()

        asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))

    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]:
        from aiokafka import AIOKafkaConsumer

        async def run() -> list[Consumed]:
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            await consumer.start()
            consumed: list[Consumed] = []
            try:
                while len(consumed) < count:
                    for batch in (await consumer.getmany(timeout_ms=1000)).values():
                        consumed.extend(
                            (r.partition, r.offset, r.key.decode(), r.value.decode()) for r in batch
                        )
                await consumer.commit()
            finally:
                await consumer.stop()
            return consumed

        return asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


class Kcat:
    name = "kcat"

    def __init__(self, program: Path) -> None:
        self.program = program

    def _run(self, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [self.program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None:
        """Request the topic's metadata, on which the broker creates it with its defaults: kcat has
        no admin requests."""
        self._run(
            "-b", bootstrap, "-X", "allow.auto.create.topics=true", "-P", "-t", topic, text=""
        )
        deadline = time.monotonic() + TIMEOUT_S
        while f'topic "{topic}" with' not in self._run("-b", bootstrap, "-L", "-t", topic):
            assert time.monotonic() < deadline

    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None:
        lines = "".join(f"{k}\t{v}\n" for k, v in records)
        flags = ["-X", "enable.idempotence=true"]
        self._run(
            "-b",
            bootstrap,
            "-P",
            "-t",
            topic,
            "-K\t",
            "-z",
            codec,
            "-H",
            "by=kcat",
            *flags,
            text=lines,
        )

    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]:
        command = [
            "-b",
            bootstrap,
            "-G",
            group,
            "-X",
            "auto.offset.reset=earliest",
            "-c",
            str(count),
        ]
        text = self._run(*command, "-f", "%p\t%o\t%k\t%s\n", "-q", topic)
        rows = (line.split("\t") for line in text.splitlines())
        return [(int(p), int(o), k, v) for p, o, k, v in rows]


class Kafkajs:
    name = "kafkajs"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _run(self, *arguments: str, text: str = "") -> dict[str, list[list[object]]]:
        script = Path(__file__).with_name("kafkajs_client.js")
        environment = os.environ | {
            "NODE_PATH": str(self.folder / "node_modules"),
            "KAFKAJS_NO_PARTITIONER_WARNING": "1",
        }
        done = subprocess.run(
            ["node", script, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S + 15,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, list[list[object]]] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def create(self, bootstrap: str, topic: str, partitions: int, replication: int) -> None:
        assert self._run(bootstrap, "create", topic, str(partitions), str(replication))["created"]

    def produce(self, bootstrap: str, topic: str, codec: str, records: list[Pair]) -> None:
        self._run(bootstrap, "produce", topic, codec, text=json.dumps(records))

    def consume(self, bootstrap: str, topic: str, group: str, count: int) -> list[Consumed]:
        rows = self._run(bootstrap, "consume", topic, group, str(count))["records"]
        return [(int(str(p)), int(str(o)), str(k), str(v)) for p, o, k, v in rows]
