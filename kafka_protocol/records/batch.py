"""Record batches of format v2, of which only the 61-byte header is read or changed.

Header (big-endian): base offset int64, length int32 (of what follows it), partition
leader epoch int32, magic int8, CRC-32C uint32, attributes int16, last offset delta
int32, base timestamp int64, max timestamp int64, producer id int64, producer epoch
int16, base sequence int32, record count int32. The checksum covers everything from the
attributes on, so base offset and leader epoch can be changed in place. Source: Kafka's
message format guide.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.records.checksum import crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size
assert HEADER_SIZE == 61
LOG_OVERHEAD = 12
"""Bytes of base offset and length, which the length does not count."""
LEADER_EPOCH_AT = 12
CRC_AT = 17
CRC_START = 21
"""Where the bytes begin that the checksum covers: the attributes."""
MAGIC_V2 = 2

# Bits of the attributes.
COMPRESSION_MASK = 0x07
TIMESTAMP_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20

LEAST_RECORD_SIZE = 7
"""Bytes of the smallest record: one each for length, attributes, timestamp delta,
offset delta, key length, value length and header count."""

_OFFSET = struct.Struct(">q")
_EPOCH = struct.Struct(">i")


class Codec(IntEnum):
    """Says how the records of a batch are compressed: the lowest three bits of the
    attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class CorruptBatch(Exception):
    """The bytes are not a valid batch."""


class BatchHeader(NamedTuple):
    """A batch's header, and where the batch lies in the buffer that it was read
    from."""

    position: int
    size: int  # bytes, with base offset and length
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
    """The header at ``position``. Only the magic is checked, no other field.

    Raises:
        CorruptBatch: fewer than 61 bytes, or another magic than 2.
    """
    try:
        (
            base_offset,
            length,
            leader_epoch,
            magic,
            _crc,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count,
        ) = HEADER.unpack_from(data, position)
    except struct.error as e:
        raise CorruptBatch("a batch header is cut off") from e
    if magic != MAGIC_V2:
        raise CorruptBatch(f"batch of format {magic}")
    return BatchHeader(
        position,
        length + LOG_OVERHEAD,
        base_offset,
        base_offset + last_offset_delta,
        leader_epoch,
        attributes,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count,
    )


def crc_matches(data: Buffer, header: BatchHeader) -> bool:
    start = header.position
    stored = int.from_bytes(data[start + CRC_AT : start + CRC_START], "big")
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
            raise CorruptBatch(f"a batch of {header.size} bytes with {end - position} left")
        if check_crc and not crc_matches(data, header):
            raise CorruptBatch(f"wrong checksum at offset {header.base_offset}")
        yield header
        position += header.size


def place(data: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Set base offset and leader epoch of the batch at ``position`` in place. The
    checksum does not cover them."""
    _OFFSET.pack_into(data, position, base_offset)
    _EPOCH.pack_into(data, position + LEADER_EPOCH_AT, leader_epoch)
