"""Batches of clients are inspected before the core gets them, and no client waits for another's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from embedded_broker.shell import inspector
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest
from kafka_protocol.records.batch import Codec
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.contents import Contents
from kafka_protocol.records.inspection import Inspection, Refusal
from tests.unit.embedded_broker.shell.fakes import Served

BASE_MS = 1_760_000_000_000
MANY = inspector.RECORDS_AT_ONCE * 3


def produce(*batches: bytes | bytearray) -> ProduceRequest:
    data = [PartitionProduceData(index, bytes(one)) for index, one in enumerate(batches)]
    return ProduceRequest(acks=1, topic_data=[TopicProduceData("t", partition_data=data)])


def many(count: int = MANY, codec: int = Codec.NONE, value: bytes = b"v") -> bytearray:
    return build(
        [NewRecord(None, value, BASE_MS + n) for n in range(count)],
        compression=codec,
        base_offset=0,
    )


def hold_the_thread(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let decompression in the thread wait; returns what is set when it does, and what lets it go
    on."""
    begun, go_on = threading.Event(), threading.Event()
    unpack = Inspection.unpack

    def held(self: Inspection, *arguments: int) -> int:
        if not arguments and self.is_compressed:
            begun.set()
            assert go_on.wait(10)
        return unpack(self, *arguments)

    monkeypatch.setattr(Inspection, "unpack", held)
    return begun, go_on


def outcomes_of(broker: Served) -> list[Any]:
    """The outcomes that the core got, of all requests."""
    return [outcome for event in broker.node.requests for outcome in event.outcomes]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("count", [1, MANY])
def test_that_the_core_learns_what_a_batch_holds(broker: Served, count: int, codec: int) -> None:
    client = broker.connect()
    answer = client.ask(produce(many(count, codec)), 7)
    assert answer.responses[0].partition_responses[0].base_offset == 0
    last = BASE_MS + count - 1
    keyless = tuple(range(min(3, count)))
    assert outcomes_of(broker) == [Contents(BASE_MS, last, count - 1, keyless)]
    client.close()


def test_that_requests_behind_a_large_one_keep_their_order(broker: Served) -> None:
    client = broker.connect()
    ids = [client.send(produce(many(count)), 7) for count in (1, MANY, 2, MANY, 3)]
    ids.append(client.send(ApiVersionsRequest(), 0))
    answers = [client.answered(0, 7) for _ in ids[:-1]] + [client.answered(18, 0)]
    assert [answer[0] for answer in answers] == ids
    latest = [outcome.latest - BASE_MS + 1 for outcome in outcomes_of(broker)]
    assert latest == [1, MANY, 2, MANY, 3]
    client.close()


def test_row_29_that_damaged_compression_is_refused_and_the_connection_stays(
    broker: Served,
) -> None:
    data = many(2, Codec.GZIP, b"v" * 500)
    data[-8] ^= 0xFF
    data[17:21] = checksum(data)
    lying = many(3, Codec.LZ4)
    lying[57:61] = (4).to_bytes(4, "big")
    lying[17:21] = checksum(lying)
    client = broker.connect()
    client.ask(produce(data), 7)
    client.ask(produce(lying, many(1)), 7)
    found = outcomes_of(broker)
    assert [isinstance(one, Refusal) and one.code for one in found] == [
        ErrorCode.INVALID_RECORD,
        ErrorCode.INVALID_RECORD,
        False,
    ]
    client.close()


def test_row_33_that_a_bomb_is_refused_while_others_are_served(
    broker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bomb is being decompressed until a second client has had its answers."""
    begun, go_on = hold_the_thread(monkeypatch)
    bomb = many(1, Codec.ZSTD, bytes(100 * 1024 * 1024))
    assert len(bomb) < 64 * 1024
    bomber, healthy = broker.connect(), broker.connect()
    bomber.send(produce(bomb), 7)
    assert begun.wait(10)
    assert healthy.ask(produce(many(1)), 7).responses[0].partition_responses[0].base_offset == 0
    assert isinstance(outcomes_of(broker)[-1], Contents)
    go_on.set()
    assert bomber.answered(0, 7)
    refused = outcomes_of(broker)[-1]
    assert isinstance(refused, Refusal) and refused.code == ErrorCode.INVALID_RECORD
    assert "67108864" in refused.text
    bomber.close()
    healthy.close()


def test_that_clients_with_large_batches_all_get_their_turn(broker: Served) -> None:
    clients = [broker.connect() for _ in range(4)]
    for _ in range(3):
        for client in clients:
            client.send(produce(many(codec=Codec.LZ4)), 7)
    for client in clients:
        for _ in range(3):
            assert client.answered(0, 7)
    assert len(outcomes_of(broker)) == 12
    for client in clients:
        client.close()


def test_that_a_client_that_leaves_does_not_hold_up_the_line(
    broker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = hold_the_thread(monkeypatch)
    # More records than are inspected at once: it goes to the thread.
    leaving, waiting, also_leaving = (broker.connect() for _ in range(3))
    leaving.send(produce(many(codec=Codec.LZ4)), 7)
    assert begun.wait(10)
    also_leaving.send(produce(many()), 7)
    waiting.send(produce(many()), 7)
    leaving.close()
    also_leaving.close()
    go_on.set()
    assert waiting.answered(0, 7)
    # A connection is not read while its request waits: its end shows only afterwards.
    broker.node.wait_for(lambda: len(broker.runner.server.connections) == 1)
    waiting.close()


def test_that_nothing_is_inspected_when_the_setting_is_off(broker: Served) -> None:
    broker.inside(lambda: setattr(broker.runner.server.inspector, "is_enabled", lambda: False))
    client = broker.connect()
    client.ask(produce(many()), 7)
    assert outcomes_of(broker) == []
    client.close()


def checksum(data: bytearray) -> bytes:
    from kafka_protocol.records.checksum import crc32c

    return crc32c(memoryview(data)[21:]).to_bytes(4, "big")
