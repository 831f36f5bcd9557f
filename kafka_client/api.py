"""What the application may ask of a cluster. ``ConfluentClient`` answers from a real one,
``FakeClient`` in tests; both pass the same contract tests. Every method has a deadline of its own
and raises ``errors.ClientError`` when it fails; nothing here blocks the loop that it is called
on, and nothing creates a topic or joins a group by looking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

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

EARLIEST = -2
LATEST = -1
MAX_TIMESTAMP = -3


class RecordReader(Protocol):
    """Reads on and on from where it was opened, by assignment: no group is joined. One caller at
    a time."""

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        """What arrives within ``max_wait_s``, in the order of each partition; may be empty.
        Raises: ClientError."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition. It passes over control records and compaction's
        holes, so a range ends by position, never by count."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Deliver nothing from these for now; what was fetched is kept."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None: ...

    async def close(self) -> None: ...


class ClusterClient(Protocol):
    """One cluster. Opened by ``connect``; used from one asyncio loop."""

    async def connect(self, timeout_s: float = 10.0) -> None:
        """Reach any bootstrap server and log in. Raises: Unreachable (with the stage that
        failed), Denied."""

    async def close(self) -> None: ...

    # ---- looking
    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        """Brokers and topics with leaders, replicas, in-sync sets; offsets and groups are left
        empty."""

    async def quorum(self) -> Quorum:
        """Raises: Unsupported on a cluster without KRaft."""

    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]:
        """Offsets for EARLIEST, LATEST, MAX_TIMESTAMP or a timestamp in ms, one request per
        leader; -1 when there is no such record. Second: errors by subject ("broker 2")."""

    async def log_dirs(
        self, brokers: Iterable[int]
    ) -> tuple[dict[int, dict[TopicPartition, int]], dict[int, tuple[int, int]], dict[str, str]]:
        """Replica sizes in bytes by broker, (total, free) bytes of the volume by broker, errors
        by subject."""

    async def list_groups(self) -> tuple[dict[str, Group], dict[str, str]]:
        """Group ids with state and kind (no members, no lags), errors by subject."""

    async def describe_groups(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, Group], dict[str, str]]:
        """Members and assignment; new-protocol groups by ConsumerGroupDescribe."""

    async def committed(
        self, group_ids: Sequence[str]
    ) -> tuple[dict[str, dict[TopicPartition, tuple[int, str]]], dict[str, str]]:
        """(committed offset, its metadata) of many groups, many groups in one request per
        coordinator."""

    async def configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]: ...

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        """A batch of records from these positions on, whatever arrives within ``max_wait_s``. For
        long scans use ``reading.scan``."""

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> RecordReader:
        """A reader from these offsets on (none below the log's start). ``read_ahead``: records
        fetched in advance."""

    def round_trips(self) -> Mapping[int, float]:
        """The last round trip in ms of every broker that was asked lately. Sends nothing."""

    # ---- changing (all refused with ReadOnly on a read-only profile, before anything is sent)
    async def create_topics(
        self, topics: Sequence[NewTopic], validate_only: bool = False
    ) -> None: ...
    async def delete_topics(self, names: Sequence[str]) -> None: ...
    async def create_partitions(self, topic: str, total: int) -> None: ...
    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """New start offsets."""

    async def alter_configs(
        self, changes: Sequence[ConfigChange], validate_only: bool = False
    ) -> None: ...
    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises: Rejected when the group has members."""

    async def delete_groups(self, group_ids: Sequence[str]) -> None: ...
    async def elect_leaders(
        self, partitions: Sequence[TopicPartition], unclean: bool = False
    ) -> None: ...
    async def produce(
        self, records: Sequence[NewRecord], acks: int = -1, compression: str = "none"
    ) -> list[tuple[int, int]]:
        """(partition, offset) of each record in order. Raises on the first that failed, naming
        how many were sent."""
