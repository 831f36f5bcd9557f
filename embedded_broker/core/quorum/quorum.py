"""The metadata quorum: one leader per epoch among the voters, and a log that a majority has on
disk (KRaft).

Roles and their transitions:

    unattached   knows no leader of its epoch       -> prospective (timer), follower (a leader speaks)
    follower     fetches from the leader            -> prospective (leader silent or unreachable)
    prospective  asks whether it would be elected,  -> candidate (majority), follower or unattached (refused)
                 without a new epoch (KIP-996)
    candidate    asks for votes in a new epoch      -> leader (majority), unattached (refused, timer)
    leader       serves fetches, appends            -> resigned (no majority fetches, orderly stop)
    resigned     was leader; leads no more          -> prospective (timer)
    any          -> unattached or follower when a higher epoch is seen

Epoch, vote and leader are on disk before anything is answered or sent (KIP-595). The epoch of a
message is looked at before all else in it. What a majority has flushed is committed once it holds
a record of the leader's own epoch: the LeaderChange record that opens each epoch.

A voter that comes with an empty disk votes under a condition: that all voters do. As one of a
bare majority it could help to elect a leader that lacks what its lost disk had confirmed. So a
new cluster is formed by all its voters, and an old one is not emptied by new disks (Kafka's
static voters have no such guard).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.records import encode_record
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.campaign import Campaign
from embedded_broker.core.quorum.following import Following
from embedded_broker.core.quorum.leading import Leading
from embedded_broker.core.quorum.log import MetadataLog

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

NOBODY = -1
TIMER = "quorum"
RETRY_MS = 50
"""Until a peer that refused the connection is asked again."""


class Role(Enum):
    UNATTACHED = "unattached"
    FOLLOWER = "follower"
    PROSPECTIVE = "prospective"
    CANDIDATE = "candidate"
    LEADER = "leader"
    RESIGNED = "resigned"


class NotLeader(Exception):
    """This node does not lead the quorum (any more)."""


class Quorum:
    """One node's part in the quorum. ``requests`` has the handlers of what the peers ask."""

    def __init__(self, broker: Broker) -> None:
        settings = broker.settings
        self.broker = broker
        self.node_id = broker.node_id
        self.voters: tuple[int, ...] = tuple(sorted(settings.voters))
        self.majority = len(self.voters) // 2 + 1
        self.cluster_id: str = settings.cluster_id
        self.election_timeout_ms: int = settings["controller.quorum.election.timeout.ms"]
        self.fetch_timeout_ms: int = settings["controller.quorum.fetch.timeout.ms"]
        self.backoff_max_ms: int = settings["controller.quorum.election.backoff.max.ms"]
        self.request_timeout_ms: int = settings["controller.quorum.request.timeout.ms"]

        self.log = MetadataLog(broker.disk)
        self._saved = broker.disk.load_quorum_state()
        self.epoch: int = self._saved.get("leaderEpoch", 0)
        self.voted_id: int = self._saved.get("votedId", NOBODY)
        self.leader_id: int = self._saved.get("leaderId", NOBODY)
        self._lives: int = self._saved.get("lives", 0)
        self.forgetful: bool = self._saved.get(
            "forgetful", not self._saved and len(self.voters) > 1
        )
        """Whether this disk is new, or may be: what this voter held and whom it voted for is not
        known. Its vote then counts only where all voters agree, which a new cluster's do; a
        caught-up follower has its memory back."""
        self.role = Role.UNATTACHED
        self.high_watermark = 0
        self.applied_offset = 0
        self.lost_elections = 0
        self.heard_leader_id = NOBODY
        self.leader_heard_ms = 0
        """Which leader this node last heard, and when; kept over its fall."""
        self.leader_hung_up = False
        """Whether that leader's connections ended rather than fell silent."""
        self._part: Campaign | Following | Leading | None = None
        self._stopping = False

    # ---- what others ask
    @property
    def is_leader(self) -> bool:
        return self.role is Role.LEADER

    @property
    def leader_epoch(self) -> int:
        return self.epoch

    @property
    def leading(self) -> Leading | None:
        return self._part if isinstance(self._part, Leading) else None

    @property
    def following(self) -> Following | None:
        return self._part if isinstance(self._part, Following) else None

    def propose(self, now_ms: int, records: Sequence[Any]) -> int:
        """Append records as one atomic batch; they count when the high watermark reaches the
        offset returned.

        Raises:
            NotLeader: nothing was appended (or the disk refused it, and this node has resigned).
        """
        leading = self.leading
        if leading is None:
            raise NotLeader
        try:
            return leading.append(now_ms, [encode_record(r) for r in records])
        except StorageFailed as e:
            self.broker.outbox.note(
                Level.ERROR, f"The metadata log cannot be written, leadership given up: {e}"
            )
            self.resign(now_ms)
            raise NotLeader from e

    def fetch(self, now_ms: int, event: RequestReceived) -> None:
        from embedded_broker.core.quorum import requests

        requests.fetch(self, now_ms, event)

    def remember(self) -> None:
        """This voter's log holds all that is committed.

        Raises:
            StorageFailed: it stays forgetful.
        """
        if self.forgetful:
            self.forgetful = False
            try:
                self._save(self.epoch, self.leader_id, self.voted_id)
            except StorageFailed:
                self.forgetful = True
                raise

    def begin_life(self) -> int:
        """How many processes have run on this disk, this one included.

        Raises:
            StorageFailed: it is not written down; the next life may get the same number.
        """
        self._lives += 1
        self._save(self.epoch, self.leader_id, self.voted_id)
        return self._lives

    # ---- life
    def start(self, now_ms: int) -> None:
        outbox = self.broker.outbox
        for voter in self.voters:
            if voter != self.node_id:
                host, port = self.broker.settings.voters[voter]
                outbox.peer(voter, host, port)
        if self.leader_id == self.node_id:
            self.leader_id = NOBODY
        self.leader_heard_ms = now_ms
        self.flush(self._recovered)

    def _recovered(self, now_ms: int) -> None:
        """What was found at the start is on disk: now it may count."""
        if self._part is not None or self.broker.outbox.has_timer(TIMER):
            return
        if len(self.voters) == 1:
            self.campaign(now_ms)
        elif self.leader_id != NOBODY:
            self._set(now_ms, Role.FOLLOWER, self.epoch, self.leader_id, self.voted_id)
        else:
            # Soon, for a cluster that starts has no leader to disturb, and an old one refuses the
            # question.
            self._wait(now_ms, self.broker.rng.below(self.election_timeout_ms // 4 + 1))

    def flush(self, then: Callable[[int], None]) -> None:
        """Call ``then`` when all that is in the log now is on disk; a disk that refuses ends this
        broker, for what it has forgotten is not known."""
        end_offset, cuts = self.log.end_offset, self.log.cuts

        def done(now_ms: int, error: str) -> None:
            if error:
                self.broker.outbox.stop(1, f"The metadata log could not be flushed: {error}")
                return
            if cuts == self.log.cuts:
                self.log.flushed_offset = max(self.log.flushed_offset, end_offset)
            then(now_ms)

        self.broker.outbox.flush(self.log.log, done)

    def stop(self, now_ms: int) -> None:
        """Leave in order: the next leader need not wait for a timeout to be elected."""
        self._stopping = True
        if self.leading is not None:
            self.leading.say_goodbye()
        self.resign(now_ms)

    # ---- transitions
    def become(self, now_ms: int, role: Role, epoch: int, leader_id: int, voted_id: int) -> None:
        """Take a role; the only place where epoch, leader, vote and role change.

        Raises:
            StorageFailed: nothing has changed.
        """
        assert epoch >= self.epoch, f"epoch goes back from {self.epoch} to {epoch}"
        if epoch == self.epoch and leader_id != NOBODY and self.leader_id != NOBODY:
            assert leader_id == self.leader_id, (
                f"two leaders in epoch {epoch}: {self.leader_id} and {leader_id}"
            )
        if (epoch, leader_id, voted_id) != (self.epoch, self.leader_id, self.voted_id):
            self._save(epoch, leader_id, voted_id)
        self._set(now_ms, role, epoch, leader_id, voted_id)

    def _set(self, now_ms: int, role: Role, epoch: int, leader_id: int, voted_id: int) -> None:
        before = (self.epoch, self.leader_id, self.role is Role.LEADER)
        old, self._part = self._part, None
        if old is not None:
            old.close(now_ms)
        self.broker.outbox.cancel(TIMER)
        self.role, self.epoch, self.leader_id, self.voted_id = role, epoch, leader_id, voted_id
        match role:
            case Role.FOLLOWER:
                self.lost_elections = 0
                self._part = Following(self, now_ms)
            case Role.PROSPECTIVE | Role.CANDIDATE:
                self._part = Campaign(self, now_ms, pre_vote=role is Role.PROSPECTIVE)
            case Role.LEADER:
                self.lost_elections = 0
                self._part = Leading(self, now_ms)
            case Role.UNATTACHED | Role.RESIGNED:
                self._wait(now_ms, self._random_election_ms())
        if self._part is not None:
            self._part.start(now_ms)
        if (self.epoch, self.leader_id, self.role is Role.LEADER) != before:
            self.broker.controller.on_leadership(now_ms)
            self.broker.channel.on_leader_change(now_ms)

    def campaign(self, now_ms: int) -> None:
        """Try to be elected; with other voters, first ask whether there is a point."""
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
        """A majority is for this node."""
        try:
            if self.role is Role.PROSPECTIVE:
                self.become(now_ms, Role.CANDIDATE, self.epoch + 1, NOBODY, self.node_id)
            else:
                self.become(now_ms, Role.LEADER, self.epoch, self.node_id, self.voted_id)
        except StorageFailed as e:
            self.storage_failed(now_ms, e)

    def lost(self, now_ms: int) -> None:
        """No majority is to be had now: back to the leader that the others still hear, else wait
        a random while."""
        self.lost_elections += 1
        if self.leader_id not in (NOBODY, self.node_id):
            self._set(now_ms, Role.FOLLOWER, self.epoch, self.leader_id, self.voted_id)
            return
        self._set(now_ms, Role.UNATTACHED, self.epoch, NOBODY, self.voted_id)
        backoff_ms = min(self.backoff_max_ms, RETRY_MS << min(self.lost_elections, 10))
        self._wait(now_ms, RETRY_MS // 2 + self.broker.rng.below(backoff_ms + 1))

    def resign(self, now_ms: int) -> None:
        """Stop leading in this epoch (it cannot be led again: the vote for oneself stays)."""
        if self.role is Role.LEADER:
            self._set(now_ms, Role.RESIGNED, self.epoch, NOBODY, self.voted_id)

    def heard_of(self, now_ms: int, epoch: int, leader_id: int) -> bool:
        """Somebody names an epoch and its leader. Whether that changed this node's role.

        Raises:
            StorageFailed: nothing has changed.
        """
        if leader_id not in self.voters:
            leader_id = NOBODY
        if epoch < self.epoch or (
            epoch == self.epoch and leader_id in (NOBODY, self.node_id, self.leader_id)
        ):
            return False
        if epoch == self.epoch and self.role is Role.LEADER:
            raise AssertionError(f"broker {leader_id} leads epoch {epoch}, which this broker leads")
        voted_id = self.voted_id if epoch == self.epoch else NOBODY
        if leader_id not in (NOBODY, self.node_id):
            self.become(now_ms, Role.FOLLOWER, epoch, leader_id, voted_id)
        else:
            self.become(now_ms, Role.UNATTACHED, epoch, NOBODY, voted_id)
        return True

    def storage_failed(self, now_ms: int, error: StorageFailed) -> None:
        """The vote or the epoch cannot be written: take no part until it can."""
        self.broker.outbox.note(Level.ERROR, f"The quorum's state cannot be written: {error}")
        if self.role is Role.LEADER:
            self.resign(now_ms)
        else:
            self._set(now_ms, Role.UNATTACHED, self.epoch, self.leader_id, self.voted_id)

    def _wait(self, now_ms: int, delay_ms: int) -> None:
        if not self._stopping:
            self.broker.outbox.timer(TIMER, now_ms + delay_ms, self.campaign)

    def expect_within(self, now_ms: int, delay_ms: int, fire: Callable[[int], None]) -> None:
        """The one timer of the role that holds now."""
        self.broker.outbox.timer(TIMER, now_ms + delay_ms, fire)

    def _random_election_ms(self) -> int:
        return self.election_timeout_ms + self.broker.rng.below(self.election_timeout_ms + 1)

    def hurry(self, now_ms: int, position: int) -> None:
        """The leader has said goodbye: campaign now, or a little later when others were named
        before this node."""
        self.leader_heard_ms = now_ms
        self._set(now_ms, Role.UNATTACHED, self.epoch, self.leader_id, self.voted_id)
        self._wait(now_ms, position * RETRY_MS * 2)

    def _save(self, epoch: int, leader_id: int, voted_id: int) -> None:
        state = {
            "leaderId": leader_id,
            "leaderEpoch": epoch,
            "votedId": voted_id,
            "votedDirectoryId": "AAAAAAAAAAAAAAAAAAAAAA",  # Kafka's zero id: votes here are for a node, not its disk
            "data_version": 1,
            "lives": self._lives,
            "forgetful": self.forgetful,
        }
        if state != self._saved:
            self.broker.disk.save_quorum_state(state)
            self._saved = state

    # ---- what is committed
    def advance(self, now_ms: int, high_watermark: int) -> None:
        """The high watermark has moved: hand on what is committed now."""
        assert high_watermark >= self.high_watermark, "the metadata high watermark goes back"
        if high_watermark == self.high_watermark:
            return
        self.high_watermark = high_watermark
        while self.applied_offset < self.high_watermark:
            records, self.applied_offset = self.log.records(
                self.applied_offset, self.high_watermark
            )
            self.broker.on_committed(now_ms, records, self.applied_offset)
        self.broker.controller.on_high_watermark(now_ms, self.high_watermark)
