"""One consumer group of the classic protocol: its members, its state, its offsets.
Plain data and questions about it; ``membership`` and ``rebalance`` change it.

States and their transitions:
    EMPTY                 no members; perhaps committed offsets
      -> PREPARING        a member joins
    PREPARING             members must join again; JoinGroup requests wait
      -> COMPLETING       all members have joined, or the rebalance timeout is over
      -> EMPTY            no member has joined
    COMPLETING            joins are answered; SyncGroup requests wait for the leader's assignment
      -> STABLE           the assignment has come and is committed in the log
      -> PREPARING        a member joins, leaves, or does not sync in time
    STABLE                every member has an assignment
      -> PREPARING        a member joins, leaves, expires, or joins with other protocols
    any -> DEAD           deleted, expired, or this node no longer coordinates it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from embedded_broker.core.coordinator.records import GroupValue, MemberValue
from embedded_broker.core.events import RequestReceived
from kafka_protocol.consumer_protocol import subscribed_topics
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID

CONSUMER = "consumer"
"""Protocol type of consumers, whose subscriptions this node can read."""
NEVER = 2**62


class State(Enum):
    """The values are the names in DescribeGroups and ListGroups."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """A group's position in one partition. ``commit_ms`` and ``expire_ms`` are
    wall-clock times; ``expire_ms`` is -1 unless the commit set a retention of its
    own."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    expire_ms: int = -1
    topic_id: UUID = ZERO_UUID
    """Tells whether the topic was deleted and created again since."""


@dataclass(slots=True)
class Member:
    """A member of a group."""

    member_id: str
    group_instance_id: str | None
    """Set for static members (KIP-345), which keep their place over a restart."""
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: list[tuple[str, bytes]]
    """(name, metadata), the preferred one first."""
    assignment: bytes = b""
    deadline_ms: int = NEVER
    """When the member is removed unless it sends a request before (monotonic)."""
    is_new: bool = False
    """Whether its first JoinGroup has not been answered yet."""
    join: RequestReceived | None = None
    """Its JoinGroup that waits for a response."""
    sync: RequestReceived | None = None
    """Its SyncGroup that waits for the assignment."""

    def metadata(self, protocol: str | None) -> bytes:
        """The member's metadata for this protocol; empty when it does not support
        it."""
        return next((data for name, data in self.protocols if name == protocol), b"")

    @property
    def waits(self) -> bool:
        """Return whether it has a request waiting here, and so cannot send another to
        show it is alive."""
        return self.join is not None or self.sync is not None


@dataclass(slots=True)
class Group:
    """A group and its committed offsets."""

    group_id: str
    state: State = State.EMPTY
    state_since_ms: int = 0
    """Wall-clock time of the last change of state."""
    protocol_type: str | None = None
    """Of the first member; the others must have the same. None before any member
    joined."""
    generation: int = 0
    """Rises with every completed rebalance."""
    protocol: str | None = None
    """The protocol that this generation's members agreed on."""
    leader: str | None = None
    """The member that assigns the partitions."""
    members: dict[str, Member] = field(default_factory=dict)
    """In the order in which they joined."""
    static_members: dict[str, str] = field(default_factory=dict)
    """group.instance.id -> member id"""
    pending: dict[str, int] = field(default_factory=dict)
    """Member ids handed out by MEMBER_ID_REQUIRED that have not joined yet, and when
    they expire."""
    unsynced: set[str] = field(default_factory=set)
    """Members of this generation that have not sent their SyncGroup yet."""
    join_deadline_ms: int = NEVER
    """When the rebalance completes without the members that have not joined."""
    sync_deadline_ms: int = NEVER
    """When members that have not synced are removed."""
    initial_left_ms: int = -1
    """How much longer the initial rebalance may be delayed; -1 when it is not the
    initial one."""
    newcomers: bool = False
    """Whether members joined since the initial rebalance was last delayed."""
    assigning: bool = False
    """Whether the leader's assignment is being written to the log."""
    timer_ms: int = NEVER
    """When this group's timer is set to fire."""
    offsets: dict[tuple[str, int], CommittedOffset] = field(default_factory=dict)
    """(topic, partition) -> its committed offset."""
    stored: bytes | None = None
    """The value of the group's newest committed record; None without one."""

    def enter(self, state: State, wall_ms: int) -> None:
        """Change the state."""
        self.state = state
        self.state_since_ms = wall_ms

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest of the members' rebalance timeouts."""
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    def member_error(
        self, member_id: str, instance_id: str | None, generation: int | None = None
    ) -> int:
        """Check that a request comes from a current member, and of this generation
        unless that is None; return the error code."""
        if instance_id is not None:
            known = self.static_members.get(instance_id)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            # Another process has the same instance id now (KIP-345).
            if known != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        elif member_id not in self.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if generation is not None and generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.NONE

    def common_protocols(self) -> set[str]:
        """The protocols that every member supports."""
        names = [{name for name, _ in m.protocols} for m in self.members.values()]
        return set.intersection(*names) if names else set()

    def accepts(
        self, protocol_type: str, protocols: list[tuple[str, bytes]], replaces: str | None = None
    ) -> bool:
        """Return whether a member with these protocols shares one with all others;
        ``replaces`` is the member whose place it takes."""
        others = [m for m in self.members.values() if m.member_id != replaces]
        if self.state is State.EMPTY or not others:
            return bool(protocol_type and protocols)
        names = {name for name, _ in protocols}
        return self.protocol_type == protocol_type and any(
            all(any(n == name for n, _ in m.protocols) for m in others) for name in sorted(names)
        )

    def select_protocol(self) -> str:
        """Return the protocol with the most votes: each member votes for the first of
        its protocols that all support. In a tie the earliest vote decides."""
        common = self.common_protocols()
        assert common, f"group {self.group_id} has members without a common protocol"
        votes: dict[str, int] = {}
        for member in self.members.values():
            vote = next(name for name, _ in member.protocols if name in common)
            votes[vote] = votes.get(vote, 0) + 1
        return max(votes, key=votes.__getitem__)

    def add(self, member: Member) -> None:
        """Add a member; the first one leads."""
        if not self.members:
            self.leader = None
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        self.pending.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member:
        """Remove a member; when it led, the one that joined next leads."""
        member = self.members.pop(member_id)
        self.unsynced.discard(member_id)
        if member.group_instance_id is not None:
            self.static_members.pop(member.group_instance_id, None)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        return member

    def replace_static(self, old_id: str, new_id: str) -> Member:
        """Give a static member a new id; it keeps its place in the order and its
        assignment."""
        renamed = {}
        for member_id, member in self.members.items():
            if member_id == old_id:
                member.member_id = new_id
            renamed[member.member_id] = member
        self.members = renamed
        member = renamed[new_id]
        assert member.group_instance_id is not None
        self.static_members[member.group_instance_id] = new_id
        if self.leader == old_id:
            self.leader = new_id
        if old_id in self.unsynced:
            self.unsynced.discard(old_id)
            self.unsynced.add(new_id)
        return member

    @property
    def all_joined(self) -> bool:
        """Return whether no member, and no handed-out member id, is still expected to
        join."""
        return not self.pending and all(m.join is not None for m in self.members.values())

    def subscribed_topics(self) -> set[str] | None:
        """Return the topics that the members of a consumer group subscribe to, or None
        when that cannot be known."""
        if self.protocol_type != CONSUMER or self.protocol is None or not self.members:
            return set() if self.protocol_type == CONSUMER and not self.members else None
        topics: set[str] = set()
        for member in self.members.values():
            subscribed = subscribed_topics(member.metadata(self.protocol))
            if subscribed is None:
                return None
            topics.update(subscribed)
        return topics

    def record(self, wall_ms: int, assignments: dict[str, bytes] | None = None) -> GroupValue:
        """Return the group's record for the log, with new ``assignments`` if they are
        given."""
        return GroupValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            current_state_timestamp=wall_ms,
            members=[
                MemberValue(
                    member_id=m.member_id,
                    group_instance_id=m.group_instance_id,
                    client_id=m.client_id,
                    client_host=m.client_host,
                    rebalance_timeout=m.rebalance_timeout_ms,
                    session_timeout=m.session_timeout_ms,
                    subscription=m.metadata(self.protocol),
                    assignment=m.assignment
                    if assignments is None
                    else assignments.get(m.member_id, b""),
                )
                for m in self.members.values()
            ],
        )

    def load(self, value: GroupValue, now_ms: int) -> None:
        """Take the state of a record of the log; every member gets a whole session
        timeout to send a request."""
        self.protocol_type = value.protocol_type or None
        self.generation = value.generation
        self.protocol = value.protocol
        self.leader = value.leader
        self.members.clear()
        self.static_members.clear()
        for m in value.members:
            self.add(
                Member(
                    m.member_id,
                    m.group_instance_id,
                    m.client_id,
                    m.client_host,
                    m.session_timeout,
                    m.rebalance_timeout if m.rebalance_timeout > 0 else m.session_timeout,
                    [(value.protocol or "", m.subscription)],
                    m.assignment,
                    now_ms + m.session_timeout,
                )
            )
        self.leader = (
            value.leader if value.leader in self.members else next(iter(self.members), None)
        )
        self.state = State.STABLE if self.members else State.EMPTY
        self.state_since_ms = max(0, value.current_state_timestamp)

    def next_deadline_ms(self) -> int:
        """Return the monotonic time of the next timeout in this group."""
        due = min(self.join_deadline_ms, self.sync_deadline_ms)
        for member in self.members.values():
            if member.deadline_ms < due and (member.is_new or not member.waits):
                due = member.deadline_ms
        for at_ms in self.pending.values():
            due = min(due, at_ms)
        return due


def protocols_of(message: Any) -> list[tuple[str, bytes]]:
    """Return a JoinGroup's protocols, copied out of its frame."""
    return [(p.name, bytes(p.metadata)) for p in message.protocols]
