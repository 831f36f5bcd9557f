"""Simulated members of a consumer group (classic protocol).

States of a member: out -> finding (the coordinator) -> joining -> syncing -> fetching offsets ->
stable, in which it consumes, commits and sends heartbeats. On any sign of a new generation it goes
back to joining, with a new coordinator to finding. It may leave, or vanish and come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from embedded_broker.simulator.checkers import Checks
from embedded_broker.simulator.client import SimClient, TopicPartition
from embedded_broker.simulator.consuming import Fetcher
from embedded_broker.simulator.probes import check_old_commit
from embedded_broker.simulator.world import Violation
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from kafka_protocol.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from kafka_protocol.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment

REJOIN_MS = 100
PROBES = 0.1
"""How often a member commits when it must not."""
ZOMBIES = 0.3
"""How often a member that vanishes commits once more, when others have its partitions."""


class Versions(NamedTuple):
    """The versions in which a member speaks the group protocol."""

    join: int
    sync: int
    heartbeat: int
    commit: int
    fetch: int
    leave: int


STATIC_VERSIONS = (
    Versions(7, 5, 4, 8, 8, 4),
    Versions(5, 3, 3, 7, 6, 3),
    Versions(9, 5, 4, 9, 9, 5),
)
"""Those that know static members (KIP-345)."""
VERSIONS = (
    Versions(2, 1, 1, 2, 3, 1),
    Versions(3, 2, 2, 5, 5, 2),
    Versions(4, 2, 2, 6, 7, 2),
    *STATIC_VERSIONS,
)
"""Before version 4 of JoinGroup a member gets its id and its place at once (KIP-394)."""
COORDINATOR_MOVED = {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE}


class Member:
    """One member of a group that divides ``partitions`` among its members."""

    def __init__(
        self,
        client: SimClient,
        checks: Checks,
        group: str,
        partitions: Sequence[TopicPartition],
        static: bool,
    ) -> None:
        self.client, self.checks, self.group = client, checks, group
        self.partitions = sorted(partitions)
        self.instance_id = client.name if static else None
        self.versions = client.rng.choice(STATIC_VERSIONS if static else VERSIONS)
        self.session_timeout_ms = client.rng.choice([2_000, 3_000])
        self.member_id = ""
        self.generation = -1
        self.state = "out"
        """See the module."""
        self.turn = 0
        """Incremented at every change of state: responses to older turns are dropped."""
        self.frozen_until_ms = 0
        self.fetcher = Fetcher(client, checks)
        self.committed: dict[TopicPartition, int] = {}
        self.committed_before_sync = -1
        """The generation of a commit that was accepted while this member, its leader, had yet to
        send the assignment."""
        self.assigned_generation = -1
        """The last generation whose assignment this member, its leader, has sent. It may come back
        to the same generation when no answer came."""
        client.topics |= {topic for topic, _ in partitions}

    @property
    def stable(self) -> bool:
        """Return whether the member has an assignment and consumes."""
        return self.state == "stable"

    def start(self) -> None:
        """Join the group."""
        self.client.refresh(self._find)

    def vanish(self, back_ms: int) -> None:
        """Disappear without leaving, and come back after ``back_ms``: as a new member, or under the
        old instance id if static. It may come to itself once, and commit."""
        if self.state == "stable" and self.client.rng.random() < ZOMBIES:
            moved = dict(self.fetcher.positions)
            request = self._commit_of(moved, self.generation)
            self.client.later(self.client.rng.randint(50, 6_000), self._commit_late, request, moved)
        self._enter("out")
        self.member_id = ""
        self.fetcher.positions = {}
        self.client.later(back_ms, self._find)

    def freeze(self, duration_ms: int) -> None:
        """Send neither heartbeats nor commits for a while; then commit first, like a process that
        was stopped and does not notice."""
        self.frozen_until_ms = self.client.world.now_ms + duration_ms

    def leave(self, back_ms: int) -> None:
        """Leave the group, and join again after ``back_ms``."""
        if self.member_id:
            request = LeaveGroupRequest(self.group)
            if self.versions.leave < 3:
                request.member_id = self.member_id
            else:
                request.members = [MemberIdentity(self.member_id, self.instance_id)]
            self._call(request, self.versions.leave, lambda response: None)
        self.vanish(back_ms)

    # ---- joining
    def _enter(self, state: str) -> int:
        """Change the state; returns the new turn."""
        self.state = state
        self.turn += 1
        if state != "stable":
            self.fetcher.halt()
        return self.turn

    def _call(self, message: Any, version: int, then: Any, timeout_ms: int = 1_500) -> None:
        """Send a request to the coordinator; ``then`` gets the response in the same turn only."""
        turn = self.turn

        def done(response: Any, reason: str) -> None:
            if not self.client.stopped and turn == self.turn:
                then(response)

        coordinator = self.client.coordinators.get(self.group, self.client.any_broker())
        self.client.call(coordinator, message, version, timeout_ms, done)

    def _find(self) -> None:
        if self.state == "finding":
            return
        turn = self._enter("finding")
        self.client.find_coordinator(
            self.group, lambda: self._join() if turn == self.turn else None
        )

    def _retry(self, code: int) -> None:
        """Join again, or find the coordinator again, as this error of the group protocol asks."""
        if code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            self.member_id = ""
        turn = self._enter("out")
        wait_ms = self.client.rng.randint(REJOIN_MS // 2, 2 * REJOIN_MS)
        moved = code in COORDINATOR_MOVED or code == ErrorCode.NETWORK_EXCEPTION
        retry = self._find if moved else self._join
        self.client.later(wait_ms, lambda: retry() if turn == self.turn else None)

    def _join(self) -> None:
        self._enter("joining")
        protocols = [JoinGroupRequestProtocol("range", json.dumps(self.partitions).encode())]
        request = JoinGroupRequest(
            self.group,
            self.session_timeout_ms,
            3_000,
            self.member_id,
            self.instance_id,
            "sim",
            protocols,
        )
        self._call(request, self.versions.join, self._joined, 6_000)

    def _joined(self, response: Any) -> None:
        if response is None:
            self._retry(ErrorCode.NETWORK_EXCEPTION)
            return
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:  # KIP-394: join again with it
            self.member_id = response.member_id
            self._join()
            return
        if response.error_code:
            self._retry(response.error_code)
            return
        self.member_id, self.generation = response.member_id, response.generation_id
        self.checks.joined(self.group, self.generation, self.member_id)
        assignments = []
        # The leader assigns the partitions, round robin; not one that has come back as a static
        # member, for whom the assignment of before holds (KIP-814).
        if response.leader == self.member_id and not response.skip_assignment:
            members = sorted(m.member_id for m in response.members)
            for i, member in enumerate(members):
                mine = self.partitions[i :: len(members)]
                assignments.append(SyncGroupRequestAssignment(member, json.dumps(mine).encode()))
        self._enter("syncing")
        sent = self.assigned_generation == self.generation
        if assignments and self.committed and not sent and self.client.rng.random() < PROBES:
            self._commit_before_sync(lambda: self._sync(assignments))
        else:
            self._sync(assignments)

    def _sync(self, assignments: list[SyncGroupRequestAssignment]) -> None:
        if assignments:
            self.assigned_generation = self.generation
        request = SyncGroupRequest(
            self.group,
            self.generation,
            self.member_id,
            self.instance_id,
            "sim",
            "range",
            assignments,
        )
        self._call(request, self.versions.sync, self._synced, 5_000)

    def _synced(self, response: Any) -> None:
        if response is None or response.error_code:
            self._retry(ErrorCode.NETWORK_EXCEPTION if response is None else response.error_code)
            return
        if self.committed_before_sync == self.generation and self.checks.strict:
            raise Violation(
                "C9",
                f"{self.group}: a commit in generation {self.generation} was accepted before its "
                "assignment was known",
            )
        mine = [(topic, partition) for topic, partition in json.loads(response.assignment or b"[]")]
        self.checks.assigned(self.group, self.generation, self.instance_id or self.member_id, mine)
        self.client.log("ok", "assign", [self.group, self.generation, self.member_id, mine])
        self._fetch_offsets(mine)

    def _fetch_offsets(self, mine: list[TopicPartition]) -> None:
        self._enter("fetching offsets")
        if not mine:
            self._consume({})
            return
        topics: dict[str, OffsetFetchRequestTopics] = {}
        for topic, partition in mine:
            topics.setdefault(topic, OffsetFetchRequestTopics(topic)).partition_indexes.append(
                partition
            )
        request = OffsetFetchRequest(require_stable=self.versions.fetch >= 7)
        if self.versions.fetch < 8:
            request.group_id = self.group
            request.topics = [
                OffsetFetchRequestTopic(name, t.partition_indexes) for name, t in topics.items()
            ]
        else:
            request.groups = [OffsetFetchRequestGroup(self.group, topics=list(topics.values()))]
        # The floors of now: commits acknowledged later may or may not be in the response.
        floors = {key: self.checks.commit_floor(self.group, key) for key in mine}

        def done(response: Any) -> None:
            group = response
            if response is not None and self.versions.fetch >= 8:
                group = response.groups[0]
            if group is None or group.error_code:
                self._retry(ErrorCode.NETWORK_EXCEPTION if group is None else group.error_code)
                return
            found = {
                (t.name, p.partition_index): p.committed_offset
                for t in group.topics
                for p in t.partitions
            }
            for topic in group.topics:
                for part in topic.partitions:
                    self.client.require_epoch(
                        (topic.name, part.partition_index), part.committed_leader_epoch
                    )
            for key in mine:
                self.checks.offset_fetched(self.group, key, found[key], floors[key])
            self.client.log("ok", "committed", [self.group, [[*key, found[key]] for key in mine]])
            self._consume({key: max(0, found[key]) for key in mine})

        self._call(request, self.versions.fetch, done)

    # ---- stable
    def _consume(self, positions: dict[TopicPartition, int]) -> None:
        turn = self._enter("stable")
        self.committed = dict(positions)
        self.fetcher.follow(positions)
        self._heartbeat(turn)
        self._commit_loop(turn)

    def _heartbeat(self, turn: int) -> None:
        if turn != self.turn:
            return
        wait_ms = self.frozen_until_ms - self.client.world.now_ms
        if wait_ms > 0:
            self.client.later(wait_ms + 50, self._heartbeat, turn)
            return
        request = HeartbeatRequest(self.group, self.generation, self.member_id, self.instance_id)

        def done(response: Any) -> None:
            code = ErrorCode.NETWORK_EXCEPTION if response is None else response.error_code
            if code == ErrorCode.REBALANCE_IN_PROGRESS:
                self._commit(turn)
                self._retry(code)
            elif code:
                self._retry(code)
            else:
                self.client.later(self.client.rng.randint(200, 500), self._heartbeat, turn)

        self._call(request, self.versions.heartbeat, done)

    def _commit_loop(self, turn: int) -> None:
        wait_ms = self.frozen_until_ms - self.client.world.now_ms
        if wait_ms > 0:
            self.client.later(wait_ms, self._commit_loop, turn)
        elif turn == self.turn:
            self._commit(turn)
            self.client.later(self.client.rng.randint(150, 900), self._commit_loop, turn)

    def _commit_of(
        self, offsets: dict[TopicPartition, int], generation: int
    ) -> OffsetCommitRequest:
        epochs = self.fetcher.epochs
        topics: dict[str, OffsetCommitRequestTopic] = {}
        for (topic, partition), offset in sorted(offsets.items()):
            entry = topics.setdefault(topic, OffsetCommitRequestTopic(topic))
            entry.partitions.append(
                OffsetCommitRequestPartition(
                    partition, offset, epochs.get((topic, partition), -1), f"m{offset}"
                )
            )
        return OffsetCommitRequest(
            self.group,
            generation,
            self.member_id,
            group_instance_id=self.instance_id,
            topics=list(topics.values()),
        )

    def _commit_before_sync(self, then: Callable[[], None]) -> None:
        """Commit between the join and the sync of a generation, then call ``then``. While the
        group waits for this leader's assignment that is refused."""
        offsets = dict(self.committed)
        generation = self.generation
        newest = {
            key: self.checks.committing(self.group, generation, key, offset)
            for key, offset in offsets.items()
        }

        def done(response: Any) -> None:
            codes = {} if response is None else _codes(response)
            for key, offset in offsets.items():
                if codes.get(key) == ErrorCode.NONE:
                    self.checks.committed(self.group, generation, key, offset, newest[key])
                    self.committed_before_sync = generation
            then()

        self._call(self._commit_of(offsets, generation), self.versions.commit, done)

    def _commit_in_generation_before(self, offsets: dict[TopicPartition, int]) -> None:
        generation = self.generation

        def done(response: Any, reason: str) -> None:
            if response is not None and self.checks.strict:
                check_old_commit(self.group, generation, _codes(response))

        request = self._commit_of(offsets, generation - 1)
        version = self.versions.commit
        self.client.call(self.client.coordinators[self.group], request, version, 2_500, done)

    def _commit_late(
        self, request: OffsetCommitRequest, offsets: dict[TopicPartition, int]
    ) -> None:
        """Commit what a member had before it vanished: accepted only if nobody has committed in a
        newer generation."""
        generation = request.generation_id_or_member_epoch
        newest = {
            key: self.checks.committing(self.group, generation, key, offset)
            for key, offset in offsets.items()
        }

        def done(response: Any, reason: str) -> None:
            codes = {} if response is None else _codes(response)
            for key, offset in offsets.items():
                if codes.get(key) == ErrorCode.NONE:
                    self.checks.committed(self.group, generation, key, offset, newest[key])

        coordinator = self.client.coordinators[self.group]
        self.client.call(coordinator, request, self.versions.commit, 2_500, done)

    def _commit(self, turn: int) -> None:
        """Commit the positions that have moved. The response counts even if the member is in
        another generation by then."""
        moved = {
            k: o
            for k, o in self.fetcher.positions.items()
            if k in self.committed and o > self.committed[k]
        }
        if not moved:
            return
        request = self._commit_of(moved, self.generation)
        if self.client.rng.random() < PROBES and turn == self.turn and self.generation > 1:
            self._commit_in_generation_before(moved)
        shown = [[*key, offset] for key, offset in sorted(moved.items())]
        self.client.log("invoke", "commit", [self.group, self.generation, shown])
        generation = self.generation
        newest = {
            key: self.checks.committing(self.group, generation, key, offset)
            for key, offset in moved.items()
        }
        self.committed |= moved

        def done(response: Any, reason: str) -> None:
            if response is None:
                self.client.log("info", "commit", [self.group, generation, shown])
                if turn == self.turn:
                    self._retry(ErrorCode.NETWORK_EXCEPTION)
                return
            codes = _codes(response)
            for key, offset in moved.items():
                if codes[key] == ErrorCode.NONE:
                    self.checks.committed(self.group, generation, key, offset, newest[key])
            bad = next((c for c in codes.values() if c), 0)
            self.client.log("info" if bad else "ok", "commit", [self.group, generation, shown, bad])
            if bad and turn == self.turn:
                self._retry(bad)

        coordinator = self.client.coordinators[self.group]
        self.client.call(coordinator, request, self.versions.commit, 2_500, done)


def _codes(response: Any) -> dict[TopicPartition, int]:
    return {
        (t.name, p.partition_index): p.error_code for t in response.topics for p in t.partitions
    }
