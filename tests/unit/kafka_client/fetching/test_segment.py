"""Batches become records, and what cannot be read becomes a mark."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Sequence

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_client.fetching.segment import UNPACKED_MOST, Segment
from kafka_client.model import Header, Record
from kafka_protocol.records.batch import (
    CONTROL,
    CRC_AT,
    CRC_START,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    TIMESTAMP_APPEND_TIME,
    TRANSACTIONAL,
    Codec,
    batches,
)
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.checksum import crc32c
from kafka_protocol.records.record import records

TP = ("t", 3)
BASE_MS = 1_700_000_000_000


def batch(
    values: Sequence[bytes | None], base: int, *, compression: int = Codec.NONE, attributes: int = 0
) -> bytearray:
    new = [NewRecord(b"k", value, BASE_MS + base + i) for i, value in enumerate(values)]
    return build(
        new, base_offset=base, compression=compression, attributes=attributes, producer_id=7
    )


def sealed(data: bytearray) -> bytes:
    """With the checksum that belongs to the bytes, whatever they say."""
    data[CRC_AT:CRC_START] = crc32c(memoryview(data)[CRC_START:]).to_bytes(4, "big")
    return bytes(data)


def with_body(body: bytes, base: int, count: int, codec: int = Codec.NONE) -> bytes:
    """A batch that claims ``count`` records and holds these bytes."""
    data = bytearray(HEADER_SIZE) + body
    size = len(data) - LOG_OVERHEAD
    fields = (base, size, 0, 2, 0, codec, count - 1, BASE_MS, BASE_MS, -1, -1, -1, count)
    HEADER.pack_into(data, 0, *fields)
    return sealed(data)


def read(segment: Segment, most: int = 1000) -> list[Record]:
    found: list[Record] = []
    while segment.left:
        found += segment.take(most, 1 << 30)
    return found


def read_bytes(*data: bytes, at: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> list[Record]:
    return read(Segment(TP, at, b"".join(data), aborted))


def brief(found: Sequence[Record]) -> list[object]:
    """Offsets of records, (first, last) of marks."""
    return [(r.offset, r.unreadable.last_offset) if r.unreadable else r.offset for r in found]


def why(found: Sequence[Record]) -> str:
    (mark,) = [r.unreadable for r in found if r.unreadable]
    return mark.why


some_bytes = st.none() | st.binary(max_size=300)
new_records = st.lists(
    st.builds(
        NewRecord,
        some_bytes,
        some_bytes | st.integers(0, 40_000).map(bytes),
        st.integers(0, 1 << 45),
        st.lists(st.tuples(st.text(max_size=9), some_bytes), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150)
@given(
    st.lists(new_records, min_size=1, max_size=4),
    st.sampled_from(list(Codec)),
    st.sampled_from([0, TIMESTAMP_APPEND_TIME]),
    st.integers(1, 40),
    st.integers(1, 5000),
    st.data(),
)
def test_that_records_come_as_the_reader_of_the_protocol_reads_them(
    groups, codec, attributes, most, most_bytes, data
):
    whole, base = b"", 5
    for new in groups:
        whole += build(new, base_offset=base, compression=codec, attributes=attributes)
        base += len(new)
    expected = [record for header in batches(whole) for record in records(whole, header)]
    begin = data.draw(st.integers(5, base))
    segment, found = Segment(TP, begin, whole), []
    assert segment.end == base
    while segment.left:
        some = segment.take(most, most_bytes)
        assert len(some) <= most
        found += some
        if data.draw(st.booleans()):
            segment.drop_unpacked()
    assert segment.position == base and not segment.unpassable
    assert [(r.offset, r.timestamp_ms, r.key, r.value) for r in found] == [
        r[:4] for r in expected if r.offset >= begin
    ]
    assert [r.headers for r in found] == [
        tuple(Header(*h) for h in r.headers) for r in expected if r.offset >= begin
    ]
    assert {r.timestamp_type for r in found} <= {"append" if attributes else "create"}


def test_that_a_batch_that_is_dropped_after_every_record_is_read_to_its_end():
    segment, found = Segment(TP, 0, bytes(batch([b"%d" % i for i in range(50)], 0))), []
    for _ in range(51):
        found += segment.take(1, 1)
        segment.drop_unpacked()
    assert brief(found) == list(range(50)) and not segment.left


def test_that_a_batch_with_a_wrong_checksum_is_a_mark_and_the_next_is_read():
    damaged = batch([b"a", b"b"], 10)
    damaged[-3] ^= 1
    found = read_bytes(bytes(batch([b"x"], 9)), bytes(damaged), bytes(batch([b"c"], 12)), at=9)
    assert brief(found) == [9, (10, 11), 12]
    assert why(found) == "Its batch is damaged: wrong checksum."
    assert found[1].timestamp_ms == BASE_MS + 9  # it stands where its neighbours stand
    assert (found[1].key, found[1].value) == (None, None)


def test_that_a_damaged_header_is_believed_no_further_than_the_next_batch():
    damaged = batch([b"a"], 0)
    struct.pack_into(">i", damaged, 23, 1_000_000)  # the last offset delta
    assert brief(read_bytes(bytes(damaged), bytes(batch([b"b"], 1)))) == [(0, 0), 1]


def test_that_damaged_batches_in_a_row_are_one_mark():
    damaged = [batch([b"a"], offset) for offset in range(3)]
    for one in damaged:
        one[-1] ^= 1
    assert brief(read_bytes(*map(bytes, damaged))) == [(0, 2)]


def test_that_a_compression_that_does_not_exist_is_a_mark():
    found = read_bytes(with_body(b"x" * 20, 0, 2, codec=6), bytes(batch([b"a"], 2)))
    assert brief(found) == [(0, 1), 2]
    assert why(found) == "Its batch names a compression that does not exist (6)."


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_that_damaged_compression_is_a_mark(codec):
    found = read_bytes(with_body(b"nothing that unpacks", 0, 3, codec), bytes(batch([b"a"], 3)))
    assert brief(found) == [(0, 2), 3]
    assert why(found).startswith("Its batch cannot be unpacked: ")


@pytest.mark.parametrize(
    ("codec", "pack"),
    [
        (Codec.GZIP, lambda data: gzip.compress(data, 9)),
        (Codec.LZ4, cramjam.lz4.compress),
        (Codec.ZSTD, cramjam.zstd.compress),
    ],
)
def test_that_a_bomb_is_a_mark(codec, pack):
    bomb = with_body(bytes(pack(bytes(UNPACKED_MOST + 1))), 0, 1, codec)
    found = read_bytes(bomb, bytes(batch([b"a"], 1)))
    assert brief(found) == [(0, 0), 1] and why(found) == "Its batch unpacks to more than 128 MiB."


def test_that_a_malformed_record_is_a_mark_of_its_own():
    data = batch([b"a", b"bb", b"c"], 0)
    at = bytes(data).index(b"\x04bb")
    data[at] = 40  # the length of the value goes beyond the record
    found = read_bytes(sealed(data), bytes(batch([b"d"], 3)))
    assert brief(found) == [0, (1, 1), 2, 3]
    assert why(found).startswith("The record is malformed: ")


def test_that_a_length_that_cannot_be_marks_the_rest_of_the_batch():
    data = batch([b"a", b"bb", b"c"], 0)
    at = bytes(data).index(b"\x04bb") - 6  # the length of the record
    data[at] = 0x7E
    found = read_bytes(sealed(data), bytes(batch([b"d"], 3)))
    assert brief(found) == [0, (1, 2), 3]
    assert why(found).startswith("The batch is malformed from here on: ")


def test_that_offsets_which_fall_mark_the_rest_of_the_batch():
    data = batch([b"a", b"bb", b"c"], 0)
    at = bytes(data).index(b"\x02k\x04bb")
    data[at - 1] = 0  # the offset delta: that of the first record again
    assert brief(read_bytes(sealed(data), bytes(batch([b"d"], 3)))) == [0, (1, 2), 3]


def test_that_a_batch_that_counts_more_than_it_holds_has_a_mark_at_its_end():
    body = bytes(batch([b"a", b"b"], 0))[HEADER_SIZE:]
    assert brief(read_bytes(with_body(body, 0, 5), bytes(batch([b"d"], 5)))) == [0, 1, (2, 4), 5]


@pytest.mark.parametrize("count", [-1, 0, 1])
def test_that_a_batch_that_counts_less_than_it_holds_has_a_mark_at_its_end(count):
    data = batch([b"a", b"b"], 0)
    struct.pack_into(">i", data, 57, count)
    expected = [0, (1, 1), 2] if count == 1 else [(0, 1), 2]
    assert brief(read_bytes(sealed(data), bytes(batch([b"d"], 2)))) == expected


def test_that_a_batch_that_compaction_has_emptied_is_passed():
    data = bytearray(with_body(b"", 0, 0))
    struct.pack_into(">i", data, 23, 4)
    segment = Segment(TP, 0, sealed(data) + bytes(batch([b"d"], 5)))
    assert brief(read(segment)) == [5] and segment.end == 6


def test_that_a_batch_of_an_unknown_format_is_a_mark():
    data = batch([b"a"], 0)
    data[16] = 9
    assert brief(read_bytes(bytes(data), bytes(batch([b"b"], 1)))) == [(0, 0), 1]


def test_that_a_header_key_need_not_be_utf_8():
    data = build([NewRecord(b"k", b"v", BASE_MS, (("ab", b"1"),))], base_offset=0)
    at = bytes(data).index(b"\x04ab")
    data[at + 1] = 0xFF
    (found,) = read_bytes(sealed(data))
    assert found.headers == (Header("\\xffb", b"1"),)


def test_that_a_length_in_front_of_a_batch_that_cannot_be_stops_reading_there():
    data = batch([b"b"], 1)
    struct.pack_into(">i", data, 8, -5)
    segment = Segment(TP, 0, bytes(batch([b"a"], 0)) + bytes(data))
    assert brief(read(segment)) == [0]
    assert segment.unpassable and segment.position == 1


def test_that_the_batch_at_the_end_of_a_response_may_be_cut_off():
    whole = bytes(batch([b"a"], 0)) + bytes(batch([b"b"], 1))
    for end in range(len(whole) - 1, 0, -1):
        segment = Segment(TP, 0, whole[:end])
        first = end >= len(batch([b"a"], 0))
        assert brief(read(segment)) == ([0] if first else []) and not segment.unpassable
        assert segment.cut_off is not first


def test_that_compaction_leaves_no_marks():
    """The offsets within a batch, and between batches, have gaps then."""
    new = [NewRecord(b"k", b"v", BASE_MS)] * 2
    data = build(new, base_offset=4)
    at = bytes(data).rindex(b"\x02\x02k\x02v")  # the offset delta of the second record
    data[at] = 10
    struct.pack_into(">i", data, 23, 9)
    found = read_bytes(sealed(data), bytes(batch([b"z"], 20)))
    assert brief(found) == [4, 9, 20]


def control(base: int, kind: int, producer_id: int) -> bytes:
    key, value = struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 0)
    return bytes(
        build(
            [NewRecord(key, value, BASE_MS)],
            base_offset=base,
            attributes=CONTROL | TRANSACTIONAL,
            producer_id=producer_id,
        )
    )


def of_transaction(base: int, producer_id: int) -> bytes:
    new = [NewRecord(b"k", b"v", BASE_MS)]
    return bytes(build(new, base_offset=base, attributes=TRANSACTIONAL, producer_id=producer_id))


def test_that_records_of_aborted_transactions_and_control_records_are_left_out():
    data = (
        of_transaction(0, 1),
        of_transaction(1, 2),
        bytes(batch([b"plain"], 2)),
        control(3, 0, 1),  # aborts what producer 1 began
        of_transaction(4, 1),  # its next transaction
        control(5, 1, 2),
        control(6, 1, 1),
        of_transaction(7, 2),
        control(8, 0, 2),
    )
    segment = Segment(TP, 0, b"".join(data), [(2, 7), (1, 0)])
    assert brief(read(segment)) == [1, 2, 4] and segment.position == 9


# ---- formats before v2


def old_message(
    offset: int, value: bytes | None, *, magic: int, attributes: int = 0, key: bytes | None = b"k"
) -> bytes:
    def sized(data: bytes | None) -> bytes:
        return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data

    rest = struct.pack(">bb", magic, attributes)
    rest += struct.pack(">q", BASE_MS + offset) if magic else b""
    rest += sized(key) + sized(value)
    body = struct.pack(">I", zlib.crc32(rest)) + rest
    return struct.pack(">qi", offset, len(body)) + body


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4])
def test_that_messages_of_the_old_formats_are_read(magic, codec):
    if codec == Codec.NONE:
        data = b"".join(old_message(o, b"v%d" % o, magic=magic) for o in range(5, 9))
    else:
        first = 0 if magic else 5  # offsets within a message count from its first in v1
        inner = b"".join(old_message(first + i, b"v%d" % (5 + i), magic=magic) for i in range(4))
        from kafka_protocol.records.compression import compress

        data = old_message(8, compress(codec, inner), magic=magic, attributes=int(codec), key=None)
    new = bytes(batch([b"new"], 9))
    found = read_bytes(data, new, at=6)
    assert brief(found) == [6, 7, 8, 9]
    assert [r.value for r in found] == [b"v6", b"v7", b"v8", b"new"]
    kinds = {r.timestamp_type for r in found[:3]}
    assert kinds == ({"create"} if magic else {"none"})
    assert all((r.timestamp_ms >= 0) is bool(magic) for r in found[:3])


def test_that_a_damaged_old_message_is_a_mark():
    data = bytearray(old_message(0, b"value", magic=1))
    data[-1] ^= 1
    found = read_bytes(bytes(data), old_message(1, b"v", magic=1))
    assert brief(found) == [(0, 0), 1]


# ---- anything


def test_that_whatever_the_bytes_are_reading_ends_and_offsets_rise():
    rng = random.Random(11)
    for _ in range(600):
        codec, base, whole = rng.choice(list(Codec)), 0, bytearray()
        for _ in range(rng.randint(1, 4)):
            count = rng.randint(1, 6)
            values = [rng.randbytes(rng.randint(0, 200)) for _ in range(count)]
            one = batch(values, base, compression=codec)
            if rng.random() < 0.5:
                for _ in range(rng.randint(1, 4)):
                    one[rng.randrange(CRC_START, len(one))] = rng.randrange(256)
                if rng.random() < 0.8:
                    one = bytearray(sealed(one))
            whole += one
            base += count
        segment = Segment(TP, 0, bytes(whole))
        expected = 0
        for record in read(segment, rng.randint(1, 10)):
            assert record.offset >= expected
            expected = (record.unreadable.last_offset if record.unreadable else record.offset) + 1
        assert segment.position >= max(expected, 1)
