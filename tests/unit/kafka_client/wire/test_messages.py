import io
import os
from dataclasses import fields, is_dataclass
from datetime import timedelta

import pytest
from kio.schema.errors import ErrorCode

from kafka_client.wire.fast import FIRST_WITH_ISOLATION, NEWEST, list_offsets_body
from kafka_client.wire.messages import BadFrame, decode, encode, versions_known

USED = (2, 3, 9, 10, 15, 16, 17, 18, 32, 35, 36, 43, 44, 55, 69, 77)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_that_the_hand_written_request_is_what_the_schema_writes(version):
    wanted = {
        ("a" * 200, 0): -1,
        ("b", 2): -2,
        ("a" * 200, 1): 1_700_000_000_000,
        **{("c", p): -1 for p in range(300)},
    }
    topics = {}
    for (topic, partition), timestamp in wanted.items():
        topics.setdefault(topic, []).append({"partition_index": partition, "timestamp": timestamp})
    values = {
        "replica_id": -1,
        "isolation_level": 1,
        "topics": [{"name": name, "partitions": parts} for name, parts in topics.items()],
    }
    by_schema = encode(2, version, 9, "me", values)
    assert encode(2, version, 9, "me", lambda v: list_offsets_body(v, wanted, True)) == by_schema
    assert FIRST_WITH_ISOLATION <= NEWEST


@pytest.mark.parametrize("api_key", USED)
def test_that_every_request_can_be_written_in_every_version_from_nothing(api_key):
    low, high = versions_known(api_key)
    for version in range(low, min(high, 9 if api_key == 2 else high) + 1):
        frame = encode(api_key, version, 1, "kafkarium", {})
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4


@pytest.mark.parametrize(
    "length", [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff", b"\x80\x80\x80\x08"]
)
def test_that_no_memory_is_given_on_a_brokers_word(length):
    with pytest.raises(BadFrame):
        decode(3, 12, b"\0\0\0\1\0" + b"\0\0\0\0" + length + b"\0" * 200)
    with pytest.raises(BadFrame):
        decode(3, 7, b"\0\0\0\1" + b"\0\0\0\0" + b"\x7f\xff\xff\xff" + b"\0" * 200)


def test_that_random_bytes_are_a_bad_frame_and_nothing_worse():
    for api_key, version in ((3, 12), (2, 9), (9, 8), (16, 4), (32, 4), (18, 3)):
        for size in (0, 3, 8, 40, 400):
            for _ in range(20):
                try:
                    decode(api_key, version, os.urandom(size))
                except BadFrame as error:
                    assert "answer to" in str(error)


@pytest.mark.parametrize("api_key", USED)
def test_that_answers_are_read_as_kio_reads_them(api_key):
    from kio.serial import entity_reader, entity_writer

    from kafka_client.wire.decoding import Frame, reader
    from kafka_client.wire.messages import _entity
    from tests.unit.kafka_client.wire.broker import sample

    low, high = versions_known(api_key)
    for version in range(low, high + 1):
        entity = _entity(api_key, version, "response")
        buffer = io.BytesIO()
        entity_writer(entity)(buffer, sample(entity))
        data = buffer.getvalue()
        theirs, _ = entity_reader(entity)(data, 0)
        ours, at = reader(entity)(Frame(data), 0)
        assert at == len(data)
        assert_same(ours, theirs)
        for cut in range(0, len(data), max(1, len(data) // 40)):
            with pytest.raises((BadFrame, UnicodeDecodeError)):
                reader(entity)(Frame(data[:cut]), 0)


def assert_same(ours, theirs):
    for f in fields(theirs):
        a, b = getattr(ours, f.name), getattr(theirs, f.name)
        if isinstance(b, tuple) and b and is_dataclass(b[0]):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                assert_same(x, y)
        elif is_dataclass(b):
            assert_same(a, b)
        elif isinstance(b, timedelta):
            assert timedelta(milliseconds=a) == b
        elif isinstance(b, ErrorCode):
            assert a == b.value
        else:
            assert a == b, f.name


def test_that_an_array_that_says_it_is_huge_is_refused_at_once():
    lying = b"\0\0\0\1\0" + b"\0\0\0\0" + b"\xff\xff\xff\xff\x0f" + b"\0" * 20
    with pytest.raises(BadFrame):
        decode(3, 12, lying)
