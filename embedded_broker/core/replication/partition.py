"""One partition on this node: its log, its role, and how far its replicas are.

States: FOLLOWER (also when the partition has no leader) and LEADER. ``lead`` and ``follow``
change between them, always to a leader epoch that is not older; a change of the in-sync set
within an epoch is ``commit_isr``.

What keeps acknowledged records safe, by the numbers of what usually goes wrong:
* the high watermark is the least end offset over the *maximal* in-sync set (committed, and what a
  pending AlterPartition may make of it) and over followers about to join; it never moves while
  the committed set is smaller than min.insync.replicas, and never back;
* a follower joins when it has the high watermark and the first offset of this leader's epoch
  (KAFKA-7128);
* a pending change is cleared only by the controller's answer or by newer metadata, never by what
  repeats the old;
* a node never leads an epoch that its log already knows from before its restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.log.epochs import UNDEFINED, EpochCache
from embedded_broker.core.log.producers import ProducerStates
from embedded_broker.core.log.validate import AppendLimits
from embedded_broker.core.metadata.image import PartitionImage
from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.core.replication.purgatory import AppendWait
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader, CorruptBatch, batches, place

if TYPE_CHECKING:
    from embedded_broker.core.replication.client_fetch import ClientFetch
    from embedded_broker.core.replication.replicas import Replicas
    from embedded_broker.core.replication.sessions import SessionPartition

LONG_AGO = -(1 << 60)
REFUSED_PAUSE_MS = 100
"""After a refusal no other change of the in-sync set is proposed for so long."""


class FollowerState:
    """What the leader knows of one other replica, by the fetches of the current leader epoch.

    ``caught_up_ms`` is the last time at which it had everything that the leader had.
    """

    __slots__ = (
        "broker_epoch", "broker_id", "caught_up_ms", "end_offset", "fetch_end_offset", "fetch_ms", "start_offset",
    )  # fmt: skip

    def __init__(self, broker_id: int, caught_up_ms: int) -> None:
        self.broker_id = broker_id
        self.end_offset = -1
        self.start_offset = -1
        self.caught_up_ms = caught_up_ms
        self.fetch_ms = LONG_AGO
        self.fetch_end_offset = 0
        """The leader's end offset at the last fetch, which was at ``fetch_ms``."""
        self.broker_epoch = -1


class Partition:
    """A replica of one partition; ``replicas`` owns it and is told what it wants done."""

    def __init__(self, replicas: Replicas, log: PartitionLog, high_watermark: int) -> None:
        self._replicas = replicas
        self.log = log
        self.topic = log.topic
        self.topic_id = log.topic_id
        self.index = log.partition
        self.epochs = EpochCache(log)
        self.producers = ProducerStates(log)
        self.limits = AppendLimits()
        self.min_isr = 1
        self.durable = False
        """Whether only what has been flushed counts, for the high watermark and for what a fetch
        confirms."""
        self.flushed_offset = log.log_start_offset
        self._cuts = 0
        self.high_watermark = min(max(high_watermark, log.log_start_offset), log.log_end_offset)
        self.is_leader = False
        self.leader_id = -1
        self.leader_epoch = -1
        self.partition_epoch = -1
        self.epoch_start_offset = -1
        """Where this leader's epoch began; -1 on a follower."""
        self.assigned: tuple[int, ...] = ()
        self.isr: tuple[int, ...] = ()
        self.pending_isr: tuple[int, ...] | None = None
        self.recovering = False
        self.propose_after_ms = LONG_AGO
        self.followers: dict[int, FollowerState] = {}
        self.deleted = False
        self.waiting_appends: deque[AppendWait] = deque()
        self.waiting_fetches: dict[ClientFetch, None] = {}
        self.sessions: list[SessionPartition] = []
        """Where followers' fetch sessions hold this partition."""

    def __repr__(self) -> str:
        return f"{self.topic}-{self.index}"

    @property
    def end_offset(self) -> int:
        return self.log.log_end_offset

    @property
    def start_offset(self) -> int:
        return self.log.log_start_offset

    @property
    def stable_offset(self) -> int:
        """The end of what this replica may be counted for."""
        return self.flushed_offset if self.durable else self.log.log_end_offset

    @property
    def under_min_isr(self) -> bool:
        return len(self.isr) < min(self.min_isr, len(self.assigned))

    @property
    def high_watermark_is_old(self) -> bool:
        """A new leader does not know how far its predecessor had committed until its own epoch's
        start has been."""
        return self.high_watermark < self.epoch_start_offset

    def in_maximal_isr(self, broker_id: int) -> bool:
        return broker_id in self.isr or (
            self.pending_isr is not None and broker_id in self.pending_isr
        )

    # ---- roles
    def lead(self, now_ms: int, image: PartitionImage) -> bool:
        """Become the leader of a new epoch; False when this node led the same epoch in an earlier
        life, and must wait for a newer one (what it had not yet on disk then may have been
        replaced since)."""
        assert image.leader_epoch > self.leader_epoch, (self, image, self.leader_epoch)
        if self.epochs.newest_known >= image.leader_epoch:
            self._replicas.note(
                Level.WARNING,
                f"{self} does not lead epoch {image.leader_epoch} again, which its log already knows",
            )
            return False
        self.is_leader = True
        self._take(image)
        self.epochs.assign(image.leader_epoch, self.end_offset)
        self.epoch_start_offset = self.end_offset
        self.recovering = image.recovering
        self.followers = {
            broker_id: FollowerState(broker_id, now_ms if broker_id in image.isr else LONG_AGO)
            for broker_id in image.replicas
            if broker_id != self._replicas.node_id
        }
        self._replicas.woken(self)
        self.flush_if_needed()
        if self.recovering:
            self._propose(self.isr)
        self.advance_high_watermark(now_ms)
        return True

    def flush_if_needed(self) -> None:
        """Where only what is on the disk counts, bring there what is not: nothing else may ever
        come to be appended."""
        if self.durable and self.flushed_offset < self.end_offset:
            self._replicas.flushes[self] = None

    def follow(self, now_ms: int, image: PartitionImage) -> None:
        """Become, or stay, a follower of ``image.leader`` (-1: nobody leads)."""
        assert image.leader_epoch >= self.leader_epoch, (self, image, self.leader_epoch)
        self.is_leader = False
        self.epoch_start_offset = -1
        self.followers = {}
        self.recovering = False
        self._take(image)
        self._fail_appends(now_ms, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._replicas.woken(self)

    def commit_isr(
        self, now_ms: int, isr: tuple[int, ...], partition_epoch: int, recovering: bool
    ) -> None:
        """The controller has committed an in-sync set in this leader's epoch."""
        assert self.is_leader and partition_epoch > self.partition_epoch, (self, partition_epoch)
        if self._replicas.node_id not in isr:
            self._replicas.note(Level.WARNING, f"{self} leads but is not in its in-sync set {isr}")
        self.isr = isr
        self.partition_epoch = partition_epoch
        self.pending_isr = None
        self.recovering = recovering
        self.advance_high_watermark(now_ms)
        self.consider_joins(now_ms)

    def reassign(self, now_ms: int, image: PartitionImage) -> None:
        """As leader: newer metadata of the same leader epoch."""
        self.assigned = image.replicas
        for broker_id in image.replicas:
            if broker_id != self._replicas.node_id and broker_id not in self.followers:
                self.followers[broker_id] = FollowerState(broker_id, LONG_AGO)
        for broker_id in [b for b in self.followers if b not in image.replicas]:
            del self.followers[broker_id]
        self.commit_isr(now_ms, image.isr, image.partition_epoch, image.recovering)

    def _take(self, image: PartitionImage) -> None:
        self.leader_id = image.leader
        self.leader_epoch = image.leader_epoch
        self.partition_epoch = image.partition_epoch
        self.assigned = image.replicas
        self.isr = image.isr
        self.pending_isr = None

    def close(self, now_ms: int) -> None:
        """The partition is no longer here."""
        self.deleted = True
        self.is_leader = False
        self._fail_appends(now_ms, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self._replicas.woken(self)

    # ---- leader: appends
    def append(
        self,
        now_ms: int,
        records: bytearray | memoryview,
        headers: Sequence[BatchHeader],
        wall_ms: int,
    ) -> int:
        """Give the batches their offsets and write them; returns the base offset.

        Raises:
            StorageFailed: nothing was appended.
        """
        assert self.is_leader
        log = self.log
        base = end = log.log_end_offset
        placed = []
        for header in headers:
            place(records, header.position, end, self.leader_epoch)
            last = end + header.record_count - 1
            placed.append(
                BatchHeader(header.position, header.size, end, last, self.leader_epoch, *header[5:])
            )
            end = last + 1
        log.append(records, placed, wall_ms)
        for header in placed:
            if header.producer_id >= 0:
                self.producers.appended(header, header.base_offset)
        alone = True
        for follower in self.followers.values():
            if follower.end_offset == base:
                follower.caught_up_ms = now_ms
            alone = alone and not self.in_maximal_isr(follower.broker_id)
        if self.sessions:
            for held in self.sessions:
                held.touch()
        if self.durable:
            self._replicas.flushes[self] = None
        elif alone:
            self.advance_high_watermark(now_ms)
        return base

    def when_committed(self, now_ms: int, wait: AppendWait) -> None:
        """Finish ``wait`` once the high watermark has passed it."""
        if wait.offset <= self.high_watermark:
            wait.finish(now_ms, self._committed_code())
        else:
            self.waiting_appends.append(wait)

    def _committed_code(self) -> int:
        return ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND if self.under_min_isr else ErrorCode.NONE

    def _fail_appends(self, now_ms: int, error_code: int) -> None:
        waiting, self.waiting_appends = self.waiting_appends, deque()
        for wait in waiting:
            wait.finish(now_ms, error_code)

    def advance_high_watermark(self, now_ms: int) -> None:
        """Move the high watermark as far as the replicas allow, and release what waits for it."""
        if not self.is_leader or self.under_min_isr:
            return
        least = self.stable_offset
        for follower in self.followers.values():
            if follower.end_offset < least and (
                self.in_maximal_isr(follower.broker_id) or self._about_to_join(follower, now_ms)
            ):
                least = follower.end_offset
        if least <= self.high_watermark:
            return
        self.high_watermark = least
        self._replicas.high_watermark_moved(self)
        waiting = self.waiting_appends
        if waiting and waiting[0].offset <= least:
            code = self._committed_code()
            while waiting and waiting[0].offset <= least:
                waiting.popleft().finish(now_ms, code)

    def _about_to_join(self, follower: FollowerState, now_ms: int) -> bool:
        """Caught up of late and eligible, though not in the in-sync set: the high watermark waits
        for it, so that it can join (else a fast producer would keep it out for good)."""
        return self._caught_up(follower, now_ms) and self._eligible(follower)

    def _caught_up(self, follower: FollowerState, now_ms: int) -> bool:
        return (
            follower.end_offset == self.end_offset
            or now_ms - follower.caught_up_ms <= self._replicas.lag_ms
        )

    def _eligible(self, follower: FollowerState) -> bool:
        """KIP-841, KIP-903: alive, not leaving, and the same incarnation as the one that
        fetched."""
        image = self._replicas.image
        return image.eligible(follower.broker_id) and (
            image.brokers[follower.broker_id].broker_epoch == follower.broker_epoch
        )

    # ---- leader: followers
    def follower_fetched(
        self, now_ms: int, broker_id: int, broker_epoch: int, fetch_offset: int, start_offset: int
    ) -> int:
        """A follower whose log agrees with ours below ``fetch_offset`` asks for more; returns an
        error code."""
        follower = self.followers.get(broker_id)
        if follower is None or broker_epoch < follower.broker_epoch:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        end = self.log.log_end_offset
        assert fetch_offset <= end, (
            f"{self}: follower {broker_id} is at {fetch_offset}, beyond the end {end}"
        )
        if fetch_offset >= end:
            follower.caught_up_ms = max(follower.caught_up_ms, now_ms)
        elif fetch_offset >= follower.fetch_end_offset:
            follower.caught_up_ms = max(follower.caught_up_ms, follower.fetch_ms)
        follower.fetch_end_offset = end
        follower.fetch_ms = now_ms
        follower.broker_epoch = broker_epoch
        if start_offset != follower.start_offset:
            follower.start_offset = start_offset
            self._replicas.deletions.look(self)
        moved = fetch_offset != follower.end_offset
        follower.end_offset = fetch_offset
        if broker_id not in self.isr:
            self.consider_joins(now_ms, broker_id)
        if moved:
            self.advance_high_watermark(now_ms)
        return ErrorCode.NONE

    def consider_joins(self, now_ms: int, fetching: int = -1) -> None:
        """Let followers into the in-sync set that may be there: looked at when one fetches, when
        a broker's state changes, and when an earlier change is settled (a follower with nothing
        new is not heard of again)."""
        if not self.is_leader or self.pending_isr is not None or now_ms < self.propose_after_ms:
            return
        least = max(self.high_watermark, self.epoch_start_offset)
        joining = [
            f.broker_id
            for f in self.followers.values()
            if f.end_offset >= least
            and f.broker_id not in self.isr
            and (f.broker_id == fetching or self._caught_up(f, now_ms))
            and self._eligible(f)
        ]
        if joining:
            self._propose((*self.isr, *joining))

    def check_followers(self, now_ms: int) -> None:
        """Called by a timer: followers that have fallen behind leave the in-sync set, others may
        join it."""
        if not self.is_leader or self.pending_isr is not None:
            return
        end = self.log.log_end_offset
        lag_ms = self._replicas.lag_ms
        late = {
            f.broker_id
            for f in self.followers.values()
            if f.broker_id in self.isr and f.end_offset != end and now_ms - f.caught_up_ms > lag_ms
        }
        if late:
            self._replicas.note(Level.INFO, f"{self}: followers {sorted(late)} fell behind")
            self._propose(tuple(b for b in self.isr if b not in late))
            return
        self.consider_joins(now_ms)
        self.advance_high_watermark(now_ms)

    # ---- leader: in-sync set
    def _propose(self, isr: tuple[int, ...]) -> None:
        assert self.pending_isr is None and self._replicas.node_id in isr, (self, isr)
        self.pending_isr = isr
        self._replicas.isr_changes.add(self)

    def proposal_refused(self, now_ms: int) -> None:
        """The controller certainly did not, and will not, carry out the pending change."""
        self.pending_isr = None
        self.propose_after_ms = now_ms + REFUSED_PAUSE_MS
        self.advance_high_watermark(now_ms)

    # ---- reading
    def fence(self, current_leader_epoch: int) -> int:
        """The error for a request that believes in this leader epoch (-1: it does not say), which
        is for a leader."""
        if current_leader_epoch >= 0:
            if current_leader_epoch < self.leader_epoch:
                return ErrorCode.FENCED_LEADER_EPOCH
            if current_leader_epoch > self.leader_epoch:
                return ErrorCode.UNKNOWN_LEADER_EPOCH
        return ErrorCode.NONE if self.is_leader else ErrorCode.NOT_LEADER_OR_FOLLOWER

    def divergence(self, last_fetched_epoch: int, fetch_offset: int) -> tuple[int, int] | None:
        """Where a reader's log leaves ours: (epoch, its end offset here); None when it agrees so
        far."""
        if last_fetched_epoch < 0:
            return None
        epoch, end = self.epochs.end_offset_for(last_fetched_epoch, self.log.log_end_offset)
        if epoch == UNDEFINED or epoch < last_fetched_epoch or end < fetch_offset:
            return epoch, end
        return None

    # ---- follower
    def append_fetched(self, data: Buffer, wall_ms: int) -> None:
        """Append what the leader sent, byte for byte.

        Raises:
            CorruptBatch: not whole valid batches, or not what comes next in this log.
            StorageFailed: nothing was appended.
        """
        assert not self.is_leader
        headers = list(batches(data))
        end = self.log.log_end_offset
        if (
            headers
            and headers[0].base_offset < end <= headers[0].last_offset
            and self.start_offset == end
        ):
            self.restart_at(headers[0].base_offset)
            end = headers[0].base_offset
        epoch = self.epochs.latest
        for header in headers:
            if header.base_offset < end or header.last_offset < header.base_offset:
                raise CorruptBatch(f"offset {header.base_offset} where {end} is next")
            if not epoch <= header.leader_epoch <= self.leader_epoch:
                raise CorruptBatch(
                    f"leader epoch {header.leader_epoch} at offset {header.base_offset}"
                )
            epoch = header.leader_epoch
            end = header.last_offset + 1
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
        if self.durable:
            self._replicas.flushes[self] = None

    def leader_is_at(self, high_watermark: int, start_offset: int) -> None:
        """Take over the leader's high watermark and start offset, as far as this log reaches."""
        end = self.log.log_end_offset
        if min(high_watermark, end) > self.high_watermark:
            self.high_watermark = min(high_watermark, end)
            self._replicas.high_watermarks_changed = True
        self.delete_before(min(start_offset, self.high_watermark))

    def truncate_to_divergence(self, epoch: int, end_offset: int) -> None:
        """The leader's log has ``epoch`` only up to ``end_offset``: cut off what cannot be the
        same (KIP-279).

        When this log does not have that epoch it is cut to the one before, and the next fetch
        asks again.
        """
        end = self.end_offset
        own_epoch, own_end = self.epochs.end_offset_for(epoch, end)
        if own_epoch == epoch:
            self.truncate(min(own_end, end_offset, end))
        else:
            self.truncate(min(own_end, end) if own_end >= 0 else min(end_offset, end))

    def truncate(self, offset: int) -> None:
        assert not self.is_leader
        if offset < self.high_watermark:
            self._replicas.note(
                Level.WARNING,
                f"{self} is cut back to {offset}, below its high watermark {self.high_watermark}",
            )
        if offset < self.start_offset:
            self.restart_at(offset)
            return
        if offset < self.end_offset:
            self.log.truncate(offset)
            self.producers.forget()
            self._cuts += 1
            self.flushed_offset = min(self.flushed_offset, self.end_offset)
        self.epochs.truncate_from_end(min(offset, self.end_offset))
        self.high_watermark = min(self.high_watermark, self.end_offset)

    def restart_at(self, offset: int) -> None:
        """Begin again, empty, at ``offset``: the leader no longer has what comes after our end."""
        self.log.reset(offset)
        self.epochs.clear()
        self.producers.forget()
        self._cuts += 1
        self.flushed_offset = self.high_watermark = offset

    # ---- start offset
    def delete_before(self, offset: int) -> bool:
        """Move the start of the log forward, never beyond the high watermark; whether it moved."""
        if offset <= self.start_offset:
            return False
        assert offset <= self.high_watermark, (self, offset, self.high_watermark)
        self.log.advance_start(offset)
        self.epochs.truncate_from_start(self.start_offset)
        if self.sessions:
            for held in self.sessions:
                held.watermarks_moved()
        return True

    # ---- the disk
    def begin_flush(self) -> tuple[int, int]:
        """What a flush that begins now will have brought to the disk; for ``end_flush``."""
        return self.log.log_end_offset, self._cuts

    def end_flush(self, now_ms: int, began: tuple[int, int]) -> bool:
        """Whether everything in the log is on the disk now; a flush from before a truncation
        counts for nothing."""
        offset, cuts = began
        if cuts == self._cuts and offset > self.flushed_offset:
            self.flushed_offset = offset
            self.advance_high_watermark(now_ms)
        return self.flushed_offset == self.log.log_end_offset
