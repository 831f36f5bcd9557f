"""DescribeQuorum (55): the leader of the metadata quorum, and how far each voter's log
is. Only the leader answers."""

from __future__ import annotations

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.topics import METADATA_TOPIC
from embedded_broker.core.quorum.leading import Leading, Progress
from embedded_broker.core.quorum.quorum import Quorum
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k55_describe_quorum import (
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)


def describe_quorum(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """Answer DescribeQuorum; NOT_CONTROLLER from a node that does not lead."""
    leading = q.leading
    if leading is None:
        q.env.outbox.respond(event, DescribeQuorumResponse(error_code=ErrorCode.NOT_CONTROLLER))
        return
    topics = []
    for requested in event.message.topics:
        topic = ResponseTopicData(requested.topic_name)
        topics.append(topic)
        for partition in requested.partitions:
            if requested.topic_name != METADATA_TOPIC or partition.partition_index != 0:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                text = "Only partition 0 of __cluster_metadata has a quorum."
                topic.partitions.append(
                    ResponsePartitionData(partition.partition_index, code, text)
                )
            else:
                topic.partitions.append(_describe(q, leading))
    response = DescribeQuorumResponse(topics=topics)
    if event.version >= 2:
        response.error_message = None
        listener = q.env.settings.inter_broker_listener
        for voter in q.voters:
            host, port = q.env.settings.voters[voter]
            response.nodes.append(Node(voter, [Listener(listener, host, port)]))
    q.env.outbox.respond(event, response)


def _describe(q: Quorum, leading: Leading) -> ResponsePartitionData:
    wall_ms = q.env.clock.wall_ms()
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
    broker = q.env.image.brokers.get(replica_id)
    state = ReplicaState(replica_id, log_end_offset=p.end_offset)
    if broker is not None and broker.directory_ids:
        state.replica_directory_id = broker.directory_ids[0]
    state.last_fetch_timestamp = p.fetched_wall_ms
    state.last_caught_up_timestamp = p.caught_up_wall_ms
    return state
