"""Rewrite the live records of a shard at the end of its log, in slices, so that
everything before them can be deleted.

Records that are appended and not yet committed when the rewrite starts are written
again too: they lie before the new start. Later, a key with an uncommitted record is
skipped: that record lies after the new start and is newer than the committed value.
"""

from __future__ import annotations

from typing import Protocol

from embedded_broker.core.coordinator.group import CommittedOffset, Group
from embedded_broker.core.coordinator.ports import AppendDone
from embedded_broker.core.coordinator.records import (
    GroupKey,
    OffsetKey,
    OffsetValue,
    write_key,
    write_offset,
)
from embedded_broker.core.environment import Environment
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.build import NewRecord

STEP_BYTES = 128 * 1024
"""Written in one step, so that a tick stays short."""
BATCH_BYTES = 512 * 1024
RECORD_OVERHEAD_BYTES = 16
"""About what a record takes besides its key and value."""


class RewriteTarget(Protocol):
    """Declares what a rewrite reads and changes of its shard."""

    @property
    def partition(self) -> int:
        """Index of the partition of ``__consumer_offsets``."""

    @property
    def closed(self) -> bool:
        """Return whether this node no longer leads the partition."""

    @property
    def groups(self) -> dict[str, Group]:
        """The committed state, by group id."""

    @property
    def appended(self) -> dict[bytes, tuple[int, NewRecord]]:
        """Keys with uncommitted records: how many, and the newest."""

    def append_again(self, now_ms: int, new: list[NewRecord], done: AppendDone) -> None:
        """Append records that change nothing."""

    def rewritten(self, cut_offset: int | None, live_bytes: int, now_ms: int) -> None:
        """The rewrite ended; ``cut_offset`` is where it starts in the log, None if it
        failed."""


def value_of(offset: CommittedOffset) -> OffsetValue:
    """The record value of a committed offset."""
    return OffsetValue(
        offset.offset,
        offset.leader_epoch,
        offset.metadata,
        offset.commit_ms,
        offset.expire_ms,
        offset.topic_id,
    )


class Rewrite:
    """One rewrite; it ends with ``shard.rewritten``."""

    def __init__(self, env: Environment, shard: RewriteTarget) -> None:
        self._env = env
        self._shard = shard
        self._left = sorted(shard.groups, reverse=True)
        """Ids of the groups still to be written, the next one last."""
        self._first = True
        self._cut = -1
        """The lowest offset of the rewritten records; -1 before the first."""
        self._bytes = 0
        """Size of the rewritten records; -1 after the end was reported."""
        self._outstanding = 0
        """Appends without an answer, plus one while a step runs."""
        self._failed = False

    def step(self, now_ms: int) -> None:
        """Write the next slice; a timer runs the step after it."""
        shard = self._shard
        if shard.closed or self._failed:
            self._left.clear()
        new: list[NewRecord] = []
        size = 0
        if self._first:
            self._first = False
            new = [record for _, record in shard.appended.values() if record.value is not None]
        while self._left and size < STEP_BYTES:
            for record in self._live(self._left.pop()):
                new.append(record)
                size += _size(record)
        # An append may be answered at once: count this step too, so that the end is not
        # reported while more batches follow.
        self._outstanding += 1
        for batch in _split(new):
            self._outstanding += 1
            shard.append_again(now_ms, batch, self._written)
            self._bytes += sum(_size(r) for r in batch)
        if self._left:
            self._env.outbox.timer(f"groups/rewrite/{shard.partition}", now_ms + 1, self.step)
        self._outstanding -= 1
        self._end(now_ms)

    def _live(self, group_id: str) -> list[NewRecord]:
        """The committed records of a group, without keys that have a newer uncommitted
        one."""
        group = self._shard.groups.get(group_id)
        if group is None:
            return []
        wall_ms = self._env.clock.wall_ms()
        live = [
            NewRecord(
                write_key(OffsetKey(group_id, topic, partition)),
                write_offset(value_of(offset)),
                wall_ms,
            )
            for (topic, partition), offset in group.offsets.items()
        ]
        if group.stored is not None:
            live.append(NewRecord(write_key(GroupKey(group_id)), group.stored, wall_ms))
        return [record for record in live if record.key not in self._shard.appended]

    def _written(self, now_ms: int, error_code: int, base_offset: int) -> None:
        self._outstanding -= 1
        if error_code != ErrorCode.NONE:
            self._failed = True
        elif self._cut < 0 or base_offset < self._cut:
            self._cut = base_offset
        self._end(now_ms)

    def _end(self, now_ms: int) -> None:
        """Report the end, once, when every append is answered."""
        if not self._left and not self._outstanding and self._bytes >= 0:
            cut = None if self._failed or self._cut < 0 or self._shard.closed else self._cut
            size, self._bytes = self._bytes, -1
            self._shard.rewritten(cut, size, now_ms)


def _split(new: list[NewRecord]) -> list[list[NewRecord]]:
    """Split into batches of at most about BATCH_BYTES."""
    batches: list[list[NewRecord]] = []
    size = BATCH_BYTES
    for record in new:
        if size >= BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(record)
        size += _size(record)
    return batches


def _size(record: NewRecord) -> int:
    return len(record.key or b"") + len(record.value or b"") + RECORD_OVERHEAD_BYTES
