"""Validate a batch from a client before it is appended: its header, and its records.

The checks have Kafka's order, and each refusal is a row of the table of bad input in
the tests. Kafka's ``LogValidator`` looks at the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import (
    COMPRESSION_MASK,
    CRC_START,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_V2,
    TIMESTAMP_APPEND_TIME,
    BatchHeader,
    Codec,
    crc_matches,
    read_header,
)
from kafka_protocol.records.checksum import crc32c
from kafka_protocol.records.contents import Contents
from kafka_protocol.records.inspection import Outcome, Refusal, inspect

MAGIC_AT = 16
_CRC_AT = 17
_ATTRIBUTES_AT = 21
_MAX_TIMESTAMP_AT = 35
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
_UINT32 = struct.Struct(">I")


class BatchRefused(Exception):
    """Why a batch is not appended; ``record_errors`` are (index in the batch, message)
    of single records."""

    def __init__(
        self, code: int, text: str, record_errors: tuple[tuple[int, str], ...] = ()
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.record_errors = record_errors


@dataclass(slots=True)
class AppendLimits:
    """Holds what a topic's settings allow; replaced when they change."""

    max_message_bytes: int = 1_048_588
    segment_bytes: int = 1 << 30
    append_time: bool = False
    before_max_ms: int = (1 << 63) - 1
    after_max_ms: int = (1 << 63) - 1
    compacted: bool = False
    inspects: bool = True
    """Whether the records of each batch are checked (log.validate.records); those of a compacted
    topic always are."""


def check_batch(
    records: Buffer | None,
    limits: AppendLimits,
    produce_version: int,
    wall_ms: int,
    outcome: Outcome = None,
) -> BatchHeader:
    """Return the header of the one valid batch in ``records``.

    ``outcome`` is that of an inspection which the shell has made of it already.

    Raises:
        BatchRefused: with the error code for the client.
    """
    size = 0 if records is None else len(records)
    if records is None or size <= MAGIC_AT:
        raise BatchRefused(ErrorCode.INVALID_RECORD, "the records hold no batch")
    (length,) = _INT32.unpack_from(records, 8)
    magic = records[MAGIC_AT]
    if length < HEADER_SIZE - LOG_OVERHEAD or magic > MAGIC_V2:
        raise BatchRefused(
            ErrorCode.CORRUPT_MESSAGE, f"a record batch of length {length} and format {magic}"
        )
    if magic != MAGIC_V2:
        raise BatchRefused(
            ErrorCode.INVALID_RECORD, f"record batches of format {magic} are no longer written"
        )
    if length + LOG_OVERHEAD != size:
        raise BatchRefused(
            ErrorCode.INVALID_RECORD, "the records of a partition must be exactly one batch"
        )
    header = read_header(records)
    if size > limits.max_message_bytes:
        raise BatchRefused(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"a batch of {size} bytes is over the topic's max.message.bytes"
            f" ({limits.max_message_bytes})",
        )
    if size > limits.segment_bytes:
        raise BatchRefused(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"a batch of {size} bytes is over the topic's segment.bytes ({limits.segment_bytes})",
        )
    if outcome is None and (limits.inspects or limits.compacted):
        outcome = inspect(records)
    if isinstance(outcome, Refusal) and outcome.code == ErrorCode.CORRUPT_MESSAGE:
        raise BatchRefused(*outcome)
    if outcome is None and not crc_matches(records, header):
        raise BatchRefused(ErrorCode.CORRUPT_MESSAGE, "the batch's checksum is wrong")
    _check_fields(header, produce_version)
    if isinstance(outcome, Refusal):
        raise BatchRefused(*outcome)
    if outcome is None:
        outcome = Contents(header.base_timestamp, header.max_timestamp, 0, ())
    return _check_contents(header, outcome, limits, wall_ms)


def _check_fields(header: BatchHeader, produce_version: int) -> None:
    count = header.record_count
    if header.base_offset != 0 or count <= 0 or header.last_offset + 1 != count:
        raise BatchRefused(
            ErrorCode.INVALID_RECORD,
            "a client's batch must have base offset 0 and a matching record count, but this has"
            f" base offset {header.base_offset}, last offset {header.last_offset}, count {count}",
        )
    if header.attributes & TIMESTAMP_APPEND_TIME:
        raise BatchRefused(
            ErrorCode.INVALID_TIMESTAMP, "only brokers may write batches with LogAppendTime"
        )
    if header.is_control:
        raise BatchRefused(ErrorCode.INVALID_RECORD, "clients may not write control batches")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise BatchRefused(
            ErrorCode.INVALID_RECORD, f"producer {header.producer_id} without a sequence number"
        )
    if header.is_transactional:
        raise BatchRefused(
            ErrorCode.INVALID_TXN_STATE, "this cluster does not support transactions"
        )
    codec = header.attributes & COMPRESSION_MASK
    if codec > Codec.ZSTD or (codec == Codec.ZSTD and produce_version < 7):
        raise BatchRefused(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
            f"compression codec {codec} is not supported in Produce version {produce_version}",
        )


def _check_contents(
    header: BatchHeader, contents: Contents, limits: AppendLimits, wall_ms: int
) -> BatchHeader:
    """Refuse what the topic does not take; return the header with the right newest timestamp."""
    if limits.compacted and contents.keyless:
        # Compaction keeps the last record of each key, so each record must have a key.
        text = "a compacted topic accepts no record without a key"
        raise BatchRefused(
            ErrorCode.INVALID_RECORD, text, tuple((index, text) for index in contents.keyless)
        )
    if limits.append_time:
        return header
    late, early = contents.latest, contents.earliest
    if late >= 0 and late - wall_ms > limits.after_max_ms:
        text = f"timestamp {late} is too far ahead of this broker's clock ({wall_ms})"
        raise BatchRefused(ErrorCode.INVALID_TIMESTAMP, text, ((contents.latest_at, text),))
    if early >= 0 and wall_ms - early > limits.before_max_ms:
        raise BatchRefused(
            ErrorCode.INVALID_TIMESTAMP,
            f"timestamp {early} is too far behind this broker's clock ({wall_ms})",
        )
    return header if late == header.max_timestamp else header._replace(max_timestamp=late)


def correct_newest(records: bytearray | memoryview, newest_ms: int) -> None:
    """Set the newest timestamp in the header to that of the records, where it is another. Kafka's
    brokers do so too: time lookups depend on it."""
    if _INT64.unpack_from(records, _MAX_TIMESTAMP_AT) != (newest_ms,):
        _stamp_newest(records, newest_ms)


def _stamp_newest(records: bytearray | memoryview, newest_ms: int) -> None:
    _INT64.pack_into(records, _MAX_TIMESTAMP_AT, newest_ms)
    _UINT32.pack_into(records, _CRC_AT, crc32c(memoryview(records)[CRC_START:]))


def stamp_append_time(records: bytearray | memoryview, wall_ms: int) -> None:
    """Set the batch's timestamps to the broker's time (LogAppendTime) and recompute its
    checksum."""
    (attributes,) = _INT16.unpack_from(records, _ATTRIBUTES_AT)
    _INT16.pack_into(records, _ATTRIBUTES_AT, attributes | TIMESTAMP_APPEND_TIME)
    _stamp_newest(records, wall_ms)
