"""An election, or the question before it: asking every other voter until a majority is for or
against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.effects import Level
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.log import METADATA_TOPIC
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k52_vote import PartitionData, TopicData, VoteRequest

if TYPE_CHECKING:
    from embedded_broker.core.quorum.quorum import Quorum

VOTE_VERSION = 2
RETRY_MS = 50
FORGETFUL_VOTE = ErrorCode.INELIGIBLE_REPLICA
"""Beside a granted vote: it is a forgetful voter's, and counts only when all voters grant
theirs."""


class Campaign:
    """One round of votes in one epoch. A voter that cannot be reached is asked again until the
    round is over."""

    def __init__(self, quorum: Quorum, now_ms: int, pre_vote: bool) -> None:
        self._quorum = quorum
        self._pre_vote = pre_vote
        self._granted: set[int] = set()
        self._conditional: set[int] = set()
        self._refused: set[int] = set()
        (self._conditional if quorum.forgetful else self._granted).add(quorum.node_id)
        self._sends: dict[int, int] = {}
        self._open = True

    @property
    def granted(self) -> tuple[int, ...]:
        return tuple(sorted(self._granted | self._conditional))

    def start(self, now_ms: int) -> None:
        q = self._quorum
        q.expect_within(
            now_ms, q.election_timeout_ms + q.broker.rng.below(q.election_timeout_ms + 1), q.lost
        )
        if self._is_won():
            q.won(now_ms)
            return
        for voter in q.voters:
            if voter != q.node_id:
                self._ask(now_ms, voter)

    def close(self, now_ms: int) -> None:
        self._open = False
        for voter, send_id in self._sends.items():
            self._quorum.broker.outbox.forget(send_id)
            self._quorum.broker.outbox.cancel(f"quorum.vote.{voter}")

    def _ask(self, now_ms: int, voter: int) -> None:
        if not self._open:
            return
        q = self._quorum
        question = PartitionData(
            replica_epoch=q.epoch,
            replica_id=q.node_id,
            last_offset_epoch=q.log.last_epoch,
            last_offset=q.log.end_offset,
            pre_vote=self._pre_vote,
        )
        request = VoteRequest(q.cluster_id, voter, [TopicData(METADATA_TOPIC, [question])])

        def done(now: int, response: Any, reason: str) -> None:
            if response is None:
                q.broker.outbox.timer(
                    f"quorum.vote.{voter}", now + RETRY_MS, lambda later: self._ask(later, voter)
                )
            else:
                self._answered(now, voter, response)

        timeout_ms = min(q.request_timeout_ms, q.election_timeout_ms)
        self._sends[voter] = q.broker.outbox.send(
            voter, "quorum", request, VOTE_VERSION, timeout_ms, done
        )

    def _answered(self, now_ms: int, voter: int, response: Any) -> None:
        q = self._quorum
        if response.error_code == ErrorCode.INCONSISTENT_CLUSTER_ID:
            q.broker.outbox.note(
                Level.WARNING, f"Broker {voter} belongs to another cluster than {q.cluster_id}."
            )
            self._count(now_ms, self._refused, voter)
            return
        answer = (
            response.topics[0].partitions[0]
            if response.topics and response.topics[0].partitions
            else None
        )
        if answer is None:
            self._count(now_ms, self._refused, voter)
            return
        try:
            if q.heard_of(now_ms, answer.leader_epoch, answer.leader_id):
                return
        except StorageFailed as e:
            q.storage_failed(now_ms, e)
            return
        side = self._refused
        if answer.vote_granted:
            side = {ErrorCode.NONE: self._granted, FORGETFUL_VOTE: self._conditional}.get(
                answer.error_code, side
            )
        self._count(now_ms, side, voter)

    def _is_won(self) -> bool:
        q = self._quorum
        return len(self._granted) >= q.majority or len(self._granted | self._conditional) == len(
            q.voters
        )

    def _count(self, now_ms: int, side: set[int], voter: int) -> None:
        q = self._quorum
        side.add(voter)
        if self._is_won():
            q.won(now_ms)
        elif len(self._refused) > len(q.voters) - q.majority:
            q.lost(now_ms)
