"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup: the requests of the classic group
protocol (KIP-62, 134, 345, 394, 559, 814).

``rebalance`` moves the group through its states; this file decides what a request means
in each.
"""

from __future__ import annotations

from embedded_broker.core.coordinator.errors import group_error
from embedded_broker.core.coordinator.group import NEVER, Group, Member, State, protocols_of
from embedded_broker.core.coordinator.rebalance import Rebalances
from embedded_broker.core.coordinator.records import GroupKey
from embedded_broker.core.coordinator.responses import MemberResponses
from embedded_broker.core.coordinator.shard import Entry, Shard
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.topics import OFFSETS_TOPIC
from kafka_protocol.errors import ErrorCode

NEW_MEMBER_TIMEOUT_MS = 300_000
"""How long a new member may wait for its first rebalance."""
MEMBER_ID_REQUIRED_SINCE = 4
"""From this version of JoinGroup on a new member first gets its id (KIP-394)."""
SKIP_ASSIGNMENT_SINCE = 9
SMALL_BYTES = 64 * 1024
"""Metadata of a member, or assignments, that are not added up with the rest of the group."""
INSTANCE_ID_MAX = 249
"""Characters of the id of a static member; the limit of Kafka's consumer."""
PENDING_MOST = 10_000
"""Member ids of a group that were given and have not joined yet."""


class Membership:
    """Handles the requests of members."""

    def __init__(
        self, env: Environment, rebalances: Rebalances, responses: MemberResponses
    ) -> None:
        self._env = env
        self._rebalances = rebalances
        self._responses = responses

    # ---- join
    def join(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        """Handle a JoinGroup; the response comes at once or when the rebalance
        completes."""
        message = event.message
        config = self._env.config
        least_ms = config.broker("group.min.session.timeout.ms")
        most_ms = config.broker("group.max.session.timeout.ms")
        if not least_ms <= message.session_timeout_ms <= most_ms:
            self._responses.refuse_join(event, ErrorCode.INVALID_SESSION_TIMEOUT)
            return
        # A member id is made of it. One that does not fit into its field could not be sent, nor
        # the group be described any more.
        if len(message.group_instance_id or "") > INSTANCE_ID_MAX:
            self._responses.refuse_join(event, ErrorCode.INVALID_REQUEST)
            return
        group = shard.groups.get(message.group_id)
        if group is None:
            # Only a new member may create the group.
            if message.member_id:
                self._responses.refuse_join(event, ErrorCode.UNKNOWN_MEMBER_ID)
                return
            group = shard.group(message.group_id)
        if self._is_full(group, message.member_id):
            group.pending.pop(message.member_id, None)
            self._responses.refuse_join(event, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
            shard.forget_if_idle(group)
            return
        size = sum(len(p.metadata) for p in message.protocols)
        if self._is_too_large(group, size, message.member_id):
            self._responses.refuse_join(event, ErrorCode.UNKNOWN_SERVER_ERROR)
            shard.forget_if_idle(group)
            return
        replaced = group.static_members.get(message.group_instance_id)
        if not group.accepts(
            message.protocol_type, protocols_of(message), message.member_id or replaced
        ):
            self._responses.refuse_join(event, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif not message.member_id:
            self._join_new(now_ms, shard, group, event)
        else:
            self._join_known(now_ms, shard, group, event)
        shard.forget_if_idle(group)
        self._rebalances.arm(now_ms, shard, group)

    def _is_full(self, group: Group, member_id: str) -> bool:
        """Return whether group.max.size keeps this member out. During a rebalance only
        the members that have joined again count: the others may be gone."""
        most: int = self._env.config.broker("group.max.size")
        match group.state:
            case State.PREPARING:
                known = group.members.get(member_id)
                joined = sum(m.join is not None for m in group.members.values())
                return (known is None or known.join is None) and joined >= most
            case State.COMPLETING | State.STABLE:
                return member_id not in group.members and len(group.members) >= most
        return False

    def _is_too_large(self, group: Group, size: int, joining: str = "") -> bool:
        """Return whether the group with ``size`` bytes more, instead of those of the member that
        is ``joining`` again, would not fit into one record of the offsets topic, in which it has
        to be written. Kafka finds out when it writes."""
        if size <= SMALL_BYTES:
            return False
        known = sum(
            len(metadata)
            for member in group.members.values()
            if member.member_id != joining
            for _, metadata in member.protocols
        )
        most: int = self._env.config.topic(OFFSETS_TOPIC, "max.message.bytes")
        return known + size > most

    def _join_new(self, now_ms: int, shard: Shard, group: Group, event: RequestReceived) -> None:
        """A JoinGroup without a member id."""
        message = event.message
        instance_id = message.group_instance_id
        prefix = instance_id if instance_id is not None else event.caller.client_id
        member_id = f"{prefix}-{self._env.rng.uuid()}"
        if instance_id is not None:
            old_id = group.static_members.get(instance_id)
            if old_id is None:
                self._add(now_ms, shard, group, member_id, event)
            else:
                self._replace_static(now_ms, shard, group, old_id, member_id, event)
        elif event.version >= MEMBER_ID_REQUIRED_SINCE and len(group.pending) >= PENDING_MOST:
            self._responses.refuse_join(event, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        elif event.version >= MEMBER_ID_REQUIRED_SINCE:
            # The member joins again with this id. A client that never gets the response
            # then leaves no member behind that the rebalance would wait for (KIP-394).
            group.pending[member_id] = now_ms + message.session_timeout_ms
            self._responses.refuse_join(event, ErrorCode.MEMBER_ID_REQUIRED, member_id)
        else:
            self._add(now_ms, shard, group, member_id, event)

    def _join_known(self, now_ms: int, shard: Shard, group: Group, event: RequestReceived) -> None:
        """A JoinGroup with a member id."""
        message = event.message
        member_id = message.member_id
        if member_id in group.pending and message.group_instance_id is None:
            self._add(now_ms, shard, group, member_id, event)
            return
        error = group.member_error(member_id, message.group_instance_id)
        if error:
            self._responses.refuse_join(event, error)
            return
        member = group.members[member_id]
        same = member.protocols == protocols_of(message)
        match group.state:
            case State.PREPARING:
                self._update(member, event)
                self._rebalances.complete_if_all_joined(now_ms, shard, group)
            case State.COMPLETING if same:
                # It did not get the response; the generation is still current.
                self._responses.accept_join(now_ms, group, member, event)
            case State.STABLE if same and group.leader != member_id:
                # As above. A leader that joins again wants to assign again, so it gets
                # a rebalance.
                self._responses.accept_join(now_ms, group, member, event)
            case State.COMPLETING | State.STABLE:
                self._update(member, event)
                why = f"{member_id} joined with other protocols, or as the leader"
                self._rebalances.prepare(now_ms, shard, group, why)
            case _:
                self._responses.refuse_join(event, ErrorCode.UNKNOWN_MEMBER_ID)

    def _add(
        self, now_ms: int, shard: Shard, group: Group, member_id: str, event: RequestReceived
    ) -> None:
        """Add a new member, and rebalance."""
        message = event.message
        member = Member(
            member_id,
            message.group_instance_id,
            event.caller.client_id,
            f"/{event.caller.host}",
            message.session_timeout_ms,
            _rebalance_timeout_ms(event),
            protocols_of(message),
            deadline_ms=now_ms + NEW_MEMBER_TIMEOUT_MS,
            is_new=True,
            join=event,
        )
        if not group.members:
            group.protocol_type = message.protocol_type
        group.add(member)
        if group.state is State.PREPARING:
            group.newcomers = True
            self._rebalances.complete_if_all_joined(now_ms, shard, group)
        else:
            self._rebalances.prepare(now_ms, shard, group, f"{member_id} joined")

    def _update(self, member: Member, event: RequestReceived) -> None:
        """Keep a member's new JoinGroup."""
        message = event.message
        # It sent the request again, on another connection.
        if member.join is not None and member.join is not event:
            self._responses.refuse_join(member.join, ErrorCode.REBALANCE_IN_PROGRESS)
        member.join = event
        member.protocols = protocols_of(message)
        member.session_timeout_ms = message.session_timeout_ms
        member.rebalance_timeout_ms = _rebalance_timeout_ms(event)
        member.client_id = event.caller.client_id
        member.client_host = f"/{event.caller.host}"

    def _replace_static(
        self,
        now_ms: int,
        shard: Shard,
        group: Group,
        old_id: str,
        new_id: str,
        event: RequestReceived,
    ) -> None:
        """A static member restarted: it takes the place of its previous instance, which
        is fenced (KIP-345)."""
        old_leader = group.leader or ""
        member = group.replace_static(old_id, new_id)
        if member.join is not None:
            self._responses.refuse_join(member.join, ErrorCode.FENCED_INSTANCE_ID, old_id)
        if member.sync is not None:
            self._responses.sync(group, member.sync, ErrorCode.FENCED_INSTANCE_ID)
        member.join = member.sync = None
        before = group.protocol
        self._update(member, event)
        member.deadline_ms = now_ms + member.session_timeout_ms
        instance = f"static member {member.group_instance_id}"
        if group.state is not State.STABLE:
            if group.state is State.PREPARING:
                self._rebalances.complete_if_all_joined(now_ms, shard, group)
            else:
                self._rebalances.prepare(now_ms, shard, group, f"{instance} restarted")
            return
        if group.select_protocol() != before:
            self._rebalances.prepare(now_ms, shard, group, f"{instance} changed its protocols")
            return
        # Nothing changes for the others, so no rebalance: write the new member id to
        # the log, then let the member go on with its old assignment.
        member.join = None
        generation = group.generation

        def written(then_ms: int, error_code: int) -> None:
            if (
                error_code
                or group.generation != generation
                or group.members.get(new_id) is not member
            ):
                error = group_error(error_code) or ErrorCode.UNKNOWN_MEMBER_ID
                self._responses.refuse_join(event, error, new_id)
            elif event.version >= SKIP_ASSIGNMENT_SINCE:
                # KIP-814: the leader gets the members, and does not assign.
                leads = group.leader == new_id
                self._responses.accept_join(then_ms, group, member, event, skip_assignment=leads)
            else:
                # A client that is told its own previous id leads does not assign
                # either.
                self._responses.accept_join(then_ms, group, member, event, leader=old_leader)

        value = group.record(self._env.clock.wall_ms())
        shard.write(now_ms, [Entry(GroupKey(group.group_id), value)], written)

    # ---- sync
    def sync(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        """Handle a SyncGroup; the response comes when the leader's assignment is
        committed."""
        message = event.message
        group = shard.groups.get(message.group_id)
        if group is None:
            self._responses.sync(None, event, ErrorCode.UNKNOWN_MEMBER_ID)
            return
        error = self._sync_error(group, event)
        if not error and self._is_too_large(
            group, sum(len(a.assignment) for a in message.assignments)
        ):
            error = ErrorCode.UNKNOWN_SERVER_ERROR
        if error:
            self._responses.sync(group, event, error)
            return
        member = group.members[message.member_id]
        member.deadline_ms = now_ms + member.session_timeout_ms
        group.unsynced.discard(member.member_id)
        if not group.unsynced:
            group.sync_deadline_ms = NEVER
        if group.state is State.STABLE:
            # It did not get the response to an earlier SyncGroup.
            self._responses.sync(group, event, ErrorCode.NONE, member.assignment)
        else:
            if member.sync is not None:
                self._responses.sync(group, member.sync, ErrorCode.REBALANCE_IN_PROGRESS)
            member.sync = event
            # The leader's request brings the assignment; a repeated one must not write
            # it twice.
            if group.leader == member.member_id and not group.assigning:
                assignments = {a.member_id: bytes(a.assignment) for a in message.assignments}
                self._rebalances.assign(now_ms, shard, group, assignments)
        self._rebalances.arm(now_ms, shard, group)

    def _sync_error(self, group: Group, event: RequestReceived) -> int:
        message = event.message
        error = group.member_error(
            message.member_id, message.group_instance_id, message.generation_id
        )
        if error:
            return error
        # KIP-559: the member must have the group's protocol in mind.
        if (message.protocol_type is not None and message.protocol_type != group.protocol_type) or (
            message.protocol_name is not None and message.protocol_name != group.protocol
        ):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if group.state is State.PREPARING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        if group.state is State.EMPTY:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE

    # ---- heartbeat, leave
    def heartbeat(self, now_ms: int, shard: Shard, event: RequestReceived) -> int:
        """Restart the member's session; return the error code. REBALANCE_IN_PROGRESS
        makes the member join again."""
        message = event.message
        group = shard.groups.get(message.group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = group.member_error(
            message.member_id, message.group_instance_id, message.generation_id
        )
        if error or group.state is State.EMPTY:
            return error or ErrorCode.UNKNOWN_MEMBER_ID
        member = group.members[message.member_id]
        member.deadline_ms = now_ms + member.session_timeout_ms
        return ErrorCode.REBALANCE_IN_PROGRESS if group.state is State.PREPARING else ErrorCode.NONE

    def leave(
        self, now_ms: int, shard: Shard, group: Group, member_id: str, instance_id: str | None
    ) -> int:
        """Remove one member; return the error code. With an instance id the member id
        may be empty."""
        if instance_id is not None:
            known = group.static_members.get(instance_id)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if member_id and member_id != known:
                return ErrorCode.FENCED_INSTANCE_ID
            member_id = known
        elif group.pending.pop(member_id, None) is not None:
            # It never joined; the rebalance may have waited for it alone.
            self._rebalances.complete_if_all_joined(now_ms, shard, group)
            shard.forget_if_idle(group)
            return ErrorCode.NONE
        if member_id not in group.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        self._rebalances.remove(now_ms, shard, group, member_id, "left")
        self._rebalances.arm(now_ms, shard, group)
        return ErrorCode.NONE


def _rebalance_timeout_ms(event: RequestReceived) -> int:
    """Version 0 of JoinGroup has no rebalance timeout (-1): the session timeout
    counts."""
    timeout_ms: int = event.message.rebalance_timeout_ms
    return timeout_ms if timeout_ms >= 0 else int(event.message.session_timeout_ms)
