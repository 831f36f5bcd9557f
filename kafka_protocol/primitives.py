"""Kafka's primitive types as bytes: numbers of variable length, strings, byte arrays,
counts, tags.

``reader`` and ``writer`` generate code that calls these functions where a field is not
of fixed size; the hand-written paths and the record format call them too. Each function
takes the buffer and a position and returns the value and the position after it.

A length is checked against the bytes that are left before anything is allocated for it
(CVE-2022-34917). An index or an unpack past the end of the buffer raises IndexError or
struct.error; ``codec`` turns both into ProtocolError once for a whole message, so that
whole messages, which are nearly all, pay for no bounds check of their own.

Source: Kafka's protocol guide, KIP-482 (compact types and tagged fields).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kafka_protocol.fields import Buffer

ITEMS_MAX = 2_000_000
"""Structures, strings and byte arrays that the arrays of one message may hold together.
A frame of 32 MiB could otherwise become sixteen million objects, gigabytes of memory. A
Metadata response of 200,000 partitions has a tenth of this."""

CLIENT_ITEMS_MAX = 20_000
"""The same bound for a request of a client, in which numbers count too: so many are
decoded in about 40 ms, which is how long the requests of others wait. Ten thousand
partitions can be fetched."""

TAGS_MAX = 1024
"""Tagged fields that one structure may have; Kafka's schemas have at most nine."""

STRING_MAX = 0x7FFF
"""Bytes of a string: its length is a signed int16 in all versions before the compact
ones."""

UUIDS_KEPT = 32_768


class ProtocolError(Exception):
    """The bytes are not a well-formed message: close the connection that they came
    from."""


def too_many_items(most: int) -> ProtocolError:
    """The error for a message whose arrays hold more than ``most`` items."""
    return ProtocolError(f"the arrays of the message hold more than {most} items")


def does_not_fit(length: int, left: int) -> ProtocolError:
    """The error for a length that is negative or larger than the bytes that are
    left."""
    return ProtocolError(f"length {length} with {left} bytes left")


# ---- variable-length integers: seven bits a byte, lowest first, the top bit set but on the last
def read_uvarint(b: Buffer, p: int, bits: int = 32) -> tuple[int, int]:
    """An unsigned varint of at most ``bits`` bits.

    Raises:
        ProtocolError: it is longer or larger.
        IndexError: the buffer ends inside it.
    """
    value = b[p]
    p += 1
    if value < 0x80:
        return value, p
    value &= 0x7F
    for shift in range(7, bits, 7):
        byte = b[p]
        p += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits:  # the last byte has room for more bits than the number may have
                raise ProtocolError(f"a varint is larger than {bits} bits")
            return value, p
    raise ProtocolError(f"a varint is longer than {bits} bits need")


def write_uvarint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def read_varint(b: Buffer, p: int) -> tuple[int, int]:
    """A signed varint (zigzag: 0, -1, 1, -2, ...) of at most 64 bits, as records have
    them.

    Raises:
        ProtocolError, IndexError: as ``read_uvarint``.
    """
    value = b[p]
    if value < 0x80:  # nearly all in a record take one or two bytes: no second call for those
        return (value >> 1) ^ -(value & 1), p + 1
    second = b[p + 1]
    if second < 0x80:
        value = (value & 0x7F) | (second << 7)
        return (value >> 1) ^ -(value & 1), p + 2
    value, p = read_uvarint(b, p, 64)
    return (value >> 1) ^ -(value & 1), p


def write_varint(out: bytearray, value: int) -> None:
    """Append a signed (zigzag) varint of at most 64 bits."""
    write_uvarint(out, ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF)


# ---- reading
def span(b: Buffer, p: int, length: int) -> int:
    """The end of ``length`` bytes from ``p``.

    Raises:
        ProtocolError: the length is negative, or the buffer ends before.
    """
    end = p + length
    if length < 0 or end > len(b):
        raise does_not_fit(length, len(b) - p)
    return end


def read_string(b: Buffer, p: int, compact: bool, nullable: bool) -> tuple[str | None, int]:
    """A string; None for null, where null is allowed.

    Raises:
        ProtocolError, IndexError, UnicodeDecodeError.
    """
    if compact:
        length, p = read_uvarint(b, p)
        length -= 1  # compact lengths are stored plus one, so that 0 is null
    else:
        length = (b[p] << 8) | b[p + 1]
        p += 2
        if length >= 0x8000:  # int16
            length -= 0x10000
    if length == -1 and nullable:
        return None, p
    if length > STRING_MAX:
        raise ProtocolError(f"string of {length} bytes")
    end = span(b, p, length)
    return str(b[p:end], "utf-8"), end


def read_length(b: Buffer, p: int, compact: bool) -> tuple[int, int]:
    """The length of a byte array or the count of an array: int32, or a varint of it
    plus one."""
    if compact:
        length, p = read_uvarint(b, p)
        return length - 1, p
    end = span(b, p, 4)
    return int.from_bytes(b[p:end], "big", signed=True), end


def read_bytes(b: Buffer, p: int, compact: bool, nullable: bool) -> tuple[bytes | None, int]:
    """A byte array, copied. Raises: ProtocolError, IndexError."""
    length, p = read_length(b, p, compact)
    if length == -1 and nullable:
        return None, p
    end = span(b, p, length)
    return bytes(b[p:end]), end


def read_records(b: Buffer, p: int, compact: bool, nullable: bool) -> tuple[Any, int]:
    """As read_bytes, but a view: record batches are never copied on their way in."""
    length, p = read_length(b, p, compact)
    if length == -1 and nullable:
        return None, p
    end = span(b, p, length)
    return memoryview(b)[p:end], end


def read_count(b: Buffer, p: int, compact: bool, nullable: bool) -> tuple[int, int]:
    """The number of items of an array that is not null; -1 for null, where null is
    allowed."""
    count, p = read_length(b, p, compact)
    if count < 0 and not (count == -1 and nullable):
        raise ProtocolError(f"array of {count} items")
    return count, p


_uuids: dict[bytes, UUID] = {}


def read_uuid(data: Buffer) -> UUID:
    """The UUID of 16 bytes. Topic ids come again and again, and making one costs a
    microsecond: recent ones are kept."""
    key = bytes(data)
    known = _uuids.get(key)
    if known is None:
        if len(_uuids) >= UUIDS_KEPT:
            _uuids.clear()
        known = _uuids[key] = UUID(bytes=key)
    return known


def skip_tags(b: Buffer, p: int) -> int:
    """The position after a structure's tagged fields. Raises: ProtocolError,
    IndexError."""
    count, p = read_uvarint(b, p)
    if count > TAGS_MAX:
        raise ProtocolError(f"{count} tagged fields")
    for _ in range(count):
        _, p = read_uvarint(b, p)
        size, p = read_uvarint(b, p)
        p = span(b, p, size)
    return p


# ---- writing
def not_nullable(name: str) -> None:
    """Raises: ProtocolError: the field is null, and this version has no null for it."""
    raise ProtocolError(f"{name} is null, which cannot be sent")


def write_string(out: bytearray, value: str | None, compact: bool) -> None:
    if value is None:
        out += b"\x00" if compact else b"\xff\xff"
        return
    data = value.encode()
    if len(data) > STRING_MAX:
        raise ProtocolError(f"a string of {len(data)} bytes cannot be sent")
    if compact:
        write_uvarint(out, len(data) + 1)
    else:
        out += len(data).to_bytes(2, "big")
    out += data


def write_bytes(out: bytearray, value: Buffer | None, compact: bool) -> None:
    write_count(out, value, compact)
    if value is not None:
        out += value


def write_records(out: bytearray, value: Any, compact: bool) -> None:
    """As write_bytes. A slice of a log is read into memory here; the broker's Fetch
    responses send it from its file instead (``fetch_response``)."""
    if value is not None and not isinstance(value, bytes | bytearray):
        value = value.tobytes()
    write_bytes(out, value, compact)


def write_count(out: bytearray, value: Any, compact: bool) -> None:
    """The length of a byte array or an array, in front of its bytes or items."""
    if compact:
        write_uvarint(out, 0 if value is None else len(value) + 1)
    else:
        out += b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "big")
