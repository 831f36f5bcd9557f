"""The records of ``__consumer_offsets`` and the partition that a group belongs to."""

from __future__ import annotations

from uuid import UUID

import pytest

from embedded_broker.core.coordinator.groups import java_hash, partition_for
from embedded_broker.core.coordinator.records import (
    GroupKey,
    GroupValue,
    MemberValue,
    OffsetKey,
    OffsetValue,
    UnreadableRecord,
    read_group,
    read_key,
    read_offset,
    write_group,
    write_key,
    write_offset,
)
from kafka_protocol.codec import encode


def test_that_groups_hash_to_the_same_partitions_as_in_java() -> None:
    texts = ("", "a", "hello", "polygenelubricants", "käse", "\U0001f600")
    assert [java_hash(text) for text in texts] == [
        0, 97, 99162322, -2147483648, 3410411, 1772899,
    ]  # fmt: skip
    assert partition_for("polygenelubricants", 50) == 0
    assert 0 <= partition_for("demo-group", 50) < 50


def test_that_records_have_kafkas_bytes() -> None:
    assert write_key(OffsetKey("g", "t", 3)) == bytes.fromhex("0001 0001 67 0001 74 00000003")
    assert write_key(GroupKey("g")) == bytes.fromhex("0002 0001 67")
    assert write_offset(OffsetValue(5, 2, "m", 9)) == bytes.fromhex(
        "0004 0000000000000005 00000002 02 6d 0000000000000009 00"
    )
    with_id = write_offset(OffsetValue(5, 2, "m", 9, topic_id=UUID(int=1)))
    assert with_id.endswith(bytes.fromhex("01 00 10") + UUID(int=1).bytes)
    assert write_offset(OffsetValue(5, 2, "m", 9, 77))[:2] == b"\x00\x01"


def test_that_written_records_are_read_back() -> None:
    for key in (OffsetKey("g", "t", 3), GroupKey("ü")):
        assert read_key(write_key(key)) == key
    for offset in (OffsetValue(5, 2, "m", 9), OffsetValue(5, 2, "m", 9, topic_id=UUID(int=3))):
        assert read_offset(write_offset(offset)) == offset
    assert read_offset(write_offset(OffsetValue(5, 2, "m", 9, 77))) == OffsetValue(
        5, -1, "m", 9, 77
    )
    value = GroupValue(
        "consumer", 4, "range", "x", 9, [MemberValue("x", "i", "c", "/h", 5, 6, b"s", b"a")]
    )
    assert read_group(write_group(value)) == value
    for version in range(5):
        data = bytes(encode(value, version, bytearray(version.to_bytes(2, "big"))))
        assert read_group(data).generation == 4


def test_that_records_of_other_group_types_are_skipped_and_malformed_ones_refused() -> None:
    assert read_key(b"\x00\x03whatever") is None
    for bad in (b"", b"\x00", b"\x00\x01\x00", b"\x00\x02\x00\x05ab"):
        with pytest.raises(UnreadableRecord):
            read_key(bad)
    with pytest.raises(UnreadableRecord):
        read_offset(b"\x00\x09")
