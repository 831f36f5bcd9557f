"""What one Fetch response brings of one partition, made into records a few at a time.

Nothing here fails: what cannot be read becomes a record with ``unreadable``, and reading goes on
behind it, after a record where its length can be believed, after a batch otherwise. One batch at a
time is unpacked, to UNPACKED_MOST bytes at most.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kafka_client.error_map import clean
from kafka_client.model import Header, Record, TopicPartition, Unreadable
from kafka_protocol.fields import Buffer
from kafka_protocol.primitives import ProtocolError, read_uvarint, read_varint
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_V2,
    TIMESTAMP_APPEND_TIME,
    BatchHeader,
    crc_matches,
    read_header,
)
from kafka_protocol.records.compression import CannotDecompress, TooLarge, UnknownCodec, decompress
from kafka_protocol.records.message_set import Message, messages
from kafka_protocol.records.record import InvalidRecord, header_count, length, record_end

UNPACKED_MOST = 128 << 20
"""Bytes of one batch, unpacked: above what brokers take in, far below what a bomb unpacks to."""
OLD_AT_ONCE = 100
RECORD_OVERHEAD = 100
"""Bytes of memory that a record takes beside key, value and headers, about."""
_MAGIC_AT = 16
_LEAST_OF_MAGIC = {0: 14, 1: 22, MAGIC_V2: HEADER_SIZE - LOG_OVERHEAD}
"""The least that the length of a message or batch counts, by format."""
_IMPOSSIBLE = -1
_START = struct.Struct(">qi")
_ABORT = b"\x00\x00\x00\x00"
"""The key of the control record that aborts a transaction: version 0, type 0."""

Aborted = Sequence[tuple[int, int]]
"""(producer id, first offset of its transaction)."""


class _Batch:
    """The batch whose records are being read."""

    def __init__(self, header: BatchHeader, body: bytes) -> None:
        self.header, self.body = header, body
        self.at = 0
        self.left = header.record_count
        self.last_delta = -1


class _OldBatch(NamedTuple):
    """A message of a format before v2, which may hold many."""

    start: int
    last_offset: int
    messages: Iterator[Message]


class Segment:
    """The batches that a response brings of the partition ``tp`` from ``position`` on. Records of
    the transactions in ``aborted`` are left out, and so are control records."""

    def __init__(
        self, tp: TopicPartition, position: int, data: Buffer, aborted: Aborted = ()
    ) -> None:
        self.tp = tp
        self.position = position
        """The offset after everything that ``take`` returned or passed."""
        self.unpassable = ""
        """Why reading cannot go on behind ``position`` with these bytes: a batch whose length is
        not to be believed. Empty otherwise."""
        self.last_timestamp_ms = -1
        self._data = data if isinstance(data, bytes) else bytes(data)
        self.end = max(position, _end_of(self._data))
        """Where to fetch on: behind the whole batches, as their headers say without a check. It
        differs from the ``position`` behind all of them only when a header is damaged."""
        self._at = 0
        self._batch: _Batch | None = None
        self._old: _OldBatch | None = None
        self._aborts_to_come = sorted(aborted, key=lambda a: a[1], reverse=True)
        self._aborting: set[int] = set()
        """The producers whose transaction is one of ``aborted``, up to its end."""

    @property
    def size(self) -> int:
        """Bytes of the response that it keeps."""
        return len(self._data)

    @property
    def cut_off(self) -> bool:
        """Return whether the response had only the beginning of the first batch."""
        return _size_of_batch(self._data, 0) == 0

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of the batch that is unpacked now."""
        if self._old is not None:
            return UNPACKED_MOST  # not known: it may be so many
        return len(self._batch.body) if self._batch is not None else 0

    def drop_unpacked(self) -> None:
        """Free the batch that is unpacked. It is unpacked again when reading goes on."""
        if self._batch is not None:
            self._at = self._batch.header.position
        elif self._old is not None:
            self._at = self._old.start
        self._batch = self._old = None

    @property
    def left(self) -> bool:
        """Return whether ``take`` has more to bring."""
        return self._batch is not None or self._old is not None or self._has_batch()

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """At most ``max_records`` more records, and no more once they take ``max_bytes``."""
        out: list[Record] = []
        room = max_bytes
        while room > 0 and len(out) < max_records:
            batch, before = self._batch, len(out)
            if batch is not None:
                # By the size of its records, so that large ones come a few at a time. Those in
                # front of ``position`` count for nothing: what was dropped is read again.
                each = _record_bytes(batch)
                self._read_some(batch, out, min(max_records - before, 1 + room // each))
                room -= each * (len(out) - before)
            elif self._old is not None:
                room -= self._read_old(self._old, out, min(max_records - before, OLD_AT_ONCE))
            elif self._has_batch():
                self._next_batch(out)
            else:
                break
        return out

    # ---- batches
    def _has_batch(self) -> bool:
        """Return whether a whole batch begins at ``_at``. Notes a length that cannot be."""
        size = _size_of_batch(self._data, self._at)
        if size == _IMPOSSIBLE:
            self.unpassable = "Its batch is damaged: the length in front of it cannot be."
        return size > 0

    def _next_batch(self, out: list[Record]) -> None:
        """Open the batch at ``_at``, or pass it."""
        start = self._at
        offset, size = _START.unpack_from(self._data, start)
        self._at = start + LOG_OVERHEAD + size
        magic = self._data[start + _MAGIC_AT]
        if magic < MAGIC_V2:
            if offset >= self.position:
                data = memoryview(self._data)[start : self._at]
                self._old = _OldBatch(start, offset, messages(data, UNPACKED_MOST))
        elif magic > MAGIC_V2:
            self._mark(out, offset, f"Its batch has the unknown format {magic}.")
        else:
            self._open(read_header(self._data, start), out)

    def _open(self, header: BatchHeader, out: list[Record]) -> None:
        if not crc_matches(self._data, header):
            self._mark(out, self._end_of_damaged(header), "Its batch is damaged: wrong checksum.")
        elif header.next_offset <= self.position:
            pass  # in front of where reading began
        elif header.is_control:
            self._end_transaction(header)
            self._pass_to(header.next_offset)
        elif self._is_aborted(header):
            self._pass_to(header.next_offset)
        else:
            self._unpack(header, out)

    def _end_of_damaged(self, header: BatchHeader) -> int:
        """The last offset of a batch whose header may be wrong: up to the next batch, if it is
        here, as the brokers number them."""
        if len(self._data) - self._at >= _MAGIC_AT:
            following, _ = _START.unpack_from(self._data, self._at)
            if following > self.position:
                return int(following) - 1
        return max(self.position, header.last_offset) if header.last_offset >= 0 else self.position

    def _unpack(self, header: BatchHeader, out: list[Record]) -> None:
        start, end = header.position + HEADER_SIZE, header.position + header.size
        try:
            body = decompress(header.compression, memoryview(self._data)[start:end], UNPACKED_MOST)
        except UnknownCodec:
            why = f"Its batch names a compression that does not exist ({header.compression})."
            self._mark(out, header.last_offset, why)
        except TooLarge:
            why = f"Its batch unpacks to more than {UNPACKED_MOST >> 20} MiB."
            self._mark(out, header.last_offset, why)
        except CannotDecompress as error:
            why = f"Its batch cannot be unpacked: {clean(error)}."
            self._mark(out, header.last_offset, why)
        else:
            self._batch = _Batch(header, bytes(body))

    def _read_old(self, old: _OldBatch, out: list[Record], most: int) -> int:
        """Read at most ``most`` messages of a format before v2; return the bytes of memory that
        they take."""
        topic, partition = self.tp
        taken = 0
        try:
            for _ in range(most):
                m = next(old.messages)
                if m.offset < self.position:
                    continue
                kind = "append" if m.append_time else "create" if m.timestamp >= 0 else "none"
                out.append(Record(topic, partition, m.offset, m.timestamp, kind, m.key, m.value))
                self.note(out[-1])
                taken += len(m.key or b"") + len(m.value or b"") + RECORD_OVERHEAD
        except StopIteration:
            self._old = None
            self._pass_to(old.last_offset + 1)
        except (InvalidRecord, UnknownCodec, CannotDecompress) as error:
            self._old = None
            self._mark(out, old.last_offset, f"Its message set cannot be read: {clean(error)}.")
        return taken

    # ---- transactions (KIP-98)
    def _is_aborted(self, header: BatchHeader) -> bool:
        while self._aborts_to_come and self._aborts_to_come[-1][1] <= header.last_offset:
            self._aborting.add(self._aborts_to_come.pop()[0])
        return header.is_transactional and header.producer_id in self._aborting

    def _end_transaction(self, header: BatchHeader) -> None:
        """A control batch holds one record; its key says whether it commits or aborts."""
        self._is_aborted(header)
        body = memoryview(self._data)[header.position + HEADER_SIZE : header.position + header.size]
        try:
            _, at = record_end(body, 0)
            _, at = read_varint(body, at + 1)  # the timestamp, behind the attributes
            _, at = read_varint(body, at)  # the offset
            size, at = length(body, at, len(body))
        except (InvalidRecord, ProtocolError, IndexError):
            return
        if bytes(body[at : at + size]) == _ABORT:
            self._aborting.discard(header.producer_id)

    # ---- records
    def _read_some(self, batch: _Batch, out: list[Record], most: int) -> None:
        """Read at most ``most`` records of the batch that is open."""
        wanted = min(batch.left, most)
        left_after = batch.left - wanted
        while batch.left > left_after:
            _read_plain(self, batch, left_after, out)
            if batch.left > left_after and not self._read_any(batch, out):
                return
        if batch.left <= 0:
            self._close_batch(batch, out)

    def _read_any(self, batch: _Batch, out: list[Record]) -> bool:
        """Read one record of any shape. Return False when the batch cannot be read further."""
        header, body = batch.header, batch.body
        most = header.last_offset - header.base_offset
        try:
            end, at = record_end(body, batch.at)
            timestamp_delta, at = read_varint(body, at + 1)
            delta, at = read_varint(body, at)
            if not batch.last_delta < delta <= most:
                raise InvalidRecord(f"offset delta {delta} after {batch.last_delta} of {most}")
        except (InvalidRecord, ProtocolError, IndexError) as error:
            self._mark_rest(batch, out, f"The batch is malformed from here on: {clean(error)}.")
            return False
        batch.at, batch.last_delta, batch.left = end, delta, batch.left - 1
        offset = header.base_offset + delta
        try:
            key, at = _bytes(body, at, end)
            value, at = _bytes(body, at, end)
            headers = _headers(body, at, end)
        except (InvalidRecord, ProtocolError, IndexError) as error:
            self._mark(out, offset, f"The record is malformed: {clean(error)}.")
            return True
        if offset >= self.position:
            timestamp_ms, kind = _time(header, timestamp_delta)
            epoch = header.leader_epoch
            out.append(Record(*self.tp, offset, timestamp_ms, kind, key, value, headers, epoch))
            self.note(out[-1])
        return True

    def note(self, record: Record) -> None:
        """Note the newest record that was made."""
        self.position, self.last_timestamp_ms = record.offset + 1, record.timestamp_ms

    def _close_batch(self, batch: _Batch, out: list[Record]) -> None:
        if batch.at < len(batch.body):
            self._mark_rest(batch, out, "The batch holds more records than it counts.")
        self._batch = None
        self._pass_to(batch.header.next_offset)

    def _mark_rest(self, batch: _Batch, out: list[Record], why: str) -> None:
        self._batch = None
        if batch.header.last_offset >= self.position:
            self._mark(out, batch.header.last_offset, why)

    def _mark(self, out: list[Record], last_offset: int, why: str) -> None:
        """Say that the offsets from ``position`` to the last one cannot be read."""
        last_offset = max(self.position, last_offset)
        first = self.position
        if out and out[-1].unreadable and out[-1].unreadable == Unreadable(first - 1, why):
            first = out.pop().offset  # one place, although it is several batches
        unreadable = Unreadable(last_offset, why)
        out.append(_mark(*self.tp, first, self.last_timestamp_ms, unreadable))
        self.position = last_offset + 1

    def _pass_to(self, offset: int) -> None:
        self.position = max(self.position, offset)


class Gap:
    """In place of a segment: offsets that no broker sends."""

    unpassable = ""
    unpacked_bytes = 0
    size = 0

    def __init__(self, tp: TopicPartition, position: int, unreadable: Unreadable) -> None:
        self.tp, self.position = tp, position
        self.end = unreadable.last_offset + 1
        self.last_timestamp_ms = -1
        self._unreadable = unreadable

    @property
    def left(self) -> bool:
        return self.position < self.end

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """As ``Segment.take``: one record."""
        topic, partition = self.tp
        first, self.position = self.position, self.end
        return [_mark(topic, partition, first, self.last_timestamp_ms, self._unreadable)]

    def drop_unpacked(self) -> None:
        """There is nothing."""


def _mark(
    topic: str, partition: int, offset: int, timestamp_ms: int, unreadable: Unreadable
) -> Record:
    return Record(topic, partition, offset, timestamp_ms, "none", None, None, unreadable=unreadable)


def _size_of_batch(data: bytes, at: int) -> int:
    """The bytes of the whole batch at ``at``; 0 when there is none, as the last of a response may
    be cut off, and _IMPOSSIBLE for a length that no batch has."""
    left = len(data) - at
    if left <= _MAGIC_AT:
        return 0
    _, size = _START.unpack_from(data, at)
    if size < _LEAST_OF_MAGIC.get(data[at + _MAGIC_AT], _LEAST_OF_MAGIC[0]):
        return _IMPOSSIBLE
    whole = LOG_OVERHEAD + int(size)
    return whole if whole <= left else 0


def first_offset(data: Buffer, asked: int) -> int | None:
    """The first offset of the batch that a response begins with: ``asked`` when there is none, None
    when its length cannot be."""
    head = bytes(data[: _MAGIC_AT + 1])
    if len(head) <= _MAGIC_AT:
        return asked
    if _size_of_batch(head, 0) == _IMPOSSIBLE:
        return None
    return int(_START.unpack_from(head)[0])


def _end_of(data: bytes) -> int:
    """The offset after the whole batches, as their headers say; -1 without one."""
    at, last = 0, -1
    while (size := _size_of_batch(data, at)) > 0:
        last, at = at, at + size
    if last < 0:
        return -1
    if data[last + _MAGIC_AT] == MAGIC_V2:
        return read_header(data, last).next_offset
    return int(_START.unpack_from(data, last)[0]) + 1


# ---- one record
def _read_plain(segment: Segment, batch: _Batch, left_after: int, out: list[Record]) -> None:
    """Read records with a short key and without headers until one is different or wrong:
    ``_read_any`` reads that one, which takes twice as long. Zigzag numbers are odd when they are
    negative; of lengths only -1 may be, which is null."""
    body, at, left, last = batch.body, batch.at, batch.left, batch.last_delta
    header, position, (topic, partition) = batch.header, segment.position, segment.tp
    base, epoch, size = header.base_offset, header.leader_epoch, len(body)
    most = header.last_offset - base
    base_ms, kind = _time(header, 0)
    create_time = kind == "create"
    before = len(out)
    try:
        while left > left_after:
            length_, q = body[at], at + 1
            if length_ > 127:
                length_, q = _longer(body, at)
            end = q + (length_ >> 1)
            time, q = body[q + 1], q + 2  # behind the attributes, which are unused
            if time > 127:
                time, q = _longer(body, q - 1)
            delta, q = body[q], q + 1
            if delta > 127:
                delta, q = _longer(body, q - 1)
            key, key_at = body[q], q + 1
            key_end = key_at + (key >> 1)
            value, value_at = body[key_end], key_end + 1
            if value > 127:
                value, value_at = _longer(body, key_end)
            value_end = value_at + (value >> 1)
            if (
                (length_ | delta) & 1
                or (key & 1 and key > 1)
                or (value & 1 and value > 1)
                or key > 127
                or value_end + 1 != end
                or end > size
                or body[value_end]
                or not last < delta >> 1 <= most
            ):
                break
            at, last, left = end, delta >> 1, left - 1
            if base + last >= position:
                out.append(
                    Record(
                        topic,
                        partition,
                        base + last,
                        base_ms + (time >> 1 ^ -(time & 1)) if create_time else base_ms,
                        kind,
                        None if key == 1 else body[key_at:key_end],
                        None if value == 1 else body[value_at:value_end],
                        (),
                        epoch,
                    )
                )
    except (IndexError, ProtocolError):
        pass  # _read_any says what is wrong
    batch.at, batch.left, batch.last_delta = at, left, last
    if len(out) > before:
        segment.note(out[-1])


def _longer(body: bytes, at: int) -> tuple[int, int]:
    """(varint without its zigzag, position after it) of one that takes more than one byte."""
    second = body[at + 1]
    if second < 128:
        return body[at] & 127 | second << 7, at + 2
    return read_uvarint(body, at, 64)


def _time(header: BatchHeader, delta: int) -> tuple[int, str]:
    if header.attributes & TIMESTAMP_APPEND_TIME:
        return header.max_timestamp, "append"
    return header.base_timestamp + delta, "create"


def _bytes(body: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = length(body, at, end)
    return (None, at) if size < 0 else (body[at : at + size], at + size)


def _headers(body: bytes, at: int, end: int) -> tuple[Header, ...]:
    count, at = header_count(body, at, end)
    headers: list[Header] = []
    for _ in range(count):
        key, at = _bytes(body, at, end)
        value, at = _bytes(body, at, end)
        # As clients in other languages write it, which need not be UTF-8.
        headers.append(Header((key or b"").decode("utf-8", "backslashreplace"), value))
    if at != end:
        raise InvalidRecord(f"{end - at} bytes after its headers")
    return tuple(headers)


def _record_bytes(batch: _Batch) -> int:
    """About how much memory a record of this batch takes."""
    return len(batch.body) // max(1, batch.header.record_count) + RECORD_OVERHEAD
