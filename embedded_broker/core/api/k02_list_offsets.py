"""ListOffsets (2): where a log starts, ends, or was at a time.

* Latest is the high watermark (there are no transactions, so it is the last stable offset too).
* Right after an election the high watermark may still be an older one than consumers have seen:
  until it has reached the start of the leader's epoch, "latest" is OFFSET_NOT_AVAILABLE
  (LEADER_NOT_AVAILABLE before version 5; KIP-207).
* Earliest-local is the same as earliest and there is no tiered storage: -5 and -6 answer offset -1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.ports import StorageFailed
from kafka_protocol.constants import OffsetTimestamp
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived
    from embedded_broker.core.replication.partition import Partition

LATEST, EARLIEST = OffsetTimestamp.LATEST, OffsetTimestamp.EARLIEST
MAX_TIMESTAMP = OffsetTimestamp.MAX_TIMESTAMP
EARLIEST_LOCAL = -4
TIERED = (-5, -6)
MAX_TIMESTAMP_SINCE = 7
OFFSET_NOT_AVAILABLE_SINCE = 5


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: ListOffsetsRequest = event.message
    response = ListOffsetsResponse()
    for topic in request.topics:
        answers = ListOffsetsTopicResponse(topic.name)
        for asked in topic.partitions:
            partition = broker.replicas.partitions.get((topic.name, asked.partition_index))
            answer = ListOffsetsPartitionResponse(asked.partition_index)
            if partition is None:
                answer.error_code = broker.replicas.missing(topic.name, asked.partition_index)
            else:
                try:
                    _look_up(partition, asked, answer, event.version)
                except StorageFailed as e:
                    broker.outbox.note(Level.ERROR, f"{partition} cannot be read: {e}")
                    answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            answers.partitions.append(answer)
        response.topics.append(answers)
    broker.outbox.respond(event, response)


def _look_up(
    partition: Partition,
    asked: ListOffsetsPartition,
    answer: ListOffsetsPartitionResponse,
    version: int,
) -> None:
    answer.error_code = partition.fence(asked.current_leader_epoch)
    if answer.error_code:
        return
    high = partition.high_watermark
    found: tuple[int, int] | None
    match asked.timestamp:
        case -1:
            found = None if partition.high_watermark_is_old else (high, -1)
        case -2 | -4:
            found = (partition.start_offset, -1)
        case -3 if version >= MAX_TIMESTAMP_SINCE:
            found = partition.log.offset_of_max_timestamp(high)
        case timestamp if timestamp < 0:
            if timestamp not in TIERED:
                answer.error_code = ErrorCode.UNSUPPORTED_VERSION
            return
        case timestamp:
            found = partition.log.offset_for_timestamp(timestamp, high)
    if found is not None:
        answer.offset, answer.timestamp = found
        answer.leader_epoch = partition.epochs.epoch_at(answer.offset)
        if answer.leader_epoch < 0 or answer.offset >= high:
            answer.leader_epoch = partition.leader_epoch
    elif partition.high_watermark_is_old:
        later = version >= OFFSET_NOT_AVAILABLE_SINCE
        answer.error_code = (
            ErrorCode.OFFSET_NOT_AVAILABLE if later else ErrorCode.LEADER_NOT_AVAILABLE
        )
