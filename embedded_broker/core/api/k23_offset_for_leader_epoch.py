"""OffsetForLeaderEpoch (23): where an epoch ended in the leader's log (KIP-101, KIP-279, KIP-320).

Answers the largest epoch at or below the one asked for, with its end; (-1, -1) when that epoch is
not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.messages.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: OffsetForLeaderEpochRequest = event.message
    response = OffsetForLeaderEpochResponse()
    for topic in request.topics:
        results = OffsetForLeaderTopicResult(topic.topic)
        for asked in topic.partitions:
            result = EpochEndOffset(partition=asked.partition)
            partition = broker.replicas.partitions.get((topic.topic, asked.partition))
            if partition is None:
                result.error_code = broker.replicas.missing(topic.topic, asked.partition)
            else:
                result.error_code = partition.fence(asked.current_leader_epoch)
                if not result.error_code:
                    found = partition.epochs.end_offset_for(
                        asked.leader_epoch, partition.end_offset
                    )
                    result.leader_epoch, result.end_offset = found
            results.partitions.append(result)
        response.topics.append(results)
    broker.outbox.respond(event, response)
