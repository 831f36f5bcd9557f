"""Asks the controller to change in-sync sets: one AlterPartition in flight, with all partitions
that wait for one.

A pending change stays pending, and the partition's maximal in-sync set with it, until an answer
or newer metadata says what became of it; a lost answer is followed by the same question again
(KAFKA-13091).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k56_alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    BrokerState,
    PartitionData,
    ResponsePartitionData,
    TopicData,
)

if TYPE_CHECKING:
    from embedded_broker.core.replication.partition import Partition
    from embedded_broker.core.replication.replicas import Replicas

VERSION = 3
TIMEOUT_MS = 10_000
RETRY_MS = 100
UNDECIDED_MS = 1_000
_NOT_DONE = (ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.INELIGIBLE_REPLICA)
_METADATA_WILL_TELL = (
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.INVALID_UPDATE_VERSION,
    ErrorCode.INVALID_REQUEST,
    ErrorCode.NEW_LEADER_ELECTED,
)
Sent = dict["Partition", tuple[int, int, tuple[int, ...]]]
"""Partition -> (leader epoch, partition epoch, proposed set) as asked."""


class IsrChanges:
    """The queue of this node's proposals."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._waiting: dict[Partition, None] = {}
        self._later: dict[Partition, None] = {}
        self._refused: dict[Partition, None] = {}
        self._in_flight = False

    def add(self, partition: Partition) -> None:
        self._waiting[partition] = None

    def flush(self, now_ms: int) -> None:
        """At the end of a tick."""
        if self._in_flight or not self._waiting or self._replicas.broker_epoch < 0:
            return
        waiting, self._waiting = self._waiting, {}
        sent: Sent = {}
        request = AlterPartitionRequest(self._replicas.node_id, self._replicas.broker_epoch)
        topics: dict[object, TopicData] = {}
        for partition in waiting:
            proposal = partition.pending_isr
            if proposal is None or not partition.is_leader:
                continue
            sent[partition] = (partition.leader_epoch, partition.partition_epoch, proposal)
            topic = topics.get(partition.topic_id)
            if topic is None:
                topic = topics[partition.topic_id] = TopicData(partition.topic_id)
                request.topics.append(topic)
            topic.partitions.append(
                PartitionData(
                    partition.index,
                    partition.leader_epoch,
                    new_isr_with_epochs=[
                        self._state(partition, broker_id) for broker_id in proposal
                    ],
                    partition_epoch=partition.partition_epoch,
                )
            )
        if not sent:
            return
        self._in_flight = True

        def done(then_ms: int, response: AlterPartitionResponse | None, reason: str) -> None:
            self._in_flight = False
            self._done(then_ms, sent, response)

        self._replicas.channel.call(now_ms, request, VERSION, TIMEOUT_MS, done)

    def _state(self, partition: Partition, broker_id: int) -> BrokerState:
        if broker_id == self._replicas.node_id:
            return BrokerState(broker_id, self._replicas.broker_epoch)
        follower = partition.followers.get(broker_id)
        return BrokerState(broker_id, -1 if follower is None else follower.broker_epoch)

    def _done(self, now_ms: int, sent: Sent, response: AlterPartitionResponse | None) -> None:
        answers: dict[tuple[object, int], ResponsePartitionData] = {}
        if response is not None and response.error_code == ErrorCode.NONE:
            for topic in response.topics:
                for data in topic.partitions:
                    answers[topic.topic_id, data.partition_index] = data
        for partition, asked in sent.items():
            if not partition.is_leader or asked != (
                partition.leader_epoch, partition.partition_epoch, partition.pending_isr,
            ):  # fmt: skip
                continue
            answer = answers.get((partition.topic_id, partition.index))
            if answer is None:
                self._ask_again(now_ms, partition, RETRY_MS)
            elif answer.error_code == ErrorCode.NONE:
                if answer.leader_epoch != partition.leader_epoch:
                    self._ask_again(now_ms, partition, UNDECIDED_MS)
                elif answer.partition_epoch > partition.partition_epoch:
                    recovering = answer.leader_recovery_state != 0
                    partition.commit_isr(
                        now_ms, tuple(answer.isr), answer.partition_epoch, recovering
                    )
                else:
                    partition.proposal_refused(now_ms)
            elif answer.error_code in _NOT_DONE:
                partition.proposal_refused(now_ms)
                self._refused[partition] = None
                self._replicas.outbox.timer("in-sync sets again", now_ms + RETRY_MS, self._again)
            elif answer.error_code in _METADATA_WILL_TELL:
                self._ask_again(now_ms, partition, UNDECIDED_MS)
            else:
                self._ask_again(now_ms, partition, RETRY_MS)

    def _ask_again(self, now_ms: int, partition: Partition, after_ms: int) -> None:
        self._later[partition] = None
        self._replicas.outbox.timer("in-sync sets again", now_ms + after_ms, self._again)

    def _again(self, now_ms: int) -> None:
        self._waiting.update(self._later)
        self._later.clear()
        refused, self._refused = self._refused, {}
        for partition in refused:
            partition.consider_joins(now_ms)
