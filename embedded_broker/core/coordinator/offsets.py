"""Committed offsets: commit, fetch, delete, and what becomes of them when nobody needs them any
more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from embedded_broker.core.coordinator.group import CommittedOffset, Group, State
from embedded_broker.core.coordinator.membership import Membership, group_error
from embedded_broker.core.coordinator.records import GroupKey, OffsetKey, OffsetValue
from embedded_broker.core.coordinator.shard import Entry, Shard
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import MetadataImage
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kafka_protocol.messages.k47_offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

NO_OFFSET = CommittedOffset(-1, -1, "", 0)
BY_TOPIC_ID = 10
"""From this version on OffsetCommit and OffsetFetch name topics by id."""


def commit_error(error_code: int) -> int:
    match error_code:
        case (
            ErrorCode.MESSAGE_TOO_LARGE
            | ErrorCode.RECORD_LIST_TOO_LARGE
            | ErrorCode.INVALID_FETCH_SIZE
        ):
            return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    return group_error(error_code)


class Offsets:
    def __init__(self, broker: Broker, membership: Membership) -> None:
        self._broker = broker
        self._membership = membership

    @property
    def _image(self) -> MetadataImage:
        return self._broker.image

    # ---- commit
    def commit(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        message = event.message
        group = shard.groups.get(message.group_id)
        error = self._commit_error(now_ms, group, event)
        if error:
            self.refuse_commit(event, error)
            return
        wall_ms = self._broker.clock.wall_ms()
        most: int = self._broker.config.broker("offset.metadata.max.bytes")
        expire_ms = wall_ms + message.retention_time_ms if message.retention_time_ms >= 0 else -1
        entries: list[Entry] = []
        waiting: list[OffsetCommitResponsePartition] = []
        response = OffsetCommitResponse()
        for topic in message.topics:
            name, topic_id, unknown = self._topic(event.version, topic)
            answer = OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id)
            response.topics.append(answer)
            for asked in topic.partitions:
                told = OffsetCommitResponsePartition(asked.partition_index, unknown)
                answer.partitions.append(told)
                metadata = asked.committed_metadata or ""
                if unknown:
                    continue
                if self._image.partition(name, asked.partition_index) is None:
                    told.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                elif len(metadata.encode()) > most:
                    told.error_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
                else:
                    waiting.append(told)
                    value = OffsetValue(
                        asked.committed_offset,
                        asked.committed_leader_epoch,
                        metadata,
                        wall_ms,
                        expire_ms,
                        topic_id,
                    )
                    entries.append(
                        Entry(OffsetKey(message.group_id, name, asked.partition_index), value)
                    )
        if not entries:
            self._broker.outbox.respond(event, response)
            return

        def written(_then_ms: int, error_code: int) -> None:
            for told in waiting:
                told.error_code = commit_error(error_code)
            self._broker.outbox.respond(event, response)

        shard.write(now_ms, entries, written)

    def _commit_error(self, now_ms: int, group: Group | None, event: RequestReceived) -> int:
        """Whether this caller may commit for the group now."""
        message = event.message
        generation = message.generation_id_or_member_epoch
        if group is None:
            if generation < 0:
                return ErrorCode.NONE  # who assigns partitions itself, or an administrator
            return (
                ErrorCode.GROUP_ID_NOT_FOUND if event.version >= 9 else ErrorCode.ILLEGAL_GENERATION
            )
        if generation < 0 and group.state is State.EMPTY:
            return ErrorCode.NONE
        if generation >= 0 or message.member_id or message.group_instance_id is not None:
            error = self._membership.member_error(
                group, message.member_id, message.group_instance_id, generation
            )
            if error:
                return error
        else:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if group.state is State.COMPLETING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        member = group.members[message.member_id]
        member.deadline_ms = max(member.deadline_ms, now_ms + member.session_timeout_ms)
        return ErrorCode.NONE

    def refuse_commit(self, event: RequestReceived, error_code: int) -> None:
        response = OffsetCommitResponse()
        for topic in event.message.topics:
            told = [
                OffsetCommitResponsePartition(p.partition_index, error_code)
                for p in topic.partitions
            ]
            response.topics.append(OffsetCommitResponseTopic(topic.name, topic.topic_id, told))
        self._broker.outbox.respond(event, response)

    def _topic(self, version: int, topic: Any) -> tuple[str, UUID, int]:
        """(name, id, error code) of a topic that a request names by name or by id."""
        if version >= BY_TOPIC_ID:
            found = self._image.topic_by_id(topic.topic_id)
            error = ErrorCode.NONE if found is not None else ErrorCode.UNKNOWN_TOPIC_ID
        else:
            found = self._image.topics.get(topic.name)
            error = ErrorCode.NONE if found is not None else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return (
            (topic.name, topic.topic_id, error)
            if found is None
            else (found.name, found.topic_id, error)
        )

    # ---- fetch
    def committed(self, shard: Shard, group_id: str, topic: str, partition: int) -> CommittedOffset:
        group = shard.groups.get(group_id)
        return NO_OFFSET if group is None else group.offsets.get((topic, partition), NO_OFFSET)

    def all_committed(self, shard: Shard, group_id: str) -> dict[str, dict[int, CommittedOffset]]:
        found: dict[str, dict[int, CommittedOffset]] = {}
        group = shard.groups.get(group_id)
        for topic, partition in sorted(group.offsets) if group is not None else ():
            assert group is not None
            found.setdefault(topic, {})[partition] = group.offsets[topic, partition]
        return found

    # ---- delete
    def delete(self, now_ms: int, shard: Shard, event: RequestReceived) -> None:
        message = event.message
        group = shard.groups.get(message.group_id)
        response = OffsetDeleteResponse()
        if group is None:
            response.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            self._broker.outbox.respond(event, response)
            return
        subscribed: set[str] = set()
        if group.members:
            found = group.subscribed_topics()
            if found is None:
                response.error_code = ErrorCode.NON_EMPTY_GROUP
                self._broker.outbox.respond(event, response)
                return
            subscribed = found
        entries = []
        for topic in message.topics:
            answer = OffsetDeleteResponseTopic(topic.name)
            response.topics.append(answer)
            for asked in topic.partitions:
                told = OffsetDeleteResponsePartition(asked.partition_index)
                answer.partitions.append(told)
                if self._image.partition(topic.name, asked.partition_index) is None:
                    told.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                elif topic.name in subscribed:
                    told.error_code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
                elif (topic.name, asked.partition_index) in group.offsets:
                    entries.append(
                        Entry(OffsetKey(group.group_id, topic.name, asked.partition_index), None)
                    )
        if not entries:
            self._broker.outbox.respond(event, response)
            return

        def written(_then_ms: int, error_code: int) -> None:
            if error_code:
                response.error_code = group_error(error_code)
                response.topics = []
            self._broker.outbox.respond(event, response)

        shard.write(now_ms, entries, written)

    # ---- forgetting
    def forget_topics(self, now_ms: int, shard: Shard, names: set[str] | None = None) -> None:
        """Take back the offsets of topics that are gone, or are other topics of the same name;
        ``names`` limits what is looked at."""
        entries = []
        for group_id in sorted(shard.groups):
            for (topic, partition), offset in sorted(shard.groups[group_id].offsets.items()):
                if names is not None and topic not in names:
                    continue
                found = self._image.topics.get(topic)
                if found is None or offset.topic_id not in (ZERO_UUID, found.topic_id):
                    entries.append(Entry(OffsetKey(group_id, topic, partition), None))
        self._take_back(now_ms, shard, entries)

    def expire(self, now_ms: int, shard: Shard) -> None:
        """Take back offsets whose time is over (KIP-211), and groups that have nothing left."""
        wall_ms = self._broker.clock.wall_ms()
        retention_ms = self._broker.config.broker("offsets.retention.minutes") * 60_000
        entries = []
        for group_id in sorted(shard.groups):
            group = shard.groups[group_id]
            if group.state in (State.PREPARING, State.COMPLETING):
                continue
            subscribed = group.subscribed_topics() if group.members else set()
            if subscribed is None:
                continue
            left = len(group.offsets)
            for (topic, partition), offset in sorted(group.offsets.items()):
                if topic in subscribed:
                    continue
                since_ms = offset.commit_ms
                if not group.members and group.protocol_type is not None:
                    since_ms = max(since_ms, group.state_since_ms)
                if (offset.expire_ms >= 0 and offset.expire_ms <= wall_ms) or (
                    offset.expire_ms < 0 and since_ms + retention_ms <= wall_ms
                ):
                    entries.append(Entry(OffsetKey(group_id, topic, partition), None))
                    left -= 1
            if not left and not group.members and not group.pending:
                if group.stored is not None:
                    entries.append(Entry(GroupKey(group_id), None))
                elif not group.offsets:
                    shard.forget_if_idle(group)
        self._take_back(now_ms, shard, entries)

    def _take_back(self, now_ms: int, shard: Shard, entries: list[Entry]) -> None:
        for start in range(0, len(entries), 1_000):
            shard.write(now_ms, entries[start : start + 1_000], lambda _now_ms, _error_code: None)
