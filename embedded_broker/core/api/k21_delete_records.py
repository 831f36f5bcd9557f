"""DeleteRecords (21): move the start of a log forward, on all its living replicas (KIP-107).

Offset -1 means the high watermark. Beyond the high watermark: OFFSET_OUT_OF_RANGE; below the
start nothing is left to do. Topics that are only compacted refuse: POLICY_VIOLATION.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.ports import StorageFailed
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k21_delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: DeleteRecordsRequest = event.message
    response = DeleteRecordsResponse()
    waiting: list[tuple[str, int, int, DeleteRecordsPartitionResult]] = []
    for topic in request.topics:
        results = DeleteRecordsTopicResult(topic.name)
        response.topics.append(results)
        for asked in topic.partitions:
            result = DeleteRecordsPartitionResult(asked.partition_index, -1)
            results.partitions.append(result)
            offset = _delete(broker, topic.name, asked.partition_index, asked.offset, result)
            if offset >= 0:
                waiting.append((topic.name, asked.partition_index, offset, result))
    left = len(waiting)
    if not left:
        broker.outbox.respond(event, response)
        return

    for name, index, offset, result in waiting:

        def done(
            code: int, low_watermark: int, result: DeleteRecordsPartitionResult = result
        ) -> None:
            nonlocal left
            result.error_code, result.low_watermark = code, low_watermark
            left -= 1
            if left == 0:
                broker.outbox.respond(event, response)

        partition = broker.replicas.partitions[name, index]
        broker.replicas.deletions.wait(now_ms, partition, offset, request.timeout_ms, done)


def _delete(
    broker: Broker, topic: str, index: int, offset: int, result: DeleteRecordsPartitionResult
) -> int:
    """Delete on this replica; returns the offset that the others have to reach, -1 with an error
    in ``result``."""
    partition = broker.replicas.partitions.get((topic, index))
    if partition is None or not partition.is_leader:
        missing = broker.replicas.missing(topic, index)
        result.error_code = missing if partition is None else ErrorCode.NOT_LEADER_OR_FOLLOWER
    elif "delete" not in broker.config.topic(topic, "cleanup.policy"):
        result.error_code = ErrorCode.POLICY_VIOLATION
    else:
        wanted = partition.high_watermark if offset == -1 else offset
        if wanted < 0 or wanted > partition.high_watermark:
            result.error_code = ErrorCode.OFFSET_OUT_OF_RANGE
            return -1
        try:
            partition.delete_before(wanted)
        except StorageFailed as e:
            broker.outbox.note(Level.ERROR, f"records of {partition} could not be deleted: {e}")
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            return -1
        return wanted
    return -1
