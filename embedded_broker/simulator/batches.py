"""Record batches of the simulated clients: built and read record by record, uncompressed.

Format: record batch v2, Kafka's message format guide. Written apart from ``kafka_protocol.records``
on purpose: code that the brokers do not use checks what they do with a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kafka_protocol.records.batch import (
    CONTROL,
    CRC_START,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_V2,
)
from kafka_protocol.records.checksum import crc32c


class SimRecord(NamedTuple):
    """One record of a batch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _zigzag(out: bytearray, value: int) -> None:
    raw = (value << 1) ^ (value >> 63)
    while raw >= 0x80:
        out.append((raw & 0x7F) | 0x80)
        raw >>= 7
    out.append(raw)


def _unzigzag(data: bytes, p: int) -> tuple[int, int]:
    """(value, position after it)"""
    raw = shift = 0
    while True:
        byte = data[p]
        p += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), p
        shift += 7


def build(
    values: Sequence[tuple[bytes | None, bytes | None]],
    timestamp: int,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
) -> bytearray:
    """Build a batch of (key, value) records as a producer sends it: base offset 0, leader epoch
    -1."""
    body = bytearray()
    for i, (key, value) in enumerate(values):
        record = bytearray(b"\0")
        _zigzag(record, 0)
        _zigzag(record, i)
        for part in (key, value):
            _zigzag(record, -1 if part is None else len(part))
            record += part or b""
        _zigzag(record, 0)
        _zigzag(body, len(record))
        body += record
    out = bytearray(HEADER_SIZE) + body
    fields = (timestamp, timestamp, producer_id, producer_epoch, base_sequence, len(values))
    HEADER.pack_into(
        out, 0, 0, len(out) - LOG_OVERHEAD, -1, MAGIC_V2, 0, 0, len(values) - 1, *fields
    )
    out[17:21] = crc32c(memoryview(out)[CRC_START:]).to_bytes(4, "big")
    return out


def records(data: bytes) -> Iterator[SimRecord]:
    """Yield the records of all batches in ``data`` except control batches."""
    position = 0
    while position < len(data):
        base, length, _, _, _, attributes, _, base_ts, _, _, _, _, count = HEADER.unpack_from(
            data, position
        )
        p = position + HEADER_SIZE
        position += length + LOG_OVERHEAD
        if attributes & CONTROL:
            continue
        assert not attributes & 7, "simulated clients do not compress"
        for _ in range(count):
            size, p = _unzigzag(data, p)
            end = p + size
            stamp_delta, q = _unzigzag(data, p + 1)
            offset_delta, q = _unzigzag(data, q)
            parts: list[bytes | None] = []
            for _ in range(2):
                n, q = _unzigzag(data, q)
                parts.append(None if n < 0 else bytes(data[q : q + n]))
                q += max(n, 0)
            yield SimRecord(base + offset_delta, base_ts + stamp_delta, parts[0], parts[1])
            p = end
