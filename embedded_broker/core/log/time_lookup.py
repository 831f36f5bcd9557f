"""Looking up records by their timestamps, in steps: a batch may have a million records."""

from __future__ import annotations

from collections.abc import Generator

from embedded_broker.core.ports import PartitionLog
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    TIMESTAMP_APPEND_TIME,
    BatchHeader,
    read_header,
)
from kafka_protocol.records.compression import (
    CannotDecompress,
    UnknownCodec,
    decompress_in_steps,
)
from kafka_protocol.records.record import InvalidRecord, records

Lookup = Generator[int, None, tuple[int, int] | None]
"""Yields records that were read; returns (offset, timestamp) or None."""
RECORDS_AT_ONCE = 500
BYTES_AN_ITEM = 1024
"""Unpacked bytes that count as one record: both take some microseconds."""


def first_at_or_after(log: PartitionLog, timestamp: int, end_offset: int) -> Lookup:
    """Find the first record at or after ``timestamp`` that lies below ``end_offset``.

    Raises:
        StorageFailed: the log cannot be read.
    """
    start_offset = log.log_start_offset
    while (batch := log.batch_at_time(timestamp, start_offset, end_offset)) is not None:
        found = yield from _first_record(batch, timestamp, start_offset)
        if found is not None:
            return found if found[0] < end_offset else None
        start_offset = read_header(batch).last_offset + 1
    return None


def latest(log: PartitionLog, end_offset: int) -> Lookup:
    """Find the first record with the greatest timestamp below ``end_offset``.

    Raises:
        StorageFailed: the log cannot be read.
    """
    batch = log.batch_of_max_timestamp(end_offset)
    if batch is None:
        return None
    found = yield from _first_record(batch, read_header(batch).max_timestamp, log.log_start_offset)
    return found


def _first_record(batch: bytes, timestamp: int, start_offset: int) -> Lookup:
    """Find the first record of a batch at or after both ``timestamp`` and ``start_offset``."""
    header = read_header(batch)
    first_offset = max(header.base_offset, start_offset)
    if header.attributes & TIMESTAMP_APPEND_TIME:
        return first_offset, header.max_timestamp
    if header.record_count == 1 and header.base_offset >= start_offset:
        return header.base_offset, header.max_timestamp
    count = 0
    try:
        body = yield from _unpacked(batch, header)
        for record in records(batch, header, body):
            if record.timestamp >= timestamp and record.offset >= start_offset:
                return record.offset, record.timestamp
            count += 1
            if count % RECORDS_AT_ONCE == 0:
                yield RECORDS_AT_ONCE
    except (InvalidRecord, UnknownCodec, CannotDecompress):
        # Return the batch: a reader of it meets the damage and reports it.
        return first_offset, header.max_timestamp
    return None


def _unpacked(batch: bytes, header: BatchHeader) -> Generator[int, None, Buffer]:
    """Yields items of work; returns the records of a batch as bytes."""
    steps = decompress_in_steps(header.compression, memoryview(batch)[HEADER_SIZE : header.size])
    while True:
        try:
            unpacked = next(steps)
        except StopIteration as end:
            body: Buffer = end.value
            return body
        yield unpacked // BYTES_AN_ITEM
