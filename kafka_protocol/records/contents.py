"""Check every record of a batch against the batch's header, without making objects of them.

Apache Kafka does the same before it appends a batch (``LogValidator``): a batch that lies
about its contents would be stored and replicated, and then stop every consumer at its
offset. A walk can be interrupted, because one of a million records takes a second.

Most records of a batch are alike: the same numbers of bytes for length, timestamp delta and
offset delta, a key shorter than 64 bytes, a value shorter than 8 KiB, few headers. Those
are read with two ``unpack`` each and tables, in 0.4 us, and in 0.2 with one while their keys
have one length and they have no headers. Where they have one size besides, as those of measuring
tools and of many binary formats, they are compared by columns, in 0.02 us. Any other is read by
``_any_record``, in 4. What the faster does not accept, the slower reads again, and the last
refuses what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from operator import length_hint
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from kafka_protocol.fields import Buffer
from kafka_protocol.primitives import ProtocolError, read_varint
from kafka_protocol.records.batch import BatchHeader
from kafka_protocol.records.record import (
    InvalidRecord,
    check_record_count,
    header_count,
    length,
    record_end,
)

KEYLESS_MOST = 3
"""Indexes of records without a key that are kept."""
INT64_MOST = (1 << 63) - 1
TIMESTAMP_BYTES = 6
"""The longest timestamp delta of records that are read alike: 139 years."""
HEADERS_ALIKE = 4
"""The most headers of records that are read alike."""
HEADERS_AT_ONCE = 256
"""Headers of a record that are read without a look at how much was to be done at once."""
RUN = 1 << 13
"""Offset deltas that differ in their first two bytes only, of three."""
EQUALS_LEAST = 32
"""Records of one size from which on it is worth while to compare them by columns."""
TWINS_LEAST = 16
"""Records from which on it is worth while to look for those without headers and with one length of
key."""
_UNCOMMON = 1 << 40
"""Beyond the end of any batch."""


class Contents(NamedTuple):
    """What the records of a batch say, where a topic's settings may refuse it.

    Timestamps are in milliseconds since the epoch, -1 for none.
    """

    earliest: int
    latest: int
    latest_at: int
    """The index of the first record with the timestamp ``latest``."""
    keyless: tuple[int, ...]
    """The indexes of the first KEYLESS_MOST records without a key."""


def _spans() -> list[int]:
    """For each two bytes: how many bytes a length takes that begins with them, with what it
    counts; _UNCOMMON for a length below -1 or of more than two bytes. Lengths are zigzag varints:
    twice the number, -1 is 1."""
    spans: list[int] = []
    for first in range(256):
        if first == 1:
            spans += [1] * 256
        elif first & 1:
            spans += [_UNCOMMON] * 256
        elif first < 128:
            spans += [1 + (first >> 1)] * 256
        else:
            least = 2 + ((first & 127) >> 1)
            spans += range(least, least + 64 * 128, 64)  # the second byte counts in 64s
            spans += [_UNCOMMON] * 128
    return spans


_SPANS = _spans()
_SIZES = (
    _SPANS[: 128 << 8] + [_UNCOMMON] * (128 << 8),
    [_UNCOMMON] * (128 << 8) + _SPANS[128 << 8 :],
)
"""The same for the length of a record, by the number of bytes that it has in this run."""
_OFFSETS = (
    list(range(0, 128, 2)),
    [first for second in range(128) for first in range(0x8000 | second, 0x10000, 512)],
    [first for second in range(128) for first in range(0x8080 | second, 0x10000, 512)],
)
"""What an offset delta begins with, by its number of bytes less one: the first byte, or the first
two."""
_OFFSET_COLUMNS = (
    (bytes(range(0, 128, 2)),),
    (
        bytes(2 * index & 127 | 128 for index in range(RUN)),
        bytes(index >> 6 for index in range(RUN)),
    ),
)
"""The first bytes of the offset deltas of one byte, and the first and second of those of two."""
_two_bytes = Struct(">H").unpack_from

_Start = Callable[[Buffer, int], tuple[int, bytes, int, int]]


class _Shape(NamedTuple):
    """How many bytes a record begins with: its length, timestamp delta and offset delta."""

    length: int
    timestamp: int
    offset: int


@cache
def _start_of(shape: _Shape) -> _Start:
    """Return a function that reads the start of a record: two bytes from its beginning, the
    timestamp delta, the first byte or two of the offset delta, and what follows, up to the byte
    of the key's length."""
    read: _Start = Struct(f">{_format_of(shape)}").unpack_from
    return read


def _format_of(shape: _Shape) -> str:
    attributes = "x" if shape.length == 2 else ""  # else it is the second of the two bytes
    return f"H{attributes}{shape.timestamp}s{('BB', 'HB', 'HH')[shape.offset - 1]}"


_Twin = Callable[[Buffer, int], tuple[int, int, bytes, int, int, int]]


@lru_cache(maxsize=256)
def _twin_of(shape: _Shape, key: int) -> _Twin:
    """Return a function that reads, from the byte before a record with a key of ``key`` bytes on:
    that byte, what ``_start_of`` reads, and two bytes from the length of the value on."""
    read: _Twin = Struct(f">B{_format_of(shape)}{key}xH").unpack_from
    return read


@lru_cache(maxsize=64)
def _values_of(shape: _Shape, above: int) -> Mapping[int, int]:
    """Return, by what is read of the length of a key, how far from the start of the record its
    value begins. Only keys that are null or shorter than 64 bytes are listed."""
    before = sum(shape) + 2  # the attributes, and the length of the key
    lengths = [(1, 0), *((2 * length, length) for length in range(64))]
    return {(above << 8) + code: before + length for code, length in lengths}


class Walk:
    """Goes through the records of one batch, as many at a time as its caller likes."""

    def __init__(self, body: Buffer, header: BatchHeader) -> None:
        """``body`` are the records, decompressed.

        Raises:
            InvalidRecord: the header counts more records than could be in ``body``.
        """
        check_record_count(body, header)
        self._body = body
        self._header = header
        self._index = 0
        self._next = 0
        """The position of the record number ``_index``, or within its headers."""
        self._may_be_equal = True
        """Whether records of one size may follow."""
        self._headers_left = 0
        self._record_end = 0
        """Of the record whose headers are being read."""
        # Timestamps as differences to the base timestamp, which the first record need not have.
        self._least = 2 * INT64_MOST
        self._most = -self._least
        self._latest_at = 0
        self._keyless: list[int] = []

    def advance(self, records: int) -> bool:
        """Check about ``records`` more records, of which many headers count as one more; return
        whether all are checked.

        Raises:
            InvalidRecord: a record, or their number, is not what lengths and header say.
        """
        count = self._header.record_count
        while records > 0 and self._index < count:
            before = self._index
            if not self._headers_left:
                self._records(min(count, before + records))
            records -= self._index - before
            if self._index == before:
                self._any_record()
                records -= 1
        if self._index < count:
            return False
        if self._next != len(self._body):
            raise InvalidRecord(
                f"{len(self._body) - self._next} bytes after the last record of a batch of {count}"
            )
        return True

    def contents(self) -> Contents:
        """Return what was learned; call it when ``advance`` has returned True.

        Raises:
            InvalidRecord: a timestamp is beyond 64 bits.
        """
        base = self._header.base_timestamp
        earliest, latest = base + self._least, base + self._most
        if earliest < -INT64_MOST - 1 or latest > INT64_MOST:
            raise InvalidRecord(f"timestamps from {earliest} to {latest} do not fit into 64 bits")
        return Contents(earliest, latest, self._latest_at, tuple(self._keyless))

    # ---- records that are alike
    def _records(self, until: int) -> None:
        """Check records up to the index ``until`` at most, as long as they are alike."""
        shape, before = self._shape(), self._index
        if shape is None:
            return
        if until - before > TWINS_LEAST:
            if not before:
                until = 1  # twins are read from the byte before them on
            else:
                if self._may_be_equal and shape.offset < 3:
                    self._equals(shape, until)
                    self._may_be_equal = self._index > before
                if self._index == before:
                    self._twins(shape, until)
                if self._index - before >= TWINS_LEAST:
                    return
        self._records_alike(shape, until)

    def _shape(self) -> _Shape | None:
        """Return the shape of the next record, or None when it has none of those."""
        body, p, index = self._body, self._next, self._index
        timestamp = 1
        try:
            size_bytes = 1 if body[p] < 128 else 2
            p += size_bytes + 1  # after the attributes, which are unused
            while body[p] >= 128:
                p += 1
                timestamp += 1
        except IndexError:
            return None
        if timestamp > TIMESTAMP_BYTES or index >= 128 * RUN:
            return None
        return _Shape(size_bytes, timestamp, 1 if index < 64 else 2 if index < RUN else 3)

    def _records_alike(self, shape: _Shape, until: int) -> None:
        """Check records up to the index ``until``, as long as they have this shape."""
        body, spans, two_bytes, size = self._body, _SPANS, _two_bytes, len(self._body)
        read_start, sizes = _start_of(shape), _SIZES[shape.length - 1]
        index, p, last = self._index, self._next, b""
        wants_keyless = len(self._keyless) < KEYLESS_MOST
        # The last byte of a long offset delta is read with the length of the key, above it.
        above, run = divmod(index, RUN) if shape.offset == 3 else (0, index)
        values, null = _values_of(shape, above), 1 + (above << 8)
        offsets = iter(_OFFSETS[shape.offset - 1][run : run + until - index])
        until = index + length_hint(offsets)
        try:
            for offset in offsets:
                size_code, timestamp, found, key = read_start(body, p)
                if found != offset:
                    break
                end = p + sizes[size_code]
                q = p + values[key]
                q += spans[two_bytes(body, q)[0]]
                if (q + 1 != end or body[q]) and (
                    end > size or body[q] > 2 * HEADERS_ALIKE or _headers(body, q, end) != end
                ):
                    break
                if timestamp != last:
                    if not self._timestamp(until - 1 - length_hint(offsets), timestamp):
                        break
                    last = timestamp
                if key == null and wants_keyless:
                    self._keyless.append(until - 1 - length_hint(offsets))
                    wants_keyless = len(self._keyless) < KEYLESS_MOST
                p = end
            else:
                self._index, self._next = until, p
                return
        except (StructError, LookupError, ProtocolError, InvalidRecord):
            pass  # _any_record says what is wrong
        self._index, self._next = until - 1 - length_hint(offsets), p

    def _twins(self, shape: _Shape, until: int) -> None:
        """Check records up to the index ``until``, as long as they have this shape, no headers, and
        keys as long as that of the next. Each ends with the number of its headers, which is read
        with the record behind it."""
        body, spans, sizes, start = self._body, _SPANS, _SIZES[shape.length - 1], self._index
        p = before = self._next
        above, run = divmod(start, RUN) if shape.offset == 3 else (0, start)
        key_at = p + sum(shape) + 1
        same_key = (above << 8) + (body[key_at] if key_at < len(body) else 255)
        around_value = _values_of(shape, above).get(same_key, 0) + 1
        if around_value == 1:
            return
        read = _twin_of(shape, around_value - sum(shape) - 3)
        offsets = iter([*_OFFSETS[shape.offset - 1][run : run + until - start], _UNCOMMON])
        end, last = start + length_hint(offsets) - 1, b""
        try:
            for offset in offsets:
                headers, size, timestamp, found, key, value = read(body, p - 1)
                if (
                    headers
                    or found != offset
                    or key != same_key
                    or sizes[size] - spans[value] != around_value
                ):
                    break
                if timestamp != last:
                    if not self._timestamp(end - length_hint(offsets), timestamp):
                        break
                    last = timestamp
                before, p = p, p + sizes[size]
        except (StructError, LookupError, ProtocolError):
            pass
        index = end - length_hint(offsets)
        if index > start and (p > len(body) or body[p - 1]):
            index, p = index - 1, before  # the last has headers, or is cut off
        if same_key & 255 == 1:
            self._note_keyless(start, index)
        self._index, self._next = index, p

    def _equals(self, shape: _Shape, until: int) -> None:
        """Check records up to the index ``until``, as long as they have this shape, no headers, and
        the lengths of the record, the key and the value of the next: by columns, each a byte of
        all of them."""
        body, start, p = self._body, self._index, self._next
        key_at = sum(shape) + 1
        if p + key_at + 2 > len(body):
            return
        value_at = _values_of(shape, 0).get(body[p + key_at], 0)
        size = _SIZES[shape.length - 1][_two_bytes(body, p)[0]]
        count = min(until - start, (len(body) - p) // size)
        offsets = _OFFSET_COLUMNS[shape.offset - 1]
        count = min(count, len(offsets[0]) - start)
        if not value_at or value_at + 2 > size or count < EQUALS_LEAST:
            return
        (value_code,) = _two_bytes(body, p + value_at)
        if value_at + _SPANS[value_code] + 1 != size:
            return

        def column(at: int) -> bytes:
            return bytes(body[p + at : p + at + (count - 1) * size + 1 : size])

        constant = [size - 1, key_at, value_at, *range(shape.length)]
        if value_code >= 0x8000:
            constant.append(value_at + 1)
        for at in constant:
            found = column(at)
            same = found[:1] if at < size - 1 else b"\0"
            count -= len(found.lstrip(same))
            if count < EQUALS_LEAST:
                return
        offset_at = key_at - shape.offset
        for byte, expected in enumerate(offsets):
            if column(offset_at + byte) != expected[start : start + count]:
                return
        times = [column(at) for at in range(offset_at - shape.timestamp, offset_at)]
        if shape.timestamp == 1:
            first_of = {code: times[0].index(code) for code in set(times[0])}
            codes = {bytes((code,)): index for code, index in first_of.items()}
        else:
            backwards = zip(*(reversed(one) for one in times), strict=True)
            codes = {
                bytes(code): index
                for code, index in zip(backwards, range(count - 1, -1, -1), strict=True)
            }
        try:
            if not all(self._timestamp(start + index, code) for code, index in codes.items()):
                return
        except (LookupError, ProtocolError):
            return
        if body[p + key_at] == 1:
            self._note_keyless(start, start + count)
        self._index, self._next = start + count, p + count * size

    def _timestamp(self, index: int, code: bytes) -> bool:
        """Note a record's timestamp delta; return False when these bytes are not one varint.

        Raises:
            IndexError: they are the beginning of a longer one.
        """
        delta, end = read_varint(code, 0)
        if end != len(code):
            return False
        self._note_timestamp(index, delta)
        return True

    def _note_keyless(self, start: int, end: int) -> None:
        left = KEYLESS_MOST - len(self._keyless)
        self._keyless += range(start, min(end, start + left))

    def _note_timestamp(self, index: int, delta: int) -> None:
        if delta > self._most:
            self._most, self._latest_at = delta, index
        self._least = min(self._least, delta)

    # ---- any record
    def _any_record(self) -> None:
        """Check the next record, or the next HEADERS_AT_ONCE of its headers.

        Raises:
            InvalidRecord
        """
        number = self._index
        try:
            if not self._headers_left:
                self._begin_record(number)
            headers = min(self._headers_left, HEADERS_AT_ONCE)
            self._next = _skip_headers(self._body, self._next, self._record_end, headers)
            self._headers_left -= headers
        except (ProtocolError, IndexError):
            raise InvalidRecord(f"record {number}: a varint is too long or cut off") from None
        except InvalidRecord as e:
            raise InvalidRecord(f"record {number}: {e}") from None
        if not self._headers_left:
            if self._next != self._record_end:
                raise InvalidRecord(
                    f"record {number}: {self._record_end - self._next} bytes after its headers"
                )
            self._index += 1

    def _begin_record(self, number: int) -> None:
        """Read up to the headers.

        Raises:
            InvalidRecord, ProtocolError, IndexError
        """
        body = self._body
        end, p = record_end(body, self._next)
        timestamp, p = read_varint(body, p + 1)
        offset, p = read_varint(body, p)
        if offset != number:
            raise InvalidRecord(f"its offset delta is {offset}")
        key, p = length(body, p, end)
        value, p = length(body, p + max(0, key), end)
        p += max(0, value)
        self._headers_left, self._next = header_count(body, p, end)
        self._record_end = end
        self._note_timestamp(number, timestamp)
        if key < 0 and len(self._keyless) < KEYLESS_MOST:
            self._keyless.append(number)


def _headers(body: Buffer, p: int, end: int) -> int:
    """Return the position after a record's headers, which begin with their count.

    Raises:
        InvalidRecord, ProtocolError, IndexError
    """
    headers, p = header_count(body, p, end)
    return _skip_headers(body, p, end, headers)


def _skip_headers(body: Buffer, p: int, end: int, headers: int) -> int:
    for _ in range(headers):
        size, p = length(body, p, end)
        if size < 0:
            raise InvalidRecord("a header has no key")
        size, p = length(body, p + size, end)
        if size > 0:
            p += size
    return p
