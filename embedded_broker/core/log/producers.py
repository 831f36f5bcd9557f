"""The state of a log's idempotent producers: each one's epoch and its last five
batches.

Sequence numbers tell a repeated batch from a new one. The state follows from the log
alone: leaders and followers update it with each batch that they append; after a start
or a truncation it is rebuilt from the batch headers on first use. Source: KIP-98,
KIP-360 (an unknown producer may start at any sequence).
"""

from __future__ import annotations

from embedded_broker.core.ports import PartitionLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import BatchHeader

MAX_INT = 0x7FFFFFFF
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
        self._producers: dict[int, _Producer] = {}
        self._loaded = log.log_end_offset == log.log_start_offset
        """Whether ``_producers`` reflects the whole log. An empty log needs no load."""

    def __len__(self) -> int:
        return len(self._producers)

    def check(self, header: BatchHeader) -> tuple[int, int, int]:
        """Judge a client's batch that carries a producer id.

        Returns (error code, base offset and timestamp of the batch that this one
        repeats). The last two are -1 for a new batch and for an error.
        """
        self._load()
        # KIP-360: a producer whose state has expired or was deleted may start at any
        # sequence.
        known = self._producers.get(header.producer_id)
        if known is None or not known.recent:
            return ErrorCode.NONE, -1, -1
        if header.producer_epoch < known.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1, -1
        first = header.base_sequence
        if header.producer_epoch > known.epoch:
            # A new epoch restarts the sequence numbers.
            return (
                (ErrorCode.NONE if first == 0 else ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
                -1,
                -1,
            )
        recent = known.recent
        if first == (recent[-_WIDTH + 1] + 1) & MAX_INT:
            return ErrorCode.NONE, -1, -1
        # Not the next batch: either an exact repetition of a recent one, or out of
        # order.
        last = add_sequence(first, header.record_count - 1)
        for at in range(0, len(recent), _WIDTH):
            if recent[at] == first and recent[at + 1] == last:
                return ErrorCode.NONE, recent[at + 2], recent[at + 3]
        return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1, -1

    def appended(self, header: BatchHeader, base_offset: int) -> None:
        """A batch with a producer id was appended at ``base_offset``."""
        if self._loaded:
            self._update(header, base_offset)

    def _update(self, header: BatchHeader, base_offset: int) -> None:
        known = self._producers.get(header.producer_id)
        if known is None:
            known = self._producers[header.producer_id] = _Producer(header.producer_epoch)
        elif known.epoch != header.producer_epoch:
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
        self._loaded = self._log.log_end_offset == self._log.log_start_offset

    def expire(self, before_timestamp: int) -> None:
        """Drop the producers whose newest batch is older than this wall time in
        milliseconds."""
        old = [
            pid for pid, known in self._producers.items() if known.last_timestamp < before_timestamp
        ]
        for pid in old:
            del self._producers[pid]

    def _load(self) -> None:
        if self._loaded:
            return
        self._producers.clear()
        for header in self._log.headers(self._log.log_start_offset):
            if header.producer_id >= 0 and not header.is_control:
                self._update(header, header.base_offset)
        self._loaded = True
