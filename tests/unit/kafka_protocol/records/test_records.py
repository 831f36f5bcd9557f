"""Records and their compression, against kafka-python's and aiokafka's, and against lies."""

from __future__ import annotations

import random
import warnings
from contextlib import suppress

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from kafka_protocol.primitives import ProtocolError, read_varint, write_varint
from kafka_protocol.records.batch import HEADER, Codec, CorruptBatch, read_header
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.compression import (
    STEP_BYTES,
    CannotDecompress,
    TooLarge,
    UnknownCodec,
    compress,
    decompress,
    decompress_in_steps,
)
from kafka_protocol.records.record import (
    InvalidRecord,
    all_records,
    records,
)

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # kafka-python reads its schemas in a way that Python 3.11 frowns on
    from kafka.record.memory_records import MemoryRecords

SOME = [
    NewRecord(b"k1", b"v1", 1_000, (("h", b"x"), ("h", None), ("ü", b""))),
    NewRecord(None, b"v2" * 300, 1_005),
    NewRecord(b"", None, 990),
]


@pytest.mark.parametrize("codec", list(Codec))
def test_that_kafka_python_reads_what_is_built(codec: Codec) -> None:
    batch = next(iter(MemoryRecords(bytes(build(SOME, compression=codec, base_offset=70)))))
    assert batch.validate_crc()
    got = [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in batch]
    assert got == [
        (70 + i, r.timestamp, r.key, r.value, list(r.headers)) for i, r in enumerate(SOME)
    ]


@pytest.mark.parametrize("codec", list(Codec))
def test_that_what_aiokafka_builds_is_read(codec: Codec) -> None:
    builder = DefaultRecordBatchBuilder(2, int(codec), 0, -1, -1, -1, 1 << 20)
    for offset, r in enumerate(SOME):
        builder.append(offset, r.timestamp, r.key, r.value, list(r.headers))
    data = bytes(builder.build())
    assert [(r.timestamp, r.key, r.value, r.headers) for r in all_records(data)] == [
        tuple(r[i] for i in (2, 0, 1, 3)) for r in SOME
    ]


def test_that_varints_come_back() -> None:
    for value in [0, 1, -1, 63, -64, 64, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]:
        out = bytearray(b"x")
        write_varint(out, value)
        assert read_varint(out, 1) == (value, len(out))
    for bad in (b"", b"\x80", b"\x80" * 11, b"\xff" * 9 + b"\x7f"):
        with pytest.raises((ProtocolError, IndexError)):
            read_varint(bad, 0)


def patched(data: bytearray, **fields: int) -> bytes:
    names = [
        "base",
        "length",
        "epoch",
        "magic",
        "crc",
        "attributes",
        "delta",
        "ts",
        "max",
        "pid",
        "pe",
        "seq",
        "count",
    ]
    values = dict(zip(names, HEADER.unpack_from(data), strict=True)) | fields
    HEADER.pack_into(data, 0, *values.values())
    return bytes(data)


@pytest.mark.parametrize("count", [2, 4, 0, -1, 2**31 - 1])
def test_row_29_that_a_lying_record_count_is_refused(count: int) -> None:
    with pytest.raises(InvalidRecord):
        list(records(patched(build(SOME), count=count)))


def test_row_29_that_changed_record_bytes_are_refused_or_read_but_never_break() -> None:
    data, rng = build(SOME), random.Random(4)
    for _ in range(3_000):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            bad[rng.randrange(61, len(bad))] = rng.randrange(256)
        with suppress(InvalidRecord):
            list(records(bad))
    for end in range(61, len(data)):
        with pytest.raises(InvalidRecord):
            list(records(data[:end]))
    with pytest.raises(CorruptBatch):
        list(all_records(data[:-1]))


def test_row_32_that_an_unknown_codec_is_named() -> None:
    for codec in (5, 6, 7):
        with pytest.raises(UnknownCodec):
            list(records(patched(build(SOME), attributes=codec)))


@pytest.mark.parametrize("codec", [c for c in Codec if c])
def test_row_33_that_a_bomb_is_refused_at_the_bound(codec: Codec) -> None:
    bomb = compress(codec, bytes(3_000_000))
    assert len(decompress(codec, bomb)) == 3_000_000
    with pytest.raises(CannotDecompress, match="unpacks to more than"):
        decompress(codec, bomb, 1_000_000)


def in_steps(codec: Codec, data: bytes, max_bytes: int) -> tuple[bytes, list[int]]:
    """The unpacked bytes, and how many each step brought."""
    steps, sizes = decompress_in_steps(codec, data, max_bytes), []
    while True:
        try:
            sizes.append(next(steps))
        except StopIteration as end:
            return bytes(end.value), sizes


@pytest.mark.parametrize("codec", list(Codec))
def test_that_what_is_unpacked_in_steps_is_the_same(codec: Codec) -> None:
    plain = random.Random(2).randbytes(700_000) + bytes(3_000_000)
    data = compress(codec, plain)
    unpacked, sizes = in_steps(codec, data, 4_000_000)
    assert unpacked == plain
    assert sum(sizes) == (len(plain) if codec else 0)
    if codec == Codec.GZIP:
        assert max(sizes) <= STEP_BYTES
    if codec:
        with pytest.raises(TooLarge):
            in_steps(codec, data, 1_000_000)
        for bad in (data[:-20], b""):
            with pytest.raises(CannotDecompress):
                in_steps(codec, bad, 4_000_000)


def test_row_34_that_a_forged_snappy_length_allocates_nothing() -> None:
    for forged in (b"\xff\xff\xff\xff\x0f" + b"abc", b"\xff\xff\xff\x1f" + b"abc", b"\xff" * 9):
        with pytest.raises(CannotDecompress):
            decompress(Codec.SNAPPY, forged)
        framed = (
            b"\x82SNAPPY\x00" + bytes([0, 0, 0, 1] * 2) + len(forged).to_bytes(4, "big") + forged
        )
        with pytest.raises(CannotDecompress):
            decompress(Codec.SNAPPY, framed)


@pytest.mark.parametrize("codec", [c for c in Codec if c])
def test_that_compressed_data_that_ends_early_is_refused(codec: Codec) -> None:
    good = compress(codec, random.Random(1).randbytes(5_000) + bytes(5_000))
    for bad in (good[:-20], good[:30], b""):
        with pytest.raises(CannotDecompress):
            decompress(codec, bad)


def test_that_raw_snappy_as_librdkafka_sends_it_is_read() -> None:
    assert (
        bytes(decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(b"abc" * 100))))
        == b"abc" * 100
    )


def test_that_append_time_counts_for_every_record() -> None:
    data = patched(build(SOME), attributes=8, max=9_999)
    assert [r.timestamp for r in records(data)] == [9_999] * 3
    assert read_header(data).record_count == 3
