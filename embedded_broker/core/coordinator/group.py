"""One consumer group of the classic protocol: its members, its state, what they agreed on. Plain
data and questions about it; ``membership`` moves it.

States, and what moves them:
    EMPTY                 no members; perhaps committed offsets
      -> PREPARING        a member joins
    PREPARING             members are asked to join again; joins wait
      -> COMPLETING       all have joined, or the time for it is over
      -> EMPTY            nobody has
    COMPLETING            joins are answered; syncs wait for the leader's assignment
      -> STABLE           it came and is in the log
      -> PREPARING        a member comes, leaves, or does not sync in time
    STABLE                everybody has an assignment
      -> PREPARING        a member comes, leaves, expires, or joins with other protocols
    any -> DEAD           deleted, expired, or no longer ours
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from embedded_broker.core.coordinator.records import GroupValue, MemberValue
from embedded_broker.core.events import RequestReceived
from kafka_protocol.fields import ZERO_UUID

CONSUMER = "consumer"
NEVER = 2**62


class State(Enum):
    """Named as DescribeGroups and ListGroups name them."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """``commit_ms`` and ``expire_ms`` are wall-clock times; ``expire_ms`` is -1 without a
    retention of its own."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    expire_ms: int = -1
    topic_id: UUID = ZERO_UUID


@dataclass(slots=True)
class Member:
    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: list[tuple[str, bytes]]
    assignment: bytes = b""
    deadline_ms: int = NEVER
    """When it is given up unless it is heard from (monotonic)."""
    is_new: bool = False
    """Has joined for the first time and not been answered yet."""
    join: RequestReceived | None = None
    """Its JoinGroup that waits for an answer."""
    sync: RequestReceived | None = None

    def metadata(self, protocol: str | None) -> bytes:
        return next((data for name, data in self.protocols if name == protocol), b"")

    @property
    def waits(self) -> bool:
        """Is in the middle of a call, so that its silence says nothing."""
        return self.join is not None or self.sync is not None


@dataclass(slots=True)
class Group:
    group_id: str
    state: State = State.EMPTY
    state_since_ms: int = 0
    """Wall-clock time of the last change of state."""
    protocol_type: str | None = None
    generation: int = 0
    protocol: str | None = None
    leader: str | None = None
    members: dict[str, Member] = field(default_factory=dict)
    static_members: dict[str, str] = field(default_factory=dict)
    """group.instance.id -> member id"""
    pending: dict[str, int] = field(default_factory=dict)
    """Member ids that were given out and have not joined yet, with the time at which they are
    forgotten."""
    unsynced: set[str] = field(default_factory=set)
    """Members of this generation that have not sent their SyncGroup yet."""
    join_deadline_ms: int = NEVER
    sync_deadline_ms: int = NEVER
    initial_left_ms: int = -1
    """How much longer the first rebalance may be put off; -1 when it is not the first one."""
    newcomers: bool = False
    """Members came since the first rebalance was last put off."""
    assigning: bool = False
    """The leader's assignment is on its way into the log."""
    timer_ms: int = NEVER
    """For when this group's timer is set."""
    offsets: dict[tuple[str, int], CommittedOffset] = field(default_factory=dict)
    stored: bytes | None = None
    """The group's record as it last stood in the log."""

    def enter(self, state: State, wall_ms: int) -> None:
        self.state = state
        self.state_since_ms = wall_ms

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    def common_protocols(self) -> set[str]:
        names = [{name for name, _ in m.protocols} for m in self.members.values()]
        return set.intersection(*names) if names else set()

    def accepts(
        self, protocol_type: str, protocols: list[tuple[str, bytes]], replaces: str | None = None
    ) -> bool:
        """Whether a member with these protocols fits to the others."""
        others = [m for m in self.members.values() if m.member_id != replaces]
        if self.state is State.EMPTY or not others:
            return bool(protocol_type and protocols)
        names = {name for name, _ in protocols}
        return self.protocol_type == protocol_type and any(
            all(any(n == name for n, _ in m.protocols) for m in others) for name in sorted(names)
        )

    def select_protocol(self) -> str:
        """The one most members like best of those that all know; the first voted for when there
        is a tie."""
        common = self.common_protocols()
        assert common, f"group {self.group_id} has members without a common protocol"
        votes: dict[str, int] = {}
        for member in self.members.values():
            vote = next(name for name, _ in member.protocols if name in common)
            votes[vote] = votes.get(vote, 0) + 1
        return max(votes, key=votes.__getitem__)

    def add(self, member: Member) -> None:
        if not self.members:
            self.leader = None
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        self.pending.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member:
        member = self.members.pop(member_id)
        self.unsynced.discard(member_id)
        if member.group_instance_id is not None:
            self.static_members.pop(member.group_instance_id, None)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        return member

    def replace_static(self, old_id: str, new_id: str) -> Member:
        """Give a static member another id; its place in the order and its assignment stay."""
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
        return not self.pending and all(m.join is not None for m in self.members.values())

    def subscribed_topics(self) -> set[str] | None:
        """Topics that members of a consumer group subscribe to; None when that cannot be known."""
        if self.protocol_type != CONSUMER or self.protocol is None or not self.members:
            return set() if self.protocol_type == CONSUMER and not self.members else None
        topics: set[str] = set()
        for member in self.members.values():
            found = _topics_of_subscription(member.metadata(self.protocol))
            if found is None:
                return None
            topics.update(found)
        return topics

    def record(self, wall_ms: int, assignments: dict[str, bytes] | None = None) -> GroupValue:
        """As it goes into the log; with the assignments that a leader has just sent."""
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
        """Become what a record of the log says; its members have their whole session to be heard
        from."""
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
        """When something has to be done for this group without anybody asking."""
        due = min(self.join_deadline_ms, self.sync_deadline_ms)
        for member in self.members.values():
            if member.deadline_ms < due and (member.is_new or not member.waits):
                due = member.deadline_ms
        for at_ms in self.pending.values():
            due = min(due, at_ms)
        return due


def _topics_of_subscription(data: bytes) -> list[str] | None:
    """Topic names in the consumer protocol's Subscription (int16 version, then an array of
    strings)."""
    try:
        count = int.from_bytes(data[2:6], "big", signed=True)
        if len(data) < 6 or not 0 <= count <= len(data):
            return None
        topics, position = [], 6
        for _ in range(count):
            size = int.from_bytes(data[position : position + 2], "big", signed=True)
            position += 2
            if size < 0 or position + size > len(data):
                return None
            topics.append(data[position : position + size].decode())
            position += size
        return topics
    except UnicodeDecodeError:
        return None


def protocols_of(message: Any) -> list[tuple[str, bytes]]:
    """A JoinGroup's protocols, copied out of its frame."""
    return [(p.name, bytes(p.metadata)) for p in message.protocols]
