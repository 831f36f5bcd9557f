"""Simulated members of a consumer group (classic protocol), and an administrator.

States of a member: out -> finding (the coordinator) -> joining -> syncing -> fetching offsets ->
stable, in which it consumes, commits and sends heartbeats. On any sign of a new generation it goes
back to joining, with a new coordinator to finding. It may leave, or vanish and come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

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
    OffsetFetchRequestTopics,
)
from kafka_protocol.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from kafka_protocol.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from kafka_protocol.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from kafka_protocol.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from kafka_protocol.messages.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from kafka_protocol.messages.k43_elect_leaders import ElectLeadersRequest

REJOIN_MS = 100
PROBES = 0.1
"""How often a member commits when it must not."""
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
        old instance id if static."""
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
            request = LeaveGroupRequest(
                self.group,
                members=[MemberIdentity(self.member_id, group_instance_id=self.instance_id)],
            )
            self._call(request, 4, lambda response: None)
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
        self._call(request, 7, self._joined, 6_000)

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
        if response.leader == self.member_id:  # the leader assigns the partitions, round robin
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
        self._call(request, 5, self._synced, 5_000)

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
        request = OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(self.group, topics=list(topics.values()))],
            require_stable=True,
        )
        # The floors of now: commits acknowledged later may or may not be in the response.
        floors = {key: self.checks.commit_floor(self.group, key) for key in mine}

        def done(response: Any) -> None:
            group = None if response is None else response.groups[0]
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

        self._call(request, 8, done)

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

        self._call(request, 4, done)

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

        self._call(self._commit_of(offsets, generation), 8, done)

    def _commit_in_generation_before(self, offsets: dict[TopicPartition, int]) -> None:
        generation = self.generation

        def done(response: Any, reason: str) -> None:
            if response is not None and self.checks.strict:
                check_old_commit(self.group, generation, _codes(response))

        request = self._commit_of(offsets, generation - 1)
        self.client.call(self.client.coordinators[self.group], request, 8, 2_500, done)

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
        self.client.call(coordinator, request, 8, 2_500, done)


def _codes(response: Any) -> dict[TopicPartition, int]:
    return {
        (t.name, p.partition_index): p.error_code for t in response.topics for p in t.partitions
    }


LATE_MS = 10_000
"""A broker forwards a request again when no answer came: the first may still arrive, and delete a
topic of the same name that was created meanwhile. So may Kafka's."""


class Admin:
    """Creates and deletes topics, adds partitions, elects preferred leaders; remembers the
    outcomes."""

    def __init__(self, client: SimClient, replication: int) -> None:
        self.client, self.replication = client, replication
        self.number = 0
        self.exists: dict[str, bool | None] = {}
        """Whether a topic must exist in the end; None when the last outcome is unknown."""
        self.gone_ms: dict[str, int] = {}
        """When a topic's deletion was answered."""
        self.busy = False

    def start(self) -> None:
        """Begin to change topics at random times."""
        self.client.later(self.client.rng.randint(300, 2_000), self._act)

    def create(self, name: str, partitions: int, then: Any) -> None:
        """Create a topic, retrying until it exists, then call ``then``."""
        topic = CreatableTopic(name, partitions, self.replication)
        request = CreateTopicsRequest([topic], timeout_ms=3_000)

        def done(response: Any, reason: str) -> None:
            code = (
                ErrorCode.NETWORK_EXCEPTION if response is None else response.topics[0].error_code
            )
            if code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                then()
            else:
                self.client.later(100, self.create, name, partitions, then)

        self.client.call(self.client.any_broker(), request, 7, 4_000, done)

    def _act(self) -> None:
        self.client.later(self.client.rng.randint(300, 2_500), self._act)
        if self.busy:
            return
        choice = self.client.rng.random()
        alive = [name for name, exists in sorted(self.exists.items()) if exists]
        if choice < 0.15:
            self.client.call(
                self.client.any_broker(),
                ElectLeadersRequest(0, None, 2_000),
                2,
                3_000,
                lambda r, why: None,
            )
        elif alive and choice < 0.5:
            self._delete(self.client.rng.choice(alive))
        elif alive and choice < 0.6:
            name = self.client.rng.choice(alive)
            more = CreatePartitionsRequest([CreatePartitionsTopic(name, 4, None)], timeout_ms=2_000)
            self.client.call(self.client.any_broker(), more, 3, 3_000, lambda r, why: None)
        else:
            self._create()

    def _create(self) -> None:
        now_ms = self.client.world.now_ms
        deleted = [
            name
            for name, exists in sorted(self.exists.items())
            if exists is False and self.gone_ms.get(name, 0) + LATE_MS < now_ms
        ]
        if deleted and self.client.rng.random() < 0.5:
            name = self.client.rng.choice(deleted)
        else:
            self.number += 1
            name = f"churn-{self.number}"
        self.busy = True
        before, self.exists[name] = self.exists.get(name, False), None
        topic = CreatableTopic(name, self.client.rng.randint(1, 3), self.replication)

        def done(response: Any, reason: str) -> None:
            self.busy = False
            code = None if response is None else response.topics[0].error_code
            self.client.log("info" if response is None else "ok", "create", [name, code])
            if code == ErrorCode.NONE:
                self.exists[name] = True
            elif code == ErrorCode.INVALID_REPLICATION_FACTOR:
                self.exists[name] = before

        self.client.call(
            self.client.any_broker(), CreateTopicsRequest([topic], timeout_ms=2_000), 7, 3_000, done
        )

    def _delete(self, name: str) -> None:
        self.busy = True
        self.exists[name] = None

        def done(response: Any, reason: str) -> None:
            self.busy = False
            code = None if response is None else response.responses[0].error_code
            self.client.log("info" if response is None else "ok", "delete", [name, code])
            if code == ErrorCode.NONE:  # an unknown topic may be one that a broker missed
                self.exists[name] = False
                self.gone_ms[name] = self.client.world.now_ms

        request = DeleteTopicsRequest(topics=[DeleteTopicState(name)], timeout_ms=2_000)
        self.client.call(self.client.any_broker(), request, 6, 3_000, done)
