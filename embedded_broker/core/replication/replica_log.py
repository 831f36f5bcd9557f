"""The log of one replica: its offsets, leader epochs, producers, and how much of it is
on disk.

``Partition`` adds the roles of leader and follower.
"""

from __future__ import annotations

from embedded_broker.core.log.epochs import UNDEFINED, EpochCache
from embedded_broker.core.log.producers import ProducerStates
from embedded_broker.core.log.validate import AppendLimits
from embedded_broker.core.ports import PartitionLog, StorageFailed
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import CorruptBatch, batches


class ReplicaLog:
    """Invariant: start_offset <= high_watermark <= end_offset, and flushed_offset <=
    end_offset."""

    def __init__(self, log: PartitionLog, high_watermark: int) -> None:
        self.log = log
        self.topic = log.topic
        self.topic_id = log.topic_id
        self.index = log.partition
        self.epochs = EpochCache(log)
        self.producers = ProducerStates(log)
        self.limits = AppendLimits()
        """What the topic's settings allow a client to append."""
        self.durable = False
        """Whether only flushed records count, for the high watermark and in fetch
        offsets."""
        self.flushed_offset = log.log_start_offset
        """Records below it are certainly on disk; kept up to date only where
        ``durable``."""
        self.high_watermark = min(max(high_watermark, log.log_start_offset), log.log_end_offset)
        """End of the committed records. On a leader it never goes back; on a follower
        only when a truncation cuts below it."""
        self._truncations = 0
        """How often records were removed from the end: a flush from before says nothing
        about records appended after."""

    def __repr__(self) -> str:
        return f"{self.topic}-{self.index}"

    @property
    def end_offset(self) -> int:
        """The offset of the next record."""
        return self.log.log_end_offset

    @property
    def start_offset(self) -> int:
        """The first offset that is still there."""
        return self.log.log_start_offset

    @property
    def stable_offset(self) -> int:
        """The end of what this replica may be counted for."""
        return self.flushed_offset if self.durable else self.log.log_end_offset

    def divergence(self, last_fetched_epoch: int, fetch_offset: int) -> tuple[int, int] | None:
        """Compare a reader's log with this one. Return None when they agree up to
        ``fetch_offset``, else where they part: (epoch, its end offset here), for the
        reader to truncate to. (-1, -1) when this log does not know the reader's epoch
        (KIP-595's field in Fetch v12)."""
        if last_fetched_epoch < 0:
            return None
        epoch, end = self.epochs.end_offset_for(last_fetched_epoch, self.log.log_end_offset)
        if epoch == UNDEFINED or epoch < last_fetched_epoch or end < fetch_offset:
            return epoch, end
        return None

    # ---- the end of the log
    def append_replicated(
        self, data: Buffer, wall_ms: int, leader_epoch: int, leader_start: int
    ) -> None:
        """Append a leader's batches byte for byte; ``leader_epoch`` is the newest valid
        epoch, ``leader_start`` where the leader's log starts.

        Raises:
            CorruptBatch: not whole valid batches, or not what comes next in this log.
            StorageFailed: nothing was appended.
        """
        headers = list(batches(data))
        end = self.log.log_end_offset
        # After DeleteRecords the leader's log may start inside its first batch, and this one end
        # there: because it is empty, or with records of another leader which the deletion hides
        # from the comparison of epochs. Continue with the whole batch.
        if headers and headers[0].base_offset < end <= headers[0].last_offset:
            base = headers[0].base_offset
            if end == self.start_offset:
                self.restart_at(base)
                end = base
            elif end == leader_start:
                self.truncate(base)
                end = base
        epoch = self.epochs.latest
        for header in headers:
            # Gaps are valid (a compacted log has them), overlaps are not.
            if header.base_offset < end or header.last_offset < header.base_offset:
                raise CorruptBatch(f"offset {header.base_offset} where {end} is next")
            if not epoch <= header.leader_epoch <= leader_epoch:
                raise CorruptBatch(
                    f"leader epoch {header.leader_epoch} at offset {header.base_offset}"
                )
            epoch = header.leader_epoch
            end = header.last_offset + 1
        # The epoch file is written before the records, so that it never lacks an epoch
        # of the log; entries past the end are dropped at the next start.
        if self.epochs.unsaved:
            self.epochs.save()
        if epoch > self.epochs.latest:
            for header in headers:
                if header.leader_epoch > self.epochs.latest:
                    self.epochs.assign(header.leader_epoch, header.base_offset)
        try:
            self.log.append(data, headers, wall_ms)
        except StorageFailed:
            self.epochs.truncate_from_end(self.log.log_end_offset)
            raise
        for header in headers:
            if header.producer_id >= 0 and not header.is_control:
                self.producers.appended(header, header.base_offset)

    def truncate_to_divergence(self, epoch: int, end_offset: int) -> None:
        """The leader's log has ``epoch`` only up to ``end_offset``: remove the records
        that cannot be the same (KIP-279).

        When this log does not have that epoch, it is truncated to the end of the one
        before, and the next fetch compares again.
        """
        end = self.end_offset
        own_epoch, own_end = self.epochs.end_offset_for(epoch, end)
        if own_epoch == epoch:
            self.truncate(min(own_end, end_offset, end))
        else:
            self.truncate(min(own_end, end) if own_end >= 0 else min(end_offset, end))

    def truncate(self, offset: int) -> None:
        """Remove the records at and after ``offset``."""
        if offset < self.start_offset:
            self.restart_at(offset)
            return
        if offset < self.end_offset:
            # First: a disk that fails may have removed a part of them.
            self.producers.forget()
            self._truncations += 1
            self.log.truncate(offset)
            self.flushed_offset = min(self.flushed_offset, self.end_offset)
        self.high_watermark = min(self.high_watermark, self.end_offset)
        self.epochs.truncate_from_end(min(offset, self.end_offset))

    def restart_at(self, offset: int) -> None:
        """Empty the log and continue at ``offset``."""
        self.producers.forget()
        self._truncations += 1
        self.log.reset(offset)
        self.flushed_offset = self.high_watermark = offset
        self.epochs.clear()

    # ---- the start of the log
    def delete_before(self, offset: int) -> bool:
        """Move the start of the log forward, at most to the high watermark; return
        whether it moved."""
        if offset <= self.start_offset:
            return False
        assert offset <= self.high_watermark, (self, offset, self.high_watermark)
        self.log.advance_start(offset)
        self.epochs.truncate_from_start(self.start_offset)
        return True

    # ---- the disk
    def save_producers(self) -> None:
        """Write a snapshot of the producers if one is due. Raises: StorageFailed."""
        if self.end_offset > self.start_offset:
            self.producers.save(self.epochs.epoch_at(self.end_offset - 1))

    def begin_flush(self) -> tuple[int, int]:
        """Return what a flush that starts now covers, for ``note_flushed``."""
        return self.log.log_end_offset, self._truncations

    def note_flushed(self, began: tuple[int, int]) -> bool:
        """A flush has finished; return whether ``flushed_offset`` moved. A flush that
        started before a truncation counts for nothing."""
        offset, truncations = began
        if truncations == self._truncations and offset > self.flushed_offset:
            self.flushed_offset = offset
            return True
        return False
