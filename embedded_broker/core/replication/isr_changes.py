"""Proposes changes of in-sync sets to the controller: one AlterPartition in flight,
with all partitions that have a change waiting.

A pending change stays pending, and stays in the partition's maximal in-sync set, until
a response or newer metadata decides it; after a lost response the same change is
proposed again (KAFKA-13091).
"""

from __future__ import annotations

from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import ControllerCalls
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.table import ReplicaTable
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k56_alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    BrokerState,
    PartitionData,
    ResponsePartitionData,
    TopicData,
)

VERSION = 3
TIMEOUT_MS = 10_000
RETRY_TIMER = "in-sync sets again"
RETRY_MS = 100
UNDECIDED_MS = 1_000
"""How long newer metadata gets to decide a change before it is proposed again."""
_NOT_MADE = (ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.INELIGIBLE_REPLICA)
"""The controller has certainly not made the change."""
_METADATA_DECIDES = (
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.INVALID_UPDATE_VERSION,
    ErrorCode.INVALID_REQUEST,
    ErrorCode.NEW_LEADER_ELECTED,
)
"""The partition is different at the controller; the metadata that says how is on its
way. An earlier attempt of this same change may have succeeded."""
Sent = dict[Partition, tuple[int, int, tuple[int, ...]]]
"""Partition -> (leader epoch, partition epoch, proposed set) in the request."""


class IsrChanges:
    """This node's proposals that wait or are in flight."""

    def __init__(self, env: Environment, calls: ControllerCalls, table: ReplicaTable) -> None:
        self._env = env
        self._calls = calls
        self._table = table
        self._waiting: dict[Partition, None] = {}
        """To be sent at the end of this tick."""
        self._later: dict[Partition, None] = {}
        """To be sent again when the retry timer fires."""
        self._refused: dict[Partition, None] = {}
        """To be considered again when the retry timer fires."""
        self._in_flight = False

    def add(self, partition: Partition) -> None:
        """Propose ``partition.pending_isr``."""
        self._waiting[partition] = None

    def flush(self, now_ms: int) -> None:
        """At the end of a tick, send the waiting proposals in one request."""
        # One request at a time, so that the controller judges proposals in the order in
        # which they were made; what waits meanwhile goes with the next request. Without
        # a broker epoch the controller refuses all of them.
        if self._in_flight or not self._waiting or self._table.broker_epoch < 0:
            return
        waiting, self._waiting = self._waiting, {}
        sent: Sent = {}
        request = AlterPartitionRequest(self._env.node_id, self._table.broker_epoch)
        topics: dict[object, TopicData] = {}
        for partition in waiting:
            proposal = partition.pending_isr
            # Metadata of this tick may have decided the change or moved the leadership.
            if proposal is None or not partition.is_leader:
                continue
            # A response counts only while all three are still the same.
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
                        self._member(partition, broker_id) for broker_id in proposal
                    ],
                    partition_epoch=partition.partition_epoch,
                )
            )
        if not sent:
            return
        self._in_flight = True

        def done(then_ms: int, response: AlterPartitionResponse | None, reason: str) -> None:
            self._in_flight = False
            self._on_response(then_ms, sent, response)

        self._calls.call(now_ms, request, VERSION, TIMEOUT_MS, done)

    def _member(self, partition: Partition, broker_id: int) -> BrokerState:
        """A proposed member with its broker epoch (KIP-903)."""
        if broker_id == self._env.node_id:
            return BrokerState(broker_id, self._table.broker_epoch)
        follower = partition.followers.get(broker_id)
        return BrokerState(broker_id, -1 if follower is None else follower.broker_epoch)

    def _on_response(
        self, now_ms: int, sent: Sent, response: AlterPartitionResponse | None
    ) -> None:
        results: dict[tuple[object, int], ResponsePartitionData] = {}
        if response is not None and response.error_code == ErrorCode.NONE:
            for topic in response.topics:
                for data in topic.partitions:
                    results[topic.topic_id, data.partition_index] = data
        for partition, proposed in sent.items():
            current = (partition.leader_epoch, partition.partition_epoch, partition.pending_isr)
            # Newer metadata has decided the change already.
            if not partition.is_leader or proposed != current:
                continue
            result = results.get((partition.topic_id, partition.index))
            if result is None:
                self._propose_again(now_ms, partition, RETRY_MS)
            else:
                self._decide(now_ms, partition, result)

    def _decide(self, now_ms: int, partition: Partition, result: ResponsePartitionData) -> None:
        """Apply the controller's decision on one pending change."""
        if result.error_code == ErrorCode.NONE:
            if result.leader_epoch != partition.leader_epoch:
                self._propose_again(now_ms, partition, UNDECIDED_MS)
            elif result.partition_epoch > partition.partition_epoch:
                recovering = result.leader_recovery_state != 0
                partition.commit_isr(now_ms, tuple(result.isr), result.partition_epoch, recovering)
            else:
                # The controller found nothing to change.
                partition.proposal_refused(now_ms)
        elif result.error_code in _NOT_MADE:
            partition.proposal_refused(now_ms)
            self._refused[partition] = None
            self._env.outbox.timer(RETRY_TIMER, now_ms + RETRY_MS, self._retry)
        elif result.error_code in _METADATA_DECIDES:
            self._propose_again(now_ms, partition, UNDECIDED_MS)
        else:
            self._propose_again(now_ms, partition, RETRY_MS)

    def _propose_again(self, now_ms: int, partition: Partition, after_ms: int) -> None:
        self._later[partition] = None
        self._env.outbox.timer(RETRY_TIMER, now_ms + after_ms, self._retry)

    def _retry(self, now_ms: int) -> None:
        self._waiting.update(self._later)
        self._later.clear()
        refused, self._refused = self._refused, {}
        for partition in refused:
            partition.consider_joins(now_ms)
