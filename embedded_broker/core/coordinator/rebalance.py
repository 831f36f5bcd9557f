"""Rebalances of a classic group: gather the members, begin a generation, distribute the
assignment; and the timeouts of members.

The states are described in ``group``. A request that cannot be answered yet is kept in
its member (``join``, ``sync``). Each group has one timer, set for the earliest of its
deadlines. A heartbeat only moves a deadline; the timer notices when it fires.
"""

from __future__ import annotations

from embedded_broker.core.coordinator.errors import group_error
from embedded_broker.core.coordinator.group import NEVER, Group, State
from embedded_broker.core.coordinator.records import GroupKey
from embedded_broker.core.coordinator.responses import MemberResponses
from embedded_broker.core.coordinator.shard import Entry, Shard, timer_key
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from kafka_protocol.errors import ErrorCode


class Rebalances:
    """Moves groups through their states."""

    def __init__(self, env: Environment, responses: MemberResponses) -> None:
        self._env = env
        self._outbox = env.outbox
        self._responses = responses

    # ---- joining
    def prepare(self, now_ms: int, shard: Shard, group: Group, why: str) -> None:
        """Start a rebalance: every member must join again."""
        # Members that wait for this generation's assignment learn of the new rebalance.
        if group.state is State.COMPLETING:
            self._abandon_assignment(group, ErrorCode.REBALANCE_IN_PROGRESS)
        group.unsynced.clear()
        group.sync_deadline_ms = NEVER
        initial = group.state is State.EMPTY
        group.enter(State.PREPARING, self._env.clock.wall_ms())
        self._outbox.note(
            Level.DEBUG,
            f"Group {group.group_id!r}: preparing generation {group.generation + 1}, {why}.",
        )
        delay_ms: int = (
            self._env.config.broker("group.initial.rebalance.delay.ms") if initial else 0
        )
        # The first members of a group usually start together: wait for the others once,
        # instead of rebalancing for each (KIP-134).
        if initial and delay_ms:
            group.join_deadline_ms = now_ms + delay_ms
            group.initial_left_ms = max(0, group.rebalance_timeout_ms - delay_ms)
            group.newcomers = False
            return
        group.initial_left_ms = -1
        group.join_deadline_ms = now_ms + group.rebalance_timeout_ms
        if initial:
            self._complete_join(now_ms, shard, group)
        else:
            self.complete_if_all_joined(now_ms, shard, group)

    def complete_if_all_joined(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Begin the generation if no member is missing and the initial delay is
        over."""
        if group.state is State.PREPARING and group.initial_left_ms < 0 and group.all_joined:
            self._complete_join(now_ms, shard, group)

    def _join_deadline(self, now_ms: int, shard: Shard, group: Group) -> None:
        """The join deadline has passed. The initial delay is extended while members
        keep coming, at most to the rebalance timeout."""
        if group.initial_left_ms > 0 and group.newcomers:
            delay_ms = min(
                self._env.config.broker("group.initial.rebalance.delay.ms"),
                group.initial_left_ms,
            )
            group.initial_left_ms -= delay_ms
            group.newcomers = False
            group.join_deadline_ms = now_ms + delay_ms
        else:
            self._complete_join(now_ms, shard, group)

    def _complete_join(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Begin the next generation with the members that have joined."""
        # A dynamic member that did not join again is gone. A static one may be
        # restarting: it keeps its place until its session expires (KIP-345).
        for member in list(group.members.values()):
            if member.join is None and member.group_instance_id is None:
                group.remove(member.member_id)
        group.initial_left_ms = -1
        group.join_deadline_ms = NEVER
        # The leader must be a member that is here to assign the partitions.
        if group.members and group.members[group.leader or ""].join is None:
            joined = next((m.member_id for m in group.members.values() if m.join is not None), None)
            if joined is None:
                # Only static members are left, and none has joined: wait for one.
                group.join_deadline_ms = now_ms + group.rebalance_timeout_ms
                return
            group.leader = joined
        wall_ms = self._env.clock.wall_ms()
        group.generation += 1
        if not group.members:
            group.protocol = group.leader = None
            group.enter(State.EMPTY, wall_ms)
            # Not awaited: without the record the next coordinator only has to notice by
            # itself that the members are gone.
            entry = Entry(GroupKey(group.group_id), group.record(wall_ms))
            shard.write(now_ms, [entry], lambda _now_ms, _error_code: None)
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
                self._responses.accept_join(now_ms, group, member, waiting)

    # ---- assigning
    def assign(
        self, now_ms: int, shard: Shard, group: Group, assignments: dict[str, bytes]
    ) -> None:
        """Write the leader's assignment to the log; when it is committed, the group is
        stable and the waiting members get their parts."""
        group.assigning = True
        generation = group.generation
        wall_ms = self._env.clock.wall_ms()

        def written(then_ms: int, error_code: int) -> None:
            # Another rebalance started meanwhile; it has answered the waiting members.
            if group.state is not State.COMPLETING or group.generation != generation:
                return
            group.assigning = False
            if error_code:
                self._abandon_assignment(group, group_error(error_code))
                why = f"the assignment could not be written (error {error_code})"
                self.prepare(then_ms, shard, group, why)
            else:
                group.enter(State.STABLE, wall_ms)
                for member in group.members.values():
                    member.assignment = assignments.get(member.member_id, b"")
                    waiting, member.sync = member.sync, None
                    if waiting is not None:
                        member.deadline_ms = then_ms + member.session_timeout_ms
                        self._responses.sync(group, waiting, ErrorCode.NONE, member.assignment)
            self.arm(then_ms, shard, group)

        entry = Entry(GroupKey(group.group_id), group.record(wall_ms, assignments))
        shard.write(now_ms, [entry], written)

    def _abandon_assignment(self, group: Group, error_code: int) -> None:
        """Answer the waiting SyncGroup requests with an error."""
        group.assigning = False
        for member in group.members.values():
            member.assignment = b""
            waiting, member.sync = member.sync, None
            if waiting is not None:
                self._responses.sync(group, waiting, error_code)

    # ---- members that go
    def remove(self, now_ms: int, shard: Shard, group: Group, member_id: str, why: str) -> None:
        """Remove a member, and rebalance the others."""
        member = group.remove(member_id)
        if member.join is not None:
            self._responses.refuse_join(member.join, ErrorCode.UNKNOWN_MEMBER_ID, "")
        if member.sync is not None:
            self._responses.sync(group, member.sync, ErrorCode.UNKNOWN_MEMBER_ID)
        if group.state in (State.STABLE, State.COMPLETING):
            self.prepare(now_ms, shard, group, f"{member_id} {why}")
        elif group.state is State.PREPARING:
            # It may have been the last one that the others waited for.
            if group.members:
                self.complete_if_all_joined(now_ms, shard, group)
            elif group.initial_left_ms < 0 and not group.pending:
                self._complete_join(now_ms, shard, group)

    # ---- time
    def arm(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Set the group's timer if a deadline comes before the timer would fire."""
        if group.state is State.DEAD:
            return
        due_ms = group.next_deadline_ms()
        if due_ms < group.timer_ms:
            group.timer_ms = due_ms

            def fire(then_ms: int) -> None:
                group.timer_ms = NEVER
                if not shard.closed and group.state is not State.DEAD:
                    self._expire(then_ms, shard, group)
                    self.arm(then_ms, shard, group)

            self._outbox.timer(timer_key(group.group_id), max(due_ms, now_ms), fire)

    def _expire(self, now_ms: int, shard: Shard, group: Group) -> None:
        """Handle the deadlines of a group that have passed."""
        expired = [member_id for member_id, at_ms in group.pending.items() if at_ms <= now_ms]
        for member_id in expired:
            del group.pending[member_id]
        for member in list(group.members.values()):
            # Removing an earlier member may have completed a rebalance that removed
            # this one.
            if member.member_id not in group.members:
                continue
            # A new member waits in its first JoinGroup for NEW_MEMBER_TIMEOUT_MS at
            # most; others that wait here cannot send a heartbeat.
            if member.deadline_ms <= now_ms and (member.is_new or not member.waits):
                self._outbox.note(
                    Level.INFO, f"Group {group.group_id!r}: member {member.member_id} timed out."
                )
                self.remove(now_ms, shard, group, member.member_id, "timed out")
        if group.join_deadline_ms <= now_ms:
            self._join_deadline(now_ms, shard, group)
        if group.sync_deadline_ms <= now_ms:
            group.sync_deadline_ms = NEVER
            for member_id in [m for m in group.members if m in group.unsynced]:
                group.remove(member_id)
            self.prepare(now_ms, shard, group, "members did not sync in time")
        if expired:
            self.complete_if_all_joined(now_ms, shard, group)
        shard.forget_if_idle(group)

    def loaded(self, now_ms: int, shard: Shard) -> None:
        """This node coordinates the groups now: every session restarts."""
        for group in shard.groups.values():
            for member in group.members.values():
                member.deadline_ms = now_ms + member.session_timeout_ms
            self.arm(now_ms, shard, group)

    def close(self, shard: Shard) -> None:
        """This node no longer coordinates the groups: send waiting members to the new
        coordinator."""
        for group in shard.groups.values():
            for member in group.members.values():
                if member.join is not None:
                    self._responses.refuse_join(member.join, ErrorCode.NOT_COORDINATOR)
                if member.sync is not None:
                    self._responses.sync(group, member.sync, ErrorCode.NOT_COORDINATOR)
                member.join = member.sync = None
