"""DescribeQuorum: who leads the metadata quorum, and how far each voter's log is. Answered by the
leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.quorum.leading import Leading, Progress
from embedded_broker.core.quorum.log import METADATA_TOPIC
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k55_describe_quorum import (
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)

if TYPE_CHECKING:
    from embedded_broker.core.events import RequestReceived
    from embedded_broker.core.quorum.quorum import Quorum


def describe_quorum(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    leading = q.leading
    if leading is None:
        q.broker.controller.refuse(event)
        return
    topics = []
    for asked in event.message.topics:
        answer = ResponseTopicData(asked.topic_name)
        topics.append(answer)
        for partition in asked.partitions:
            if asked.topic_name != METADATA_TOPIC or partition.partition_index != 0:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                answer.partitions.append(
                    ResponsePartitionData(partition.partition_index, code, "Not a quorum.")
                )
            else:
                answer.partitions.append(_describe(q, leading))
    response = DescribeQuorumResponse(topics=topics)
    if event.version >= 2:
        response.error_message = None
        listener = q.broker.settings.inter_broker_listener
        for voter in q.voters:
            host, port = q.broker.settings.voters[voter]
            response.nodes.append(Node(voter, [Listener(listener, host, port)]))
    q.broker.outbox.respond(event, response)


def _describe(q: Quorum, leading: Leading) -> ResponsePartitionData:
    wall_ms = q.broker.clock.wall_ms()
    own = Progress(q.log.end_offset, q.high_watermark, 0, wall_ms, wall_ms)
    voters = {**leading.voters, q.node_id: own}
    return ResponsePartitionData(
        0,
        ErrorCode.NONE,
        None,
        q.node_id,
        q.epoch,
        q.high_watermark,
        [_state(q, voter, voters[voter]) for voter in sorted(voters)],
        [
            _state(q, observer, leading.observers[observer])
            for observer in sorted(leading.observers)
        ],
    )


def _state(q: Quorum, replica_id: int, p: Progress) -> ReplicaState:
    known = q.broker.image.brokers.get(replica_id)
    state = ReplicaState(replica_id, log_end_offset=p.end_offset)
    if known is not None and known.directory_ids:
        state.replica_directory_id = known.directory_ids[0]
    state.last_fetch_timestamp = p.fetched_wall_ms
    state.last_caught_up_timestamp = p.caught_up_wall_ms
    return state
