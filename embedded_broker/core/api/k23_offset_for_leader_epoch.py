"""OffsetForLeaderEpoch (23): the end of a leader epoch in the leader's log (KIP-101,
KIP-279, KIP-320).

Returns the largest epoch at or below the requested one, with its end offset; (-1, -1)
when the requested epoch is newer than the log.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.messages.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)


def offset_for_leader_epoch(replicas: Replicas, now_ms: int, event: RequestReceived) -> Steps:
    """Look up each partition of the request."""
    request: OffsetForLeaderEpochRequest = event.message
    response = OffsetForLeaderEpochResponse()
    for topic in request.topics:
        results = OffsetForLeaderTopicResult(topic.topic)
        for requested in topic.partitions:
            result = EpochEndOffset(partition=requested.partition)
            partition = replicas.partitions.get((topic.topic, requested.partition))
            if partition is None:
                result.error_code = replicas.table.missing(topic.topic, requested.partition)
            else:
                result.error_code = partition.fence(requested.current_leader_epoch)
                if not result.error_code:
                    result.leader_epoch, result.end_offset = partition.epochs.end_offset_for(
                        requested.leader_epoch, partition.end_offset
                    )
            results.partitions.append(result)
            yield 1
        response.topics.append(results)
    replicas.env.outbox.respond(event, response)
