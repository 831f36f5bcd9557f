"""Planted bugs: one at a time is patched into the core, and the simulator must find it.

They measure the simulator: what it does not find, it does not test. A bug is a function that
patches attributes; the context ``planted`` restores them. Each bug names the family of faults in
which it shows.
"""

from __future__ import annotations

import dataclasses
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from embedded_broker.core.controller import alter_partition, elections
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.lifecycle import Lifecycle
from embedded_broker.core.coordinator.group import NEVER, Group
from embedded_broker.core.coordinator.membership import Membership
from embedded_broker.core.coordinator.offsets import Offsets
from embedded_broker.core.coordinator.rebalance import Rebalances
from embedded_broker.core.log import producers
from embedded_broker.core.log.producers import ProducerStates
from embedded_broker.core.quorum import requests
from embedded_broker.core.quorum.leading import Leading
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.client_fetch import ClientFetches
from embedded_broker.core.replication.local_log import PartitionsLedHere
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.replica_log import ReplicaLog
from embedded_broker.simulator import rare_mutants  # noqa: F401  (registers its bugs)
from embedded_broker.simulator.disk import Platter, SimDisk
from embedded_broker.simulator.planting import MUTANTS, Patch, mutant
from embedded_broker.simulator.scenario import run_seed
from kafka_protocol.errors import ErrorCode

Undo = list[tuple[Any, str, Any]]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Run with this bug in the core."""
    undo: Undo = []

    def patch(owner: Any, attribute: str, replacement: Any) -> None:
        undo.append((owner, attribute, vars(owner)[attribute]))
        setattr(owner, attribute, replacement)

    MUTANTS[name].plant(patch)
    try:
        yield
    finally:
        for owner, attribute, original in reversed(undo):
            setattr(owner, attribute, original)


def hunt(job: tuple[str, int]) -> tuple[str, int, str, float]:
    """Run seeds with a planted bug, (name, seeds at most), until one fails.

    Returns (name, seeds that it took or -1, the failure, seconds).
    """
    name, budget = job
    began = time.monotonic()
    with planted(name):
        for seed in range(1, budget + 1):
            result = run_seed(seed, 3, MUTANTS[name].family)
            if result.failure:
                return name, seed, result.failure.splitlines()[0], time.monotonic() - began
    return name, -1, "", time.monotonic() - began


def run_all(budget: int, jobs: int) -> int:
    """Hunt every planted bug with at most ``budget`` seeds each; returns the exit code, 1 when one
    is not caught."""
    missed = 0
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool:
        for name, seeds, how, seconds in pool.map(hunt, [(name, budget) for name in MUTANTS]):
            missed += seeds < 0
            verdict = (
                f"caught after {seeds} seeds: {how}"
                if seeds > 0
                else f"NOT CAUGHT in {budget} seeds"
            )
            print(f"{name} ({seconds:.0f} s): {verdict}", flush=True)
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} planted bugs caught")
    return 1 if missed else 0


# ---- replication
@mutant("a follower cuts its log back to its high watermark at each new epoch (before KIP-101)")
def follower_truncates_to_high_watermark(patch: Patch) -> None:
    follow = Partition.follow

    def planted_follow(self: Partition, now_ms: int, image: Any) -> None:
        newer = image.leader_epoch > self.leader_epoch
        follow(self, now_ms, image)
        if newer:
            self.truncate(self.high_watermark)

    patch(Partition, "follow", planted_follow)


@mutant("acks=all is acknowledged when the leader has appended")
def acknowledged_on_append(patch: Patch) -> None:
    patch(
        Partition, "when_committed", lambda self, now_ms, wait: wait.finish(now_ms, ErrorCode.NONE)
    )


@mutant(
    "a follower joins the in-sync set at the high watermark, before this epoch's start (KAFKA-7128)"
)
def in_sync_by_high_watermark_alone(patch: Patch) -> None:
    consider = Partition.consider_joins

    def planted_consider(self: Any, now_ms: int, fetching: int = -1) -> None:
        start, self.epoch_start_offset = self.epoch_start_offset, -1
        try:
            consider(self, now_ms, fetching)
        finally:
            self.epoch_start_offset = start

    patch(Partition, "consider_joins", planted_consider)


@mutant("the high watermark moves although too few replicas are in sync")
def committed_below_min_in_sync(patch: Patch) -> None:
    patch(Partition, "under_min_isr", property(lambda self: False))


@mutant("replicas of a pending AlterPartition do not hold the high watermark back")
def pending_in_sync_set_forgotten(patch: Patch) -> None:
    patch(Partition, "in_maximal_isr", lambda self, broker_id: broker_id in self.isr)
    patch(Partition, "_about_to_join", lambda self, follower, now_ms: False)


@mutant("a leader uses its proposed in-sync set before it is committed (KAFKA-13091)")
def in_sync_set_before_the_controller_knows(patch: Patch) -> None:
    propose = Partition._propose

    def planted_propose(self: Any, isr: tuple[int, ...]) -> None:
        propose(self, isr)
        self.isr = isr

    patch(Partition, "_propose", planted_propose)


@mutant("leader epochs in requests are ignored")
def leader_epochs_ignored(patch: Patch) -> None:
    def fence(self: Any, current_leader_epoch: int) -> int:
        return ErrorCode.NONE if self.is_leader else ErrorCode.NOT_LEADER_OR_FOLLOWER

    patch(Partition, "fence", fence)


@mutant("a leader does not detect that a follower has diverged")
def divergence_not_seen(patch: Patch) -> None:
    patch(ReplicaLog, "divergence", lambda self, last_fetched_epoch, fetch_offset: None)


@mutant("consumers are served up to the end of the log")
def uncommitted_shown(patch: Patch) -> None:
    read = ClientFetches._read

    def planted_read(
        self: Any, now_ms: int, partition: Any, request: Any, room: int, first: bool
    ) -> Any:
        high, partition.high_watermark = partition.high_watermark, partition.end_offset
        try:
            return read(self, now_ms, partition, request, room, first)
        finally:
            partition.high_watermark = high

    patch(ClientFetches, "_read", planted_read)


@mutant("a follower believes the leader's high watermark beyond its own log")
def follower_high_watermark_beyond_log(patch: Patch) -> None:
    def leader_is_at(self: Any, high_watermark: int, start_offset: int) -> None:
        self.high_watermark = max(self.high_watermark, high_watermark)
        self.delete_before(min(start_offset, self.high_watermark))

    patch(Partition, "leader_is_at", leader_is_at)


@mutant("repeated batches of idempotent producers are appended again")
def duplicates_not_seen(patch: Patch) -> None:
    patch(ProducerStates, "check", lambda self, header: (ErrorCode.NONE, -1, -1))


@mutant("only the last batch of a producer is remembered, not five")
def dedupe_window_one(patch: Patch) -> None:
    update = ProducerStates._update

    def planted_update(self: Any, header: Any, base_offset: int) -> None:
        update(self, header, base_offset)
        recent = self._producers[header.producer_id].recent
        del recent[:-4]

    patch(ProducerStates, "_update", planted_update)


@mutant("a snapshot of producers is believed whatever the log is")
def any_snapshot_believed(patch: Patch) -> None:
    decode = producers._decode

    def planted_decode(data: bytes, leader_epoch: int) -> Any:
        (epoch,) = struct.unpack_from(">i", data, 6)
        return decode(data, epoch)

    patch(producers, "_decode", planted_decode)


@mutant("producer states survive a truncation")
def producers_not_forgotten(patch: Patch) -> None:
    patch(ProducerStates, "forget", lambda self: None)


@mutant("a restarted replica joins the ISR by fetches of its previous incarnation (KIP-903)")
def broker_epochs_ignored(patch: Patch) -> None:
    judge = alter_partition._judge

    def planted_judge(controller: Any, leader_id: int, p: Any, request: Any, members: Any) -> Any:
        nameless = [dataclasses.replace(m, broker_epoch=-1) for m in members]
        return judge(controller, leader_id, p, request, nameless)

    patch(alter_partition, "_judge", planted_judge)
    patch(
        Partition,
        "_eligible",
        lambda self, follower: self._env.image.alive(follower.broker_id),
    )


# ---- controller
@mutant("any live replica may lead, and the election does not count as unclean")
def unclean_elections(patch: Patch) -> None:
    elect = elections._elect

    def planted_elect(
        p: Any, isr: Any, elr: Any, may_lead: Any, preferred: bool, unclean: bool
    ) -> Any:
        leader, _ = elect(p, isr, elr, may_lead, preferred, True)
        return leader, False

    patch(elections, "_elect", planted_elect)


@mutant("every replica counts as an eligible leader replica while too few are in sync")
def everyone_eligible(patch: Patch) -> None:
    def eligible(p: Any, isr: Any, min_isr: int, lost_data: Any) -> tuple[int, ...]:
        return () if len(isr) >= min_isr else tuple(r for r in p.replicas if r not in isr)

    patch(elections, "eligible", eligible)


@mutant("a power cut is taken for a kill: the replica stays eligible")
def unclean_start_not_reported(patch: Patch) -> None:
    opened = SimDisk.__init__

    def planted_init(self: Any, platter: Any) -> None:
        opened(self, platter)
        self.was_clean = True

    patch(SimDisk, "__init__", planted_init)


# ---- quorum
@mutant("the vote is not persisted")
def vote_not_persisted(patch: Patch) -> None:
    save = SimDisk.save_quorum_state

    def planted_save(self: Any, state: dict[str, Any]) -> None:
        save(self, state | {"votedId": -1})

    patch(SimDisk, "save_quorum_state", planted_save)


@mutant("a voter votes twice in an epoch", "F4")
def vote_twice(patch: Patch) -> None:
    judge = requests._judge_vote

    def planted_judge(q: Any, now_ms: int, event: Any, vote: Any) -> Any:
        error, granted = judge(q, now_ms, event, vote)
        has_log = (vote.last_offset_epoch, vote.last_offset) >= (q.log.last_epoch, q.log.end_offset)
        if not granted and not error and not vote.pre_vote and vote.replica_epoch == q.epoch:
            granted = has_log
        return error, granted

    patch(requests, "_judge_vote", planted_judge)


@mutant("a vote is not on the disk when the response leaves, and a power cut takes it", "F4")
def vote_lost_on_power(patch: Patch) -> None:
    save, ended = SimDisk.save_quorum_state, Platter.process_ended

    def planted_save(self: Any, state: dict[str, Any]) -> None:
        before = getattr(self._open(), "state_before_vote", None) or self.load_quorum_state()
        save(self, state)
        self._open().state_before_vote = before if state.get("votedId", -1) >= 0 else None

    def planted_ended(self: Any, rng: Any, power: bool) -> None:
        ended(self, rng, power)
        before = getattr(self, "state_before_vote", None)
        if power and before is not None:
            self.quorum_state = before

    patch(SimDisk, "save_quorum_state", planted_save)
    patch(Platter, "process_ended", planted_ended)


@mutant("a quorum leader without a majority never resigns")
def no_check_quorum(patch: Patch) -> None:
    patch(Leading, "_check_quorum", lambda self, now_ms: None)


@mutant("a node relies on what it leads for a whole session after its last heartbeat")
def in_touch_for_a_session(patch: Patch) -> None:
    answered = Lifecycle._answered

    def planted_answered(self: Any, wanted: bool, now_ms: int, response: Any, reason: str) -> None:
        answered(self, wanted, now_ms, response, reason)
        if response is not None and not response.error_code:
            self._in_touch_until_ms = self._sent_ms + self._session_ms

    patch(Lifecycle, "_answered", planted_answered)
    patch(Lifecycle, "in_touch", lambda self, now_ms: now_ms < self._in_touch_until_ms)


@mutant("the quorum state is not persisted at all")
def quorum_state_not_persisted(patch: Patch) -> None:
    patch(SimDisk, "save_quorum_state", lambda self, state: None)


@mutant("votes are granted whatever the log of the candidate")
def votes_for_short_logs(patch: Patch) -> None:
    judge = requests._judge_vote

    def planted_judge(q: Any, now_ms: int, event: Any, request: Any) -> Any:
        return judge(
            q,
            now_ms,
            event,
            dataclasses.replace(
                request, last_offset=2**40, last_offset_epoch=request.replica_epoch
            ),
        )

    patch(requests, "_judge_vote", planted_judge)


@mutant("one vote is a majority")
def small_majorities(patch: Patch) -> None:
    made = Quorum.__init__

    def planted_init(self: Any, env: Any, listener: Any) -> None:
        made(self, env, listener)
        self.majority = 1

    patch(Quorum, "__init__", planted_init)


@mutant("the controller responds before its records are committed")
def answered_before_committed(patch: Patch) -> None:
    def reply(self: Any, now_ms: int, request: Any, records: Any, response: Any) -> None:
        if not self.is_active or (records and not self.propose(now_ms, records)):
            self.refuse(request)
        else:
            self.env.outbox.respond(request, response)

    patch(Controller, "reply", reply)


# ---- groups
@mutant("an offset commit is acknowledged before the high watermark has passed it (KAFKA-20634)")
def commit_acknowledged_on_append(patch: Patch) -> None:
    append = PartitionsLedHere.append_local

    def planted_append(
        self: Any, now_ms: int, topic: str, partition: int, records: Any, done: Any
    ) -> None:
        reported: list[int] = []

        def once(then_ms: int, code: int, base: int) -> None:
            if not reported:
                reported.append(code)
                done(then_ms, code, base)

        append(self, now_ms, topic, partition, records, once)
        once(now_ms, ErrorCode.NONE, 0)

    patch(PartitionsLedHere, "append_local", planted_append)


@mutant("a coordinator is ready when it has loaded what the high watermark shows at first")
def loaded_to_the_high_watermark(patch: Patch) -> None:
    offsets = PartitionsLedHere.local_offsets

    def planted_offsets(self: Any, topic: str, partition: int) -> Any:
        found = offsets(self, topic, partition)
        return found if found is None else (found[0], found[1], found[1])

    patch(PartitionsLedHere, "local_offsets", planted_offsets)


@mutant("commits of an earlier generation are accepted")
def old_generations_commit(patch: Patch) -> None:
    patch(Offsets, "_commit_error", lambda self, now_ms, group, event: ErrorCode.NONE)


@mutant("commits are accepted while the group waits for its assignment")
def commit_while_completing(patch: Patch) -> None:
    commit_error = Offsets._commit_error

    def planted_error(self: Any, now_ms: int, group: Any, event: Any) -> int:
        error = commit_error(self, now_ms, group, event)
        return ErrorCode.NONE if error == ErrorCode.REBALANCE_IN_PROGRESS else error

    patch(Offsets, "_commit_error", planted_error)


@mutant("the generation of a commit is not looked at")
def generation_not_checked(patch: Patch) -> None:
    member_error = Group.member_error

    def planted_error(self: Any, member_id: str, instance_id: Any, _generation: Any = None) -> int:
        return member_error(self, member_id, instance_id)

    patch(Group, "member_error", planted_error)


@mutant("members are never given up for silence", "F0")
def no_member_sessions(patch: Patch) -> None:
    expire = Rebalances._expire

    def planted_expire(self: Any, now_ms: int, shard: Any, group: Any) -> None:
        for member in group.members.values():
            member.deadline_ms = NEVER
        expire(self, now_ms, shard, group)

    patch(Rebalances, "_expire", planted_expire)


@mutant("heartbeats of an earlier generation succeed")
def rebalance_not_notified(patch: Patch) -> None:
    patch(Membership, "heartbeat", lambda self, now_ms, shard, event: ErrorCode.NONE)
