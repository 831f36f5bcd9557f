"""The single records in a batch of format v2. The hot path never comes here: a batch is stored
and sent as it is.

Record: length varint, attributes i8, timestampDelta varlong, offsetDelta varint, key, value
(varint length, -1 for null), header count varint, headers (varint length and UTF-8 key, varint
length and value). Varints are zigzag. Source: Kafka's message format guide. Every length is
checked against the bytes that are left (reliability row 29).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    TIMESTAMP_APPEND_TIME,
    BatchHeader,
    batches,
    read_header,
)
from kafka_protocol.records.compression import CannotDecompress, decompress

Headers = tuple[tuple[str, bytes | None], ...]


class InvalidRecord(Exception):
    """The records of a batch are not what its header says (INVALID_RECORD)."""


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def read_varint(data: Buffer, position: int) -> tuple[int, int]:
    """(value, next position) of a zigzag varint of at most ten bytes.

    Raises:
        InvalidRecord: it is cut off or longer.
    """
    result = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (result >> 1) ^ -(result & 1), position
            shift += 7
            if shift > 63:
                raise InvalidRecord("a varint is over ten bytes long")
    except IndexError:
        raise InvalidRecord("a varint is cut off") from None


def write_varint(out: bytearray, value: int) -> None:
    value = (value << 1) ^ (value >> 63)
    if 0 <= value < 0x80:
        out.append(value)
        return
    value &= 0xFFFFFFFFFFFFFFFF
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def records(batch: Buffer, header: BatchHeader | None = None) -> Iterator[Record]:
    """The records of one whole batch, in order. ``batch`` may go on behind it.

    Raises:
        InvalidRecord: lengths or counts that do not fit, offsets that do not rise, damaged
        compression. UnknownCodec
    """
    header = header or read_header(batch)
    body = _body(batch, header)
    append_time = header.max_timestamp if header.attributes & TIMESTAMP_APPEND_TIME else None
    position, last_delta = 0, -1
    most_delta = header.last_offset - header.base_offset
    for _ in range(header.record_count):
        record, delta, position = _read(body, position, header, append_time)
        if not last_delta < delta <= most_delta:
            raise InvalidRecord(
                f"offset delta {delta} after {last_delta} in a batch that ends at {most_delta}"
            )
        last_delta = delta
        yield record
    if position != len(body):
        raise InvalidRecord(
            f"{len(body) - position} bytes behind the {header.record_count} records of a batch"
        )


def all_records(data: Buffer) -> Iterator[Record]:
    """The records of all batches in ``data`` that hold data, control batches left out.

    Raises:
        CorruptBatch, InvalidRecord, UnknownCodec
    """
    for header in batches(data):
        if not header.is_control:
            yield from records(data, header)


def first_at_or_after(batch: Buffer, timestamp: int) -> tuple[int, int] | None:
    """(offset, timestamp) of a batch's first record with at least this timestamp."""
    for record in records(batch):
        if record.timestamp >= timestamp:
            return record.offset, record.timestamp
    return None


def null_keys(batch: Buffer, header: BatchHeader | None = None) -> list[int]:
    """Which records of a batch (by index) have no key; a compacted topic cannot take them
    (reliability row 30)."""
    return [index for index, record in enumerate(records(batch, header)) if record.key is None]


def check(batch: Buffer, header: BatchHeader | None = None) -> None:
    """Walk through a batch that a client sent: record count, lengths and dense offsets.

    Raises:
        InvalidRecord, UnknownCodec
    """
    header = header or read_header(batch)
    for index, record in enumerate(records(batch, header)):
        if record.offset != header.base_offset + index:
            raise InvalidRecord(
                f"record {index} of a batch has the offset {record.offset - header.base_offset}"
            )


def _body(batch: Buffer, header: BatchHeader) -> Buffer:
    start, end = header.position + HEADER_SIZE, header.position + header.size
    if end > len(batch) or end < start:
        raise InvalidRecord(
            f"a batch of {header.size} bytes where {len(batch) - header.position} are"
        )
    try:
        body = decompress(header.compression, memoryview(batch)[start:end])
    except CannotDecompress as e:
        raise InvalidRecord(str(e)) from e
    if not 0 <= header.record_count <= len(body) // 7 + 1:
        raise InvalidRecord(f"{header.record_count} records in {len(body)} bytes")
    return body


def _read(
    body: Buffer, position: int, header: BatchHeader, append_time: int | None
) -> tuple[Record, int, int]:
    size, position = read_varint(body, position)
    end = position + size
    if size < 6 or end > len(body):
        raise InvalidRecord(f"a record of {size} bytes where {len(body) - position} are left")
    timestamp_delta, position = read_varint(body, position + 1)
    offset_delta, position = read_varint(body, position)
    key, position = _bytes(body, position, end)
    value, position = _bytes(body, position, end)
    count, position = read_varint(body, position)
    headers: Headers = ()
    if count:
        if not 0 < count <= (end - position) // 2:
            raise InvalidRecord(f"{count} record headers in {end - position} bytes")
        found: list[tuple[str, bytes | None]] = []
        for _ in range(count):
            name, position = _bytes(body, position, end)
            content, position = _bytes(body, position, end)
            if name is None:
                raise InvalidRecord("a record header has no key")
            try:
                found.append((name.decode(), content))
            except UnicodeDecodeError:
                raise InvalidRecord("the key of a record header is not UTF-8") from None
        headers = tuple(found)
    if position != end:
        raise InvalidRecord(f"a record says {size} bytes and has {size + position - end}")
    timestamp = header.base_timestamp + timestamp_delta if append_time is None else append_time
    return (
        Record(header.base_offset + offset_delta, timestamp, key, value, headers),
        offset_delta,
        position,
    )


def _bytes(body: Buffer, position: int, end: int) -> tuple[bytes | None, int]:
    size, position = read_varint(body, position)
    if size == -1:
        return None, position
    if size < 0 or position + size > end:
        raise InvalidRecord(f"a length of {size} where {end - position} bytes are left")
    return bytes(body[position : position + size]), position + size
