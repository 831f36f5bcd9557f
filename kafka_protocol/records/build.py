"""Build a batch of format v2 from records: the coordinators' and the quorum's own
records, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from kafka_protocol.primitives import write_varint
from kafka_protocol.records.batch import (
    CRC_AT,
    CRC_START,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_V2,
    Codec,
)
from kafka_protocol.records.checksum import crc32c
from kafka_protocol.records.compression import compress
from kafka_protocol.records.record import Headers


class NewRecord(NamedTuple):
    key: bytes | None
    value: bytes | None
    timestamp: int  # milliseconds since the epoch
    headers: Headers = ()


def build(
    new: Sequence[NewRecord],
    *,
    compression: int = Codec.NONE,
    attributes: int = 0,
    base_offset: int = 0,
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
) -> bytearray:
    """One batch of at least one record. ``attributes`` adds flags (control,
    transactional) to the bits of the compression."""
    assert new, "a batch holds at least one record"
    base_timestamp = new[0].timestamp
    body = bytearray()
    for delta, record in enumerate(new):
        _append_record(body, record, record.timestamp - base_timestamp, delta)
    out = bytearray(HEADER_SIZE)
    out += body if compression == Codec.NONE else compress(compression, body)
    HEADER.pack_into(
        out,
        0,
        base_offset,
        len(out) - LOG_OVERHEAD,
        leader_epoch,
        MAGIC_V2,
        0,  # the checksum, which covers what follows it and is set last
        compression | attributes,
        len(new) - 1,
        base_timestamp,
        max(record.timestamp for record in new),
        producer_id,
        producer_epoch,
        base_sequence,
        len(new),
    )
    out[CRC_AT:CRC_START] = crc32c(memoryview(out)[CRC_START:]).to_bytes(4, "big")
    return out


def _append_record(body: bytearray, record: NewRecord, timestamp_delta: int, delta: int) -> None:
    one = b"\0" + _varint(timestamp_delta) + _varint(delta)  # attributes: unused, 0
    one += _bytes(record.key) + _bytes(record.value) + _varint(len(record.headers))
    for name, content in record.headers:
        one += _bytes(name.encode()) + _bytes(content)
    body += _varint(len(one))
    body += one


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


@lru_cache(maxsize=1 << 14)
def _varint(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)
