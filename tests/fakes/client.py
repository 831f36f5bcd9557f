"""``FakeClient``: a ``ClusterClient`` over a ``FakeCluster``, for tests of everything that uses a
client.

Failures are injected: ``client.failing["metadata"] = Unreachable(...)`` makes that method raise
until the entry is removed; ``client.delay_s`` slows every call; ``client.cluster.killed.add(2)``
takes a broker down.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from kafka_client.api import EARLIEST, LATEST, MAX_TIMESTAMP
from kafka_client.error_map import from_code
from kafka_client.errors import Rejected
from kafka_client.model import (
    ClusterSnapshot,
    ConfigChange,
    ConfigEntry,
    ConfigResource,
    Group,
    LogDirs,
    NewRecord,
    NewTopic,
    Quorum,
    Record,
    TopicPartition,
)
from kafka_protocol.errors import ErrorCode
from tests.fakes.cluster import FakeCluster, FakeGroup, FakeLog
from tests.fakes.configs import broker_entries, topic_entries

TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class FakeClient:
    """See ``api.ClusterClient``; answers at once, from memory. ``calls`` lists the methods that
    were called, in order."""

    def __init__(
        self,
        cluster: FakeCluster | None = None,
        clock: Callable[[], float] = time.time,
        moving: bool = True,
        delay_s: float = 0.0,
    ) -> None:
        self.cluster = cluster or FakeCluster(clock, moving=moving).populate()
        self.delay_s = delay_s
        self.failing: dict[str, Exception] = {}
        self.calls: list[str] = []

    async def connect(self, timeout_s: float = 10.0) -> None:
        await self._begin("connect")

    async def close(self) -> None:
        self.calls.append("close")

    # ---- reads
    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        t = await self._begin("metadata")
        return self.cluster.metadata(t, None if topics is None else set(topics))

    async def quorum(self) -> Quorum:
        t = await self._begin("quorum")
        leader, epoch = self.cluster.controller(t)
        voters = tuple(range(1, self.cluster.size + 1))
        end = int(t - self.cluster.begun_s) * 2
        lags = {v: end - 100 if v in self.cluster.down(t) else 0 for v in voters}
        return Quorum(leader, epoch, end, voters, (), lags)

    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]:
        t = await self._begin("offsets")
        offsets: dict[TopicPartition, int] = {}
        errors: dict[str, str] = {}
        for (topic, partition), wanted in partitions.items():
            log = self._log_of(topic, partition)
            if log is None:
                errors[f"{topic}-{partition}"] = "There is no such topic or partition."
            elif self.cluster.partition(log, t).leader is None:
                errors[f"{topic}-{partition}"] = "The partition has no leader now."
            else:
                offsets[topic, partition] = self._offset(log, wanted, t)
        return offsets, errors

    async def log_dirs(self, brokers: Iterable[int]) -> tuple[dict[int, LogDirs], dict[str, str]]:
        t = await self._begin("log_dirs")
        down = self.cluster.down(t)
        found: dict[int, LogDirs] = {}
        errors: dict[str, str] = {}
        for broker_id in brokers:
            if broker_id in down or not 1 <= broker_id <= self.cluster.size:
                port = self.cluster.base_port + broker_id
                errors[f"broker {broker_id}"] = f"Nothing listens on 127.0.0.1:{port}."
                continue
            sizes = {
                (log.topic, log.partition): self.cluster.size_bytes(log, t)
                for logs in self.cluster.logs.values()
                for log in logs
                if broker_id in log.replicas
            }
            failed = self.cluster.failed_dirs.get(broker_id, ())
            found[broker_id] = LogDirs(sizes, (100 * 2**30, 61 * 2**30), failed)
        return found, errors

    async def list_groups(self) -> tuple[dict[str, Group], dict[str, str]]:
        await self._begin("list_groups")
        return {
            g.group_id: Group(g.group_id, self._state(g), g.kind)
            for g in self.cluster.groups.values()
        }, {}

    async def describe_groups(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, Group], dict[str, str]]:
        await self._begin("describe_groups")
        described: dict[str, Group] = {}
        errors: dict[str, str] = {}
        for group_id in group_ids:
            group = self.cluster.groups.get(group_id)
            if group is None:
                errors[f"group {group_id}"] = "There is no such group."
                continue
            partitions = [(log.topic, log.partition) for log in self._logs_of(group)]
            coordinator = zlib.crc32(group_id.encode()) % self.cluster.size + 1
            described[group_id] = Group(
                group_id,
                self._state(group),
                group.kind,
                ("uniform" if group.kind == "consumer" else "range") if group.consumers else "",
                coordinator,
                group.members(partitions),
            )
        return described, errors

    async def committed(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, dict[TopicPartition, tuple[int, str]]], dict[str, str]]:
        t = await self._begin("committed")
        groups = [self.cluster.groups[g] for g in group_ids if g in self.cluster.groups]
        return {
            g.group_id: {
                (log.topic, log.partition): (g.committed(log, t), "") for log in self._logs_of(g)
            }
            for g in groups
        }, {}

    async def configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]:
        await self._begin("configs")
        entries: dict[ConfigResource, tuple[ConfigEntry, ...]] = {}
        for resource in resources:
            if resource.kind == "topic":
                if resource.name not in self.cluster.logs:
                    raise from_code(
                        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        f"read the settings of topic {resource.name}",
                        subject=resource.name,
                    )
                entries[resource] = topic_entries(self.cluster.topic_configs[resource.name])
            else:
                entries[resource] = broker_entries(resource.name, self.cluster.broker_configs)
        return entries

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        t = await self._begin("read")
        records = self._read(starts, max_records, t)
        if not records and max_wait_s > 0:
            await asyncio.sleep(max_wait_s)
            records = self._read(starts, max_records, self.cluster.clock())
        return records

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> FakeReader:
        await self._begin("open_reader")
        for topic, partition in starts:
            if self._log_of(topic, partition) is None:
                raise from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"read {topic}-{partition}", subject=topic
                )
        return FakeReader(self, starts)

    def round_trips(self) -> Mapping[int, float]:
        t = self.cluster.clock()
        up = set(range(1, self.cluster.size + 1)) - self.cluster.down(t)
        return {
            broker_id: 0.4 + 0.1 * broker_id + (int(t) * 7 % 5) / 20 for broker_id in sorted(up)
        }

    # ---- writes
    async def create_topics(self, topics: Sequence[NewTopic], validate_only: bool = False) -> None:
        await self._begin("create_topics")
        for topic in topics:
            doing = f"create topic {topic.name}"
            factor = (
                min(3, self.cluster.size)
                if topic.replication_factor == -1
                else topic.replication_factor
            )
            if not TOPIC_NAME.fullmatch(topic.name) or topic.name in (".", ".."):
                raise from_code(ErrorCode.INVALID_TOPIC_EXCEPTION, doing, subject=topic.name)
            if topic.name in self.cluster.logs:
                raise from_code(ErrorCode.TOPIC_ALREADY_EXISTS, doing, subject=topic.name)
            if topic.partitions == 0 or topic.partitions < -1:
                raise from_code(ErrorCode.INVALID_PARTITIONS, doing, subject=topic.name)
            if not 1 <= factor <= self.cluster.size:
                raise from_code(ErrorCode.INVALID_REPLICATION_FACTOR, doing, subject=topic.name)
            if not validate_only:
                partitions = 1 if topic.partitions == -1 else topic.partitions
                self.cluster.create(topic.name, partitions, factor, configs=dict(topic.configs))

    async def delete_topics(self, names: Sequence[str]) -> None:
        await self._begin("delete_topics")
        for name in names:
            if name not in self.cluster.logs:
                raise from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"delete topic {name}", subject=name
                )
            self.cluster.delete(name)

    async def create_partitions(self, topic: str, total: int) -> None:
        await self._begin("create_partitions")
        doing = f"grow topic {topic} to {total} partitions"
        logs = self.cluster.logs.get(topic)
        if logs is None:
            raise from_code(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, doing, subject=topic)
        if total <= len(logs):
            raise from_code(ErrorCode.INVALID_PARTITIONS, doing, subject=topic)
        self.cluster.grow(topic, total, len(logs[0].replicas))

    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        t = await self._begin("delete_records")
        for (topic, partition), offset in before.items():
            doing = f"delete records of {topic}-{partition}"
            log = self._log_of(topic, partition)
            if log is None:
                raise from_code(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, doing, subject=topic)
            end = log.end_offset(t)
            if offset > end:
                raise from_code(ErrorCode.OFFSET_OUT_OF_RANGE, doing, subject=topic)
            log.start_offset = max(log.start_offset, end if offset == -1 else offset)
        return {tp: self.cluster.logs[tp[0]][tp[1]].start_offset for tp in before}

    async def alter_configs(
        self, changes: Sequence[ConfigChange], validate_only: bool = False
    ) -> None:
        await self._begin("alter_configs")
        for change in changes:
            entries = {e.name: e for e in (await self.configs([change.resource]))[change.resource]}
            resource = f"{change.resource.kind} {change.resource.name or 'default'}"
            doing = f"change {change.name} of {resource}"
            if change.name not in entries:
                raise from_code(ErrorCode.INVALID_CONFIG, doing, subject=change.resource.name)
            kind = entries[change.name].kind
            if (
                change.value is not None
                and kind in ("int", "long", "short")
                and not _is_int(change.value)
            ):
                raise from_code(
                    ErrorCode.INVALID_CONFIG,
                    doing,
                    subject=change.resource.name,
                    detail=f"{change.name} must be a number",
                )
            if entries[change.name].read_only:
                raise from_code(
                    ErrorCode.INVALID_REQUEST,
                    doing,
                    subject=change.resource.name,
                    detail="it is read-only",
                )
        if validate_only:
            return
        for change in changes:
            configs = (
                self.cluster.topic_configs[change.resource.name]
                if change.resource.kind == "topic"
                else self.cluster.broker_configs.setdefault(change.resource.name, {})
            )
            if change.value is None:
                configs.pop(change.name, None)
            else:
                configs[change.name] = change.value

    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        t = await self._begin("alter_committed")
        group = self.cluster.groups.get(group_id)
        if group is None:
            group = self.cluster.groups[group_id] = FakeGroup(group_id, (), 0.0, t, 0)
        if group.consumers:
            raise from_code(
                ErrorCode.UNKNOWN_MEMBER_ID, f"set offsets of group {group_id}", subject=group_id
            )
        for tp, offset in offsets.items():
            if self._log_of(*tp) is None:
                raise from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    f"set offsets of group {group_id}",
                    subject=f"{tp[0]}-{tp[1]}",
                )
            group.placed[tp] = (t, offset)
        group.topics = tuple(sorted({*group.topics, *(topic for topic, _ in offsets)}))

    async def delete_groups(self, group_ids: Sequence[str]) -> None:
        await self._begin("delete_groups")
        for group_id in group_ids:
            group = self.cluster.groups.get(group_id)
            if group is None:
                raise from_code(
                    ErrorCode.GROUP_ID_NOT_FOUND, f"delete group {group_id}", subject=group_id
                )
            if group.consumers:
                raise from_code(
                    ErrorCode.NON_EMPTY_GROUP, f"delete group {group_id}", subject=group_id
                )
            del self.cluster.groups[group_id]

    async def elect_leaders(
        self, partitions: Sequence[TopicPartition], unclean: bool = False
    ) -> None:
        await self._begin("elect_leaders")
        for topic, partition in partitions:
            if self._log_of(topic, partition) is None:
                raise from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    f"elect a leader of {topic}-{partition}",
                    subject=topic,
                )

    async def produce(
        self, records: Sequence[NewRecord], acks: int = -1, compression: str = "none"
    ) -> list[tuple[int, int]]:
        t = await self._begin("produce")
        results: list[tuple[int, int]] = []
        for number, new in enumerate(records):
            logs = self.cluster.logs.get(new.topic)
            if not logs or (new.partition is not None and not 0 <= new.partition < len(logs)):
                error = from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    f"send to topic {new.topic}",
                    subject=new.topic,
                )
                assert isinstance(error, Rejected)
                error.detail = f"{number} of {len(records)} records were sent"
                raise error
            at = (
                new.partition
                if new.partition is not None
                else zlib.crc32(new.key or b"") % len(logs)
            )
            log = logs[at]
            offset = log.end_offset(t)
            stamp = int(t * 1000) if new.timestamp_ms is None else new.timestamp_ms
            log.sent[offset] = Record(
                new.topic, at, offset, stamp, "create", new.key, new.value, new.headers, 0
            )
            results.append((at, offset))
        return results

    # ---- inside
    async def _begin(self, method: str) -> float:
        self.calls.append(method)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if method in self.failing:
            raise self.failing[method]
        return self.cluster.clock()

    def _log_of(self, topic: str, partition: int) -> FakeLog | None:
        logs = self.cluster.logs.get(topic, [])
        return logs[partition] if 0 <= partition < len(logs) else None

    def _logs_of(self, group: FakeGroup) -> list[FakeLog]:
        return [log for topic in group.topics for log in self.cluster.logs.get(topic, [])]

    def _state(self, group: FakeGroup) -> str:
        return "Stable" if group.consumers else "Empty"

    def _offset(self, log: FakeLog, wanted: int, t: float) -> int:
        end = log.end_offset(t)
        if wanted == LATEST:
            return end
        if wanted == EARLIEST:
            return log.start_offset
        span = range(log.start_offset, end)
        if wanted == MAX_TIMESTAMP:
            return span[-1] if span else -1
        low, high = log.start_offset, end
        while low < high:
            middle = (low + high) // 2
            if log.record(middle).timestamp_ms < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < end else -1

    def _read(
        self, starts: Mapping[TopicPartition, int], max_records: int, t: float
    ) -> list[Record]:
        left = dict(starts)
        records: list[Record] = []
        while left and len(records) < max_records:
            share = max(1, (max_records - len(records)) // len(left))
            for tp, at in list(left.items()):
                log = self._log_of(*tp)
                if log is None:
                    raise from_code(
                        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"read {tp[0]}-{tp[1]}", subject=tp[0]
                    )
                start = max(at, log.start_offset)
                stop = min(log.end_offset(t), start + min(share, max_records - len(records)))
                if stop <= start:
                    del left[tp]
                    continue
                records += [log.record(offset) for offset in range(start, stop)]
                left[tp] = stop
        return records


class FakeReader:
    """``api.RecordReader`` over the fake logs."""

    def __init__(self, client: FakeClient, starts: Mapping[TopicPartition, int]) -> None:
        self._client = client
        logs = client.cluster.logs
        self._positions = {
            (t, p): max(offset, logs[t][p].start_offset) for (t, p), offset in starts.items()
        }
        self._paused: set[TopicPartition] = set()

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        starts = {tp: at for tp, at in self._positions.items() if tp not in self._paused}
        records = await self._client.read(starts, max_records, max_wait_s) if starts else []
        for record in records:
            self._positions[record.topic, record.partition] = record.offset + 1
        return records

    def positions(self) -> Mapping[TopicPartition, int]:
        return dict(self._positions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def close(self) -> None:
        self._paused.clear()


def _is_int(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,19}", text))
