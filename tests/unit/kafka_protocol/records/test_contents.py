"""The walk through the records of a batch: it accepts what is right, however it looks, and refuses
what is not, however it is sliced."""

from __future__ import annotations

import random

import pytest

from kafka_protocol.primitives import write_varint
from kafka_protocol.records.batch import HEADER_SIZE, BatchHeader, Codec, read_header
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.contents import HEADERS_AT_ONCE, Contents, Walk
from kafka_protocol.records.record import Headers, InvalidRecord, Record, records

BASE_MS = 1_760_000_000_000
ALL = 1 << 40


def walked(body: bytes, header: BatchHeader, slice_: int = ALL) -> Contents:
    walk = Walk(body, header)
    while not walk.advance(slice_):
        pass
    return walk.contents()


def contents(new: list[NewRecord], slice_: int = ALL) -> Contents:
    data = bytes(build(new))
    return walked(data[HEADER_SIZE:], read_header(data), slice_)


def expected(new: list[NewRecord]) -> Contents:
    times = [record.timestamp for record in new]
    keyless = [index for index, record in enumerate(new) if record.key is None]
    return Contents(min(times), max(times), times.index(max(times)), tuple(keyless[:3]))


def some_records(rng: random.Random, count: int) -> list[NewRecord]:
    """Records of a producer with habits: mostly alike, sometimes not."""
    sizes: list[int | None] = rng.choice(
        [[0, 3], [40, 58, 60, 70], [300], [8_180, 8_200], [70_000], [None, 5]]
    )
    keys: list[int | None] = rng.choice([[None], [5], [None, 5], [63, 64, 65], [0]])
    spread = rng.choice([0, 1, 100, 10_000, 2_000_000, 10**11, 10**14])
    headers: list[Headers] = rng.choice(
        [[()], [(("a", b"b"),)], [(), (("trace", None),) * 9], [(("x" * 100, b""),) * 3]]
    )
    found = []
    for _ in range(count):
        size, key = rng.choice(sizes), rng.choice(keys)
        value = None if size is None else rng.randbytes(size)
        found.append(
            NewRecord(
                None if key is None else rng.randbytes(key),
                value,
                BASE_MS + rng.randint(-spread, spread),
                rng.choice(headers),
            )
        )
    return found


@pytest.mark.parametrize("seed", range(60))
def test_that_records_of_every_look_are_accepted_and_summed_up(seed: int) -> None:
    rng = random.Random(seed)
    new = some_records(rng, rng.choice([1, 2, 63, 64, 65, 200]))
    assert contents(new) == contents(new, rng.choice([1, 7])) == expected(new)


@pytest.mark.parametrize("spread", [0, 60, 5_000, 10**6])
@pytest.mark.parametrize("key", [None, b"", b"key"])
@pytest.mark.parametrize("size", [0, 3, 100, 9_000])
def test_that_records_of_one_size_are_summed_up(spread: int, key: bytes | None, size: int) -> None:
    rng = random.Random(spread)
    new = [NewRecord(key, bytes(size), BASE_MS + rng.randint(0, spread)) for _ in range(700)]
    assert contents(new) == contents(new, 100) == expected(new)


@pytest.mark.parametrize("seed", range(20))
def test_row_29_that_one_wrong_byte_among_records_of_one_size_is_refused(seed: int) -> None:
    """The reader of records is the oracle."""
    rng = random.Random(seed)
    new = [NewRecord(None, b"v" * 80, BASE_MS + n // 20) for n in range(200)]
    data = bytes(build(new))
    header, size = read_header(data), (len(data) - HEADER_SIZE) // 200
    for _ in range(60):
        bad = bytearray(data)
        at = HEADER_SIZE + rng.randrange(70, 190) * size + rng.choice([*range(12), size - 1])
        bad[min(at, len(bad) - 1)] ^= rng.choice([1, 2, 4, 128])
        try:
            found = list(records(bad, header))
            readable = [r.offset for r in found] == list(range(200))
        except InvalidRecord:
            readable = False
        try:
            told = walked(bytes(bad[HEADER_SIZE:]), header)
        except InvalidRecord:
            assert not readable
        else:
            assert readable
            assert told.latest == max(r.timestamp for r in found)


def test_that_offset_deltas_of_every_length_are_accepted() -> None:
    new = [NewRecord(b"k", b"v", BASE_MS + n // 100) for n in range(40_000)]
    assert contents(new) == contents(new, 999) == expected(new)


def test_that_a_record_with_many_headers_is_read_in_slices() -> None:
    new = [NewRecord(b"k", b"v", BASE_MS, (("h", None),) * (HEADERS_AT_ONCE * 5))] * 2
    data = bytes(build(new))
    walk = Walk(data[HEADER_SIZE:], read_header(data))
    steps = 1
    while not walk.advance(1):
        steps += 1
    assert steps >= 10 and walk.contents() == expected(new)


@pytest.mark.parametrize("seed", range(40))
def test_row_29_that_a_changed_byte_is_refused_as_the_reader_refuses_it(seed: int) -> None:
    """The reader of records is the oracle, but that it accepts gaps between offsets."""
    rng = random.Random(seed)
    data = bytes(build(some_records(rng, rng.choice([1, 3, 70, 150]))))
    header = read_header(data)
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 3])):
            # The first bytes of a batch hold more lengths than the values do.
            at = rng.randrange(HEADER_SIZE, min(len(bad), HEADER_SIZE + rng.choice([80, 10**9])))
            bad[at] = rng.choice([0, 1, 2, 127, 128, 255, rng.randrange(256)])
        found: list[Record] = []
        try:
            found = list(records(bad, header))
            readable = [r.offset for r in found] == list(range(header.record_count))
        except InvalidRecord as e:
            if isinstance(e.__context__, UnicodeDecodeError):
                continue  # Kafka's brokers do not decode the keys of headers
            readable = False
        try:
            told = walked(bytes(bad[HEADER_SIZE:]), header, rng.choice([1, ALL]))
        except InvalidRecord:
            assert not readable or beyond_64_bits(found)
        else:
            assert readable
            if found:
                assert told.latest == max(r.timestamp for r in found)


def forged(rng: random.Random, index: int) -> bytes:
    """A record whose start may be read in two ways: the bytes of a run, moved by one or two."""
    deltas = bytes([2 * index]) if index < 64 else bytes([2 * index & 127 | 128, index >> 6])
    offset = rng.choice([deltas, deltas, b"\1", b"\0"])
    start = rng.choice([b"\0", b"\x80\0", b""]) + rng.choice([b"\0", b"\2", b"\x80\1", deltas])
    key = rng.choice([b"\1", b"\0", b"\x06key"])
    value = rng.randbytes(rng.choice([0, 5, 61, 62, 63, 64, 70]))
    size = bytearray()
    write_varint(size, len(value))
    body = start + offset + key + size + value + rng.choice([b"\0", b"\0", b"\0\0", b"\1", b""])
    size = bytearray()
    write_varint(size, len(body) + rng.choice([0, 0, 0, -1, 1]))
    return bytes(size) + body


@pytest.mark.parametrize("seed", range(40))
def test_row_29_that_a_record_forged_to_look_like_the_others_is_refused(seed: int) -> None:
    rng = random.Random(seed)
    accepted = 0
    for _ in range(150):
        count = rng.choice([3, 40, 100, 200])
        alike = NewRecord(
            rng.choice([None, b"key"]),
            b"v" * rng.choice([0, 5, 70]),
            BASE_MS,
            rng.choice([(), (("h", None),)]),
        )
        data = bytes(build([alike] * count))
        body = data[HEADER_SIZE:]
        at = rng.randrange(1, count)
        parts = [bytes(build([alike] * n))[HEADER_SIZE:] for n in (at, at + 1)]
        body = parts[0] + forged(rng, at) + body[len(parts[1]) :]
        length = (len(body) + HEADER_SIZE - 12).to_bytes(4, "big")
        data = data[:8] + length + data[12:HEADER_SIZE] + body
        header = read_header(data)
        found: list[Record] = []
        try:
            found = list(records(data, header))
            readable = [r.offset for r in found] == list(range(count))
        except InvalidRecord:
            readable = False
        try:
            told = walked(body, header)
        except InvalidRecord:
            assert not readable
        else:
            accepted += 1
            assert readable, f"record {at} of {count}"
            assert told.latest == max(r.timestamp for r in found)
    assert accepted


@pytest.mark.parametrize("size", [0, 1, 2, 4, 126])
def test_row_29_that_a_key_that_points_beyond_the_batch_is_refused(size: int) -> None:
    """Its length says 63 bytes, that of its record less."""
    first = NewRecord(None, bytes(2_000), BASE_MS)  # so that 200 records could be there
    data = bytes(build([first] * 200))
    body = bytes(build([first]))[HEADER_SIZE:] + bytes((size, 0, 0, 2, 126))
    for left in range(120):
        with pytest.raises(InvalidRecord):
            walked(body + bytes(left), read_header(data))


def beyond_64_bits(found: list[Record]) -> bool:
    return any(not -(2**63) <= record.timestamp < 2**63 for record in found)


@pytest.mark.parametrize("cut", [1, 2, 5, 30])
def test_row_29_that_a_batch_that_is_cut_off_or_too_long_is_refused(cut: int) -> None:
    data = bytes(build([NewRecord(b"key", b"value" * 5, BASE_MS)] * 100))
    header, body = read_header(data), data[HEADER_SIZE:]
    for wrong in (body[:-cut], body + b"\0" * cut):
        with pytest.raises(InvalidRecord):
            walked(wrong, header)


@pytest.mark.parametrize("count", [0, 1, 99, 101, 5_000, 2**31 - 1, -1])
def test_row_29_that_a_count_that_lies_is_refused(count: int) -> None:
    data = bytes(build([NewRecord(b"key", b"value" * 5, BASE_MS)] * 100))
    header = read_header(data)._replace(record_count=count)
    with pytest.raises(InvalidRecord):
        walked(data[HEADER_SIZE:], header)


def test_that_a_forged_number_of_headers_is_refused_at_once() -> None:
    body = bytearray(b"\0\0\0\x01\x01")  # attributes, deltas, no key, no value
    write_varint(body, 1 << 40)
    record = bytearray()
    write_varint(record, len(body))
    header = read_header(build([NewRecord(None, None, BASE_MS)], compression=Codec.NONE))
    with pytest.raises(InvalidRecord, match="header count"):
        walked(bytes(record + body), header)
