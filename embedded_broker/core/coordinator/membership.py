"""Joining, syncing, heartbeats and leaving: the classic group protocol (KIP-62, 134, 345, 394,
559, 814).

The states are in ``group``. A request that cannot be answered yet is kept in its member
(``join``, ``sync``). Each group has one timer for the earliest of its deadlines; heartbeats only
move deadlines, the timer finds out when it fires. Who does not join again in time is dropped,
unless it is a static member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.coordinator.group import NEVER, Group, Member, State, protocols_of
from embedded_broker.core.coordinator.records import GroupKey
from embedded_broker.core.coordinator.shard import Entry, Shard, timer_key
from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from kafka_protocol.messages.k14_sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

NEW_MEMBER_TIMEOUT_MS = 300_000
"""How long a new member may wait for its first rebalance."""


def group_error(error_code: int) -> int:
    """What a failed write to the log means to a member of a group."""
    match error_code:
        case (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode.NOT_ENOUGH_REPLICAS
            | ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode.REQUEST_TIMED_OUT
        ):
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        case ErrorCode.NOT_LEADER_OR_FOLLOWER | ErrorCode.KAFKA_STORAGE_ERROR:
            return ErrorCode.NOT_COORDINATOR
        case (
            ErrorCode.MESSAGE_TOO_LARGE
            | ErrorCode.RECORD_LIST_TOO_LARGE
            | ErrorCode.INVALID_FETCH_SIZE
        ):
            return ErrorCode.UNKNOWN_SERVER_ERROR
    return error_code


class Membership:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._outbox = broker.outbox

    # ---- join
    def join(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        message = event.message
        config = self._broker.config
        if not config.broker("group.min.session.timeout.ms") <= message.session_timeout_ms <= config.broker(
            "group.max.session.timeout.ms"
        ):  # fmt: skip
            self._refuse_join(event, ErrorCode.INVALID_SESSION_TIMEOUT)
            return
        group = shard.groups.get(message.group_id)
        if group is None:
            if message.member_id:
                self._refuse_join(event, ErrorCode.UNKNOWN_MEMBER_ID)
                return
            group = shard.group(message.group_id)
        if self._is_full(group, message.member_id):
            group.pending.pop(message.member_id, None)
            self._refuse_join(event, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
            shard.forget_if_idle(group)
            return
        replaced = group.static_members.get(message.group_instance_id)
        if not group.accepts(
            message.protocol_type, protocols_of(message), message.member_id or replaced
        ):
            self._refuse_join(event, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif not message.member_id:
            self._join_unknown(now_ms, shard, group, event)
        else:
            self._join_known(now_ms, shard, group, event)
        shard.forget_if_idle(group)
        self.arm(now_ms, shard, group)

    def _is_full(self, group: Group, member_id: str) -> bool:
        most: int = self._broker.config.broker("group.max.size")
        match group.state:
            case State.PREPARING:
                known = group.members.get(member_id)
                joined = sum(m.join is not None for m in group.members.values())
                return (known is None or known.join is None) and joined >= most
            case State.COMPLETING | State.STABLE:
                return member_id not in group.members and len(group.members) >= most
        return False

    def _join_unknown(
        self, now_ms: int, shard: Shard, group: Group, event: RequestReceived
    ) -> None:
        message = event.message
        instance_id = message.group_instance_id
        member_id = f"{instance_id if instance_id is not None else event.caller.client_id}-{self._broker.rng.uuid()}"
        if instance_id is not None:
            old_id = group.static_members.get(instance_id)
            if old_id is None:
                self._add(now_ms, shard, group, member_id, event)
            else:
                self._replace_static(now_ms, shard, group, old_id, member_id, event)
        elif event.version >= 4:
            group.pending[member_id] = now_ms + message.session_timeout_ms
            self._refuse_join(event, ErrorCode.MEMBER_ID_REQUIRED, member_id)
        else:
            self._add(now_ms, shard, group, member_id, event)

    def _join_known(self, now_ms: int, shard: Shard, group: Group, event: RequestReceived) -> None:
        message = event.message
        member_id = message.member_id
        if member_id in group.pending and message.group_instance_id is None:
            self._add(now_ms, shard, group, member_id, event)
            return
        error = self.member_error(group, member_id, message.group_instance_id)
        if error:
            self._refuse_join(event, error)
            return
        member = group.members[member_id]
        same = member.protocols == protocols_of(message)
        match group.state:
            case State.PREPARING:
                self._update(group, member, event)
                self._complete_join_if_all_are_there(now_ms, shard, group)
            case State.COMPLETING if same:
                self._answer_join(
                    now_ms, group, member, event
                )  # it did not get the answer; the generation stands
            case State.STABLE if same and group.leader != member_id:
                self._answer_join(now_ms, group, member, event)
            case State.COMPLETING | State.STABLE:
                self._update(group, member, event)
                self.prepare_rebalance(
                    now_ms, shard, group, f"{member_id} joins with other protocols or as leader"
                )
            case _:
                self._refuse_join(event, ErrorCode.UNKNOWN_MEMBER_ID)

    def _add(
        self, now_ms: int, shard: Shard, group: Group, member_id: str, event: RequestReceived
    ) -> None:
        message = event.message
        member = Member(
            member_id,
            message.group_instance_id,
            event.caller.client_id,
            f"/{event.caller.host}",
            message.session_timeout_ms,
            message.rebalance_timeout_ms
            if message.rebalance_timeout_ms >= 0
            else message.session_timeout_ms,
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
            self._complete_join_if_all_are_there(now_ms, shard, group)
        else:
            self.prepare_rebalance(now_ms, shard, group, f"{member_id} joins")

    def _update(self, group: Group, member: Member, event: RequestReceived) -> None:
        message = event.message
        if member.join is not None and member.join is not event:
            self._refuse_join(
                member.join, ErrorCode.REBALANCE_IN_PROGRESS
            )  # it asks again on another connection
        member.join = event
        member.protocols = protocols_of(message)
        member.session_timeout_ms = message.session_timeout_ms
        member.rebalance_timeout_ms = (
            message.rebalance_timeout_ms
            if message.rebalance_timeout_ms >= 0
            else message.session_timeout_ms
        )
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
        """A static member was started again: it takes the place of its former life, which is
        fenced (KIP-345)."""
        old_leader = group.leader or ""
        member = group.replace_static(old_id, new_id)
        if member.join is not None:
            self._refuse_join(member.join, ErrorCode.FENCED_INSTANCE_ID, old_id)
        if member.sync is not None:
            self._answer_sync(group, member.sync, ErrorCode.FENCED_INSTANCE_ID)
        member.join = member.sync = None
        before = group.protocol
        self._update(group, member, event)
        member.deadline_ms = now_ms + member.session_timeout_ms
        if group.state is not State.STABLE:
            if group.state is State.PREPARING:
                self._complete_join_if_all_are_there(now_ms, shard, group)
            else:
                self.prepare_rebalance(
                    now_ms, shard, group, f"static member {member.group_instance_id} is back"
                )
            return
        if group.select_protocol() != before:
            self.prepare_rebalance(
                now_ms, shard, group, f"static member {member.group_instance_id} knows others"
            )
            return
        # Nothing changes for the others: the new id goes into the log, then it may go on with its
        # old assignment.
        member.join = None
        generation = group.generation

        def written(then_ms: int, error_code: int) -> None:
            if (
                error_code
                or group.generation != generation
                or group.members.get(new_id) is not member
            ):
                self._refuse_join(
                    event, group_error(error_code) or ErrorCode.UNKNOWN_MEMBER_ID, new_id
                )
            elif event.version >= 9:
                self._answer_join(
                    then_ms, group, member, event, skip_assignment=group.leader == new_id
                )
            else:  # told that its former id leads, it does not assign anew
                self._answer_join(then_ms, group, member, event, leader=old_leader)

        value = group.record(self._broker.clock.wall_ms())
        shard.write(now_ms, [Entry(GroupKey(group.group_id), value)], written)

    # ---- rebalance
    def prepare_rebalance(self, now_ms: int, shard: Shard, group: Group, why: str) -> None:
        if group.state is State.COMPLETING:
            self._give_up_assignment(group, ErrorCode.REBALANCE_IN_PROGRESS)
        group.unsynced.clear()
        group.sync_deadline_ms = NEVER
        first = group.state is State.EMPTY
        group.enter(State.PREPARING, self._broker.clock.wall_ms())
        self._outbox.note(
            Level.DEBUG,
            f"group {group.group_id!r} prepares generation {group.generation + 1}: {why}",
        )
        delay_ms: int = (
            self._broker.config.broker("group.initial.rebalance.delay.ms") if first else 0
        )
        if first and delay_ms:
            group.join_deadline_ms = now_ms + delay_ms
            group.initial_left_ms = max(0, group.rebalance_timeout_ms - delay_ms)
            group.newcomers = False
            return
        group.initial_left_ms = -1
        group.join_deadline_ms = now_ms + group.rebalance_timeout_ms
        if first:
            self._complete_join(now_ms, shard, group)
        else:
            self._complete_join_if_all_are_there(now_ms, shard, group)

    def _complete_join_if_all_are_there(self, now_ms: int, shard: Shard, group: Group) -> None:
        if group.state is State.PREPARING and group.initial_left_ms < 0 and group.all_joined:
            self._complete_join(now_ms, shard, group)

    def _join_is_due(self, now_ms: int, shard: Shard, group: Group) -> None:
        if group.initial_left_ms > 0 and group.newcomers:
            delay_ms = min(
                self._broker.config.broker("group.initial.rebalance.delay.ms"),
                group.initial_left_ms,
            )
            group.initial_left_ms -= delay_ms
            group.newcomers = False
            group.join_deadline_ms = now_ms + delay_ms
        else:
            self._complete_join(now_ms, shard, group)

    def _complete_join(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Everybody who wants to be in the next generation is; begin it."""
        for member in list(group.members.values()):
            if member.join is None and member.group_instance_id is None:
                group.remove(member.member_id)
        group.initial_left_ms = -1
        group.join_deadline_ms = NEVER
        if group.members and group.members[group.leader or ""].join is None:
            joined = next((m.member_id for m in group.members.values() if m.join is not None), None)
            if joined is None:  # only static members, and none of them is back
                group.join_deadline_ms = now_ms + group.rebalance_timeout_ms
                return
            group.leader = joined
        wall_ms = self._broker.clock.wall_ms()
        group.generation += 1
        if not group.members:
            group.protocol = group.leader = None
            group.enter(State.EMPTY, wall_ms)
            shard.write(
                now_ms, [Entry(GroupKey(group.group_id), group.record(wall_ms))], self._ignored
            )
            return
        group.protocol = group.select_protocol()
        group.enter(State.COMPLETING, wall_ms)
        group.assigning = False
        group.unsynced = set(group.members)
        group.sync_deadline_ms = now_ms + group.rebalance_timeout_ms
        for member in group.members.values():
            waiting, member.join = member.join, None
            member.is_new = False
            member.deadline_ms = now_ms + member.session_timeout_ms
            if waiting is not None:
                self._answer_join(now_ms, group, member, waiting)

    def _ignored(self, now_ms: int, error_code: int) -> None:
        """Whether it stands in the log that a group is empty only saves its next coordinator
        time."""

    # ---- sync
    def sync(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        message = event.message
        group = shard.groups.get(message.group_id)
        if group is None:
            self._answer_sync(None, event, ErrorCode.UNKNOWN_MEMBER_ID)
            return
        error = self.member_error(
            group, message.member_id, message.group_instance_id, message.generation_id
        )
        if not error and (
            (message.protocol_type is not None and message.protocol_type != group.protocol_type)
            or (message.protocol_name is not None and message.protocol_name != group.protocol)
        ):
            error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if not error and group.state is State.PREPARING:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if not error and group.state is State.EMPTY:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        if error:
            self._answer_sync(group, event, error)
            return
        member = group.members[message.member_id]
        member.deadline_ms = now_ms + member.session_timeout_ms
        group.unsynced.discard(member.member_id)
        if not group.unsynced:
            group.sync_deadline_ms = NEVER
        if group.state is State.STABLE:
            self._answer_sync(group, event, ErrorCode.NONE, member.assignment)
        else:
            if member.sync is not None:
                self._answer_sync(group, member.sync, ErrorCode.REBALANCE_IN_PROGRESS)
            member.sync = event
            if group.leader == member.member_id and not group.assigning:
                self._assign(
                    now_ms,
                    shard,
                    group,
                    {a.member_id: bytes(a.assignment) for a in message.assignments},
                )
        self.arm(now_ms, shard, group)

    def _assign(
        self, now_ms: int, shard: Shard, group: Group, assignments: dict[str, bytes]
    ) -> None:
        group.assigning = True
        generation = group.generation
        wall_ms = self._broker.clock.wall_ms()

        def written(then_ms: int, error_code: int) -> None:
            if group.state is not State.COMPLETING or group.generation != generation:
                return
            group.assigning = False
            if error_code:
                self._give_up_assignment(group, group_error(error_code))
                self.prepare_rebalance(
                    then_ms, shard, group, f"its assignment was not written ({error_code})"
                )
            else:
                group.enter(State.STABLE, wall_ms)
                for member in group.members.values():
                    member.assignment = assignments.get(member.member_id, b"")
                    waiting, member.sync = member.sync, None
                    if waiting is not None:
                        member.deadline_ms = then_ms + member.session_timeout_ms
                        self._answer_sync(group, waiting, ErrorCode.NONE, member.assignment)
            self.arm(then_ms, shard, group)

        shard.write(
            now_ms, [Entry(GroupKey(group.group_id), group.record(wall_ms, assignments))], written
        )

    def _give_up_assignment(self, group: Group, error_code: int) -> None:
        group.assigning = False
        for member in group.members.values():
            member.assignment = b""
            waiting, member.sync = member.sync, None
            if waiting is not None:
                self._answer_sync(group, waiting, error_code)

    # ---- heartbeat, leave
    def heartbeat(self, now_ms: int, shard: Shard, event: RequestReceived) -> int:
        """Returns the error code."""
        message = event.message
        group = shard.groups.get(message.group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self.member_error(
            group, message.member_id, message.group_instance_id, message.generation_id
        )
        if error or group.state is State.EMPTY:
            return error or ErrorCode.UNKNOWN_MEMBER_ID
        member = group.members[message.member_id]
        member.deadline_ms = now_ms + member.session_timeout_ms
        return ErrorCode.REBALANCE_IN_PROGRESS if group.state is State.PREPARING else ErrorCode.NONE

    def leave(
        self, now_ms: int, shard: Shard, group: Group, member_id: str, instance_id: str | None
    ) -> int:
        """Take one member out; returns the error code. With an instance id, the member id may be
        empty."""
        if instance_id is not None:
            found = group.static_members.get(instance_id)
            if found is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if member_id and member_id != found:
                return ErrorCode.FENCED_INSTANCE_ID
            member_id = found
        elif group.pending.pop(member_id, None) is not None:
            self._complete_join_if_all_are_there(now_ms, shard, group)
            shard.forget_if_idle(group)
            return ErrorCode.NONE
        if member_id not in group.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        self._remove(now_ms, shard, group, member_id, "leaves")
        self.arm(now_ms, shard, group)
        return ErrorCode.NONE

    def _remove(self, now_ms: int, shard: Shard, group: Group, member_id: str, why: str) -> None:
        member = group.remove(member_id)
        if member.join is not None:
            self._refuse_join(member.join, ErrorCode.UNKNOWN_MEMBER_ID, "")
        if member.sync is not None:
            self._answer_sync(group, member.sync, ErrorCode.UNKNOWN_MEMBER_ID)
        if group.state in (State.STABLE, State.COMPLETING):
            self.prepare_rebalance(now_ms, shard, group, f"{member_id} {why}")
        elif group.state is State.PREPARING:
            if group.members:
                self._complete_join_if_all_are_there(now_ms, shard, group)
            elif group.initial_left_ms < 0 and not group.pending:
                self._complete_join(now_ms, shard, group)

    # ---- time
    def arm(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Set the group's timer when something is due before it would fire."""
        if group.state is State.DEAD:
            return
        due_ms = group.next_deadline_ms()
        if due_ms < group.timer_ms:
            group.timer_ms = due_ms

            def fire(then_ms: int) -> None:
                group.timer_ms = NEVER
                if not shard.closed and group.state is not State.DEAD:
                    self._due(then_ms, shard, group)
                    self.arm(then_ms, shard, group)

            self._outbox.timer(timer_key(group.group_id), max(due_ms, now_ms), fire)

    def _due(self, now_ms: int, shard: Shard, group: Group) -> None:
        expired = [member_id for member_id, at_ms in group.pending.items() if at_ms <= now_ms]
        for member_id in expired:
            del group.pending[member_id]
        for member in list(group.members.values()):
            if member.member_id not in group.members:
                continue  # an earlier one's expiry took it along
            if member.deadline_ms <= now_ms and (member.is_new or not member.waits):
                self._outbox.note(
                    Level.INFO,
                    f"group {group.group_id!r}: {member.member_id} has not been heard from",
                )
                self._remove(now_ms, shard, group, member.member_id, "is silent")
        if group.join_deadline_ms <= now_ms:
            self._join_is_due(now_ms, shard, group)
        if group.sync_deadline_ms <= now_ms:
            group.sync_deadline_ms = NEVER
            for member_id in [m for m in group.members if m in group.unsynced]:
                group.remove(member_id)
            self.prepare_rebalance(now_ms, shard, group, "members did not sync in time")
        if expired:
            self._complete_join_if_all_are_there(now_ms, shard, group)
        shard.forget_if_idle(group)

    def loaded(self, now_ms: int, shard: Shard) -> None:
        """The sessions of all members begin anew with their new coordinator."""
        for group in shard.groups.values():
            for member in group.members.values():
                member.deadline_ms = now_ms + member.session_timeout_ms
            self.arm(now_ms, shard, group)

    def close(self, shard: Shard) -> None:
        """Send who waits to the new coordinator."""
        for group in shard.groups.values():
            for member in group.members.values():
                if member.join is not None:
                    self._refuse_join(member.join, ErrorCode.NOT_COORDINATOR)
                if member.sync is not None:
                    self._answer_sync(group, member.sync, ErrorCode.NOT_COORDINATOR)
                member.join = member.sync = None

    # ---- checks, answers
    def member_error(
        self, group: Group, member_id: str, instance_id: str | None, generation: int | None = None
    ) -> int:
        """Whether who says so is this member of this generation."""
        if instance_id is not None:
            found = group.static_members.get(instance_id)
            if found is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if found != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        elif member_id not in group.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if generation is not None and generation != group.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.NONE

    def _refuse_join(
        self, event: RequestReceived, error_code: int, member_id: str | None = None
    ) -> None:
        response = JoinGroupResponse(
            error_code=error_code, protocol_name=None if event.version >= 7 else ""
        )
        response.member_id = event.message.member_id if member_id is None else member_id
        self._outbox.respond(event, response)

    def _answer_join(
        self,
        now_ms: int,
        group: Group,
        member: Member,
        event: RequestReceived,
        *,
        leader: str | None = None,
        skip_assignment: bool = False,
    ) -> None:
        member.deadline_ms = now_ms + member.session_timeout_ms
        leads = leader is None and group.leader == member.member_id
        response = JoinGroupResponse(
            generation_id=group.generation,
            protocol_type=group.protocol_type,
            protocol_name=group.protocol,
            leader=(group.leader or "") if leader is None else leader,
            skip_assignment=skip_assignment,
            member_id=member.member_id,
        )
        if leads:
            response.members = [
                JoinGroupResponseMember(
                    m.member_id, m.group_instance_id, m.metadata(group.protocol)
                )
                for m in group.members.values()
            ]
        self._outbox.respond(event, response)

    def _answer_sync(
        self, group: Group | None, event: RequestReceived, error_code: int, assignment: bytes = b""
    ) -> None:
        response = SyncGroupResponse(error_code=error_code, assignment=assignment)
        if not error_code and group is not None:
            response.protocol_type = group.protocol_type
            response.protocol_name = group.protocol
        self._outbox.respond(event, response)
