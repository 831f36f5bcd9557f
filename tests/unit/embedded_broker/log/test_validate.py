"""Check the batches of clients: the rows of the table of bad input that concern Produce."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from crc32c import crc32c

from embedded_broker.core.log.validate import (
    AppendLimits,
    BatchRefused,
    check_batch,
    stamp_append_time,
)
from embedded_broker.simulator import batches
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import crc_matches, read_header

NOW_MS = 1_760_000_000_000


def good(count: int = 2, **more: int) -> bytearray:
    return batches.build([(b"k", b"v")] * count, NOW_MS, **more)


def patched(at: int, code: str, value: int, data: bytearray | None = None) -> bytearray:
    data = good() if data is None else data
    struct.pack_into(code, data, at, value)
    data[17:21] = crc32c(memoryview(data)[21:]).to_bytes(4, "big")
    return data


def refusal(
    records: bytes | bytearray | None, limits: AppendLimits | None = None, version: int = 9
) -> int:
    with pytest.raises(BatchRefused) as refused:
        check_batch(records, limits or AppendLimits(), version, NOW_MS)
    return refused.value.code


def test_that_a_good_batch_passes() -> None:
    assert check_batch(good(), AppendLimits(), 9, NOW_MS).record_count == 2


def flipped() -> bytearray:
    data = good()
    data[-1] ^= 1
    return data


ROWS: list[tuple[str, Callable[[], bytes | bytearray | None], int]] = [
    ("row 22: null", lambda: None, ErrorCode.INVALID_RECORD),
    ("row 22: empty", lambda: b"", ErrorCode.INVALID_RECORD),
    ("row 22: magic 1", lambda: patched(16, ">b", 1), ErrorCode.INVALID_RECORD),
    ("row 22: two batches", lambda: good() + good(), ErrorCode.INVALID_RECORD),
    ("row 23: length under the minimum", lambda: patched(8, ">i", 48), ErrorCode.CORRUPT_MESSAGE),
    ("row 23: negative length", lambda: patched(8, ">i", -1), ErrorCode.CORRUPT_MESSAGE),
    ("row 23: magic 3", lambda: patched(16, ">b", 3), ErrorCode.CORRUPT_MESSAGE),
    (
        "row 24: longer than what is there",
        lambda: patched(8, ">i", 1 << 20),
        ErrorCode.INVALID_RECORD,
    ),
    ("row 24: cut off", lambda: good()[:-1], ErrorCode.INVALID_RECORD),
    ("row 25: wrong checksum", flipped, ErrorCode.CORRUPT_MESSAGE),
    ("row 28: base offset", lambda: patched(0, ">q", 5), ErrorCode.INVALID_RECORD),
    ("row 28: last offset", lambda: patched(23, ">i", 7), ErrorCode.INVALID_RECORD),
    ("row 28: no records", lambda: patched(57, ">i", 0), ErrorCode.INVALID_RECORD),
    ("row 28: control batch", lambda: patched(21, ">h", 0x20), ErrorCode.INVALID_RECORD),
    (
        "row 28: no sequence",
        lambda: good(producer_id=4, producer_epoch=0),
        ErrorCode.INVALID_RECORD,
    ),
    (
        "row 29: more records than fit",
        lambda: patched(57, ">i", 9, patched(23, ">i", 8)),
        ErrorCode.INVALID_RECORD,
    ),
    (
        "row 29: fewer records than there are",
        lambda: patched(57, ">i", 1, patched(23, ">i", 0)),
        87,
    ),
    ("row 29: a record's length lies", lambda: patched(61, ">b", 2), ErrorCode.INVALID_RECORD),
    (
        "row 31: too far ahead",
        lambda: batches.build([(None, b"")], NOW_MS + 3_600_001),
        ErrorCode.INVALID_TIMESTAMP,
    ),
    (
        "row 31: too far behind",
        lambda: batches.build([(None, b"")], NOW_MS - 10_001),
        ErrorCode.INVALID_TIMESTAMP,
    ),
    ("row 32: unknown codec", lambda: patched(21, ">h", 5), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    ("transactional", lambda: patched(21, ">h", 0x10), ErrorCode.INVALID_TXN_STATE),
]


@pytest.mark.parametrize(("row", "make", "code"), ROWS, ids=[row for row, _, _ in ROWS])
def test_that_bad_input_is_refused_with_its_code(
    row: str, make: Callable[[], bytearray], code: int
) -> None:
    assert refusal(make(), AppendLimits(before_max_ms=10_000, after_max_ms=3_600_000)) == code


def test_row_32_that_zstd_needs_produce_version_7() -> None:
    assert refusal(patched(21, ">h", 4), version=6) == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_row_26_27_that_sizes_are_checked_from_the_header_first() -> None:
    assert refusal(flipped(), AppendLimits(max_message_bytes=70)) == ErrorCode.MESSAGE_TOO_LARGE
    assert refusal(flipped(), AppendLimits(segment_bytes=70)) == ErrorCode.RECORD_LIST_TOO_LARGE


def test_row_30_that_a_compacted_topic_names_the_records_without_a_key() -> None:
    data = batches.build(
        [(b"k", b"v"), (None, b"v"), (None, b"v"), (None, b"v"), (None, b"v")], NOW_MS
    )
    with pytest.raises(BatchRefused) as refused:
        check_batch(data, AppendLimits(compacted=True), 9, NOW_MS)
    assert refused.value.code == ErrorCode.INVALID_RECORD
    assert [index for index, _ in refused.value.record_errors] == [1, 2, 3]
    assert check_batch(good(), AppendLimits(compacted=True), 9, NOW_MS)


def test_that_the_brokers_time_replaces_the_producers_and_the_checksum_follows() -> None:
    data = good()
    stamp_append_time(data, 42)
    header = read_header(data)
    assert header.max_timestamp == 42 and header.attributes & 0x08 and crc_matches(data, header)
