"""Scans over real brokers: everything once, in order, and nothing left behind."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from kafka_client.gateway import Gateway
from kafka_client.model import Header, NewRecord, NewTopic, Record
from kafka_client.reading.filters import Contains
from kafka_client.reading.plan import Order, ScanRequest, Start, Until, plan_scan
from kafka_client.reading.scan import run_scan
from tests.integration.kafka_client.test_contract import opened

COUNT = 6000
ALL = (0, 1, 2)


class ReadingContract:
    @pytest.fixture
    async def filled(self, client: Gateway) -> str:
        topic = f"reading-{uuid.uuid4().hex[:8]}"
        # The timestamps are old: Kafka's retention would delete the records within a minute.
        await client.create_topics([NewTopic(topic, 3, 1, {"retention.ms": "-1"})])
        records = [
            NewRecord(
                topic,
                f"key-{n % 50}".encode(),
                json.dumps({"number": n, "word": "größe" if n % 10 == 0 else "size"}).encode(),
                (Header("n", str(n).encode()),),
                n % 3,
                1_700_000_000_000 + n,
            )
            for n in range(COUNT)
        ]
        await client.produce(records)
        return topic

    async def scan(self, client: Gateway, topic: str, **how: Any) -> list[Record]:
        request = ScanRequest(topic, how.pop("partitions", ALL), **how)
        found: list[Record] = []

        async def emit(records: Sequence[Record]) -> None:
            found.extend(records)

        await run_scan(client, request, await plan_scan(client, request), emit, lambda _: None)
        return found

    async def test_that_scans_bring_what_was_asked_for(self, client: Gateway, filled: str) -> None:
        times = [1_700_000_000_000 + n for n in range(COUNT)]
        found = await self.scan(client, filled, start=Start.EARLIEST)
        assert [r.timestamp_ms for r in found] == times
        assert found[7].headers == (Header("n", b"7"),)
        found = await self.scan(client, filled, start=Start.LATEST, start_at=100)
        assert [r.timestamp_ms for r in found] == times[:-101:-1]
        found = await self.scan(client, filled, start=Start.EARLIEST, order=Order.PARTITION)
        assert [(r.partition, r.offset) for r in found] == [
            (p, o) for p in ALL for o in range(COUNT // 3)
        ]
        found = await self.scan(client, filled, start=Start.EARLIEST, contains=Contains("GRÖSSE"))
        assert found == []
        found = await self.scan(client, filled, start=Start.EARLIEST, contains=Contains("GRÖßE"))
        assert len(found) == COUNT // 10
        found = await self.scan(
            client,
            filled,
            start=Start.TIMESTAMP,
            start_at=times[600],
            until=Until.TIMESTAMP,
            until_at=times[700],
        )
        assert [r.timestamp_ms for r in found] == times[600:700]
        found = await self.scan(
            client,
            filled,
            partitions=(1,),
            start=Start.OFFSET,
            start_at=50,
            until=Until.OFFSET,
            until_at=59,
        )
        assert [r.offset for r in found] == list(range(50, 60))

    async def test_that_reading_leaves_no_group_behind(self, client: Gateway, filled: str) -> None:
        await self.scan(client, filled, start=Start.LATEST, start_at=10)
        groups, _ = await client.list_groups()
        assert not any("kafkarium" in name for name in groups)


@pytest.mark.real_kafka
class TestARealKafka(ReadingContract):
    @pytest.fixture
    async def client(self, real_kafka):
        client = await opened(real_kafka.bootstrap_servers)
        yield client
        await client.close()


class TestTheEmbeddedCluster(ReadingContract):
    @pytest.fixture
    async def client(self, embedded_cluster):
        client = await opened(embedded_cluster)
        yield client
        await client.close()
