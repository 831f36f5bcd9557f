"""OffsetDelete (47): delete single committed offsets of topics that no member
subscribes to (KIP-496)."""

from __future__ import annotations

from embedded_broker.core.coordinator.errors import group_error
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.coordinator.records import OffsetKey
from embedded_broker.core.coordinator.shard import Entry, Shard
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k47_offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


def offset_delete(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Delete offsets of a group that this node coordinates; respond when that is
    committed."""
    shard, error = groups.locate(event.message.group_id)
    if shard is None:
        groups.env.outbox.respond(event, OffsetDeleteResponse(error_code=error))
        return
    group = shard.groups.get(event.message.group_id)
    if group is None:
        error = ErrorCode.GROUP_ID_NOT_FOUND
        groups.env.outbox.respond(event, OffsetDeleteResponse(error_code=error))
        return
    subscribed = group.subscribed_topics() if group.members else set()
    # The members' subscriptions cannot be read: any topic may be in use.
    if subscribed is None:
        error = ErrorCode.NON_EMPTY_GROUP
        groups.env.outbox.respond(event, OffsetDeleteResponse(error_code=error))
        return
    _delete(groups, now_ms, shard, event, subscribed)


def _delete(
    groups: Groups, now_ms: int, shard: Shard, event: RequestReceived, subscribed: set[str]
) -> None:
    group = shard.groups[event.message.group_id]
    response = OffsetDeleteResponse()
    entries = []
    for topic in event.message.topics:
        topic_result = OffsetDeleteResponseTopic(topic.name)
        response.topics.append(topic_result)
        for requested in topic.partitions:
            index = requested.partition_index
            result = OffsetDeleteResponsePartition(index)
            topic_result.partitions.append(result)
            if groups.env.image.partition(topic.name, index) is None:
                result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif topic.name in subscribed:
                result.error_code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            elif (topic.name, index) in group.offsets:
                entries.append(Entry(OffsetKey(group.group_id, topic.name, index), None))
    if not entries:
        groups.env.outbox.respond(event, response)
        return

    def written(_then_ms: int, error_code: int) -> None:
        if error_code:
            response.error_code = group_error(error_code)
            response.topics = []
        groups.env.outbox.respond(event, response)

    shard.write(now_ms, entries, written)
