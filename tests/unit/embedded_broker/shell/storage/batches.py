"""Record batches for the storage's tests: right headers and checksums around meaningless
records."""

from __future__ import annotations

from crc32c import crc32c

from kafka_protocol.records.batch import (
    CRC_START,
    HEADER,
    HEADER_SIZE,
    LOG_OVERHEAD,
    BatchHeader,
    batches,
)


def batch(
    base_offset: int, count: int = 1, body: bytes = b"x" * 20, timestamp: int = 1000, epoch: int = 0
) -> bytes:
    data = bytearray(HEADER_SIZE + len(body))
    length = len(data) - LOG_OVERHEAD
    HEADER.pack_into(
        data,
        0,
        base_offset,
        length,
        epoch,
        2,
        0,
        0,
        count - 1,
        timestamp,
        timestamp,
        -1,
        -1,
        -1,
        count,
    )
    data[HEADER_SIZE:] = body
    data[17:21] = crc32c(bytes(data[CRC_START:])).to_bytes(4, "big")
    return bytes(data)


def parsed(data: bytes) -> list[BatchHeader]:
    return list(batches(data))
