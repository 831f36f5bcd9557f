"""The codec against itself and against kio."""

from __future__ import annotations

import importlib
import io
import random
from typing import Any

import pytest
from kio.schema.errors import ErrorCode as KioErrorCode
from kio.schema.index import api_key_map
from kio.serial import entity_reader, entity_writer

from kafka_protocol import codec
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import BYTES, RECORDS, STRING, Array, fields_in
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k03_metadata import MetadataRequest
from tests.unit.kafka_protocol.samples import ALL_MESSAGES, message_class, some_message


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_what_is_encoded_is_decoded_in_every_version(key: int, part: str) -> None:
    cls = message_class(key, part)
    rng = random.Random(key)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        for _ in range(3):
            message = some_message(rng, cls, version)
            assert codec.decode(cls, version, bytes(codec.encode(message, version))) == message


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_kio_reads_and_writes_the_same_bytes(key: int, part: str) -> None:
    cls = message_class(key, part)
    rng = random.Random(key)
    compared = 0
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        module = importlib.import_module(f"kio.schema.{api_key_map[key]}.v{version}.{part}")
        classes: list[Any] = [
            c
            for c in vars(module).values()
            if isinstance(c, type) and c.__module__ == module.__name__
        ]
        kio_class = next(c for c in classes if c.__type__.name == part)
        for _ in range(2):
            data = bytes(codec.encode(some_message(rng, cls, version), version))
            entity, size = entity_reader(kio_class)(memoryview(data), 0)
            out = io.BytesIO()
            entity_writer(kio_class)(out, entity)
            assert size == len(data)
            assert out.getvalue() == data
            compared += 1
    assert compared


def test_that_api_keys_and_error_codes_are_kios() -> None:
    assert {key.name.lower(): key.value for key in ApiKey} == {
        name: key for key, name in api_key_map.items()
    }
    assert {code.name.lower(): code.value for code in ErrorCode} == {
        code.name.lower(): code.value for code in KioErrorCode
    }


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_a_message_cut_anywhere_is_refused(key: int, part: str) -> None:
    cls = message_class(key, part)
    rng = random.Random(key)
    version = cls.MAX_VERSION
    data = bytes(codec.encode(some_message(rng, cls, version), version))
    for end in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(codec.ProtocolError):
            codec.decode(cls, version, data[:end])
        with pytest.raises(codec.ProtocolError):
            codec.decode(cls, version, data[:end], more_may_follow=True)
    with pytest.raises(codec.ProtocolError):
        codec.decode(cls, version, data + b"\x00")
    codec.decode(cls, version, data + b"\x00", more_may_follow=True)


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_a_null_is_only_written_where_the_version_has_one(key: int, part: str) -> None:
    """Elsewhere it would be read as something else, or not at all."""
    cls = message_class(key, part)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        for name, spec in fields_in(cls, version):
            if isinstance(spec.type, Array) or spec.type in (STRING, BYTES, RECORDS):
                message = cls()
                setattr(message, name, None)
                if version >= spec.nullable_since:
                    read = codec.decode(cls, version, codec.encode(message, version))
                    assert getattr(read, name) is None
                else:
                    with pytest.raises(ProtocolError, match=f"{name} is null"):
                        codec.encode(message, version)


def test_that_fields_of_other_versions_have_their_defaults() -> None:
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    assert codec.decode(MetadataRequest, 1, bytes(codec.encode(request, 1))) == MetadataRequest(
        topics=[]
    )


def test_that_decoded_messages_share_no_lists() -> None:
    data = bytes(codec.encode(ProduceRequest(), 9))
    first, second = codec.decode(ProduceRequest, 9, data), codec.decode(ProduceRequest, 9, data)
    first.topic_data.append(TopicProduceData())
    assert second.topic_data == []


@pytest.mark.parametrize("version", [7, 9, 13])
@pytest.mark.parametrize("size", [6, 200, 70_000])
def test_that_records_are_a_view_into_the_frame_and_not_a_copy(version: int, size: int) -> None:
    request = ProduceRequest(
        acks=-1,
        topic_data=[TopicProduceData("t", partition_data=[PartitionProduceData(0, b"a" * size)])],
    )
    frame = bytearray(codec.encode(request, version))
    records = codec.decode(ProduceRequest, version, frame).topic_data[0].partition_data[0].records
    records[0] = ord("X")
    assert b"Xaaaaa" in frame and len(records) == size


def test_that_librdkafkas_metadata_request_for_all_topics_is_understood() -> None:
    """Its count of four bytes leaves three bytes over, which a server must accept."""
    as_sent = bytes.fromhex("00000000010000")
    assert codec.decode(MetadataRequest, 13, as_sent, more_may_follow=True).topics is None
    with pytest.raises(codec.ProtocolError):
        codec.decode(MetadataRequest, 13, as_sent)
