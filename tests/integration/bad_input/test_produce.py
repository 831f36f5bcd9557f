"""Batches that must not be appended (docs/reliability.md, rows 19 to 35)."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import cramjam
import pytest

from embedded_broker.core.metadata.image import TOPIC
from kafka_protocol.constants import ConfigOperation
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k22_init_producer_id import InitProducerIdRequest
from kafka_protocol.messages.k44_incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from kafka_protocol.records.build import NewRecord, build
from tests.integration.bad_input.live import (
    TIMESTAMP_MS,
    Live,
    batch,
    patched,
    produce,
    produced,
)
from tests.unit.embedded_broker.shell.fakes import Client


def test_row_19_that_invalid_acks_are_refused(client: Client) -> None:
    answer = client.ask(produce(batch(), acks=2), 9)
    assert answer.responses[0].partition_responses[0].error_code == ErrorCode.INVALID_REQUIRED_ACKS


def test_row_20_that_an_error_without_acks_closes_the_connection(client: Client) -> None:
    client.send(produce(batch(), topic="t", partition=77, acks=0), 9)
    assert client.is_closed()


def test_row_21_that_an_unknown_topic_or_partition_is_refused(client: Client) -> None:
    assert produced(client, batch(), topic="nowhere") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert produced(client, batch(), partition=9) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert produced(client, batch(), partition=-1) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


REFUSED_BATCHES: dict[str, tuple[Callable[[], Any], int]] = {
    "22 null": (lambda: None, ErrorCode.INVALID_RECORD),
    "22 empty": (lambda: b"", ErrorCode.INVALID_RECORD),
    "22 old format": (lambda: patched(batch(), magic=1), ErrorCode.INVALID_RECORD),
    "22 two batches": (lambda: batch() + batch(), ErrorCode.INVALID_RECORD),
    "23 length below the minimum": (lambda: patched(batch(), length=10), ErrorCode.CORRUPT_MESSAGE),
    "23 unknown format": (lambda: patched(batch(), magic=3), ErrorCode.CORRUPT_MESSAGE),
    "24 length beyond the data": (
        lambda: patched(batch(), length=100_000),
        ErrorCode.INVALID_RECORD,
    ),
    "25 checksum": (lambda: batch()[:-1] + b"!", ErrorCode.CORRUPT_MESSAGE),
    "26 too large": (lambda: batch(1, b"x" * 1_100_000), ErrorCode.MESSAGE_TOO_LARGE),
    "28 base offset": (lambda: patched(batch(), base_offset=5), ErrorCode.INVALID_RECORD),
    "28 last offset": (lambda: patched(batch(), delta=3), ErrorCode.INVALID_RECORD),
    "28 no records": (lambda: patched(batch(), count=0, delta=-1), ErrorCode.INVALID_RECORD),
    "28 control batch": (lambda: patched(batch(), attributes=0x20), ErrorCode.INVALID_RECORD),
    "28 no sequence": (
        lambda: patched(batch(), pid=5, pepoch=0, sequence=-1),
        ErrorCode.INVALID_RECORD,
    ),
    "29 count above the records": (
        lambda: patched(batch(2), count=3, delta=2),
        ErrorCode.INVALID_RECORD,
    ),
    "29 count below the records": (
        lambda: patched(batch(3), count=2, delta=1),
        ErrorCode.INVALID_RECORD,
    ),
    "32 codec": (lambda: patched(batch(), attributes=6), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
}


@pytest.mark.parametrize("name", REFUSED_BATCHES)
def test_row_22_23_24_25_26_28_29_32_that_a_bad_batch_is_refused(client: Client, name: str) -> None:
    make, code = REFUSED_BATCHES[name]
    assert produced(client, make(), partition=1) == code
    assert produced(client, batch(), partition=1) == 0


def test_row_32_that_zstd_is_refused_before_produce_version_7(client: Client) -> None:
    data = build([NewRecord(None, b"v", TIMESTAMP_MS)], compression=4)
    assert produced(client, bytearray(data), version=6) == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert produced(client, data, version=7) == 0


def test_row_29_31_that_batches_are_looked_into_also_when_they_are_compressed(
    client: Client,
) -> None:
    """Each is followed by a good one: nothing of the refused batch was stored."""
    hour_ms = 3_600_000
    late = [
        NewRecord(None, b"v", at) for at in (TIMESTAMP_MS, int(time.time() * 1000) + 2 * hour_ms)
    ]
    for codec in range(5):
        packed = bytearray(
            build([NewRecord(b"k", b"v" * 400, TIMESTAMP_MS)] * 20, compression=codec)
        )
        first = accepted_at(client, packed)
        damaged = patched(packed[:-9] + bytes(9))
        for wrong, code in (
            (damaged, ErrorCode.INVALID_RECORD),
            (patched(bytearray(packed), count=21, delta=20), ErrorCode.INVALID_RECORD),
            (
                patched(bytearray(packed), count=2**31 - 1, delta=2**31 - 2),
                ErrorCode.INVALID_RECORD,
            ),
            (patched(bytearray(packed), count=1, delta=0), ErrorCode.INVALID_RECORD),
            (build(late, compression=codec), ErrorCode.INVALID_TIMESTAMP),
        ):
            if codec == 0 and wrong is damaged:
                continue  # the bytes of a value may be any
            assert produced(client, wrong, partition=1, version=7) == code
        assert accepted_at(client, packed) == first + 20


def accepted_at(client: Client, data: bytearray) -> int:
    """Produce a batch; return its first offset."""
    answer = client.ask(produce(data, partition=1), 7).responses[0].partition_responses[0]
    assert answer.error_code == 0
    offset: int = answer.base_offset
    return offset


def test_row_31_that_the_newest_timestamp_is_that_of_the_records(client: Client) -> None:
    """A header that names another would mislead every lookup by time; Kafka corrects it too."""
    lying = patched(batch(2), max_ts=TIMESTAMP_MS + 1_000_000)
    first = accepted_at(client, lying)
    parts = [ListOffsetsPartition(partition_index=1, timestamp=-3)]
    found = client.ask(ListOffsetsRequest(topics=[ListOffsetsTopic("t", parts)]), 7)
    assert found.topics[0].partitions[0].timestamp < TIMESTAMP_MS + 1_000_000
    assert first >= 0


BOMB = bytes(80_000_000)


@pytest.mark.parametrize(
    ("codec", "pack"),
    [
        (1, lambda: gzip.compress(BOMB, 1)),
        (2, lambda: cramjam.snappy.compress_raw(BOMB)),
        (3, lambda: cramjam.lz4.compress(BOMB)),
        (4, lambda: cramjam.zstd.compress(BOMB)),
        (2, lambda: b"\xff\xff\xff\xff\x0f" + b"\x00" * 20),
    ],
    ids=["gzip", "snappy", "lz4", "zstd", "snappy that forges a length"],
)
def test_row_33_34_that_a_decompression_bomb_is_refused_and_costs_no_memory(
    live: Live, client: Client, codec: int, pack: Callable[[], Any]
) -> None:
    before = live.rss_bytes()
    live.slowest_s, slowest_s = 0.0, live.slowest_s
    body = bytes(pack())

    def set_most(operation: int) -> None:
        most = AlterableConfig("max.message.bytes", operation, "8000000")
        change = IncrementalAlterConfigsRequest([AlterConfigsResource(TOPIC, "t", [most])])
        assert client.ask(change, 1).responses[0].error_code == 0

    set_most(ConfigOperation.SET)
    data = patched(batch(2)[:61] + body, attributes=codec, length=49 + len(body))
    assert produced(client, data, partition=1, version=7) == ErrorCode.INVALID_RECORD
    set_most(ConfigOperation.DELETE)
    assert live.rss_bytes() - before < 64 * 1024 * 1024
    assert live.slowest_s < 1.0, "others wait"
    live.slowest_s = max(live.slowest_s, slowest_s)


def test_row_35_that_sequences_and_producer_epochs_are_checked(client: Client) -> None:
    given = client.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 3)
    assert given.error_code == 0
    pid, epoch = given.producer_id, given.producer_epoch

    def send(sequence: int, count: int = 1, newer: int = 0) -> Any:
        data = batch(count, producer_id=pid, producer_epoch=epoch + newer, base_sequence=sequence)
        return client.ask(produce(data), 9).responses[0].partition_responses[0]

    first = send(0, 2)
    assert first.error_code == 0
    assert send(5).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(1).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "half of the last batch"
    offsets = {0: (first.base_offset, 2)}
    for sequence in (2, 3, 4, 5, 6):
        sent = send(sequence)
        assert sent.error_code == 0
        offsets[sequence] = (sent.base_offset, 1)
    for sequence in (2, 3, 4, 5, 6):
        again = send(sequence)
        assert (again.error_code, again.base_offset, 1) == (0, *offsets[sequence])
    assert send(0, 2).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "the sixth last"
    assert send(8).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(7).base_offset == sent.base_offset + 1, "nothing else was appended"
    assert send(1, newer=1).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(0, newer=1).error_code == 0
    assert send(3).error_code == ErrorCode.INVALID_PRODUCER_EPOCH
