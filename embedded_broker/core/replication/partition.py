"""One partition on this node: its log, its role, and how far its replicas are.

States: FOLLOWER (also when the partition has no leader) and LEADER. ``lead`` and
``follow`` change between them, never to an older leader epoch; ``commit_isr`` changes
the in-sync set within an epoch.

Rules that keep acknowledged records safe:
* The high watermark is the least end offset over the *maximal* in-sync set (the
  committed set, plus what a pending AlterPartition may add) and over followers about to
  join. It does not move while the committed set is smaller than min.insync.replicas,
  and never goes back.
* A follower may join when it has the high watermark and the first offset of this
  leader's epoch (KAFKA-7128).
* Only the controller's response or newer metadata ends a pending change; a repetition
  of the old state does not (KAFKA-13091).
* A node never leads an epoch that its log already knew when this process started.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.image import PartitionImage
from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.core.replication.follower_state import LONG_AGO, FollowerState
from embedded_broker.core.replication.purgatory import AppendWait, FetchWaiter, Subscriber
from embedded_broker.core.replication.replica_log import ReplicaLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader, place

REFUSED_PAUSE_MS = 100
"""How long after a refused change of the in-sync set no other is proposed."""


class PartitionOwner(Protocol):
    """Declares what a partition reports to its owner, ``Replicas``."""

    @property
    def lag_ms(self) -> int:
        """replica.lag.time.max.ms"""

    def role_changed(self, partition: Partition) -> None:
        """Its role or leader epoch changed: waiting requests must learn of it."""

    def high_watermark_changed(self) -> None:
        """Some high watermark moved: save them at the next checkpoint."""

    def needs_flush(self, partition: Partition) -> None:
        """Flush its log at the end of this tick."""

    def isr_proposed(self, partition: Partition) -> None:
        """``pending_isr`` is set: send it to the controller at the end of this tick."""

    def storage_failed(self, now_ms: int, what: str, error: StorageFailed) -> None:
        """A write failed; ``what`` is a clause such as "cannot lead orders-0"."""

    def follower_start_moved(self, partition: Partition) -> None:
        """A follower's log start moved: DeleteRecords may be waiting for it."""


class Partition(ReplicaLog):
    """A replica of one partition."""

    def __init__(
        self, env: Environment, owner: PartitionOwner, log: PartitionLog, high_watermark: int
    ) -> None:
        super().__init__(log, high_watermark)
        self._env = env
        self._node_id = env.node_id
        self._owner = owner
        self.min_isr = 1
        """The topic's effective min.insync.replicas."""
        self.is_leader = False
        self.leader_id = -1
        """-1 when the partition has no leader."""
        self.leader_epoch = -1
        """Never goes back."""
        self.partition_epoch = -1
        """Of the newest metadata record or AlterPartition response applied; never goes back."""
        self.epoch_start_offset = -1
        """As leader, where this epoch starts in the log; -1 on a follower."""
        self.assigned: tuple[int, ...] = ()
        """All replicas, the preferred leader first."""
        self.isr: tuple[int, ...] = ()
        """The in-sync set that the controller has committed."""
        self.pending_isr: tuple[int, ...] | None = None
        """As leader, the set proposed to the controller; None when nothing is proposed."""
        self.recovering = False
        """As leader, whether an unclean election must still be reported as recovered."""
        self.propose_after_ms = LONG_AGO
        """No change of the in-sync set is proposed before this time."""
        self.followers: dict[int, FollowerState] = {}
        """As leader, every other assigned replica; empty on a follower."""
        self.deleted = False
        """Whether this node no longer has the partition; events may still refer to it."""
        self.waiting_appends: deque[AppendWait] = deque()
        """In the order of their offsets."""
        self.waiting_fetches: dict[FetchWaiter, None] = {}
        self.subscribers: list[Subscriber] = []

    @property
    def under_min_isr(self) -> bool:
        """Return whether too few replicas are in sync to acknowledge acks=all. A topic
        with fewer replicas than min.insync.replicas needs all of them."""
        return len(self.isr) < min(self.min_isr, len(self.assigned))

    @property
    def high_watermark_is_old(self) -> bool:
        """Return whether the previous leader may have committed more than this node
        knows: until the start of this leader's epoch is committed (KIP-207)."""
        return self.high_watermark < self.epoch_start_offset

    def in_maximal_isr(self, broker_id: int) -> bool:
        """Return whether the replica is, or may soon be, in the in-sync set."""
        return broker_id in self.isr or (
            self.pending_isr is not None and broker_id in self.pending_isr
        )

    # ---- roles
    def lead(self, now_ms: int, image: PartitionImage) -> bool:
        """Become the leader of a new epoch.

        Return False when a previous incarnation of this node led the same epoch:
        records that it had not yet on disk may have been lost and replaced since, so
        this node waits for a newer epoch. The same when the disk refuses the epoch.
        """
        assert image.leader_epoch > self.leader_epoch, (self, image, self.leader_epoch)
        if self.epochs.newest_known >= image.leader_epoch:
            self._env.note(
                Level.WARNING,
                f"{self}: not leading epoch {image.leader_epoch}, which is already in the log;"
                " waiting for a newer epoch",
            )
            return False
        # Recorded even if this leader appends nothing: KIP-279 needs every epoch in the
        # log. First, because what a leader without followers appends counts at once.
        try:
            self.epochs.assign(image.leader_epoch, self.end_offset)
        except StorageFailed as e:
            self._owner.storage_failed(now_ms, f"cannot lead {self}", e)
            return False
        self.is_leader = True
        self._apply_image(image)
        self.epoch_start_offset = self.end_offset
        self.recovering = image.recovering
        # In-sync replicas get a whole lag time to send their first fetch.
        self.followers = {
            broker_id: FollowerState(broker_id, now_ms if broker_id in image.isr else LONG_AGO)
            for broker_id in image.replicas
            if broker_id != self._node_id
        }
        self._owner.role_changed(self)
        self.flush_if_needed()
        if self.recovering:
            self._propose(self.isr)
        self.advance_high_watermark(now_ms)
        return True

    def flush_if_needed(self) -> None:
        """Flush the rest where only flushed records count, as a later append would."""
        if self.durable and self.flushed_offset < self.end_offset:
            self._owner.needs_flush(self)

    def follow(self, now_ms: int, image: PartitionImage) -> None:
        """Become, or stay, a follower of ``image.leader`` (-1: there is none)."""
        assert image.leader_epoch >= self.leader_epoch, (self, image, self.leader_epoch)
        self.is_leader = False
        self.epoch_start_offset = -1
        self.followers = {}
        self.recovering = False
        self._apply_image(image)
        self._fail_appends(now_ms, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._owner.role_changed(self)

    def commit_isr(
        self, now_ms: int, isr: tuple[int, ...], partition_epoch: int, recovering: bool
    ) -> None:
        """The controller has committed an in-sync set in this leader's epoch."""
        assert self.is_leader and partition_epoch > self.partition_epoch, (self, partition_epoch)
        if self._node_id not in isr:
            self._env.note(
                Level.WARNING, f"{self}: this broker leads but is not in the in-sync set {isr}"
            )
        self.isr = isr
        self.partition_epoch = partition_epoch
        self.pending_isr = None
        self.recovering = recovering
        # KAFKA-13091: only now may a smaller set let the high watermark move.
        self.advance_high_watermark(now_ms)
        self.consider_joins(now_ms)

    def reassign(self, now_ms: int, image: PartitionImage) -> None:
        """As leader: apply newer metadata of the same leader epoch."""
        self.assigned = image.replicas
        for broker_id in image.replicas:
            if broker_id != self._node_id and broker_id not in self.followers:
                self.followers[broker_id] = FollowerState(broker_id, LONG_AGO)
        for broker_id in [b for b in self.followers if b not in image.replicas]:
            del self.followers[broker_id]
        self.commit_isr(now_ms, image.isr, image.partition_epoch, image.recovering)

    def resign(self, now_ms: int) -> None:
        """As leader: serve no more in this epoch; newer metadata names the next."""
        self.is_leader = False
        self.leader_id = -1
        self.epoch_start_offset = -1
        self.followers = {}
        self.pending_isr = None
        self._fail_appends(now_ms, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._owner.role_changed(self)

    def _apply_image(self, image: PartitionImage) -> None:
        self.leader_id = image.leader
        self.leader_epoch = image.leader_epoch
        self.partition_epoch = image.partition_epoch
        self.assigned = image.replicas
        self.isr = image.isr
        self.pending_isr = None

    def close(self, now_ms: int) -> None:
        """This node no longer has the partition."""
        self.deleted = True
        self.is_leader = False
        self._fail_appends(now_ms, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self._owner.role_changed(self)

    # ---- leader: appends
    def append(
        self,
        now_ms: int,
        records: bytearray | memoryview,
        headers: Sequence[BatchHeader],
        wall_ms: int,
    ) -> int:
        """Assign offsets to the batches and append them; return the base offset.

        Raises:
            StorageFailed: nothing was appended.
        """
        assert self.is_leader
        if self.epochs.unsaved:
            self.epochs.save()
        base = end = self.log.log_end_offset
        placed = []
        for header in headers:
            place(records, header.position, end, self.leader_epoch)
            last = end + header.record_count - 1
            placed.append(
                BatchHeader(header.position, header.size, end, last, self.leader_epoch, *header[5:])
            )
            end = last + 1
        self._env.outbox.logs_changed = True
        self.log.append(records, placed, wall_ms)
        for header in placed:
            if header.producer_id >= 0:
                self.producers.appended(header, header.base_offset)
        alone = True
        for follower in self.followers.values():
            # It had everything up to this moment.
            if follower.end_offset == base:
                follower.caught_up_ms = now_ms
            alone = alone and not self.in_maximal_isr(follower.broker_id)
        for subscriber in self.subscribers:
            subscriber.touch()
        if self.durable:
            self._owner.needs_flush(self)
        elif alone:
            # No follower's fetch will move the high watermark.
            self.advance_high_watermark(now_ms)
        return base

    def when_committed(self, now_ms: int, wait: AppendWait) -> None:
        """Finish ``wait`` when the high watermark passes it, perhaps at once."""
        if wait.offset <= self.high_watermark:
            wait.finish(now_ms, self._committed_code())
        else:
            self.waiting_appends.append(wait)

    def _committed_code(self) -> int:
        # The records are committed, but on fewer replicas than the producer asked for.
        return ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND if self.under_min_isr else ErrorCode.NONE

    def _fail_appends(self, now_ms: int, error_code: int) -> None:
        waiting, self.waiting_appends = self.waiting_appends, deque()
        for wait in waiting:
            wait.finish(now_ms, error_code)

    def advance_high_watermark(self, now_ms: int) -> None:
        """Move the high watermark as far as the replicas allow; release the requests
        that wait for it."""
        # Below min.insync.replicas nothing is committed (KIP-966): records that too few
        # replicas have could still be lost after a reader saw them.
        if not self.is_leader or self.under_min_isr:
            return
        # Committed is what every replica has that may lead next: the in-sync set, and the
        # proposed one, because the controller may have accepted it already (KIP-497).
        least = self.stable_offset
        for follower in self.followers.values():
            if follower.end_offset < least and (
                self.in_maximal_isr(follower.broker_id) or self._about_to_join(follower, now_ms)
            ):
                least = follower.end_offset
        # It never goes back: readers have seen what is below it.
        if least <= self.high_watermark:
            return
        self.high_watermark = least
        self._owner.high_watermark_changed()
        if self.subscribers:
            for subscriber in self.subscribers:
                subscriber.watermarks_moved()
        for fetch in self.waiting_fetches:
            fetch.wake()
        waiting = self.waiting_appends
        if waiting and waiting[0].offset <= least:
            # They wait in the order of their offsets: the first one beyond it ends the loop.
            code = self._committed_code()
            while waiting and waiting[0].offset <= least:
                waiting.popleft().finish(now_ms, code)

    def _about_to_join(self, follower: FollowerState, now_ms: int) -> bool:
        """Return whether a follower outside the in-sync set has caught up and may join.
        The high watermark waits for it; otherwise a fast producer would keep it out for
        ever."""
        caught_up = follower.caught_up(now_ms, self.end_offset, self._owner.lag_ms)
        return caught_up and self._eligible(follower)

    def _eligible(self, follower: FollowerState) -> bool:
        """Return whether the follower is alive, not shutting down (KIP-841), and still
        the incarnation that fetched (KIP-903)."""
        image = self._env.image
        return image.eligible(follower.broker_id) and (
            image.brokers[follower.broker_id].broker_epoch == follower.broker_epoch
        )

    # ---- leader: followers
    def follower_fetched(
        self, now_ms: int, broker_id: int, broker_epoch: int, fetch_offset: int, start_offset: int
    ) -> int:
        """A follower whose log agrees with this one below ``fetch_offset`` fetches from
        there; return an error code."""
        follower = self.followers.get(broker_id)
        if follower is None or broker_epoch < follower.broker_epoch:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        end = self.log.log_end_offset
        assert fetch_offset <= end, (
            f"{self}: follower {broker_id} is at {fetch_offset}, beyond the end {end}"
        )
        moved = follower.fetched(now_ms, fetch_offset, end, broker_epoch)
        if start_offset != follower.start_offset:
            follower.start_offset = start_offset
            self._owner.follower_start_moved(self)
        if broker_id not in self.isr:
            self.consider_joins(now_ms, broker_id)
        elif fetch_offset < self.high_watermark:
            self._remove_incomplete(now_ms, broker_id)
        if moved:
            self.advance_high_watermark(now_ms)
        return ErrorCode.NONE

    def consider_joins(self, now_ms: int, fetching: int = -1) -> None:
        """Propose the followers that may join the in-sync set; a leader whose log is damaged
        proposes to leave it.

        Called when a follower (``fetching``) fetches, when a broker's state changes,
        and when an earlier change is decided: a follower that lacks nothing waits in
        its fetch, so none of its requests would bring the question up again.
        """
        if not self.is_leader or self.pending_isr is not None or now_ms < self.propose_after_ms:
            return
        if self.log.damage and self._leave():
            return
        # KAFKA-7128: the high watermark may still be the previous leader's; a follower
        # that lacks the start of this epoch may lack records committed before it.
        least = max(self.high_watermark, self.epoch_start_offset)
        joining = [
            f.broker_id
            for f in self.followers.values()
            if f.end_offset >= least
            and f.broker_id not in self.isr
            and (
                f.broker_id == fetching or f.caught_up(now_ms, self.end_offset, self._owner.lag_ms)
            )
            and self._eligible(f)
        ]
        if joining:
            self._propose((*self.isr, *joining))

    def read_failed(self, now_ms: int, error: StorageFailed) -> None:
        """The log could not be read. A leader gives up the partition as soon as it can."""
        self._env.note(Level.ERROR, f"Cannot read {self}: {error}")
        self.consider_joins(now_ms)

    def _leave(self) -> bool:
        """Propose the rest of the in-sync set, of which another leads then; return whether there is
        one. Without it, this copy is all that there is, and serves what can be read."""
        others = tuple(b for b in self.isr if b != self._node_id and self._env.image.eligible(b))
        if others:
            self._env.note(Level.ERROR, f"{self}: giving up a damaged log: {self.log.damage}")
            self._propose(others)
        return bool(others)

    def _remove_incomplete(self, now_ms: int, broker_id: int) -> None:
        """Propose the in-sync set without a member that says that it lacks committed records, for
        its log is damaged; not while this log is damaged too, for it may be the better copy."""
        if self.pending_isr is None and now_ms >= self.propose_after_ms and not self.log.damage:
            self._env.note(Level.WARNING, f"{self}: broker {broker_id} gives up a damaged log")
            self._propose(tuple(b for b in self.isr if b != broker_id))

    def check_followers(self, now_ms: int) -> None:
        """Remove followers that fell behind from the in-sync set, or let others join.
        Called by a timer."""
        if not self.is_leader or self.pending_isr is not None:
            return
        end = self.log.log_end_offset
        lag_ms = self._owner.lag_ms
        late = {
            f.broker_id
            for f in self.followers.values()
            if f.broker_id in self.isr and f.end_offset != end and now_ms - f.caught_up_ms > lag_ms
        }
        if late:
            self._env.note(Level.INFO, f"{self}: followers {sorted(late)} fell behind")
            self._propose(tuple(b for b in self.isr if b not in late))
            return
        self.consider_joins(now_ms)
        # A follower that was about to join may have fallen behind: it no longer holds back.
        self.advance_high_watermark(now_ms)

    # ---- leader: in-sync set
    def _propose(self, isr: tuple[int, ...]) -> None:
        assert self.pending_isr is None and (self._node_id in isr or self.log.damage), (self, isr)
        self.pending_isr = isr
        self._owner.isr_proposed(self)

    def proposal_refused(self, now_ms: int) -> None:
        """The controller certainly has not made, and will not make, the pending change."""
        self.pending_isr = None
        self.propose_after_ms = now_ms + REFUSED_PAUSE_MS
        self.advance_high_watermark(now_ms)

    def fence(self, current_leader_epoch: int) -> int:
        """Return the error code for a request to the leader that assumes this leader
        epoch (-1: it assumes none; KIP-320)."""
        if current_leader_epoch >= 0:
            if current_leader_epoch < self.leader_epoch:
                return ErrorCode.FENCED_LEADER_EPOCH
            if current_leader_epoch > self.leader_epoch:
                return ErrorCode.UNKNOWN_LEADER_EPOCH
        return ErrorCode.NONE if self.is_leader else ErrorCode.NOT_LEADER_OR_FOLLOWER

    # ---- follower
    def append_fetched(self, data: Buffer, wall_ms: int, leader_start: int) -> None:
        """Append the batches of the leader, whose log starts at ``leader_start``.

        Raises:
            CorruptBatch, StorageFailed: see ``append_replicated``.
        """
        assert not self.is_leader
        self.append_replicated(data, wall_ms, self.leader_epoch, leader_start)
        if self.durable:
            self._owner.needs_flush(self)

    def leader_is_at(self, high_watermark: int, start_offset: int) -> None:
        """Adopt the leader's high watermark and start offset, as far as this log reaches."""
        end = self.log.log_end_offset
        if min(high_watermark, end) > self.high_watermark:
            self.high_watermark = min(high_watermark, end)
            self._owner.high_watermark_changed()
        self.delete_before(min(start_offset, self.high_watermark))

    def truncate(self, offset: int) -> None:
        """Remove the records at and after ``offset``, as the leader's log requires."""
        assert not self.is_leader
        if offset < self.high_watermark:
            # After an unclean election, or when a previous incarnation's disk lost records.
            self._env.note(
                Level.WARNING,
                f"{self}: truncating to {offset}, below the high watermark {self.high_watermark}",
            )
        super().truncate(offset)

    # ---- both roles
    def delete_before(self, offset: int) -> bool:
        """Move the start of the log, at most to the high watermark; return whether it moved."""
        moved = super().delete_before(offset)
        if moved:
            for subscriber in self.subscribers:
                subscriber.watermarks_moved()
        return moved

    def end_flush(self, now_ms: int, began: tuple[int, int]) -> bool:
        """A flush has finished; return whether the whole log is on disk now."""
        if self.note_flushed(began):
            self.advance_high_watermark(now_ms)
        return self.flushed_offset == self.log.log_end_offset
