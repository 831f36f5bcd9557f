"""Messages of the formats v0 and v1, as brokers stored them before Kafka 0.11 and still send them
from old segments. Kafka 4 has none left.

Message: offset int64, size int32 (of what follows), CRC-32 uint32 (of what follows it), magic int8,
attributes int8 (bits 0 to 2 the compression, bit 3 the timestamp's type), timestamp int64 (v1
only), key and value (int32 length, -1 for null). A compressed message holds messages in its value:
in v1 their offsets count from the first of them, and its own offset is that of the last. Source:
Kafka's message format guide.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import COMPRESSION_MASK, TIMESTAMP_APPEND_TIME, Codec
from kafka_protocol.records.compression import MAX_BYTES, decompress
from kafka_protocol.records.record import InvalidRecord

_HEAD = struct.Struct(">qiIbb")
_TIMESTAMP = struct.Struct(">q")
_LENGTH = struct.Struct(">i")
_CRC_END = 16
NO_TIMESTAMP = -1


class Message(NamedTuple):
    offset: int
    timestamp: int
    """Milliseconds since the epoch, -1 for none."""
    append_time: bool
    """Whether the broker set the timestamp."""
    key: bytes | None
    value: bytes | None


def messages(data: Buffer, max_bytes: int = MAX_BYTES) -> Iterator[Message]:
    """The messages in one whole message, which is itself when it is not compressed.

    Raises:
        InvalidRecord: the checksum is wrong, a length does not fit, or there is compression within
            compression.
        UnknownCodec, CannotDecompress, TooLarge: as ``compression.decompress``.
    """
    message, codec, magic = _read(memoryview(data), check=True)
    if codec == Codec.NONE:
        yield message
        return
    if message.value is None:
        raise InvalidRecord("a compressed message without a value")
    body = decompress(codec, message.value, max_bytes)
    last = _last_offset(memoryview(body))
    first = message.offset - last if magic else 0
    for one in _inner(memoryview(body)):
        timestamp = message.timestamp if message.append_time else one.timestamp
        yield one._replace(
            offset=first + one.offset, timestamp=timestamp, append_time=message.append_time
        )


def _last_offset(view: memoryview) -> int:
    """That of the last message, which the others count back from."""
    at, last = 0, None
    while at < len(view):
        last, at = _end(view, at)
    if last is None:
        raise InvalidRecord("a compressed message that holds none")
    return last


def _inner(view: memoryview) -> Iterator[Message]:
    at = 0
    while at < len(view):
        _, end = _end(view, at)
        message, codec, _ = _read(view[at:end], check=False)  # the outer checksum covers it
        if codec:
            raise InvalidRecord("compression within compression")
        yield message
        at = end


def _end(view: memoryview, at: int) -> tuple[int, int]:
    """(offset of the message at ``at``, where it ends)."""
    if at + _HEAD.size > len(view):
        raise InvalidRecord("a message is cut off")
    offset, size, *_ = _HEAD.unpack_from(view, at)
    end = at + 12 + size
    if size < _HEAD.size - 12 or end > len(view):
        raise InvalidRecord(f"a message of {size} bytes with {len(view) - at} left")
    return int(offset), end


def _read(view: memoryview, check: bool) -> tuple[Message, int, int]:
    """(message, its compression, its magic)."""
    try:
        offset, _, crc, magic, attributes = _HEAD.unpack_from(view)
        at, timestamp = _HEAD.size, NO_TIMESTAMP
        if check and zlib.crc32(view[_CRC_END:]) != crc:
            raise InvalidRecord("the checksum does not match")
        if magic:
            (timestamp,) = _TIMESTAMP.unpack_from(view, at)
            at += _TIMESTAMP.size
        key, at = _bytes(view, at)
        value, at = _bytes(view, at)
    except struct.error as e:
        raise InvalidRecord("a message is cut off") from e
    append_time = bool(magic and attributes & TIMESTAMP_APPEND_TIME)
    return (
        Message(offset, timestamp, append_time, key, value),
        attributes & COMPRESSION_MASK,
        magic,
    )


def _bytes(view: memoryview, at: int) -> tuple[bytes | None, int]:
    (size,) = _LENGTH.unpack_from(view, at)
    at += _LENGTH.size
    if size < 0:
        return None, at
    if at + size > len(view):
        raise InvalidRecord(f"a length of {size} with {len(view) - at} bytes left")
    return bytes(view[at : at + size]), at + size
