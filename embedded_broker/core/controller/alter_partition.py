"""AlterPartition (56): a leader proposes a new in-sync set, or reports that its
recovery is done.

The request carries the leader's broker epoch, a leader epoch, a partition epoch, and
the broker epoch of every member (KIP-903): a replica that restarted after its leader
saw it caught up may not join.
"""

from __future__ import annotations

from uuid import UUID

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.partitions import move
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import PartitionImage
from embedded_broker.core.metadata.records import RECOVERED, RECOVERING, MetadataRecord
from embedded_broker.core.metadata.replay import changed
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k56_alter_partition import (
    AlterPartitionResponse,
    BrokerState,
    PartitionData,
    ResponsePartitionData,
    ResponseTopicData,
)


def alter_partition(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Judge each partition of the request; propose the accepted changes together."""
    request = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    broker = controller.image.brokers.get(request.broker_id)
    if event.caller.broker_id != request.broker_id:
        controller.refuse(event, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        return
    if broker is None or broker.broker_epoch != request.broker_epoch:
        controller.refuse(event, ErrorCode.STALE_BROKER_EPOCH)
        return
    records: list[MetadataRecord] = []
    topics: list[ResponseTopicData] = []
    seen: set[tuple[UUID, int]] = set()
    for requested_topic in request.topics:
        topic = controller.image.topic_by_id(requested_topic.topic_id)
        result = ResponseTopicData(requested_topic.topic_id)
        topics.append(result)
        for requested in requested_topic.partitions:
            p = None if topic is None else topic.partitions.get(requested.partition_index)
            if p is None:
                code = (
                    ErrorCode.UNKNOWN_TOPIC_ID
                    if topic is None
                    else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                )
                result.partitions.append(ResponsePartitionData(requested.partition_index, code))
                continue
            members = _members(event.version, requested)
            error = _judge(controller, request.broker_id, p, requested, members)
            # A second change of the same partition would be judged by the state before
            # the first.
            if (p.topic_id, p.partition) in seen:
                error = ErrorCode.INVALID_REQUEST
            seen.add((p.topic_id, p.partition))
            if error is not ErrorCode.NONE:
                result.partitions.append(ResponsePartitionData(requested.partition_index, error))
                continue
            isr = [m.broker_id for m in members]
            recovered = requested.leader_recovery_state == RECOVERED
            # A leader that leaves the set gives up its log: it is not eligible any more either.
            lost = () if request.broker_id in isr else (request.broker_id,)
            record = move(
                controller.view, p, _in_order(p, isr), recovered=recovered, lost_data=lost
            )
            if record is not None:
                records.append(record)
                p = changed(p, record)
            result.partitions.append(_result(request.broker_id, p))
    controller.reply(now_ms, event, records, AlterPartitionResponse(topics=topics))


def _result(leader_id: int, p: PartitionImage) -> ResponsePartitionData:
    """The partition as it is after the change."""
    return ResponsePartitionData(
        p.partition,
        ErrorCode.NONE if p.leader == leader_id else ErrorCode.NEW_LEADER_ELECTED,
        p.leader,
        p.leader_epoch,
        list(p.isr),
        RECOVERING if p.recovering else RECOVERED,
        p.partition_epoch,
    )


def _members(version: int, requested: PartitionData) -> list[BrokerState]:
    """The proposed in-sync set; before version 3 without broker epochs (-1)."""
    return (
        list(requested.new_isr_with_epochs)
        if version >= 3
        else [BrokerState(b) for b in requested.new_isr]
    )


def _in_order(p: PartitionImage, isr: list[int]) -> list[int]:
    """Keep the order of the members that stay; append those that join."""
    return [r for r in p.isr if r in isr] + [r for r in isr if r not in p.isr]


def _judge(
    controller: Controller,
    leader_id: int,
    p: PartitionImage,
    requested: PartitionData,
    members: list[BrokerState],
) -> ErrorCode:
    """Return NONE when the proposed in-sync set ``members`` is acceptable."""
    isr = [m.broker_id for m in members]
    recovery = requested.leader_recovery_state
    # The leader has newer metadata than this controller: there is a newer controller.
    if requested.leader_epoch > p.leader_epoch or requested.partition_epoch > p.partition_epoch:
        return ErrorCode.NOT_CONTROLLER
    if requested.leader_epoch < p.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if p.leader != leader_id:
        return ErrorCode.INVALID_REQUEST
    # The leader decided by an older in-sync set than the current one.
    if requested.partition_epoch < p.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    # Without the leader, which gives up a damaged log, another of the set is elected. Kafka's
    # leaders never propose that.
    if len(set(isr)) != len(isr) or any(r not in p.replicas for r in isr) or not isr:
        return ErrorCode.INVALID_REQUEST
    # While the leader recovers from an unclean election it is the only member in sync.
    if recovery not in (RECOVERED, RECOVERING) or (
        recovery == RECOVERING and (not p.recovering or len(isr) > 1)
    ):
        return ErrorCode.INVALID_REQUEST
    for member in members:
        broker = controller.image.brokers.get(member.broker_id)
        # KIP-841: a fenced broker, or one that shuts down, may not join.
        if broker is None or not controller.image.eligible(member.broker_id):
            return ErrorCode.INELIGIBLE_REPLICA
        # KIP-903: this incarnation is not the one that the leader saw caught up.
        if member.broker_epoch != -1 and member.broker_epoch != broker.broker_epoch:
            return ErrorCode.INELIGIBLE_REPLICA
    return ErrorCode.NONE
