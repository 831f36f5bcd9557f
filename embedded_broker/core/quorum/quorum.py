"""The metadata quorum: one leader per epoch among the voters, and a log that a majority
has on disk (KRaft).

Roles and their transitions:

    unattached   knows no leader of its epoch       -> prospective (timer),
                                                       follower (a leader sends a request)
    follower     fetches from the leader            -> prospective (leader silent or unreachable)
    prospective  asks whether it would be elected,  -> candidate (majority),
                 without a new epoch (KIP-996)         follower or unattached (refused)
    candidate    asks for votes in a new epoch      -> leader (majority),
                                                       unattached (refused, timer)
    leader       serves fetches, appends            -> resigned (no majority fetches, shutdown)
    resigned     was leader, may not lead again     -> prospective (timer)
                 in this epoch
    any          -> unattached or follower when a message has a higher epoch

Epoch, vote and leader are on disk before anything is answered or sent (KIP-595). Every
message is judged by its epoch first. What a majority has flushed is committed once it
includes a record of the leader's own epoch: the LeaderChange record that starts each
epoch.

A voter with an empty disk votes conditionally: its vote counts only when all voters
grant theirs. As one of a bare majority it could help to elect a leader that lacks
records which its lost disk had confirmed. So a new cluster needs all its voters to
form, and an old cluster does not lose its metadata to new disks (Kafka's static voters
have no such guard).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.records import MetadataRecord, encode_record
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.applying import Applying
from embedded_broker.core.quorum.campaign import Campaign
from embedded_broker.core.quorum.following import Following
from embedded_broker.core.quorum.leading import Leading
from embedded_broker.core.quorum.voter import NOBODY, NotLeader, Role, Voter
from kafka_protocol.fields import Buffer

TIMER = "quorum"
RETRY_MS = 50
"""How long until a peer that refused the connection is asked again."""


class QuorumListener(Protocol):
    """Declares what the quorum reports to, and needs of, the machines above it;
    ``Broker`` implements it."""

    def on_leadership(self, now_ms: int) -> None:
        """The epoch, its known leader, or whether this node leads has changed."""

    def on_committed(self, now_ms: int, records: Sequence[MetadataRecord], end_offset: int) -> None:
        """These metadata records are committed; ``end_offset`` is the offset after the
        last."""

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> None:
        """The metadata log is committed up to here; ``on_committed`` has been called
        for it."""

    def is_impostor(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        """Return whether a live broker has this id and a different log directory: then
        the caller's fetches must not count as that broker's."""


class Quorum(Voter):
    """One node's part in the quorum. ``requests`` handles the requests of the peers."""

    def __init__(self, env: Environment, listener: QuorumListener) -> None:
        super().__init__(env)
        self.listener = listener
        self.applying = Applying(
            self.log,
            env.outbox,
            listener.on_committed,
            listener.on_high_watermark,
            self.log_damaged,
        )
        self._part: Campaign | Following | Leading | None = None
        """What the current role does; None for unattached and resigned."""
        self._stopping = False

    # ---- questions of the other machines
    @property
    def is_leader(self) -> bool:
        """Return whether this node leads its epoch."""
        return self.role is Role.LEADER

    @property
    def leading(self) -> Leading | None:
        """The leader's part, while this node leads."""
        return self._part if isinstance(self._part, Leading) else None

    @property
    def following(self) -> Following | None:
        """The follower's part, while this node follows a leader."""
        return self._part if isinstance(self._part, Following) else None

    @property
    def end_offset(self) -> int:
        """End of the metadata log on this node, committed or not."""
        return self.log.end_offset

    @property
    def applied_offset(self) -> int:
        """End of the committed records that the listener has."""
        return self.applying.offset

    @property
    def epoch_start_offset(self) -> int | None:
        """As leader, where the current epoch starts in the log; None otherwise."""
        leading = self.leading
        return None if leading is None else leading.epoch_start_offset

    def majority_contact_ms(self, now_ms: int) -> int | None:
        """As leader, since when no majority of voters has fetched; None otherwise."""
        leading = self.leading
        return None if leading is None else leading.majority_contact_ms(now_ms)

    def applied_by(self, broker_id: int) -> int | None:
        """As leader, the metadata offset that a voter has applied, by its last fetch;
        None when unknown."""
        if broker_id == self.node_id:
            return self.applied_offset
        leading = self.leading
        progress = None if leading is None else leading.voters.get(broker_id)
        return None if progress is None else progress.high_watermark

    def propose(
        self, now_ms: int, records: Sequence[MetadataRecord], values: Sequence[Buffer] = ()
    ) -> int:
        """Append records as one atomic batch. They are committed when the high
        watermark reaches the returned offset. ``values`` are the first of them, as they are
        encoded.

        Raises:
            NotLeader: nothing was appended (or the disk refused it, and this node has resigned).
        """
        leading = self.leading
        if leading is None:
            raise NotLeader
        try:
            others = [encode_record(r) for r in records[len(values) :]]
            return leading.append(now_ms, [*values, *others])
        except StorageFailed as e:
            self.env.note(
                Level.ERROR, f"Cannot write the metadata log, resigning as quorum leader: {e}"
            )
            self.resign(now_ms)
            raise NotLeader from e

    # ---- start and stop
    def start(self, now_ms: int) -> None:
        """Announce the peers' addresses, then flush the log: only then may its end
        count."""
        if len(self.voters) == 1 and self.log.log.lost_records:
            # Going on would take the topics for deleted that the lost records created.
            self.env.outbox.stop(
                2,
                f"The metadata log has lost records, from offset {self.log.end_offset} on, and no "
                "other broker has them. Restore the data directory from a backup. To go on with "
                "what is left, delete its file recovery-point-offset-checkpoint.",
            )
            return
        for voter in self.voters:
            if voter != self.node_id:
                host, port = self.env.settings.voters[voter]
                self.env.outbox.peer(voter, host, port)
        # A restarted leader does not lead its old epoch again: it does not know what it
        # promised.
        if self.leader_id == self.node_id:
            self.leader_id = NOBODY
        self.last_leader_contact_ms = now_ms
        self.flush(self._recovered)

    def _recovered(self, now_ms: int) -> None:
        """The log found at the start is on disk: take a role."""
        if self._part is not None or self.env.outbox.has_timer(TIMER):
            return
        if len(self.voters) == 1:
            self.campaign(now_ms)
        elif self.leader_id != NOBODY:
            self._set(now_ms, Role.FOLLOWER, self.epoch, self.leader_id, self.voted_id)
        else:
            # Campaign soon: a cluster that is starting has no leader to disturb, and
            # the voters of a running one refuse the pre-vote.
            self._campaign_after(now_ms, self.env.rng.below(self.election_timeout_ms // 4 + 1))

    def flush(self, then: Callable[[int], None]) -> None:
        """Call ``then`` when the whole current log is on disk. A failed flush stops
        this broker: which part of the log the disk lost is unknown."""
        end_offset, truncations = self.log.end_offset, self.log.truncations

        def done(now_ms: int, error: str) -> None:
            if error:
                self.env.outbox.stop(1, f"The metadata log could not be flushed: {error}")
                return
            # A flush that began before a truncation says nothing about what was
            # appended after it.
            if truncations == self.log.truncations:
                self.log.flushed_offset = max(self.log.flushed_offset, end_offset)
            then(now_ms)

        self.env.outbox.flush(self.log.log, done)

    def stop(self, now_ms: int) -> None:
        """Shut down in order: let the next leader campaign at once, without a
        timeout."""
        self._stopping = True
        if self.leading is not None:
            self.leading.announce_end()
        self.resign(now_ms)

    # ---- transitions
    def become(self, now_ms: int, role: Role, epoch: int, leader_id: int, voted_id: int) -> None:
        """Take a role, after writing epoch, leader and vote to disk.

        Raises:
            StorageFailed: nothing has changed.
        """
        assert epoch >= self.epoch, f"epoch goes back from {self.epoch} to {epoch}"
        if epoch == self.epoch and leader_id != NOBODY and self.leader_id != NOBODY:
            assert leader_id == self.leader_id, (
                f"two leaders in epoch {epoch}: {self.leader_id} and {leader_id}"
            )
        if (epoch, leader_id, voted_id) != (self.epoch, self.leader_id, self.voted_id):
            self.save(epoch, leader_id, voted_id)
        self._set(now_ms, role, epoch, leader_id, voted_id)

    def _set(self, now_ms: int, role: Role, epoch: int, leader_id: int, voted_id: int) -> None:
        """The only place where role, epoch, leader and vote change in memory."""
        before = (self.epoch, self.leader_id, self.role is Role.LEADER)
        old, self._part = self._part, None
        if old is not None:
            old.close(now_ms)
        self.env.outbox.cancel(TIMER)
        self.role, self.epoch, self.leader_id, self.voted_id = role, epoch, leader_id, voted_id
        match role:
            case Role.FOLLOWER:
                self.lost_elections = 0
                self._part = Following(self)
            case Role.PROSPECTIVE | Role.CANDIDATE:
                self._part = Campaign(self, pre_vote=role is Role.PROSPECTIVE)
            case Role.LEADER:
                self.lost_elections = 0
                self.falls_behind = False
                self._part = Leading(self, now_ms)
            case Role.UNATTACHED | Role.RESIGNED:
                self._campaign_after(now_ms, self._random_election_ms())
        if self._part is not None:
            self._part.start(now_ms)
        if (self.epoch, self.leader_id, self.role is Role.LEADER) != before:
            self.listener.on_leadership(now_ms)

    def campaign(self, now_ms: int) -> None:
        """Try to become the leader; with other voters, ask first whether they would
        agree (KIP-996), which does not raise the epoch."""
        if self._stopping:
            return
        try:
            if len(self.voters) == 1:
                self.become(now_ms, Role.CANDIDATE, self.epoch + 1, NOBODY, self.node_id)
            else:
                self.become(now_ms, Role.PROSPECTIVE, self.epoch, self.leader_id, self.voted_id)
        except StorageFailed as e:
            self.storage_failed(now_ms, e)

    def won(self, now_ms: int) -> None:
        """A majority agreed: a pre-vote is followed by the vote, a vote by
        leadership."""
        try:
            if self.role is Role.PROSPECTIVE:
                self.become(now_ms, Role.CANDIDATE, self.epoch + 1, NOBODY, self.node_id)
            else:
                self.become(now_ms, Role.LEADER, self.epoch, self.node_id, self.voted_id)
        except StorageFailed as e:
            self.storage_failed(now_ms, e)

    def lost(self, now_ms: int) -> None:
        """Follow the known leader, or back off for a random time before the next
        campaign."""
        self.lost_elections += 1
        if self.leader_id not in (NOBODY, self.node_id):
            self._set(now_ms, Role.FOLLOWER, self.epoch, self.leader_id, self.voted_id)
            return
        self._set(now_ms, Role.UNATTACHED, self.epoch, NOBODY, self.voted_id)
        backoff_ms = min(self.backoff_max_ms, RETRY_MS << min(self.lost_elections, 10))
        self._campaign_after(now_ms, RETRY_MS // 2 + self.env.rng.below(backoff_ms + 1))

    def resign(self, now_ms: int) -> None:
        """Stop leading. This node may not lead the epoch again: its vote for itself
        stays."""
        if self.role is Role.LEADER:
            self._set(now_ms, Role.RESIGNED, self.epoch, NOBODY, self.voted_id)

    def learn_epoch(self, now_ms: int, epoch: int, leader_id: int) -> bool:
        """A message names an epoch and its leader; return whether that changed this
        node's role.

        Raises:
            StorageFailed: nothing has changed.
        """
        if leader_id not in self.voters:
            leader_id = NOBODY
        if leader_id == self.node_id and self.role is not Role.LEADER:
            if self.taken_for_leader_since_ms < 0:
                self.taken_for_leader_since_ms = now_ms
        elif leader_id != NOBODY:
            self.taken_for_leader_since_ms = -1
        if epoch < self.epoch or (
            epoch == self.epoch and leader_id in (NOBODY, self.node_id, self.leader_id)
        ):
            return False
        if epoch == self.epoch and self.role is Role.LEADER:
            raise AssertionError(f"broker {leader_id} leads epoch {epoch}, which this broker leads")
        voted_id = self.voted_id if epoch == self.epoch else NOBODY
        if leader_id not in (NOBODY, self.node_id):
            try:
                self.become(now_ms, Role.FOLLOWER, epoch, leader_id, voted_id)
            except StorageFailed:
                self.falls_behind = True
                raise
        else:
            self.become(now_ms, Role.UNATTACHED, epoch, NOBODY, voted_id)
        return True

    def storage_failed(self, now_ms: int, error: StorageFailed) -> None:
        """The vote or the epoch cannot be written: take no part until it can."""
        self.env.note(Level.ERROR, f"Cannot write the quorum state: {error}")
        if self.role is Role.LEADER:
            self.resign(now_ms)
        else:
            self._set(now_ms, Role.UNATTACHED, self.epoch, self.leader_id, self.voted_id)

    def campaign_soon(self, now_ms: int, position: int) -> None:
        """The leader announced its end: campaign now, or later by the number of voters
        that it named before this node, so that they do not split the vote."""
        self.last_leader_contact_ms = now_ms
        self._set(now_ms, Role.UNATTACHED, self.epoch, self.leader_id, self.voted_id)
        self._campaign_after(now_ms, position * RETRY_MS * 2)

    def _campaign_after(self, now_ms: int, delay_ms: int) -> None:
        if not self._stopping:
            self.env.outbox.timer(TIMER, now_ms + delay_ms, self.campaign)

    def set_role_timer(self, now_ms: int, delay_ms: int, fire: Callable[[int], None]) -> None:
        """Set the one timer of the current role; a change of role cancels it."""
        self.env.outbox.timer(TIMER, now_ms + delay_ms, fire)

    def _random_election_ms(self) -> int:
        return self.election_timeout_ms + self.env.rng.below(self.election_timeout_ms + 1)

    # ---- what is committed
    def advance(self, now_ms: int, high_watermark: int) -> None:
        """Move the high watermark and pass the newly committed records to the
        listener, most of them later when there are many."""
        assert high_watermark >= self.high_watermark, "the metadata high watermark goes back"
        if high_watermark == self.high_watermark:
            return
        self.high_watermark = high_watermark
        self.applying.advance(now_ms, high_watermark)
