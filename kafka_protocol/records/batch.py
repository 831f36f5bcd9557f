"""Record batches of format v2, touched only in their 61-byte header.

Header (big-endian): baseOffset q, batchLength i, partitionLeaderEpoch i, magic b, crc I,
attributes h, lastOffsetDelta i, baseTimestamp q, maxTimestamp q, producerId q, producerEpoch h,
baseSequence i, count i. The CRC-32C covers attributes to end, so base offset and leader epoch are
patched in place. Source: Kafka's message format guide.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.records.checksum import crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size
LOG_OVERHEAD = 12
CRC_START = 21
MAGIC_V2 = 2
TIMESTAMP_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
COMPRESSION_MASK = 0x07

_OFFSET = struct.Struct(">q")
_EPOCH = struct.Struct(">i")
assert HEADER_SIZE == 61


class CorruptBatch(Exception):
    """The bytes are not a valid batch."""


class BatchHeader(NamedTuple):
    """A batch's header and where it lies in the buffer that it was read from (``position``,
    ``size`` in bytes)."""

    position: int
    size: int
    base_offset: int
    last_offset: int
    leader_epoch: int
    attributes: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def next_offset(self) -> int:
        return self.last_offset + 1

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def compression(self) -> int:
        return self.attributes & COMPRESSION_MASK


def read_header(data: Buffer, position: int = 0) -> BatchHeader:
    """The header at ``position``; its fields are read, not judged.

    Raises:
        CorruptBatch: fewer than 61 bytes, or another magic than 2.
    """
    try:
        (
            base,
            length,
            epoch,
            magic,
            _crc,
            attributes,
            delta,
            base_ts,
            max_ts,
            pid,
            pepoch,
            seq,
            count,
        ) = HEADER.unpack_from(data, position)
    except struct.error as e:
        raise CorruptBatch("a batch header is cut off") from e
    if magic != MAGIC_V2:
        raise CorruptBatch(f"batch of format {magic}")
    return BatchHeader(
        position,
        length + LOG_OVERHEAD,
        base,
        base + delta,
        epoch,
        attributes,
        base_ts,
        max_ts,
        pid,
        pepoch,
        seq,
        count,
    )


def crc_matches(data: Buffer, header: BatchHeader) -> bool:
    start = header.position
    stored = int.from_bytes(data[start + 17 : start + 21], "big")
    return crc32c(memoryview(data)[start + CRC_START : start + header.size]) == stored


def batches(data: Buffer, check_crc: bool = True) -> Iterator[BatchHeader]:
    """Every batch in ``data``, which must hold whole batches only.

    Raises:
        CorruptBatch: a length that does not fit, a wrong checksum, another format.
    """
    position, end = 0, len(data)
    while position < end:
        header = read_header(data, position)
        if header.size < HEADER_SIZE or position + header.size > end:
            raise CorruptBatch(f"a batch of {header.size} bytes where {end - position} are left")
        if check_crc and not crc_matches(data, header):
            raise CorruptBatch(f"wrong checksum at offset {header.base_offset}")
        yield header
        position += header.size


def place(data: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Give the batch at ``position`` its offset and epoch, in place; the checksum does not cover
    them."""
    _OFFSET.pack_into(data, position, base_offset)
    _EPOCH.pack_into(data, position + LOG_OVERHEAD, leader_epoch)
