"""The one gate through which changes go: it refuses them on a read-only connection and tells the
journal of every other.

The window, the command line and whatever comes later get a client only from ``open_client``, so
the check cannot be forgotten at a button. ``MUTATING`` names every method that changes a cluster;
a test compares it with the Protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from kafka_client.api import ClusterClient, RecordReader
from kafka_client.errors import ClientError, ReadOnly
from kafka_client.model import (
    ClusterSnapshot,
    ConfigChange,
    ConfigEntry,
    ConfigResource,
    Group,
    NewRecord,
    NewTopic,
    Quorum,
    Record,
    TopicPartition,
)
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets

T = TypeVar("T")

MUTATING = frozenset(
    {
        "create_topics",
        "delete_topics",
        "create_partitions",
        "delete_records",
        "alter_configs",
        "alter_committed",
        "delete_groups",
        "elect_leaders",
        "produce",
    }
)

OnWrite = Callable[[str, str, str], None]
"""(method, what it was about, "" or the error) after every attempt to change something."""


def open_client(
    profile: ConnectionProfile, secrets: Secrets | None = None, on_write: OnWrite | None = None
) -> Gateway:
    """The client for a profile, not yet connected."""
    from kafka_client.confluent import ConfluentClient

    return Gateway(ConfluentClient(profile, secrets), profile.writes_refused, on_write)


class Gateway:
    """A ``ClusterClient`` in front of another."""

    def __init__(
        self, client: ClusterClient, read_only: bool = False, on_write: OnWrite | None = None
    ) -> None:
        self._client = client
        self._read_only = read_only
        self._on_write = on_write

    @property
    def read_only(self) -> bool:
        return self._read_only

    async def _write(self, method: str, subject: str, act: Callable[[], Awaitable[T]]) -> T:
        if self._read_only:
            raise ReadOnly(
                "This connection is read-only; nothing was sent.",
                next_step="Switch read-only off in the connection's settings.",
                subject=subject,
            )
        try:
            result = await act()
        except ClientError as error:
            self._tell(method, subject, str(error))
            raise
        self._tell(method, subject, "")
        return result

    def _tell(self, method: str, subject: str, outcome: str) -> None:
        if self._on_write is not None:
            self._on_write(method, subject, outcome)

    async def connect(self, timeout_s: float = 10.0) -> None:
        await self._client.connect(timeout_s)

    async def close(self) -> None:
        await self._client.close()

    # ---- looking: passed on
    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        return await self._client.metadata(topics)

    async def quorum(self) -> Quorum:
        return await self._client.quorum()

    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]:
        return await self._client.offsets(partitions, isolation)

    async def log_dirs(
        self, brokers: Iterable[int]
    ) -> tuple[dict[int, dict[TopicPartition, int]], dict[int, tuple[int, int]], dict[str, str]]:
        return await self._client.log_dirs(brokers)

    async def list_groups(self) -> tuple[dict[str, Group], dict[str, str]]:
        return await self._client.list_groups()

    async def describe_groups(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, Group], dict[str, str]]:
        return await self._client.describe_groups(group_ids)

    async def committed(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, dict[TopicPartition, tuple[int, str]]], dict[str, str]]:
        return await self._client.committed(group_ids)

    async def configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]:
        return await self._client.configs(resources)

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        return await self._client.read(starts, max_records, max_wait_s)

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> RecordReader:
        return await self._client.open_reader(starts, read_ahead)

    def round_trips(self) -> Mapping[int, float]:
        return self._client.round_trips()

    # ---- changing: every one through _write
    async def create_topics(self, topics: Sequence[NewTopic], validate_only: bool = False) -> None:
        names = ", ".join(t.name for t in topics)
        await self._write(
            "create_topics", names, lambda: self._client.create_topics(topics, validate_only)
        )

    async def delete_topics(self, names: Sequence[str]) -> None:
        await self._write(
            "delete_topics", ", ".join(names), lambda: self._client.delete_topics(names)
        )

    async def create_partitions(self, topic: str, total: int) -> None:
        await self._write(
            "create_partitions", topic, lambda: self._client.create_partitions(topic, total)
        )

    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        subject = ", ".join(f"{t}-{p}" for t, p in before)
        return await self._write(
            "delete_records", subject, lambda: self._client.delete_records(before)
        )

    async def alter_configs(
        self, changes: Sequence[ConfigChange], validate_only: bool = False
    ) -> None:
        subject = ", ".join(sorted({f"{c.resource.kind} {c.resource.name}" for c in changes}))
        await self._write(
            "alter_configs", subject, lambda: self._client.alter_configs(changes, validate_only)
        )

    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        await self._write(
            "alter_committed", group_id, lambda: self._client.alter_committed(group_id, offsets)
        )

    async def delete_groups(self, group_ids: Sequence[str]) -> None:
        await self._write(
            "delete_groups", ", ".join(group_ids), lambda: self._client.delete_groups(group_ids)
        )

    async def elect_leaders(
        self, partitions: Sequence[TopicPartition], unclean: bool = False
    ) -> None:
        subject = ", ".join(f"{t}-{p}" for t, p in partitions)
        await self._write(
            "elect_leaders", subject, lambda: self._client.elect_leaders(partitions, unclean)
        )

    async def produce(
        self, records: Sequence[NewRecord], acks: int = -1, compression: str = "none"
    ) -> list[tuple[int, int]]:
        subject = ", ".join(sorted({record.topic for record in records}))
        return await self._write(
            "produce", subject, lambda: self._client.produce(records, acks, compression)
        )
