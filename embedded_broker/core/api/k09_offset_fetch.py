"""OffsetFetch (api key 9): what groups have committed; -1 where nothing is.

Versions to 7 ask for one group, later ones for many; version 10 names topics by id. Without
transactions an offset is never in doubt, so ``require_stable`` changes nothing. Member id and
epoch (version 9) mean something for groups of the consumer protocol only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.coordinator.group import CommittedOffset
from embedded_broker.core.coordinator.offsets import BY_TOPIC_ID, NO_OFFSET
from embedded_broker.core.coordinator.shard import Shard
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    # A coordinator that was frozen or cut off does not know what its successor has committed
    # meanwhile.
    response = (_many if event.version >= 8 else _one)(
        broker, event, broker.lifecycle.in_touch(now_ms)
    )
    broker.outbox.respond(event, response)


def _many(broker: Broker, event: RequestReceived, in_touch: bool) -> OffsetFetchResponse:
    response = OffsetFetchResponse()
    for group in event.message.groups:
        shard, error = (
            broker.groups.locate(group.group_id) if in_touch else (None, ErrorCode.NOT_COORDINATOR)
        )
        answer = OffsetFetchResponseGroup(group.group_id, error_code=error)
        if shard is not None:
            answer.topics = _topics(broker, shard, group, event.version)
        response.groups.append(answer)
    return response


def _topics(
    broker: Broker, shard: Shard, group: OffsetFetchRequestGroup, version: int
) -> list[OffsetFetchResponseTopics]:
    by_id = version >= BY_TOPIC_ID
    found: list[OffsetFetchResponseTopics] = []
    if group.topics is None:
        for name, offsets in broker.groups.offsets.all_committed(shard, group.group_id).items():
            topic = broker.image.topics.get(name)
            if topic is None and by_id:
                continue  # it was deleted a moment ago and has no id any more
            topic_id = ZERO_UUID if topic is None else topic.topic_id
            told = [_told(partition, offset) for partition, offset in offsets.items()]
            found.append(OffsetFetchResponseTopics(name, topic_id, told))
        return found
    for asked in group.topics:
        topic_name: str | None = (
            broker.image.topic_names.get(asked.topic_id) if by_id else asked.name
        )
        asked_id = asked.topic_id
        if topic_name is None:
            unknown = [
                _told(index, NO_OFFSET, ErrorCode.UNKNOWN_TOPIC_ID)
                for index in asked.partition_indexes
            ]
            found.append(OffsetFetchResponseTopics("", asked_id, unknown))
            continue
        told = [
            _told(index, broker.groups.offsets.committed(shard, group.group_id, topic_name, index))
            for index in asked.partition_indexes
        ]
        found.append(OffsetFetchResponseTopics(topic_name, asked_id, told))
    return found


def _told(
    index: int, offset: CommittedOffset, error_code: int = 0
) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        index, offset.offset, offset.leader_epoch, offset.metadata, error_code
    )


def _one(broker: Broker, event: RequestReceived, in_touch: bool) -> OffsetFetchResponse:
    message = event.message
    shard, error = (
        broker.groups.locate(message.group_id) if in_touch else (None, ErrorCode.NOT_COORDINATOR)
    )
    response = OffsetFetchResponse(error_code=error)
    if shard is None:
        if event.version < 2:  # it has no place for an error but the partitions
            response.topics = [
                OffsetFetchResponseTopic(
                    t.name, [_single(i, NO_OFFSET, error) for i in t.partition_indexes]
                )
                for t in message.topics
            ]
        return response
    asked: list[tuple[str, Any]]
    offsets = broker.groups.offsets
    if message.topics is None:
        asked = list(offsets.all_committed(shard, message.group_id).items())
    else:
        asked = [(topic.name, topic.partition_indexes) for topic in message.topics]
    for name, indexes in asked:
        told = [_single(i, offsets.committed(shard, message.group_id, name, i)) for i in indexes]
        response.topics.append(OffsetFetchResponseTopic(name, told))
    return response


def _single(
    index: int, offset: CommittedOffset, error_code: int = 0
) -> OffsetFetchResponsePartition:
    return OffsetFetchResponsePartition(
        index, offset.offset, offset.leader_epoch, offset.metadata, error_code
    )
