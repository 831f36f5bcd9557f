"""DeleteRecords (21): move the start of a log forward on all its live replicas
(KIP-107).

Offset -1 means the high watermark. An offset beyond it gets OFFSET_OUT_OF_RANGE; one
below the start succeeds at once. A topic that is only compacted gets POLICY_VIOLATION.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k21_delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

ITEMS_A_PARTITION = 3
"""The work of deleting records of one, where no segment goes with them."""


def delete_records(replicas: Replicas, now_ms: int, event: RequestReceived) -> Steps:
    """Delete the records here; respond when all live replicas have done the same."""
    request: DeleteRecordsRequest = event.message
    response = DeleteRecordsResponse()
    waiting: list[tuple[str, int, int, DeleteRecordsPartitionResult]] = []
    for topic in request.topics:
        results = DeleteRecordsTopicResult(topic.name)
        response.topics.append(results)
        for requested in topic.partitions:
            result = DeleteRecordsPartitionResult(requested.partition_index, -1)
            results.partitions.append(result)
            offset = _delete(
                replicas, now_ms, topic.name, requested.partition_index, requested.offset, result
            )
            if offset >= 0:
                waiting.append((topic.name, requested.partition_index, offset, result))
            yield ITEMS_A_PARTITION
    left = len(waiting)
    if not left:
        replicas.env.outbox.respond(event, response)
        return

    for name, index, offset, result in waiting:

        def done(
            code: int, low_watermark: int, result: DeleteRecordsPartitionResult = result
        ) -> None:
            nonlocal left
            result.error_code, result.low_watermark = code, low_watermark
            left -= 1
            if left == 0:
                replicas.env.outbox.respond(event, response)

        partition = replicas.partitions.get((name, index))
        if partition is None:
            done(replicas.table.missing(name, index), -1)
        else:
            replicas.deletions.wait(now_ms, partition, offset, request.timeout_ms, done)
        yield 1


def _delete(
    replicas: Replicas,
    now_ms: int,
    topic: str,
    index: int,
    offset: int,
    result: DeleteRecordsPartitionResult,
) -> int:
    """Delete on this replica; return the offset that the others must reach, or -1 with
    an error in ``result``."""
    partition = replicas.partitions.get((topic, index))
    if partition is None or not partition.is_leader:
        missing = replicas.table.missing(topic, index)
        result.error_code = missing if partition is None else ErrorCode.NOT_LEADER_OR_FOLLOWER
    elif "delete" not in replicas.env.config.topic(topic, "cleanup.policy"):
        result.error_code = ErrorCode.POLICY_VIOLATION
    else:
        wanted = partition.high_watermark if offset == -1 else offset
        if wanted < 0 or wanted > partition.high_watermark:
            result.error_code = ErrorCode.OFFSET_OUT_OF_RANGE
            return -1
        try:
            partition.delete_before(wanted)
        except StorageFailed as e:
            replicas.storage_failed(now_ms, f"cannot delete records of {partition}", e)
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            return -1
        return wanted
    return -1
