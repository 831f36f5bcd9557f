"""The state of one voter, and the role changes that the parts of the quorum may ask
for.

``Campaign``, ``Following`` and ``Leading`` hold a ``Voter`` and know nothing of each
other; ``Quorum`` implements the abstract methods. Epoch, vote and leader are on disk
before they are used (KIP-595).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any

from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.core.quorum.log import MetadataLog

NOBODY = -1
"""No leader, or no vote."""
ZERO_DIRECTORY_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""Kafka's zero id in base64: votes here are for a node, not for its disk."""


class Role(Enum):
    """See ``quorum`` for what each does and how they follow each other."""

    UNATTACHED = "unattached"
    FOLLOWER = "follower"
    PROSPECTIVE = "prospective"
    CANDIDATE = "candidate"
    LEADER = "leader"
    RESIGNED = "resigned"


class NotLeader(Exception):
    """This node does not lead the quorum (any more)."""


class Voter(ABC):
    """One node's membership in the quorum."""

    def __init__(self, env: Environment) -> None:
        settings = env.settings
        self.env = env
        self.node_id = env.node_id
        self.voters: tuple[int, ...] = tuple(sorted(settings.voters))
        self.majority = len(self.voters) // 2 + 1
        self.cluster_id: str = settings.cluster_id
        self.election_timeout_ms: int = settings["controller.quorum.election.timeout.ms"]
        self.fetch_timeout_ms: int = settings["controller.quorum.fetch.timeout.ms"]
        self.backoff_max_ms: int = settings["controller.quorum.election.backoff.max.ms"]
        self.request_timeout_ms: int = settings["controller.quorum.request.timeout.ms"]

        self.log = MetadataLog(env.disk)
        self._saved = env.disk.load_quorum_state()
        self.epoch: int = self._saved.get("leaderEpoch", 0)
        """Never goes back, not even over a restart."""
        self.voted_id: int = self._saved.get("votedId", NOBODY)
        """The candidate that has this node's vote in ``epoch``; at most one per
        epoch."""
        self.leader_id: int = self._saved.get("leaderId", NOBODY)
        """The leader of ``epoch`` once it is known; at most one per epoch."""
        # "lives" is the name in the stored file; data directories in use have it.
        self._incarnations: int = self._saved.get("lives", 0)
        """How many processes have run on this disk."""
        self.votes_conditionally: bool = len(self.voters) > 1 and (
            self._saved.get("forgetful", not self._saved) or self.log.log.lost_records
        )
        """Whether records or votes that this voter once had may be lost: its disk is or may
        be new, or its log ends before what was on it. Its vote then counts only when all
        voters grant theirs, as those of a new cluster do. Ends when this voter has all
        committed records."""
        if self.epoch < self.log.last_epoch:
            # The quorum state was lost, or comes from a backup. An epoch that wrote records has
            # been; in an older one this node would write what its own recovery cuts off.
            self.epoch = self.log.last_epoch
            self.voted_id = self.leader_id = NOBODY
        self.role = Role.UNATTACHED
        self.high_watermark = 0
        """End of the committed part of the log; never goes back."""
        self.falls_behind = False
        """Whether the disk refuses what the leader has committed since, or the epoch of a newer
        leader: what this node knows is out of date, and it cannot tell how much."""
        self.lost_elections = 0
        """In a row; the back-off grows with it."""
        self.last_leader_id = NOBODY
        """The leader that this node last heard from; kept after that leader failed."""
        self.last_leader_contact_ms = 0
        self.taken_for_leader_since_ms = -1
        """Since when other voters have named this node as the leader, which it is not; -1 when they
        do not. A restarted leader sees that until they elect another."""
        self.last_leader_unreachable = False
        """Whether that leader's connections broke (a dead process) rather than fell
        silent."""

    # ---- what is on disk
    def save(self, epoch: int, leader_id: int, voted_id: int) -> None:
        """Write quorum-state when it has changed. The keys are Kafka's plus two of this
        project; existing data directories have them, so they keep their names.

        Raises:
            StorageFailed
        """
        state: dict[str, Any] = {
            "leaderId": leader_id,
            "leaderEpoch": epoch,
            "votedId": voted_id,
            "votedDirectoryId": ZERO_DIRECTORY_ID,
            "data_version": 1,
            "lives": self._incarnations,
            "forgetful": self.votes_conditionally,
        }
        if state != self._saved:
            self.env.disk.save_quorum_state(state)
            self._saved = state

    def begin_incarnation(self) -> int:
        """Count this process; return how many have run on this disk, this one included.

        Raises:
            StorageFailed: the count is not written; the next process may get the same number.
        """
        self._incarnations += 1
        self.save(self.epoch, self.leader_id, self.voted_id)
        return self._incarnations

    def vote_unconditionally(self) -> None:
        """This voter's log has every committed record: its votes count like any other.

        Raises:
            StorageFailed: its votes stay conditional.
        """
        if self.votes_conditionally:
            self.votes_conditionally = False
            try:
                self.save(self.epoch, self.leader_id, self.voted_id)
            except StorageFailed:
                self.votes_conditionally = True
                raise

    # ---- role changes, implemented by Quorum
    @abstractmethod
    def campaign(self, now_ms: int) -> None:
        """Try to become the leader."""

    @abstractmethod
    def won(self, now_ms: int) -> None:
        """The current campaign has a majority."""

    @abstractmethod
    def lost(self, now_ms: int) -> None:
        """The current campaign cannot get a majority."""

    @abstractmethod
    def resign(self, now_ms: int) -> None:
        """Stop leading in this epoch."""

    @abstractmethod
    def learn_epoch(self, now_ms: int, epoch: int, leader_id: int) -> bool:
        """A message names an epoch and its leader; return whether that changed this
        node's role.

        Raises:
            StorageFailed: nothing has changed.
        """

    @abstractmethod
    def storage_failed(self, now_ms: int, error: StorageFailed) -> None:
        """The quorum state or the log cannot be written: stop taking part until it
        can."""

    def log_damaged(self, error: LogDamaged) -> None:
        """Stop: the next start finds where the metadata log is damaged, and fetches the rest anew
        from the other voters."""
        self.env.outbox.stop(
            1,
            f"The metadata log is damaged: {error}. The next start cuts it off there, and fetches "
            "the rest from the other brokers.",
        )

    @abstractmethod
    def set_role_timer(self, now_ms: int, delay_ms: int, fire: Callable[[int], None]) -> None:
        """Set the one timer of the current role; a change of role cancels it."""

    @abstractmethod
    def flush(self, then: Callable[[int], None]) -> None:
        """Call ``then`` when the whole current log is on disk."""

    @property
    @abstractmethod
    def applied_offset(self) -> int:
        """End of the committed records that the listener has."""

    @abstractmethod
    def advance(self, now_ms: int, high_watermark: int) -> None:
        """Move the high watermark and pass the newly committed records to the
        listener."""
