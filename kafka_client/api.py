"""The ports to a cluster: ``ClusterReader`` reads, ``ClusterWriter`` writes, ``ClusterClient`` does
both over a connection.

``ConfluentClient`` implements them over a real cluster, the fake client of the tests in memory;
both pass the same contract tests. A caller that only reads takes a ``ClusterReader``, so that its
signature says that it changes nothing. Every method has a deadline of its own, raises
``errors.ClientError`` when it fails and never blocks the loop it is called on. No reading method
creates a topic or joins a group.
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
    LogDirs,
    NewRecord,
    NewTopic,
    Quorum,
    Record,
    TopicPartition,
)
from kafka_protocol.constants import OffsetTimestamp

EARLIEST = OffsetTimestamp.EARLIEST
LATEST = OffsetTimestamp.LATEST
MAX_TIMESTAMP = OffsetTimestamp.MAX_TIMESTAMP

Errors = dict[str, str]
"""Messages by the subject that failed: ``broker 2``, ``group orders``, ``orders-0``. The rest of
the answer stands."""
Offsets = dict[TopicPartition, int]
Committed = dict[TopicPartition, tuple[int, str]]
"""(committed offset, metadata of the commit) by partition; offset -1 when nothing is committed."""


class RecordReader(Protocol):
    """Reads on from where it was opened, by assignment: it joins no group. One caller at a
    time."""

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        """The records that arrive within ``max_wait_s``, in the order of each partition; may be
        empty. Raises: ClientError."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition. It passes over control records and the holes that
        compaction leaves, so a range ends by position, never by count."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Deliver nothing from these partitions until ``resume``; fetched records are kept."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Deliver from these partitions again."""

    async def close(self) -> None:
        """Release the consumer."""


class ClusterReader(Protocol):
    """Requests that change nothing; a read-only connection allows all of them."""

    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        """Brokers and topics (all, or these) with leaders, replicas and in-sync sets; with all
        topics also the brokers that are fenced, where the cluster names them. Offsets, sizes and
        groups of the snapshot are empty."""

    async def quorum(self) -> Quorum:
        """The metadata quorum (DescribeQuorum). Raises: Unsupported on a cluster without KRaft."""

    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[Offsets, Errors]:
        """One offset per partition, with one ListOffsets request per leader.

        The value in ``partitions`` is EARLIEST, LATEST, MAX_TIMESTAMP, or a timestamp in ms: the
        answer is then the first offset at or after it, -1 when there is no such record.
        """

    async def log_dirs(self, brokers: Iterable[int]) -> tuple[dict[int, LogDirs], Errors]:
        """What these brokers report of their log directories (DescribeLogDirs)."""

    async def list_groups(self) -> tuple[dict[str, Group], Errors]:
        """All groups with state and kind; their members and lags are empty."""

    async def describe_groups(self, group_ids: Sequence[str]) -> tuple[dict[str, Group], Errors]:
        """These groups with members and assignments; groups of the new protocol (KIP-848) by
        ConsumerGroupDescribe, since DescribeGroups calls them dead."""

    async def committed(self, group_ids: Sequence[str]) -> tuple[dict[str, Committed], Errors]:
        """Return what these groups committed, many groups in one request per coordinator."""

    async def configs(
        self, resources: Sequence[ConfigResource]
    ) -> dict[ConfigResource, tuple[ConfigEntry, ...]]:
        """All settings of these resources. Raises: ClientError for the first that is refused."""

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        """One batch of records from these offsets on: what arrives within ``max_wait_s``. For
        long scans use ``reading.scan``."""

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> RecordReader:
        """A reader from these offsets on (none below the start of the log). ``read_ahead``:
        records fetched in advance."""

    def round_trips(self) -> Mapping[int, float]:
        """The latest round trip in ms of every broker that answered lately. Sends nothing."""


class ClusterWriter(Protocol):
    """Requests that change the cluster. EVERY method here is a change: the gateway refuses each of
    them with ReadOnly on a read-only connection, before anything is sent, and journals it."""

    async def create_topics(self, topics: Sequence[NewTopic], validate_only: bool = False) -> None:
        """Create topics in one request. Raises: ClientError for the first that is refused; others
        may exist then."""

    async def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics with their records. Raises as ``create_topics``."""

    async def create_partitions(self, topic: str, total: int) -> None:
        """Grow a topic to ``total`` partitions."""

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> Offsets:
        """Delete the records before these offsets; return the new start offsets."""

    async def alter_configs(
        self, changes: Sequence[ConfigChange], validate_only: bool = False
    ) -> None:
        """Set or reset settings (IncrementalAlterConfigs), all of one resource or none."""

    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets for a group without members. Raises: Rejected when it has members."""

    async def delete_groups(self, group_ids: Sequence[str]) -> None:
        """Delete groups with their offsets. Raises: Rejected when one has members."""

    async def elect_leaders(
        self, partitions: Sequence[TopicPartition], unclean: bool = False
    ) -> None:
        """Elect the preferred replica of each partition, or with ``unclean`` any live replica,
        which may lose records."""

    async def produce(
        self, records: Sequence[NewRecord], acks: int = -1, compression: str = "none"
    ) -> list[tuple[int, int]]:
        """Send records; return (partition, offset) of each in order, offset -1 with ``acks`` 0.
        Raises: ClientError of the first that failed; its ``detail`` says how many were sent."""


class ClusterClient(ClusterReader, ClusterWriter, Protocol):
    """One cluster. Opened by ``connect``; used from one asyncio loop."""

    async def connect(self, timeout_s: float = 10.0) -> None:
        """Reach any bootstrap server and log in. Raises: Unreachable (with the stage that
        failed), Denied."""

    async def close(self) -> None:
        """End all connections, within a few seconds whatever the cluster does."""
