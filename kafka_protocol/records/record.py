"""The records in a batch of format v2.

Record: length varint, attributes int8, timestamp delta varint, offset delta varint, key
and value (varint length, -1 for null), header count varint, headers (varint length and
UTF-8 key, varint length and value). Varints are zigzag. Source: Kafka's message format
guide.

The broker's hot path never comes here: it stores and sends a batch as it is. Every
length is checked against the bytes that are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.primitives import ProtocolError, read_varint
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    LEAST_RECORD_SIZE,
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


def records(
    batch: Buffer, header: BatchHeader | None = None, body: Buffer | None = None
) -> Iterator[Record]:
    """The records of one whole batch, in order. Bytes after the batch are ignored. ``body``: what
    follows its header, if the caller has decompressed it.

    Raises:
        InvalidRecord: lengths or counts that do not fit, offsets that do not rise,
        damaged
            compression.
        UnknownCodec: the batch names a compression that does not exist.
    """
    header = header or read_header(batch)
    if body is None:
        body = _decompressed(batch, header)
    check_record_count(body, header)
    append_time = header.max_timestamp if header.attributes & TIMESTAMP_APPEND_TIME else None
    position, last_delta = 0, -1
    most_delta = header.last_offset - header.base_offset
    for _ in range(header.record_count):
        try:
            record, delta, position = _read(body, position, header, append_time)
        except (ProtocolError, IndexError) as e:
            raise InvalidRecord("a varint is too long or cut off") from e
        # Compaction leaves gaps between the offsets of a batch; they always rise, and
        # never beyond the last offset that the header names.
        if not last_delta < delta <= most_delta:
            raise InvalidRecord(
                f"offset delta {delta} after {last_delta} in a batch that ends at {most_delta}"
            )
        last_delta = delta
        yield record
    if position != len(body):
        raise InvalidRecord(
            f"{len(body) - position} bytes after the last record of a batch of "
            f"{header.record_count}"
        )


def all_records(data: Buffer) -> Iterator[Record]:
    """The records of all batches in ``data``, without control batches.

    Raises:
        CorruptBatch, InvalidRecord, UnknownCodec.
    """
    for header in batches(data):
        if not header.is_control:
            yield from records(data, header)


def _decompressed(batch: Buffer, header: BatchHeader) -> Buffer:
    """The records of a batch as bytes, with a count that these bytes can hold."""
    start, end = header.position + HEADER_SIZE, header.position + header.size
    if end > len(batch) or end < start:
        raise InvalidRecord(
            f"a batch of {header.size} bytes with {len(batch) - header.position} left"
        )
    try:
        body = decompress(header.compression, memoryview(batch)[start:end])
    except CannotDecompress as e:
        raise InvalidRecord(str(e)) from e
    return body


def _read(
    body: Buffer, position: int, header: BatchHeader, append_time: int | None
) -> tuple[Record, int, int]:
    """A record, its offset delta, and the position after it. Raises: InvalidRecord, and
    ProtocolError or IndexError for a varint that is too long or cut off."""
    end, position = record_end(body, position)
    size = end - position
    timestamp_delta, position = read_varint(body, position + 1)  # after the unused attributes
    offset_delta, position = read_varint(body, position)
    key, position = _bytes(body, position, end)
    value, position = _bytes(body, position, end)
    count, position = header_count(body, position, end)
    headers: Headers = ()
    if count:
        headers, position = _headers(body, position, end, count)
    if position != end:
        raise InvalidRecord(f"a record of {size} bytes takes {size + position - end}")
    timestamp = header.base_timestamp + timestamp_delta if append_time is None else append_time
    record = Record(header.base_offset + offset_delta, timestamp, key, value, headers)
    return record, offset_delta, position


def _headers(body: Buffer, position: int, end: int, count: int) -> tuple[Headers, int]:
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, position = _bytes(body, position, end)
        content, position = _bytes(body, position, end)
        if name is None:
            raise InvalidRecord("a record header has no key")
        try:
            headers.append((name.decode(), content))
        except UnicodeDecodeError as e:
            raise InvalidRecord("the key of a record header is not UTF-8") from e
    return tuple(headers), position


def _bytes(body: Buffer, position: int, end: int) -> tuple[bytes | None, int]:
    size, position = length(body, position, end)
    if size < 0:
        return None, position
    return bytes(body[position : position + size]), position + size


# ---- the bounds of records, also for those who read no more of them
def check_record_count(body: Buffer, header: BatchHeader) -> None:
    """Raises: InvalidRecord, when the header counts more records than could be in ``body``."""
    if not 0 <= header.record_count <= len(body) // LEAST_RECORD_SIZE:
        raise InvalidRecord(f"record count {header.record_count} in {len(body)} bytes")


def record_end(body: Buffer, position: int) -> tuple[int, int]:
    """Return where the record ends that begins at ``position``, and where its attributes are.

    Raises:
        InvalidRecord: it is too short, or ends behind ``body``.
        ProtocolError, IndexError: as ``read_varint``; so in the functions below.
    """
    size, position = read_varint(body, position)
    if size < LEAST_RECORD_SIZE - 1 or position + size > len(body):
        raise InvalidRecord(f"a record of {size} bytes with {len(body) - position} left")
    return position + size, position


def length(body: Buffer, position: int, end: int) -> tuple[int, int]:
    """Return the length of a key or value, -1 for null, and the position after it.

    Raises:
        InvalidRecord: the bytes would reach beyond ``end``, that of the record.
    """
    size, position = read_varint(body, position)
    if size < -1 or position + size > end:
        raise InvalidRecord(f"a length of {size} with {end - position} bytes left")
    return size, position


def header_count(body: Buffer, position: int, end: int) -> tuple[int, int]:
    """Return how many headers a record has, and the position after the number.

    Raises:
        InvalidRecord: they cannot all be in front of ``end``.
    """
    count, position = read_varint(body, position)
    if not 0 <= count <= (end - position) // 2:  # a header takes at least its two lengths
        raise InvalidRecord(f"a header count of {count} with {end - position} bytes left")
    return count, position
