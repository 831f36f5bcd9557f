"""One partition of ``__consumer_offsets`` that this node leads: its groups, and how
they are loaded from the log and written to it.

Loading reads the log from its start until the high watermark has passed the end that
the log had when this node was elected. Everything that the previous coordinator
acknowledged lies below that end, though perhaps not yet below the high watermark
(KAFKA-20634). Only then do requests reach the groups. Afterwards ``write`` appends
records; they take effect, in memory and for the client, when they are committed.

Nothing compacts the log yet. Instead, when it has grown to a multiple of its live
records, these are written again at its end, and the start of the log moves to there
(decision record 0006). A reader of the topic sees the same as after Kafka's compaction:
the last record of each key.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from embedded_broker.core.coordinator.group import CommittedOffset, Group, State
from embedded_broker.core.coordinator.ports import AppendDone, LocalLog
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
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.topics import OFFSETS_TOPIC
from embedded_broker.core.ports import StorageFailed
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import CorruptBatch, batches
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.compression import UnknownCodec
from kafka_protocol.records.record import InvalidRecord, Record, records

REWRITE_AT_LEAST_BYTES = 4 * 1024 * 1024
"""A smaller log is not rewritten; this much takes about a quarter of a second to
load."""
REWRITE_FACTOR = 4
"""The log is rewritten when it is this many times larger than its live records."""
CUT_DELAY_MS = 60_000
"""How long the old records stay after a rewrite. By then the new ones are on the disks
even where nothing is flushed explicitly (Linux writes dirty pages after 30 s), so that
a power cut cannot lose both."""
SLICE_BYTES = 64 * 1024
"""Loaded in one step, which takes 2 to 5 ms."""

WriteDone = Callable[[int, int], None]
"""(now_ms, error code)"""


class Entry(NamedTuple):
    """A record to write; a value of None removes the key."""

    key: Key
    value: OffsetValue | GroupValue | None

    def encoded(self, wall_ms: int) -> NewRecord:
        """The record in Kafka's format."""
        match self.value:
            case None:
                value = None
            case OffsetValue():
                value = write_offset(self.value)
            case GroupValue():
                value = write_group(self.value)
        return NewRecord(write_key(self.key), value, wall_ms)


class _Write:
    """A write whose caller waits; it is answered once, by commitment or by timeout."""

    __slots__ = ("deadline_ms", "done")

    def __init__(self, deadline_ms: int, done: WriteDone) -> None:
        self.deadline_ms = deadline_ms
        self.done: WriteDone | None = done

    def answer(self, now_ms: int, error_code: int) -> None:
        if self.done is not None:
            done, self.done = self.done, None
            done(now_ms, error_code)


def timer_key(group_id: str) -> str:
    """Key of a group's timer."""
    return f"groups/group/{group_id}"


def _group_part(key: bytes) -> bytes:
    """Return what all keys of a group's offsets begin with: a version, and a text of two bytes of
    length. (The key of the group itself has another version.)"""
    return key[: 4 + int.from_bytes(key[2:4], "big")]


class Shard:
    """``groups`` is complete when neither ``loading`` nor ``failed``; after ``close``
    it is empty."""

    def __init__(self, env: Environment, log: LocalLog, partition: int, leader_epoch: int) -> None:
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.groups: dict[str, Group] = {}
        self.loading = True
        self.failed = False
        """Whether the log could not be read: this node cannot coordinate these
        groups."""
        self.closed = False
        self._env = env
        self._log = log
        self._waiting: deque[_Write] = deque()
        """Writes that are not answered yet, in the order of their deadlines."""
        self.appended: dict[bytes, tuple[int, NewRecord]] = {}
        """Keys with uncommitted records: how many, and the newest."""
        self._uncommitted: Counter[bytes] = Counter()
        """How many of those keys each group has offsets in, by what the keys begin with."""
        offsets = log.local_offsets(OFFSETS_TOPIC, partition)
        assert offsets is not None, "a partition that is not led here has no coordinator here"
        self._position, _, self._load_until = offsets
        """The next offset to load, and the end of the log when this node was
        elected."""
        self._log_bytes = 0
        """Size of the log, about."""
        self._live_bytes = 0
        """Size of the live records at the last rewrite."""
        self._rewrite: Rewrite | None = None

    # ---- loading
    def load(self, now_ms: int) -> int:
        """Load the next slice of the log; return its size in bytes. At the end
        ``loading`` becomes False, or ``failed`` True."""
        # Only the last record of each key counts.
        newest: dict[bytes, Record] = {}
        try:
            # A leader gives up a log that cannot be read, and another loads the groups.
            data = self._log.read_local(OFFSETS_TOPIC, self.partition, self._position, SLICE_BYTES)
            for header in batches(data):
                if not header.is_control:
                    for record in records(data, header):
                        newest[record.key or b""] = record
                self._position = header.next_offset
        except (CorruptBatch, InvalidRecord, StorageFailed, UnknownCodec) as e:
            self.failed = True
            self._note(Level.ERROR, f"cannot load the groups at offset {self._position}: {e}")
            return 0
        for key, record in newest.items():
            self._load_record(key, record, now_ms)
        self._log_bytes += len(data)
        if self._position >= self._load_until:
            self.loading = False
            self._note(
                Level.INFO, f"loaded from {self._log_bytes} bytes, groups: {len(self.groups)}"
            )
        return len(data)

    @property
    def waits_for_high_watermark(self) -> bool:
        """Return whether everything below the high watermark is loaded and that is not
        enough."""
        offsets = self._log.local_offsets(OFFSETS_TOPIC, self.partition)
        return self._position < self._load_until and (
            offsets is None or self._position >= offsets[1]
        )

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
            self._note(Level.WARNING, f"skipped record {record.offset}: {e}")

    # ---- the committed state
    def group(self, group_id: str) -> Group:
        """Return the group; create it if needed."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = Group(
                group_id, state_since_ms=self._env.clock.wall_ms()
            )
        return group

    def forget_if_idle(self, group: Group) -> None:
        """Drop a group without members, offsets and a record in the log."""
        if (
            not (group.members or group.pending or group.offsets or group.stored)
            and group.state is State.EMPTY
        ):
            self._drop(group)

    def _drop(self, group: Group) -> None:
        group.state = State.DEAD
        self.groups.pop(group.group_id, None)
        self._env.outbox.cancel(timer_key(group.group_id))

    def _replay_offset(self, key: OffsetKey, value: OffsetValue | None) -> None:
        if value is None:
            group = self.groups.get(key.group)
            if group is not None:
                group.offsets.pop((key.topic, key.partition), None)
                self.forget_if_idle(group)
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
    def has_uncommitted(self, group_id: str) -> bool:
        """Return whether a record of this group's offsets is appended and not committed yet."""
        return _group_part(write_key(OffsetKey(group_id, "", 0))) in self._uncommitted

    def write(
        self,
        now_ms: int,
        entries: list[Entry],
        done: WriteDone,
        encoded: Sequence[NewRecord] = (),
    ) -> None:
        """Append records in one batch. ``done`` is called once: when they are
        committed, when they cannot be, or after offsets.commit.timeout.ms (they may
        still be committed later, and then take effect). ``encoded`` are the entries'
        records, if they are encoded already."""
        assert entries and not self.loading
        wall_ms = self._env.clock.wall_ms()
        new = encoded or [entry.encoded(wall_ms) for entry in entries]
        timeout_ms: int = self._env.config.broker("offsets.commit.timeout.ms")
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
            if not self._env.outbox.has_timer(self._timer_key):
                self._env.outbox.timer(self._timer_key, write.deadline_ms, self._expire)
        if self._rewrite is None and self._log_bytes > max(
            REWRITE_AT_LEAST_BYTES, REWRITE_FACTOR * self._live_bytes
        ):
            self._rewrite = Rewrite(self._env, self)
            self._rewrite.step(now_ms)

    def _append(self, now_ms: int, new: Sequence[NewRecord], done: AppendDone) -> None:
        """Append one batch, and keep ``appended`` up to date until its outcome is
        known."""
        for record in new:
            assert record.key is not None
            count, _ = self.appended.get(record.key, (0, record))
            self.appended[record.key] = (count + 1, record)
            if not count:
                self._uncommitted[_group_part(record.key)] += 1
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
                    group = _group_part(record.key)
                    self._uncommitted[group] -= 1
                    if not self._uncommitted[group]:
                        del self._uncommitted[group]
            done(then_ms, error_code, base_offset)

        self._log.append_local(now_ms, OFFSETS_TOPIC, self.partition, batch, settled)

    def _replay(self, entry: Entry, value: bytes | None) -> None:
        match entry.key:
            case OffsetKey() as key:
                assert not isinstance(entry.value, GroupValue)
                self._replay_offset(key, entry.value)
            case GroupKey() as key:
                self._replay_group(key, value)

    def _expire(self, now_ms: int) -> None:
        """Answer the writes whose deadline has passed."""
        waiting = self._waiting
        while waiting and (waiting[0].done is None or waiting[0].deadline_ms <= now_ms):
            waiting.popleft().answer(now_ms, ErrorCode.REQUEST_TIMED_OUT)
        if waiting:
            self._env.outbox.timer(self._timer_key, waiting[0].deadline_ms, self._expire)

    # ---- RewriteTarget
    def append_again(self, now_ms: int, new: list[NewRecord], done: AppendDone) -> None:
        """Append records that change nothing."""
        self._append(now_ms, new, done)

    def rewritten(self, cut_offset: int | None, live_bytes: int, now_ms: int) -> None:
        """The rewrite ended: delete the records before ``cut_offset`` later. After a
        failed rewrite (None) the log must grow again before the next one."""
        self._rewrite = None
        self._log_bytes = live_bytes
        self._live_bytes = live_bytes
        if cut_offset is None or self.closed or self._env.outbox.has_timer(self._cut_key):
            return

        def cut(then_ms: int) -> None:
            self._log.delete_before(then_ms, OFFSETS_TOPIC, self.partition, cut_offset)
            self._note(Level.INFO, f"rewritten in {live_bytes} bytes from offset {cut_offset}")

        self._env.outbox.timer(self._cut_key, now_ms + CUT_DELAY_MS, cut)

    # ---- the end
    def close(self) -> None:
        """Unload after losing leadership. Pending writes fail through their own
        callbacks."""
        self.closed = True
        self._env.outbox.cancel(self._timer_key)
        self._env.outbox.cancel(self._cut_key)
        for group in self.groups.values():
            group.state = State.DEAD
            self._env.outbox.cancel(timer_key(group.group_id))
        self.groups.clear()

    def _note(self, level: Level, text: str) -> None:
        self._env.note(level, f"{OFFSETS_TOPIC}-{self.partition}: {text}")

    @property
    def _cut_key(self) -> str:
        return f"groups/cut/{self.partition}"

    @property
    def _timer_key(self) -> str:
        return f"groups/commits/{self.partition}"
