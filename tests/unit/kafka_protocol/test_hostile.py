"""No bytes make the codec do anything but decode or refuse them, within the memory that
they can justify. tests/unit/kafka_client/wire and tests/unit/embedded_broker/shell send
the same corpus to the client and to the broker."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest

from kafka_protocol import codec
from kafka_protocol.codec import ProtocolError
from kafka_protocol.fields import Array, fields_in, least_size
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataResponse
from kafka_protocol.messages.k15_describe_groups import DescribeGroupsRequest
from kafka_protocol.messages.k16_list_groups import ListGroupsResponse
from kafka_protocol.messages.k32_describe_configs import DescribeConfigsRequest
from kafka_protocol.primitives import ITEMS_MAX, TAGS_MAX, read_uvarint, write_uvarint
from tests.unit.kafka_protocol import hostile
from tests.unit.kafka_protocol.samples import ALL_MESSAGES, message_class


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_hostile_bytes_decode_or_are_refused_and_never_do_anything_else(
    key: int, part: str
) -> None:
    cls = message_class(key, part)
    refused = 0
    for version in {cls.MIN_VERSION, cls.MAX_VERSION, max(cls.MIN_VERSION, cls.FLEXIBLE_SINCE - 1)}:
        if version > cls.MAX_VERSION:
            continue
        for data in hostile.corpus(cls, version, seed=key):
            try:
                message = codec.decode(cls, version, data)
            except ProtocolError:
                refused += 1
            else:
                assert type(message) is cls
                # What was accepted is a message: it can be written again.
                codec.encode(message, version)
    assert refused


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_lying_counts_allocate_next_to_nothing(key: int, part: str) -> None:
    cls = message_class(key, part)
    for version in (cls.MIN_VERSION, cls.MAX_VERSION):
        codec.prepare(key, version)
        frames = hostile.some(cls, version, seed=key, count=60)
        tracemalloc.start()
        try:
            for data in frames:
                tracemalloc.reset_peak()
                before, _ = tracemalloc.get_traced_memory()
                with suppress(ProtocolError):
                    codec.decode(cls, version, data)
                _, peak = tracemalloc.get_traced_memory()
                assert peak - before < 200_000 + 300 * len(data), (version, data[:80].hex())
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("version", "count"), [(1, b"\x7f\xff\xff\xff"), (9, b"\xff\xff\xff\xff\x0f")]
)
def test_that_a_forged_array_length_is_refused_with_what_is_left(
    version: int, count: bytes
) -> None:
    with pytest.raises(ProtocolError, match=r"length \d{10} with 20 bytes left"):
        codec.decode(MetadataRequest, version, count + b"\x00" * 20)


def test_that_a_negative_count_is_refused_where_null_is_not_allowed() -> None:
    for count in (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x80\x00\x00\x00"):
        with pytest.raises(ProtocolError, match="array of -"):
            codec.decode(MetadataResponse, 1, count + b"\x00" * 20)
    with pytest.raises(ProtocolError, match="array of -1 items"):
        codec.decode(MetadataResponse, 12, b"\x00\x00\x00\x00" + b"\x00" * 20)


@pytest.mark.parametrize(
    ("cls", "version", "head", "item"),
    [
        # The smallest structure: four empty strings and no tags. A frame of 32 MiB
        # holds six million of them.
        (ListGroupsResponse, 5, b"\x00" * 6, b"\x01\x01\x01\x01\x00"),
        (DescribeGroupsRequest, 6, b"", b"\x01"),
    ],
    ids=["response", "request"],
)
def test_that_more_items_than_a_message_may_hold_are_refused_at_once(
    cls: type, version: int, head: bytes, item: bytes
) -> None:
    for items, problem in ((ITEMS_MAX + 1, "more than 2000000 items"), (3, None)):
        count = bytearray()
        write_uvarint(count, items + 1)
        rest = b"\x00\x00" if cls is DescribeGroupsRequest else b"\x00"
        data = head + count + item * items + rest
        if problem:
            with pytest.raises(ProtocolError, match=problem):
                codec.decode(cls, version, data)
        else:
            codec.decode(cls, version, data)


def test_that_the_items_of_all_arrays_of_a_message_count_together() -> None:
    """Two thousand resources with a thousand keys each would pass array by array."""
    resource = b"\x02\x01" + b"\xe9\x07" + b"\x01" * 1000 + b"\x00"
    count, keys = b"\xd1\x0f", b"\xe9\x07"
    assert read_uvarint(count, 0)[0] == 2000 + 1 and read_uvarint(keys, 0)[0] == 1000 + 1
    with pytest.raises(ProtocolError, match="more than 2000000 items"):
        codec.decode(DescribeConfigsRequest, 4, count + resource * 2000 + b"\x00\x00\x00")


def test_that_too_many_or_overlong_tags_are_refused() -> None:
    body = b"\x00\x01\x00\x00"  # all topics, three booleans of which version 12 has two
    assert codec.decode(MetadataRequest, 12, b"\x00\x01\x00\x00").topics is None
    for tags in hostile.TAGS[:3]:
        with pytest.raises(ProtocolError):
            codec.decode(MetadataRequest, 12, body[:-1] + tags)
    count = bytearray()
    write_uvarint(count, TAGS_MAX + 1)
    with pytest.raises(ProtocolError, match="1025 tagged fields"):
        codec.decode(MetadataRequest, 12, body[:-1] + count + b"\x07\x00" * (TAGS_MAX + 1))


def test_that_a_known_tag_must_end_where_its_length_says() -> None:
    """A reader that knows the tag and one that skips it would else go on at different
    bytes."""
    versions = message_class(18, "response")
    head = b"\x00\x00\x01\x00\x00\x00\x00"  # no error, no apis, not throttled
    epoch = (7).to_bytes(8, "big")
    good = head + b"\x01\x01\x08" + epoch
    assert codec.decode(versions, 3, good).finalized_features_epoch == 7
    for length in (b"\x07", b"\x09"):
        with pytest.raises(ProtocolError):
            codec.decode(versions, 3, head + b"\x01\x01" + length + epoch + b"\x00")


def test_that_every_array_item_takes_at_least_a_byte() -> None:
    """Else a count would not be bounded by the bytes that are left."""

    def items(cls: type, version: int) -> list[object]:
        found: list[object] = []
        for _, spec in fields_in(cls, version):
            type_ = spec.type.item if isinstance(spec.type, Array) else spec.type
            if isinstance(spec.type, Array):
                found.append(type_)
            if isinstance(type_, type):
                found += items(type_, version)
        return found

    for parameter in ALL_MESSAGES:
        key, part = parameter.values
        assert isinstance(key, int) and isinstance(part, str)
        cls = message_class(key, part)
        for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
            for item in items(cls, version):
                assert least_size(item, version, version >= cls.FLEXIBLE_SINCE) >= 1  # type: ignore[arg-type]
