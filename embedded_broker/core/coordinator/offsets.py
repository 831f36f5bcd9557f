"""Committed offsets: commit, fetch, and their expiry."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple
from uuid import UUID

from embedded_broker.core.coordinator.errors import commit_error
from embedded_broker.core.coordinator.group import CommittedOffset, Group, State
from embedded_broker.core.coordinator.records import GroupKey, OffsetKey, OffsetValue
from embedded_broker.core.coordinator.shard import Entry, Shard
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kafka_protocol.records.build import NewRecord

NO_OFFSET = CommittedOffset(-1, -1, "", 0)
"""What OffsetFetch reports for a partition without a commit."""
BY_TOPIC_ID = 10
"""From this version on OffsetCommit and OffsetFetch name topics by id."""
EXPIRE_BATCH = 1_000
"""Offsets removed with one write."""

LAST_MS = 2**63 - 1
"""The latest time that a record of the log can hold."""
ITEMS_A_COMMIT = 5
"""The work of committing the offset of a partition: 12 us."""


class _Commit(NamedTuple):
    """An offset that is to be written, as it is written, and the partition's result."""

    entry: Entry
    record: NewRecord
    result: OffsetCommitResponsePartition


class Offsets:
    """The offsets of all groups on this node."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._image = env.image

    # ---- commit
    def commit(
        self, now_ms: int, shard: Shard, event: RequestReceived
    ) -> Generator[int, None, None]:
        """Handle an OffsetCommit in slices (``core.api.slices``); the response comes when the
        offsets are committed in the log."""
        message = event.message
        error = self._commit_error(now_ms, shard, event)
        if error:
            self.refuse_commit(event, error)
            return
        wall_ms = self._env.clock.wall_ms()
        most: int = self._env.config.broker("offset.metadata.max.bytes")
        expire_ms = -1
        if message.retention_time_ms >= 0:
            # Some clients ask for the largest retention there is, to keep offsets for ever.
            expire_ms = min(wall_ms + message.retention_time_ms, LAST_MS)
        version = self._image.version
        commits: list[_Commit] = []
        response = OffsetCommitResponse()
        for topic in message.topics:
            name, topic_id, unknown = self._topic(event.version, topic)
            topic_result = OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id)
            response.topics.append(topic_result)
            for requested in topic.partitions:
                # Partitions fail alone: a client commits many at once, and one deleted
                # topic must not cost it the offsets of the others.
                result = OffsetCommitResponsePartition(requested.partition_index, unknown)
                topic_result.partitions.append(result)
                metadata = requested.committed_metadata or ""
                if unknown:
                    pass
                elif self._image.partition(name, requested.partition_index) is None:
                    result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                elif len(metadata.encode()) > most:
                    result.error_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
                else:
                    value = OffsetValue(
                        requested.committed_offset,
                        requested.committed_leader_epoch,
                        metadata,
                        wall_ms,
                        expire_ms,
                        topic_id,
                    )
                    key = OffsetKey(message.group_id, name, requested.partition_index)
                    entry = Entry(key, value)
                    commits.append(_Commit(entry, entry.encoded(wall_ms), result))
                yield ITEMS_A_COMMIT
        # Between two slices of a long request the group may have got another coordinator or
        # generation, and topics may have been deleted.
        error = self._commit_error(now_ms, shard, event)
        if error:
            self.refuse_commit(event, error)
            return
        if version != self._image.version:
            commits = [commit for commit in commits if self._still_there(commit)]
        if not commits:
            self._env.outbox.respond(event, response)
            return

        # The shard writes them as one batch: the log has all of these offsets or none,
        # so one error code holds for every result that waits.
        def written(_then_ms: int, error_code: int) -> None:
            for commit in commits:
                commit.result.error_code = commit_error(error_code)
            self._env.outbox.respond(event, response)

        entries, encoded = [c.entry for c in commits], [c.record for c in commits]
        shard.write(now_ms, entries, written, encoded)

    def _still_there(self, commit: _Commit) -> bool:
        """Return whether its topic has not been deleted meanwhile; else the result says so."""
        key, value = commit.entry
        assert isinstance(key, OffsetKey) and isinstance(value, OffsetValue)
        topic = self._image.topic_by_id(value.topic_id)
        if topic is None or key.partition not in topic.partitions:
            commit.result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return False
        return True

    def _commit_error(self, now_ms: int, shard: Shard, event: RequestReceived) -> int:
        """Return the error code if this caller may not commit for the group now."""
        if shard.closed:
            return ErrorCode.NOT_COORDINATOR
        message = event.message
        group: Group | None = shard.groups.get(message.group_id)
        generation = message.generation_id_or_member_epoch
        # A generation below zero: a consumer that assigns its partitions itself, or an
        # administrator. They may commit only while the group has no members.
        if group is None:
            if generation < 0:
                return ErrorCode.NONE
            return (
                ErrorCode.GROUP_ID_NOT_FOUND if event.version >= 9 else ErrorCode.ILLEGAL_GENERATION
            )
        if generation < 0 and group.state is State.EMPTY:
            return ErrorCode.NONE
        if generation >= 0 or message.member_id or message.group_instance_id is not None:
            error = group.member_error(message.member_id, message.group_instance_id, generation)
            if error:
                return error
        else:
            return ErrorCode.UNKNOWN_MEMBER_ID
        # The new generation has begun and its assignment is not known yet: the member
        # must not commit for partitions that it may no longer have. While PREPARING it
        # still may.
        if group.state is State.COMPLETING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        # A commit shows that the member is alive.
        member = group.members[message.member_id]
        member.deadline_ms = max(member.deadline_ms, now_ms + member.session_timeout_ms)
        return ErrorCode.NONE

    def refuse_commit(self, event: RequestReceived, error_code: int) -> None:
        """Answer an OffsetCommit with one error for every partition."""
        response = OffsetCommitResponse()
        for topic in event.message.topics:
            results = [
                OffsetCommitResponsePartition(p.partition_index, error_code)
                for p in topic.partitions
            ]
            response.topics.append(OffsetCommitResponseTopic(topic.name, topic.topic_id, results))
        self._env.outbox.respond(event, response)

    def _topic(self, version: int, topic: OffsetCommitRequestTopic) -> tuple[str, UUID, int]:
        """Return (name, id, error code) of a topic that a request names by name or by
        id."""
        if version >= BY_TOPIC_ID:
            known = self._image.topic_by_id(topic.topic_id)
            missing = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            known = self._image.topics.get(topic.name)
            missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if known is None:
            return topic.name, topic.topic_id, missing
        return known.name, known.topic_id, ErrorCode.NONE

    # ---- fetch
    def committed(self, shard: Shard, group_id: str, topic: str, partition: int) -> CommittedOffset:
        """The group's offset in one partition, or NO_OFFSET."""
        group = shard.groups.get(group_id)
        return NO_OFFSET if group is None else group.offsets.get((topic, partition), NO_OFFSET)

    def all_committed(self, shard: Shard, group_id: str) -> dict[str, dict[int, CommittedOffset]]:
        """All offsets of the group, by topic and partition in order."""
        by_topic: dict[str, dict[int, CommittedOffset]] = {}
        group = shard.groups.get(group_id)
        if group is not None:
            for topic, partition in sorted(group.offsets):
                by_topic.setdefault(topic, {})[partition] = group.offsets[topic, partition]
        return by_topic

    # ---- removal
    def forget_topics(self, now_ms: int, shard: Shard, group_id: str) -> int:
        """Remove a group's offsets of topics that were deleted, also if another topic has the name
        now; return the work (``Visit``)."""
        group = shard.groups.get(group_id)
        if group is None:
            return 0
        entries = []
        for (topic, partition), offset in sorted(group.offsets.items()):
            known = self._image.topics.get(topic)
            if known is None or offset.topic_id not in (ZERO_UUID, known.topic_id):
                entries.append(Entry(OffsetKey(group_id, topic, partition), None))
        looked_at = len(group.offsets)
        return looked_at + self._remove(now_ms, shard, entries)

    def expire(self, wall_ms: int, now_ms: int, shard: Shard, group_id: str) -> int:
        """Remove the offsets of a group whose retention is over at ``wall_ms`` (KIP-211), and the
        group if it has neither members nor offsets; return the work (``Visit``)."""
        group = shard.groups.get(group_id)
        if group is None or group.state in (State.PREPARING, State.COMPLETING):
            return 0
        # A tombstone would land after a commit that is on its way, and take it back though it
        # was acknowledged: the next round looks at this group again.
        if shard.has_uncommitted(group_id):
            return 0
        # While members subscribe to a topic its offsets stay; with unreadable
        # subscriptions all stay.
        subscribed = group.subscribed_topics() if group.members else set()
        if subscribed is None:
            return 0
        retention_ms = self._env.config.broker("offsets.retention.minutes") * 60_000
        entries = []
        looked_at = left = len(group.offsets)
        for (topic, partition), offset in sorted(group.offsets.items()):
            if topic in subscribed:
                continue
            # The retention counts from when the group became empty. A group that
            # never had members counts from each commit.
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
        return looked_at + self._remove(now_ms, shard, entries)

    def _remove(self, now_ms: int, shard: Shard, entries: list[Entry]) -> int:
        """Write tombstones, and return the work. A failed write is not reported: the next expiry
        tries again."""
        for start in range(0, len(entries), EXPIRE_BATCH):
            batch = entries[start : start + EXPIRE_BATCH]
            shard.write(now_ms, batch, lambda _now_ms, _error_code: None)
        return 10 * len(entries)
