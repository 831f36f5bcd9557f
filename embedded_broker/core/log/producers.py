"""The state of a log's idempotent producers: each one's epoch and its last five
batches.

Sequence numbers tell a repeated batch from a new one. The state follows from the log
alone: leaders and followers update it with each batch that they append; after a start
or a truncation it is rebuilt from the newest snapshot and the headers of the batches
after it. Source: KIP-98, KIP-360 (an unknown producer may start at any sequence).

A snapshot names the leader epoch of the batch before it, which identifies the whole log
up to there (KIP-101): one that describes batches that a truncation has removed or a power
cut has lost does not fit the log any more.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Mapping

from embedded_broker.core.ports import PartitionLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import BatchHeader
from kafka_protocol.records.checksum import crc32c

MAX_INT = 0x7FFFFFFF
SNAPSHOT_EVERY = 2_000
"""Batches between two snapshots; so many headers are read in some ten milliseconds."""
PRODUCERS_MOST = 10_000
"""Producers of a log that are known. Anybody may write with any producer id, and each costs 300
bytes: beyond that, the one that has been idle for longest is forgotten as if it had expired."""
SNAPSHOT_VERSION = 1
_SNAPSHOT = struct.Struct(">hI")
"""Version, checksum of what follows."""
_BEGIN = struct.Struct(">ii")
"""Leader epoch of the batch before the snapshot, number of producers."""
_PRODUCER = struct.Struct(">qhqb")
"""Producer id, epoch, newest timestamp, number of batches."""
_BATCH = struct.Struct(">iiqq")
KEPT_BATCHES = 5
_WIDTH = 4
"""Numbers kept per batch: first sequence, last sequence, base offset, maximum
timestamp."""


def add_sequence(sequence: int, count: int) -> int:
    """Add with wrap-around: sequence numbers run from 0 to 2**31-1 and then from 0
    again."""
    return (sequence + count) & MAX_INT


class _Producer:
    """``recent`` is flat, oldest batch first: plain integers, which the garbage
    collector does not traverse even for a million batches."""

    __slots__ = ("epoch", "last_timestamp", "recent")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.last_timestamp = -1
        self.recent: list[int] = []


class ProducerStates:
    """The producers of one log."""

    def __init__(self, log: PartitionLog) -> None:
        self._log = log
        self._producers: OrderedDict[int, _Producer] = OrderedDict()
        """By producer id, the one that wrote last at the end."""
        self._position = -1
        """The state reflects the log up to here; -1 before its load has begun."""
        self.loaded = log.log_end_offset == log.log_start_offset
        """Whether it reflects the whole log. An empty log needs no load."""
        self._unsaved = 0
        """Batches since the last snapshot."""
        self._refused: dict[int, tuple[int, int]] = {}
        """Producer id -> (epoch, sequence) of the first batch that was refused while the state
        was loaded: until it comes again, those behind it are refused likewise."""

    def __len__(self) -> int:
        return len(self._producers)

    def newest(self, producer_id: int) -> tuple[int, int] | None:
        """Return (epoch, last sequence) of a producer's newest batch; None for one that is not
        known, or has none."""
        known = self._producers.get(producer_id)
        if known is None or not known.recent:
            return None
        return known.epoch, known.recent[-_WIDTH + 1]

    def check(self, header: BatchHeader) -> tuple[int, int, int]:
        """Judge a client's batch that carries a producer id; the state is loaded.

        Returns (error code, base offset and timestamp of the batch that this one
        repeats). The last two are -1 for a new batch and for an error.
        """
        assert self.loaded
        # KIP-360: a producer whose state has expired or was deleted may start at any
        # sequence.
        known = self._producers.get(header.producer_id)
        if known is None or not known.recent:
            waits = self._refused and self._waits(header)
            return ErrorCode.NOT_LEADER_OR_FOLLOWER if waits else ErrorCode.NONE, -1, -1
        if header.producer_epoch < known.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1, -1
        first = header.base_sequence
        if header.producer_epoch > known.epoch:
            # A new epoch restarts the sequence numbers.
            return (ErrorCode.NONE if first == 0 else self._gap(header)), -1, -1
        recent = known.recent
        if first == (recent[-_WIDTH + 1] + 1) & MAX_INT:
            return ErrorCode.NONE, -1, -1
        # Not the next batch: either an exact repetition of a recent one, or out of
        # order.
        last = add_sequence(first, header.record_count - 1)
        for at in range(0, len(recent), _WIDTH):
            if recent[at] == first and recent[at + 1] == last:
                return ErrorCode.NONE, recent[at + 2], recent[at + 3]
        return self._gap(header), -1, -1

    def refused(self, header: BatchHeader) -> None:
        """A batch was refused because the state is not loaded yet."""
        before = self._refused.get(header.producer_id)
        if before is None and len(self._refused) >= PRODUCERS_MOST:
            return
        if before is None or before[0] != header.producer_epoch:
            self._refused[header.producer_id] = header.producer_epoch, header.base_sequence

    def _gap(self, header: BatchHeader) -> ErrorCode:
        """The error for a batch before which one is missing. librdkafka begins a new epoch for
        a gap, and sends again what may be in the log; it waits for a batch that was refused."""
        if self._waits(header):
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def _waits(self, header: BatchHeader) -> bool:
        """Return whether a batch before this one was refused and has not come again."""
        refused = self._refused.get(header.producer_id)
        return (
            refused is not None
            and refused[0] == header.producer_epoch
            and refused[1] != header.base_sequence
        )

    def appended(self, header: BatchHeader, base_offset: int) -> None:
        """A batch with a producer id was appended at ``base_offset``."""
        if self.loaded:
            self._update(header, base_offset)
            self._unsaved += 1
            if self._refused:
                self._refused.pop(header.producer_id, None)

    def _update(self, header: BatchHeader, base_offset: int) -> None:
        known = self._producers.get(header.producer_id)
        if known is None:
            if len(self._producers) >= PRODUCERS_MOST:
                self._producers.popitem(last=False)
            known = self._producers[header.producer_id] = _Producer(header.producer_epoch)
        else:
            self._producers.move_to_end(header.producer_id)
            if known.epoch != header.producer_epoch:
                known.epoch = header.producer_epoch
                known.recent.clear()
        recent = known.recent
        if len(recent) == KEPT_BATCHES * _WIDTH:
            del recent[:_WIDTH]
        first = header.base_sequence
        recent += (
            first,
            add_sequence(first, header.record_count - 1),
            base_offset,
            header.max_timestamp,
        )
        known.last_timestamp = header.max_timestamp

    def forget(self) -> None:
        """Discard the state after a truncation: it may describe batches that are
        gone."""
        self._producers.clear()
        self._position = -1
        self._unsaved = 0
        self.loaded = self._log.log_end_offset == self._log.log_start_offset

    def expire(self, before_timestamp: int) -> None:
        """Drop the producers whose newest batch is older than this wall time in
        milliseconds."""
        old = [
            pid for pid, known in self._producers.items() if known.last_timestamp < before_timestamp
        ]
        for pid in old:
            del self._producers[pid]
        self._refused.clear()

    # ---- after a start or a truncation
    def load(self, headers_max: int) -> bool:
        """Go on to load the state, by ``headers_max`` headers; return whether all is loaded.

        Raises:
            StorageFailed: the log cannot be read.
        """
        if self.loaded:
            return True
        log = self._log
        if self._position < log.log_start_offset:
            self._begin()
        for count, header in enumerate(log.headers(self._position), 1):
            if header.producer_id >= 0 and not header.is_control:
                self._update(header, header.base_offset)
            self._position = header.next_offset
            self._unsaved += 1
            if count == headers_max:
                break
        else:
            self._position = log.log_end_offset
        self.loaded = self._position >= log.log_end_offset
        return self.loaded

    def _begin(self) -> None:
        """Take the newest snapshot that fits the log, else begin at the start of the log."""
        self._producers.clear()
        self._unsaved = 0
        self._position = self._log.log_start_offset
        for offset, data in self._log.load_producers():
            if offset <= self._log.log_start_offset:
                return  # what followed it may be deleted
            before = next(self._log.headers(offset - 1), None)
            producers = _decode(data, before.leader_epoch) if before is not None else None
            if before is not None and before.next_offset == offset and producers is not None:
                self._producers = producers
                self._position = offset
                return

    def save(self, leader_epoch: int) -> None:
        """Write a snapshot if many batches have been appended since the last one.
        ``leader_epoch`` is that of the last batch.

        Raises:
            StorageFailed: the snapshots before are still there.
        """
        if self.loaded and self._unsaved >= SNAPSHOT_EVERY:
            self._unsaved = 0
            data = _encode(self._producers, leader_epoch)
            self._log.save_producers(self._log.log_end_offset, data)


def _encode(producers: Mapping[int, _Producer], leader_epoch: int) -> bytes:
    out = bytearray(_BEGIN.pack(leader_epoch, len(producers)))
    for producer_id, known in producers.items():
        recent = known.recent
        count = len(recent) // _WIDTH
        out += _PRODUCER.pack(producer_id, known.epoch, known.last_timestamp, count)
        for at in range(0, len(recent), _WIDTH):
            out += _BATCH.pack(*recent[at : at + _WIDTH])
    return _SNAPSHOT.pack(SNAPSHOT_VERSION, crc32c(out)) + bytes(out)


def _decode(data: bytes, leader_epoch: int) -> OrderedDict[int, _Producer] | None:
    """Read a snapshot; None when it is damaged, or of a log with another epoch there."""
    if len(data) < _SNAPSHOT.size + _BEGIN.size:
        return None
    version, checksum = _SNAPSHOT.unpack_from(data, 0)
    if version != SNAPSHOT_VERSION or crc32c(memoryview(data)[_SNAPSHOT.size :]) != checksum:
        return None
    position = _SNAPSHOT.size
    epoch, count = _BEGIN.unpack_from(data, position)
    position += _BEGIN.size
    if epoch != leader_epoch:
        return None
    producers: OrderedDict[int, _Producer] = OrderedDict()
    for _ in range(count):
        producer_id, producer_epoch, last_timestamp, batches = _PRODUCER.unpack_from(data, position)
        position += _PRODUCER.size
        known = producers[producer_id] = _Producer(producer_epoch)
        known.last_timestamp = last_timestamp
        for _ in range(batches):
            known.recent += _BATCH.unpack_from(data, position)
            position += _BATCH.size
    return producers
