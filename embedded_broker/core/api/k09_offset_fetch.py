"""OffsetFetch (9): the committed offsets of groups; -1 for a partition without one.

Versions up to 7 ask for one group, later ones for many; version 10 names topics by id.
Without transactions no offset is pending, so ``require_stable`` changes nothing. Member
id and epoch (version 9) only matter for groups of the consumer protocol.

All offsets of a group are listed once, however often they are asked for, and of so many
groups as fit into a response of MOST_BYTES: Kafka has no such bound, and a request of a few
bytes could take all memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.coordinator.group import CommittedOffset
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.coordinator.offsets import BY_TOPIC_ID, NO_OFFSET
from embedded_broker.core.coordinator.shard import Shard
from embedded_broker.core.events import RequestReceived
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

UNSTABLE_SINCE = 7
MANY_GROUPS_SINCE = 8
RETRY = ErrorCode.UNSTABLE_OFFSET_COMMIT
"""The error of the partitions of a group that another node coordinates. Kafka lists no partitions
then, as the group's own error is enough for most clients. librdkafka forgets a query whose
partitions are missing from the response, and its consumer never fetches again; one whose offset is
unstable it queries again, of the new coordinator."""
MOST_BYTES = 32 * 1024 * 1024
BYTES_A_PARTITION = 32
"""Of a response, without the metadata."""
ITEMS_A_GROUP = 5
Locate = Callable[[str], tuple[Shard | None, int]]
"""Group id -> (its shard or None, error code)."""


def offset_fetch(
    groups: Groups, in_touch: Callable[[int], bool], now_ms: int, event: RequestReceived
) -> Steps:
    """Return the committed offsets of the groups that this node coordinates."""
    # A coordinator that was suspended or cut off does not know what its successor has
    # committed meanwhile: it must not answer.
    locate = groups.locate if in_touch(now_ms) else _not_coordinator
    build = _many_groups if event.version >= MANY_GROUPS_SINCE else _one_group
    response = yield from build(groups, event, locate)
    groups.env.outbox.respond(event, response)


def _not_coordinator(_group_id: str) -> tuple[Shard | None, int]:
    return None, ErrorCode.NOT_COORDINATOR


def _many_groups(
    groups: Groups, event: RequestReceived, locate: Locate
) -> Generator[int, None, OffsetFetchResponse]:
    response = OffsetFetchResponse()
    listed: set[str] = set()
    left = MOST_BYTES
    for group in event.message.groups:
        if group.topics is None:
            if group.group_id in listed:
                continue
            listed.add(group.group_id)
        shard, error = locate(group.group_id)
        result = OffsetFetchResponseGroup(group.group_id, error_code=error)
        response.groups.append(result)
        yield ITEMS_A_GROUP
        if shard is not None and left >= 0:
            result.topics = yield from _topics(groups, shard, group, event.version)
            left -= sum(BYTES_A_PARTITION * len(t.partitions) for t in result.topics)
            left -= sum(len(p.metadata or "") for t in result.topics for p in t.partitions)
            # It may have lost the group between two slices.
            error = ErrorCode.NOT_COORDINATOR if shard.closed else ErrorCode.NONE
        if not error and left < 0:
            error = ErrorCode.MESSAGE_TOO_LARGE
        if not error:
            continue
        result.error_code, result.topics = error, []
        for t in group.topics or ():
            result.topics.append(
                OffsetFetchResponseTopics(
                    t.name,
                    t.topic_id,
                    [_partition(i, NO_OFFSET, RETRY) for i in t.partition_indexes],
                )
            )
    return response


def _topics(
    groups: Groups, shard: Shard, group: OffsetFetchRequestGroup, version: int
) -> Generator[int, None, list[OffsetFetchResponseTopics]]:
    image = groups.env.image
    by_id = version >= BY_TOPIC_ID
    topics: list[OffsetFetchResponseTopics] = []
    if group.topics is None:
        for name, offsets in groups.offsets.all_committed(shard, group.group_id).items():
            topic = image.topics.get(name)
            # It was deleted a moment ago, and has no id to name it by.
            if topic is None and by_id:
                continue
            topic_id = ZERO_UUID if topic is None else topic.topic_id
            partitions = [_partition(index, offset) for index, offset in offsets.items()]
            topics.append(OffsetFetchResponseTopics(name, topic_id, partitions))
            yield len(partitions)
        return topics
    for requested in group.topics:
        topic_name: str | None = (
            image.topic_names.get(requested.topic_id) if by_id else requested.name
        )
        if topic_name is None:
            unknown = [
                _partition(index, NO_OFFSET, ErrorCode.UNKNOWN_TOPIC_ID)
                for index in requested.partition_indexes
            ]
            topics.append(OffsetFetchResponseTopics("", requested.topic_id, unknown))
            continue
        partitions = [
            _partition(index, groups.offsets.committed(shard, group.group_id, topic_name, index))
            for index in requested.partition_indexes
        ]
        topics.append(OffsetFetchResponseTopics(topic_name, requested.topic_id, partitions))
        yield len(partitions)
    return topics


def _partition(
    index: int, offset: CommittedOffset, error_code: int = 0
) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        index, offset.offset, offset.leader_epoch, offset.metadata, error_code
    )


def _one_group(
    groups: Groups, event: RequestReceived, locate: Locate
) -> Generator[int, None, OffsetFetchResponse]:
    message = event.message
    shard, error = locate(message.group_id)
    response = OffsetFetchResponse(error_code=error)
    if shard is None:
        # Version 1 has error codes in the partitions alone.
        code = RETRY if event.version >= UNSTABLE_SINCE else error
        response.topics = [
            OffsetFetchResponseTopic(
                t.name, [_single(i, NO_OFFSET, code) for i in t.partition_indexes]
            )
            for t in message.topics or ()
        ]
        return response
    requested: list[tuple[str, Any]]
    offsets = groups.offsets
    if message.topics is None:
        requested = list(offsets.all_committed(shard, message.group_id).items())
    else:
        requested = [(topic.name, topic.partition_indexes) for topic in message.topics]
    for name, indexes in requested:
        partitions = [
            _single(i, offsets.committed(shard, message.group_id, name, i)) for i in indexes
        ]
        response.topics.append(OffsetFetchResponseTopic(name, partitions))
        yield len(partitions)
    if shard.closed:  # it has lost the group between two slices
        return (yield from _one_group(groups, event, _not_coordinator))
    return response


def _single(
    index: int, offset: CommittedOffset, error_code: int = 0
) -> OffsetFetchResponsePartition:
    return OffsetFetchResponsePartition(
        index, offset.offset, offset.leader_epoch, offset.metadata, error_code
    )
