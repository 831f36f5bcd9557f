"""Questions about brokers, topics and logs: Metadata, ListOffsets, DescribeLogDirs,
DescribeQuorum, DescribeConfigs.

Bulk by broker: one ListOffsets per leader for all its partitions. What fails for one broker or
partition is reported under its name; the rest of the answer stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from kafka_client.error_map import clean, from_code
from kafka_client.errors import ClientError, Rejected, Unsupported
from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    Partition,
    Quorum,
    Topic,
    TopicPartition,
)
from kafka_client.wire.fast import LIST_OFFSETS, list_offsets_body
from kafka_client.wire.messages import code_of
from kafka_client.wire.pool import LOOK_TIMEOUT_S, Wire

METADATA, DESCRIBE_CONFIGS, DESCRIBE_LOG_DIRS, DESCRIBE_QUORUM = 3, 32, 35, 55
METADATA_TIMEOUT_S = 10.0
STALE_LEADER = {3, 5, 6, 9, 72, 74, 75, 78, 100}
ERRORS_SHOWN = 50
BEHIND_S = (0.1, 0.3)
_NO_ID = "00000000-0000-0000-0000-000000000000"

_SOURCES = {
    1: ConfigSource.TOPIC,
    2: ConfigSource.BROKER,
    3: ConfigSource.CLUSTER,
    4: ConfigSource.FILE,
    5: ConfigSource.DEFAULT,
    6: ConfigSource.BROKER,
}
_IN_MS = {".hours": 3_600_000, ".minutes": 60_000, ".seconds": 1_000}
_KINDS = (
    "unknown",
    "boolean",
    "string",
    "int",
    "short",
    "long",
    "double",
    "list",
    "class",
    "password",
)


class Looking:
    """Keeps who leads what from the last Metadata answer; ``wire`` does the rest."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._leaders: dict[TopicPartition, int] = {}

    # ---- metadata
    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        names = None if topics is None else tuple(sorted(set(topics)))
        return await self._wire.once(("metadata", names), lambda: self._metadata(names))

    async def _metadata(self, names: tuple[str, ...] | None) -> ClusterSnapshot:
        wanted = None if names is None else [{"name": name, "topic_id": None} for name in names]
        values = {
            "topics": wanted,
            "allow_auto_topic_creation": False,
            "include_cluster_authorized_operations": False,
            "include_topic_authorized_operations": False,
        }
        answer = await self._wire.ask_any(METADATA, values, METADATA_TIMEOUT_S)
        brokers = {
            int(b.node_id): Broker(
                int(b.node_id), clean(b.host, 255), int(b.port), getattr(b, "rack", None)
            )
            for b in answer.brokers
        }
        if brokers:
            self._wire.learn({broker_id: (b.host, b.port) for broker_id, b in brokers.items()})
        kraft = await self._wire.offers(DESCRIBE_QUORUM)
        named = int(getattr(answer, "controller_id", -1))
        found = {str(t.name): _topic(t) for t in answer.topics if t.name is not None}
        if names is None:
            self._leaders = {}
        for topic in found.values():
            for p in topic.partitions:
                if p.leader is not None:
                    self._leaders[p.topic, p.partition] = p.leader
                else:
                    self._leaders.pop((p.topic, p.partition), None)
        return ClusterSnapshot(
            clean(getattr(answer, "cluster_id", "") or "", 64),
            time.time(),
            named if not kraft and named >= 0 else None,
            dict(sorted(brokers.items())),
            dict(sorted(found.items())),
        )

    # ---- offsets
    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]:
        key = ("offsets", frozenset(partitions.items()), isolation)
        return await self._wire.once(key, lambda: self._offsets(dict(partitions), isolation))

    async def _offsets(
        self, wanted: dict[TopicPartition, int], isolation: str
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]:
        if any(tp not in self._leaders for tp in wanted):
            await self.metadata()
        found: dict[TopicPartition, int] = {}
        errors: dict[str, str] = {}
        moved = await self._offsets_once(wanted, isolation, found, errors)
        if moved:
            await self.metadata()
            again = await self._offsets_once(
                {tp: wanted[tp] for tp in moved}, isolation, found, errors
            )
            for (topic, partition), code in list(again.items())[:ERRORS_SHOWN]:
                errors[f"{topic}-{partition}"] = str(from_code(code, "read its offsets"))
        return found, errors

    async def _offsets_once(
        self,
        wanted: Mapping[TopicPartition, int],
        isolation: str,
        found: dict[TopicPartition, int],
        errors: dict[str, str],
    ) -> dict[TopicPartition, int]:
        """Partitions whose leader is another by now, with the code."""
        by_leader: dict[int, dict[TopicPartition, int]] = {}
        moved: dict[TopicPartition, int] = {}
        for tp, timestamp in wanted.items():
            leader = self._leaders.get(tp)
            if leader is None:
                moved[tp] = 5
            else:
                by_leader.setdefault(leader, {})[tp] = timestamp
        answers = await asyncio.gather(
            *(self._ask_offsets(leader, part, isolation) for leader, part in by_leader.items()),
            return_exceptions=True,
        )
        for leader, answer in zip(by_leader, answers, strict=True):
            if isinstance(answer, ClientError):
                errors[f"broker {leader}"] = str(answer)
                continue
            if isinstance(answer, BaseException):
                raise answer
            for topic in answer.topics:
                for p in topic.partitions:
                    tp = (str(topic.name), int(p.partition_index))
                    code = code_of(p)
                    if code == 0:
                        found[tp] = int(p.offset)
                    elif code in STALE_LEADER:
                        moved[tp] = code
                    elif len(errors) < ERRORS_SHOWN:
                        errors[f"{tp[0]}-{tp[1]}"] = str(from_code(code, "read its offsets"))
        return moved

    async def _ask_offsets(
        self, leader: int, part: Mapping[TopicPartition, int], isolation: str
    ) -> Any:
        committed_only = isolation == "read_committed"

        def body(version: int) -> bytes:
            return list_offsets_body(version, part, committed_only)

        return await self._wire.ask(leader, LIST_OFFSETS, body, LOOK_TIMEOUT_S)

    # ---- log directories
    async def log_dirs(
        self, brokers: Iterable[int]
    ) -> tuple[dict[int, dict[TopicPartition, int]], dict[int, tuple[int, int]], dict[str, str]]:
        ids = sorted(set(brokers))
        flights = [self._wire.once(("log_dirs", b), partial(self._log_dirs_of, b)) for b in ids]
        answers = await asyncio.gather(*flights, return_exceptions=True)
        sizes: dict[int, dict[TopicPartition, int]] = {}
        volumes: dict[int, tuple[int, int]] = {}
        errors: dict[str, str] = {}
        for broker_id, answer in zip(ids, answers, strict=True):
            if isinstance(answer, ClientError):
                errors[f"broker {broker_id}"] = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                sizes[broker_id], volume, problem = answer
                if volume:
                    volumes[broker_id] = volume
                if problem:
                    errors[f"log directory of broker {broker_id}"] = problem
        return sizes, volumes, errors

    async def _log_dirs_of(
        self, broker_id: int
    ) -> tuple[dict[TopicPartition, int], tuple[int, int] | None, str]:
        answer = await self._wire.ask(broker_id, DESCRIBE_LOG_DIRS, {"topics": None})
        if code_of_top(answer):
            raise from_code(code_of_top(answer), f"read the log directories of broker {broker_id}")
        sizes: dict[TopicPartition, int] = {}
        volumes: set[tuple[int, int]] = set()
        problem = ""
        for folder in answer.results:
            if code_of(folder):
                problem = str(from_code(code_of(folder), f"read {clean(folder.log_dir, 120)}"))
                continue
            total, free = (
                int(getattr(folder, "total_bytes", -1)),
                int(getattr(folder, "usable_bytes", -1)),
            )
            if total >= 0:
                volumes.add((total, free))
            for topic in folder.topics:
                for p in topic.partitions:
                    if not p.is_future_key:
                        tp = (str(topic.name), int(p.partition_index))
                        sizes[tp] = sizes.get(tp, 0) + int(p.partition_size)
        volume = (sum(t for t, _ in volumes), sum(f for _, f in volumes)) if volumes else None
        return sizes, volume, problem

    # ---- quorum
    async def quorum(self) -> Quorum:
        return await self._wire.once("quorum", self._quorum)

    async def _quorum(self) -> Quorum:
        if not await self._wire.offers(DESCRIBE_QUORUM):
            raise Unsupported(
                "This cluster has no metadata quorum: it is older than KRaft, or hides it."
            )
        values = {
            "topics": [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]
        }
        answer = await self._wire.ask_any(DESCRIBE_QUORUM, values)
        if code_of_top(answer):
            raise from_code(code_of_top(answer), "describe the metadata quorum")
        parts = [p for topic in answer.topics for p in topic.partitions]
        if not parts or code_of(parts[0]):
            raise from_code(code_of(parts[0]) if parts else -1, "describe the metadata quorum")
        part = parts[0]
        ends = {
            int(r.replica_id): int(r.log_end_offset)
            for r in (*part.current_voters, *part.observers)
        }
        leader = int(part.leader_id)
        newest = ends.get(leader, max(ends.values(), default=0))
        return Quorum(
            leader if leader >= 0 else None,
            int(part.leader_epoch),
            int(part.high_watermark),
            tuple(sorted(int(r.replica_id) for r in part.current_voters)),
            tuple(sorted(int(r.replica_id) for r in part.observers)),
            {replica: max(0, newest - end) for replica, end in sorted(ends.items())},
        )

    # ---- settings
    async def configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]:
        """Of a broker from itself, of the rest from any. Raises for the first resource that
        failed; a topic that is not known is asked for again, since a broker may be a moment
        behind."""
        for wait_s in BEHIND_S:
            try:
                return await self._configs(resources)
            except Rejected as error:
                if error.code not in STALE_LEADER:
                    raise
            await asyncio.sleep(wait_s)
        return await self._configs(resources)

    async def _configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]:
        by_broker: dict[int | None, list[ConfigResource]] = {}
        for resource in resources:
            own = resource.kind == "broker" and resource.name.isdigit()
            by_broker.setdefault(int(resource.name) if own else None, []).append(resource)
        found: dict[ConfigResource, tuple[ConfigEntry, ...]] = {}
        answers = await asyncio.gather(
            *(self._ask_configs(b, part) for b, part in by_broker.items())
        )
        for answer in answers:
            for result in answer.results:
                resource = ConfigResource(
                    "topic" if int(result.resource_type) == 2 else "broker", result.resource_name
                )
                if code_of(result):
                    words = f"read the settings of {resource.kind} {resource.name or 'default'}"
                    raise from_code(
                        code_of(result), words, subject=resource.name, detail=result.error_message
                    )
                found[resource] = tuple(
                    _entry(c) for c in sorted(result.configs, key=lambda c: str(c.name))
                )
        return found

    async def _ask_configs(self, broker_id: int | None, part: Sequence[ConfigResource]) -> Any:
        values = {
            "resources": [
                {
                    "resource_type": 2 if r.kind == "topic" else 4,
                    "resource_name": r.name,
                    "configuration_keys": None,
                }
                for r in part
            ],
            "include_synonyms": True,
            "include_documentation": True,
        }
        if broker_id is None:
            return await self._wire.ask_any(DESCRIBE_CONFIGS, values)
        return await self._wire.ask(broker_id, DESCRIBE_CONFIGS, values)


def code_of_top(answer: Any) -> int:
    """The code of a whole answer, in versions that have one."""
    return code_of(answer) if hasattr(answer, "error_code") else 0


def _topic(answer: Any) -> Topic:
    name = str(answer.name)
    topic_id = str(getattr(answer, "topic_id", "") or "")
    code = code_of(answer)
    partitions = tuple(
        sorted(
            (_partition(name, p) for p in answer.partitions),
            key=lambda partition: partition.partition,
        )
    )
    return Topic(
        name,
        "" if topic_id == _NO_ID else topic_id,
        bool(getattr(answer, "is_internal", False)),
        partitions,
        str(from_code(code, f"describe topic {name}")) if code else "",
    )


def _partition(topic: str, answer: Any) -> Partition:
    leader = int(answer.leader_id)
    epoch = int(getattr(answer, "leader_epoch", -1))
    return Partition(
        topic,
        int(answer.partition_index),
        leader if leader >= 0 else None,
        epoch if epoch >= 0 else None,
        tuple(int(b) for b in answer.replica_nodes),
        tuple(int(b) for b in answer.isr_nodes),
        tuple(int(b) for b in getattr(answer, "offline_replicas", ())),
    )


def _entry(config: Any) -> ConfigEntry:
    synonyms = tuple(
        (str(s.name), s.value, _SOURCES.get(int(s.source), ConfigSource.UNKNOWN))
        for s in config.synonyms
    )
    kind = int(getattr(config, "config_type", 0))
    source = _SOURCES.get(int(getattr(config, "config_source", -1)), ConfigSource.UNKNOWN)
    value = None if config.is_sensitive else config.value
    return ConfigEntry(
        str(config.name),
        value,
        source,
        bool(config.read_only),
        bool(config.is_sensitive),
        _KINDS[kind] if 0 <= kind < len(_KINDS) else "unknown",
        str(getattr(config, "documentation", None) or ""),
        value if source is ConfigSource.DEFAULT else _default(str(config.name), synonyms),
        synonyms,
    )


def _default(name: str, synonyms: tuple[tuple[str, str | None, ConfigSource], ...]) -> str | None:
    """The default, in the setting's own unit: that of retention.ms is told as
    log.retention.hours=168."""
    for synonym, value, source in synonyms:
        if source is ConfigSource.DEFAULT:
            factor = (
                next((f for unit, f in _IN_MS.items() if synonym.endswith(unit)), 1)
                if name.endswith(".ms")
                else 1
            )
            return (
                str(int(value) * factor)
                if factor > 1 and value is not None and value.isdigit()
                else value
            )
    return None


__all__ = ["Looking", "code_of_top"]
