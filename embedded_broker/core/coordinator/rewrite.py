"""Writing everything that is alive in a shard again at the end of its log, in slices, so that
what is before can go.

What is not committed yet when this begins is written again too, from the record that waits: it
lies before the new start. A key with a record on its way is passed over later: that record lies
behind the new start and is newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.coordinator.group import CommittedOffset
from embedded_broker.core.coordinator.records import (
    GroupKey,
    OffsetKey,
    OffsetValue,
    write_key,
    write_offset,
)
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.build import NewRecord

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.coordinator.shard import Shard

STEP_BYTES = 128 * 1024
BATCH_BYTES = 512 * 1024


def value_of(offset: CommittedOffset) -> OffsetValue:
    return OffsetValue(
        offset.offset,
        offset.leader_epoch,
        offset.metadata,
        offset.commit_ms,
        offset.expire_ms,
        offset.topic_id,
    )


class Rewrite:
    """One run of it; ``shard.rewritten`` is told the end."""

    def __init__(self, shard: Shard, broker: Broker) -> None:
        self._shard = shard
        self._broker = broker
        self._left = sorted(shard.groups, reverse=True)
        self._first = True
        self._cut = -1
        self._bytes = 0
        self._outstanding = 0
        self._failed = False

    def step(self, now_ms: int) -> None:
        """Write the next slice; its successor runs on a timer."""
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
                size += len(record.key or b"") + len(record.value or b"") + 16
        self._outstanding += 1  # this step itself: an append may be answered at once
        for batch in _split(new):
            self._outstanding += 1
            shard.append_again(now_ms, batch, self._written)
            self._bytes += sum(len(r.key or b"") + len(r.value or b"") + 16 for r in batch)
        if self._left:
            self._broker.outbox.timer(f"groups/rewrite/{shard.partition}", now_ms + 1, self.step)
        self._outstanding -= 1
        self._end(now_ms)

    def _live(self, group_id: str) -> list[NewRecord]:
        group = self._shard.groups.get(group_id)
        if group is None:
            return []
        wall_ms = self._broker.clock.wall_ms()
        found = [
            NewRecord(
                write_key(OffsetKey(group_id, topic, partition)),
                write_offset(value_of(offset)),
                wall_ms,
            )
            for (topic, partition), offset in group.offsets.items()
        ]
        if group.stored is not None:
            found.append(NewRecord(write_key(GroupKey(group_id)), group.stored, wall_ms))
        return [record for record in found if record.key not in self._shard.appended]

    def _written(self, now_ms: int, error_code: int, base_offset: int) -> None:
        self._outstanding -= 1
        if error_code != ErrorCode.NONE:
            self._failed = True
        elif self._cut < 0 or base_offset < self._cut:
            self._cut = base_offset
        self._end(now_ms)

    def _end(self, now_ms: int) -> None:
        if not self._left and not self._outstanding and self._bytes >= 0:
            cut = None if self._failed or self._cut < 0 or self._shard.closed else self._cut
            size, self._bytes = self._bytes, -1
            self._shard.rewritten(cut, size, now_ms)


def _split(new: list[NewRecord]) -> list[list[NewRecord]]:
    """In batches of at most about BATCH_BYTES."""
    found: list[list[NewRecord]] = []
    size = BATCH_BYTES
    for record in new:
        if size >= BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(record)
        size += len(record.key or b"") + len(record.value or b"") + 16
    return found
