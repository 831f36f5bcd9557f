"""Scans pass what cannot be read, on real brokers, and say so."""

from __future__ import annotations

import socket
import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from kafka_client.gateway import Gateway, open_client
from kafka_client.model import NewRecord, NewTopic, Record
from kafka_client.profile import quick
from kafka_client.reading.plan import ScanRequest, Start, plan_scan
from kafka_client.reading.scan import run_scan
from kafka_protocol.records.batch import Codec, batches
from tests.integration.bad_input.live import produced
from tests.integration.embedded import EmbeddedCluster
from tests.real_kafka.fetch import why_unavailable
from tests.real_kafka.launcher import RealCluster
from tests.unit.embedded_broker.shell.fakes import Client
from tests.unit.kafka_client.fetching.test_segment import batch, brief, with_body

EVERY = 10
"""Records of a batch."""


async def scanned(client: Gateway, topic: str) -> list[Record]:
    request = ScanRequest(topic, (0,), start=Start.EARLIEST)
    found: list[Record] = []

    async def emit(records: Sequence[Record]) -> None:
        found.extend(records)

    result = await run_scan(client, request, await plan_scan(client, request), emit, lambda _: None)
    assert result.progress.scanned == len([r for r in found if not r.unreadable])
    assert result.progress.unreadable == sum(r.unreadable_offsets for r in found)
    return found


def store(servers: str, topic: str, data: bytes) -> None:
    """Have the broker store these bytes as a batch."""
    host, _, port = servers.rpartition(":")
    with socket.create_connection((host, int(port))) as connected:
        client = Client(connected)
        assert produced(client, data, topic=topic) == 0
        client.file.close()


async def test_that_what_a_broker_without_checks_stored_is_passed():
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join([bomb.compress(bytes(1 << 20)) for _ in range(200)]) + bomb.flush()
    lies = [
        with_body(packed, 0, 3, Codec.GZIP),
        with_body(b"nothing that unpacks", 0, 2, Codec.ZSTD),
        with_body(bytes(batch([b"a", b"b"], 0))[61:] + b"\x06", 0, 3),
    ]
    topic = f"lies-{uuid.uuid4().hex[:8]}"
    with EmbeddedCluster("--set", "log.validate.records=false", brokers=1) as cluster:
        client = open_client(quick(cluster.bootstrap_servers))
        await client.connect()
        await client.create_topics([NewTopic(topic, 1, 1)])
        for lie in lies:
            await client.produce([NewRecord(topic, None, b"good")])
            store(cluster.bootstrap_servers, topic, lie)
        await client.produce([NewRecord(topic, None, b"last")])
        found = await scanned(client, topic)
        await client.close()
    assert brief(found) == [0, (1, 3), 4, (5, 6), 7, 8, 9, (10, 10), 11]
    reasons = [r.unreadable.why for r in found if r.unreadable]
    assert reasons[0] == "Its batch unpacks to more than 128 MiB."
    assert reasons[1].startswith("Its batch cannot be unpacked: ")
    assert reasons[2].startswith("The batch is malformed from here on: ")


def damage(log: Path, first: int, where: str) -> None:
    """Change one byte of the batch that begins with this offset, in the file of a broker that is
    down."""
    data = bytearray(log.read_bytes())
    header = next(h for h in batches(bytes(data)) if h.base_offset == first)
    match where:
        case "records":
            data[header.position + header.size - 2] ^= 0x10
        case "length":
            struct.pack_into(">i", data, header.position + 8, -9)
    log.write_bytes(data)


@pytest.mark.real_kafka
@pytest.mark.parametrize("where", ["records", "length"])
async def test_that_damage_on_the_disk_of_apache_kafka_is_passed(where):
    """It checks no checksum when it reads, and stops at a length that cannot be."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    topic, batch_count = f"rot-{uuid.uuid4().hex[:8]}", 60
    with RealCluster(brokers=1) as cluster:
        client = open_client(quick(cluster.bootstrap_servers))
        await client.connect()
        # The timestamps are old: retention would delete the records within a minute.
        await client.create_topics([NewTopic(topic, 1, 1, {"retention.ms": "-1"})])
        for number in range(batch_count):
            records = [
                NewRecord(
                    topic, None, bytes(500), partition=0, timestamp_ms=1_700_000_000_000 + number
                )
            ] * EVERY
            await client.produce(records)
        await client.close()
        cluster.stop_node(1)
        (log,) = cluster.log_dir(1).glob(f"{topic}-0/*.log")
        first = [h.base_offset for h in batches(log.read_bytes())][20]
        damage(log, first, where)
        cluster.start_node(1)
        client = open_client(quick(cluster.bootstrap_servers))
        await client.connect()
        found = await scanned(client, topic)
        await client.close()
    (mark,) = [r for r in found if r.unreadable]
    assert mark.offset == first
    assert mark.unreadable is not None
    read = [r.offset for r in found if not r.unreadable]
    read_times = [r.timestamp_ms for r in found if not r.unreadable]
    behind = mark.unreadable.last_offset + 1
    assert read == [*range(first), *range(behind, batch_count * EVERY)]
    assert behind == first + EVERY if where == "records" else behind < first + 5 * EVERY
    assert mark.timestamp_ms == read_times[read.index(first - 1)]
