"""One partition of ``__consumer_offsets`` that is led here: its groups, and how they get into the
log and out of it.

Loading reads the log from its start until the high watermark has passed the end that the log had
when this node was elected: everything the former coordinator acknowledged lies below it, though
perhaps not yet below the high watermark (KAFKA-20634). Only then may the groups be asked.
Afterwards ``write`` appends, and what it wrote counts, in memory as for the client, once it is
committed.

Nothing compacts the log yet. Instead, when it has grown to a multiple of what is alive in it, all
that is alive is written again at its end, and the log's start moves to where that began. Kafka
compacts the topic; what a reader of the topic sees is the same, the last record of each key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from embedded_broker.core.coordinator.group import CommittedOffset, Group, State
from embedded_broker.core.coordinator.records import (
    GroupKey,
    GroupValue,
    Key,
    OffsetKey,
    OffsetValue,
    UnreadableRecord,
    read_group,
    read_key,
    read_offset,
    write_group,
    write_key,
    write_offset,
)
from embedded_broker.core.coordinator.rewrite import Rewrite
from embedded_broker.core.effects import Level
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import CorruptBatch, batches
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.compression import UnknownCodec
from kafka_protocol.records.record import InvalidRecord, Record, records

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

OFFSETS_TOPIC = "__consumer_offsets"
REWRITE_AT_LEAST_BYTES = 4 * 1024 * 1024
"""About a quarter of a second to load."""
REWRITE_FACTOR = 4
"""The log is written anew when it is this many times larger than what is alive in it."""
CUT_DELAY_MS = 60_000
"""How long the old records stay after that: by then the new ones have reached the disks, also
where nothing is flushed on purpose (Linux writes dirty pages after 30 s), so that a power cut
cannot take both."""
SLICE_BYTES = 64 * 1024
"""How much is loaded in one step, 2 to 5 ms."""

WriteDone = Callable[[int, int], None]
"""(now_ms, error code)"""


class Entry(NamedTuple):
    """A record to write; a value of None takes the key back."""

    key: Key
    value: OffsetValue | GroupValue | None

    def encoded(self, wall_ms: int) -> NewRecord:
        match self.value:
            case None:
                value = None
            case OffsetValue():
                value = write_offset(self.value)
            case GroupValue():
                value = write_group(self.value)
        return NewRecord(write_key(self.key), value, wall_ms)


class _Write:
    __slots__ = ("deadline_ms", "done")

    def __init__(self, deadline_ms: int, done: WriteDone) -> None:
        self.deadline_ms = deadline_ms
        self.done: WriteDone | None = done

    def answer(self, now_ms: int, error_code: int) -> None:
        if self.done is not None:
            done, self.done = self.done, None
            done(now_ms, error_code)


def timer_key(group_id: str) -> str:
    return f"groups/group/{group_id}"


class Shard:
    """``groups`` may be asked when neither ``loading`` nor ``failed``; after ``close`` nothing
    here counts."""

    def __init__(self, broker: Broker, partition: int, leader_epoch: int) -> None:
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.groups: dict[str, Group] = {}
        self.loading = True
        self.failed = False
        self.closed = False
        self._broker = broker
        self._waiting: deque[_Write] = deque()
        self.appended: dict[bytes, tuple[int, NewRecord]] = {}
        """Keys whose newest record is not committed yet: how many such records, and the newest."""
        offsets = broker.replicas.local_offsets(OFFSETS_TOPIC, partition)
        assert offsets is not None, "a partition that is not led here has no coordinator here"
        self._position, _, self._load_until = offsets
        self._log_bytes = 0
        self._live_bytes = 0
        self._rewrite: Rewrite | None = None

    # ---- loading
    def load(self, now_ms: int) -> int:
        """Take in the next slice of the log; returns its size in bytes. ``loading`` or ``failed``
        tell the end."""
        data = self._broker.replicas.read_local(
            OFFSETS_TOPIC, self.partition, self._position, SLICE_BYTES
        )
        newest: dict[bytes, Record] = {}
        try:
            for header in batches(data):
                if not header.is_control:
                    for record in records(data, header):
                        newest[record.key or b""] = record
                self._position = header.next_offset
        except (CorruptBatch, InvalidRecord, UnknownCodec) as e:
            self.failed = True
            self.note(Level.ERROR, f"cannot be loaded at offset {self._position}: {e}")
            return 0
        for key, record in newest.items():
            self._load_record(key, record, now_ms)
        self._log_bytes += len(data)
        if self._position >= self._load_until:
            self.loading = False
            self.note(Level.INFO, f"loaded: {len(self.groups)} groups from {self._log_bytes} bytes")
        return len(data)

    @property
    def waits_for_high_watermark(self) -> bool:
        """All below the high watermark is loaded, and more must come below it first."""
        found = self._broker.replicas.local_offsets(OFFSETS_TOPIC, self.partition)
        return self._position < self._load_until and (found is None or self._position >= found[1])

    def _load_record(self, key_bytes: bytes, record: Record, now_ms: int) -> None:
        try:
            key = read_key(key_bytes)
            if isinstance(key, OffsetKey):
                self._replay_offset(
                    key, None if record.value is None else read_offset(record.value)
                )
            elif isinstance(key, GroupKey):
                value = None if record.value is None else read_group(record.value)
                if value is not None:
                    self.group(key.group).load(value, now_ms)
                self._replay_group(key, record.value)
        except UnreadableRecord as e:
            self.note(Level.WARNING, f"record {record.offset} is passed over: {e}")

    # ---- what counts
    def group(self, group_id: str) -> Group:
        """The group, made when there is none."""
        found = self.groups.get(group_id)
        if found is None:
            found = self.groups[group_id] = Group(
                group_id, state_since_ms=self._broker.clock.wall_ms()
            )
        return found

    def forget_if_idle(self, group: Group) -> None:
        """Drop a group that has nobody and nothing, and was never written."""
        if (
            not (group.members or group.pending or group.offsets or group.stored)
            and group.state is State.EMPTY
        ):
            self._drop(group)

    def _drop(self, group: Group) -> None:
        group.state = State.DEAD
        self.groups.pop(group.group_id, None)
        self._broker.outbox.cancel(timer_key(group.group_id))

    def _replay_offset(self, key: OffsetKey, value: OffsetValue | None) -> None:
        if value is None:
            found = self.groups.get(key.group)
            if found is not None:
                found.offsets.pop((key.topic, key.partition), None)
                self.forget_if_idle(found)
            return
        self.group(key.group).offsets[key.topic, key.partition] = CommittedOffset(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp,
            value.expire_timestamp,
            value.topic_id,
        )

    def _replay_group(self, key: GroupKey, value: bytes | None) -> None:
        group = self.groups.get(key.group)
        if value is not None:
            self.group(key.group).stored = value
        elif group is not None:
            group.stored = None
            if self.loading:
                group.members.clear()
                group.static_members.clear()
                group.state = State.EMPTY
            self.forget_if_idle(group)

    # ---- writing
    def write(self, now_ms: int, entries: list[Entry], done: WriteDone) -> None:
        """Append records in one batch; ``done`` is told when they are committed, or cannot be, or
        when it took too long (then they may be committed later all the same, and count from then
        on)."""
        assert entries and not self.loading
        wall_ms = self._broker.clock.wall_ms()
        new = [entry.encoded(wall_ms) for entry in entries]
        timeout_ms: int = self._broker.config.broker("offsets.commit.timeout.ms")
        write = _Write(now_ms + timeout_ms, done)

        def settled(then_ms: int, error_code: int, _base_offset: int) -> None:
            if not self.closed and error_code in (
                ErrorCode.NONE,
                ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ):
                for entry, record in zip(entries, new, strict=True):
                    self._replay(entry, record.value)
            write.answer(then_ms, error_code)

        self._append(now_ms, new, settled)
        if write.done is not None:
            self._waiting.append(write)
            if not self._broker.outbox.has_timer(self._timer_key):
                self._broker.outbox.timer(self._timer_key, write.deadline_ms, self._expire)
        if self._rewrite is None and self._log_bytes > max(
            REWRITE_AT_LEAST_BYTES, REWRITE_FACTOR * self._live_bytes
        ):
            self._rewrite = Rewrite(self, self._broker)
            self._rewrite.step(now_ms)

    def _append(
        self, now_ms: int, new: list[NewRecord], done: Callable[[int, int, int], None]
    ) -> None:
        for record in new:
            assert record.key is not None
            count, _ = self.appended.get(record.key, (0, record))
            self.appended[record.key] = (count + 1, record)
        batch = build(new)
        self._log_bytes += len(batch)

        def settled(then_ms: int, error_code: int, base_offset: int) -> None:
            for record in new:
                assert record.key is not None
                count, newest = self.appended[record.key]
                if count > 1:
                    self.appended[record.key] = (count - 1, newest)
                else:
                    del self.appended[record.key]
            done(then_ms, error_code, base_offset)

        self._broker.replicas.append_local(now_ms, OFFSETS_TOPIC, self.partition, batch, settled)

    def _replay(self, entry: Entry, value: bytes | None) -> None:
        match entry.key:
            case OffsetKey() as key:
                assert not isinstance(entry.value, GroupValue)
                self._replay_offset(key, entry.value)
            case GroupKey() as key:
                self._replay_group(key, value)

    def _expire(self, now_ms: int) -> None:
        """Answer the writes that have waited for too long."""
        waiting = self._waiting
        while waiting and (waiting[0].done is None or waiting[0].deadline_ms <= now_ms):
            waiting.popleft().answer(now_ms, ErrorCode.REQUEST_TIMED_OUT)
        if waiting:
            self._broker.outbox.timer(self._timer_key, waiting[0].deadline_ms, self._expire)

    def append_again(
        self, now_ms: int, new: list[NewRecord], done: Callable[[int, int, int], None]
    ) -> None:
        """For ``Rewrite``: append records that change nothing."""
        self._append(now_ms, new, done)

    def rewritten(self, cut_offset: int | None, live_bytes: int, now_ms: int) -> None:
        """A rewrite ended; None when it did not come through, and is tried again after as much
        again."""
        self._rewrite = None
        self._log_bytes = live_bytes
        self._live_bytes = live_bytes
        if cut_offset is None or self.closed or self._broker.outbox.has_timer(self._cut_key):
            return

        def cut(then_ms: int) -> None:
            self._broker.replicas.delete_before(then_ms, OFFSETS_TOPIC, self.partition, cut_offset)
            self.note(Level.INFO, f"written anew in {live_bytes} bytes from offset {cut_offset}")

        self._broker.outbox.timer(self._cut_key, now_ms + CUT_DELAY_MS, cut)

    # ---- the end
    def close(self) -> None:
        """No longer led here. Who waits for a write is told by the write."""
        self.closed = True
        self._broker.outbox.cancel(self._timer_key)
        self._broker.outbox.cancel(self._cut_key)
        for group in self.groups.values():
            group.state = State.DEAD
            self._broker.outbox.cancel(timer_key(group.group_id))
        self.groups.clear()

    def note(self, level: Level, text: str) -> None:
        self._broker.outbox.note(level, f"{OFFSETS_TOPIC}-{self.partition}: {text}")

    @property
    def _cut_key(self) -> str:
        return f"groups/cut/{self.partition}"

    @property
    def _timer_key(self) -> str:
        return f"groups/commits/{self.partition}"
