"""ListOffsets (2): the start or the end of a log, or its offset at a time.

* Latest is the high watermark (without transactions it is the last stable offset too).
* Right after an election the high watermark may be older than what consumers have seen:
  until it has reached the start of the leader's epoch, latest is OFFSET_NOT_AVAILABLE
  (LEADER_NOT_AVAILABLE before version 5; KIP-207).
* There is no tiered storage: earliest-local (-4) is the same as earliest, -5 and -6
  return offset -1.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.log.time_lookup import first_at_or_after, latest
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.constants import OffsetTimestamp
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

LATEST, EARLIEST = OffsetTimestamp.LATEST, OffsetTimestamp.EARLIEST
MAX_TIMESTAMP = OffsetTimestamp.MAX_TIMESTAMP
EARLIEST_LOCAL = -4
TIERED = (-5, -6)
MAX_TIMESTAMP_SINCE = 7
OFFSET_NOT_AVAILABLE_SINCE = 5


def list_offsets(replicas: Replicas, now_ms: int, event: RequestReceived) -> Steps:
    """Look up each partition of the request."""
    request: ListOffsetsRequest = event.message
    response = ListOffsetsResponse()
    for topic in request.topics:
        topic_response = ListOffsetsTopicResponse(topic.name)
        for requested in topic.partitions:
            partition = replicas.partitions.get((topic.name, requested.partition_index))
            result = ListOffsetsPartitionResponse(requested.partition_index)
            if partition is None:
                result.error_code = replicas.table.missing(topic.name, requested.partition_index)
            else:
                try:
                    yield from _look_up(partition, requested, result, event.version)
                except StorageFailed as e:
                    partition.read_failed(now_ms, e)
                    result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            topic_response.partitions.append(result)
            yield 1
        response.topics.append(topic_response)
    replicas.env.outbox.respond(event, response)


def _look_up(
    partition: Partition,
    requested: ListOffsetsPartition,
    result: ListOffsetsPartitionResponse,
    version: int,
) -> Steps:
    """Fill ``result`` with an offset or an error."""
    result.error_code = partition.fence(requested.current_leader_epoch)
    if result.error_code:
        return
    high = partition.high_watermark
    record: tuple[int, int] | None

    timestamp = requested.timestamp
    if timestamp == LATEST:
        record = None if partition.high_watermark_is_old else (high, -1)
    elif timestamp in (EARLIEST, EARLIEST_LOCAL):
        record = (partition.start_offset, -1)
    elif timestamp == MAX_TIMESTAMP and version >= MAX_TIMESTAMP_SINCE:
        record = yield from latest(partition.log, high)
    elif timestamp < 0:
        if timestamp not in TIERED:
            result.error_code = ErrorCode.UNSUPPORTED_VERSION
        return
    else:
        record = yield from first_at_or_after(partition.log, timestamp, high)
    # Another broker may have become the leader between two steps.
    result.error_code = partition.fence(requested.current_leader_epoch)
    if result.error_code:
        return
    if record is not None:
        result.offset, result.timestamp = record
        result.leader_epoch = partition.epochs.epoch_at(result.offset)
        # The offset of the next record has no epoch yet: it will be this leader's.
        if result.leader_epoch < 0 or result.offset >= high:
            result.leader_epoch = partition.leader_epoch
    elif partition.high_watermark_is_old:
        later = version >= OFFSET_NOT_AVAILABLE_SINCE
        result.error_code = (
            ErrorCode.OFFSET_NOT_AVAILABLE if later else ErrorCode.LEADER_NOT_AVAILABLE
        )
