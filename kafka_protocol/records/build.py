"""Making a batch of format v2 from records: what the coordinators write, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kafka_protocol.records.batch import CRC_START, HEADER, HEADER_SIZE, LOG_OVERHEAD, MAGIC_V2
from kafka_protocol.records.checksum import crc32c
from kafka_protocol.records.compression import Codec, compress
from kafka_protocol.records.record import Headers, write_varint


class NewRecord(NamedTuple):
    key: bytes | None
    value: bytes | None
    timestamp: int
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
    """One batch of at least one record. ``attributes`` adds flags (control, transactional) to the
    codec's bits."""
    assert new, "a batch holds at least one record"
    base_timestamp = new[0].timestamp
    body = bytearray()
    for delta, record in enumerate(new):
        one = bytearray(1)
        write_varint(one, record.timestamp - base_timestamp)
        write_varint(one, delta)
        _write_bytes(one, record.key)
        _write_bytes(one, record.value)
        write_varint(one, len(record.headers))
        for name, content in record.headers:
            _write_bytes(one, name.encode())
            _write_bytes(one, content)
        write_varint(body, len(one))
        body += one
    packed = body if compression == Codec.NONE else compress(compression, body)
    out = bytearray(HEADER_SIZE)
    out += packed
    last_timestamp = max(record.timestamp for record in new)
    HEADER.pack_into(
        out, 0, base_offset, len(out) - LOG_OVERHEAD, leader_epoch, MAGIC_V2, 0, compression | attributes,
        len(new) - 1, base_timestamp, last_timestamp, producer_id, producer_epoch, base_sequence, len(new),
    )  # fmt: skip
    out[17:21] = crc32c(memoryview(out)[CRC_START:]).to_bytes(4, "big")
    return out


def _write_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)  # zigzag of -1
    else:
        write_varint(out, len(value))
        out += value
