"""The data model of a cluster: frozen values, each kind of datum with the age and the error of its
last sample.

Times are wall-clock seconds since the epoch (float) unless a name ends in ``_ms``. ``None`` means
not known (not sampled yet, or refused: the matching ``Sampled`` says which), never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

TopicPartition = tuple[str, int]


class Datum(StrEnum):
    """The kinds of data that are sampled, each on a schedule of its own."""

    METADATA = "metadata"
    QUORUM = "quorum"
    OFFSETS = "offsets"
    LOG_DIRS = "log dirs"
    GROUPS = "groups"
    COMMITTED = "committed offsets"


@dataclass(frozen=True, slots=True)
class Sampled:
    """The age and the errors of one kind of datum."""

    at_s: float | None = None
    """When the last round succeeded; None before the first."""
    took_s: float = 0.0
    error: str = ""
    """Why every round since ``at_s`` failed; empty when the last one succeeded."""
    next_step: str = ""
    subject_errors: Mapping[str, str] = field(default_factory=dict)
    """Errors of single subjects ("broker 2", "group orders"); the rest of the sample is good."""
    steady_s: float | None = None
    """``at_s`` by ``steady.steady_s``: for ages, which no step of the wall clock changes."""


@dataclass(frozen=True, slots=True)
class FailedLogDir:
    """A log directory that a broker cannot use: its replicas there are offline."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class LogDirs:
    """What a broker reports of its log directories (DescribeLogDirs)."""

    sizes: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Bytes of each replica's log."""
    volume: tuple[int, int] | None = None
    """(total, free) bytes of the volumes that hold them; None when it does not report that."""
    failed: tuple[FailedLogDir, ...] = ()


@dataclass(frozen=True, slots=True)
class Broker:
    broker_id: int
    host: str
    port: int
    rack: str | None = None
    in_cluster: bool = True
    """False: the cluster sends no client to it now, but replicas are placed on it, or it is
    fenced."""
    fenced: bool = False
    """Registered, but the controller keeps it out of service (DescribeCluster, Kafka 4.0)."""
    reachable: bool | None = None
    """Whether it answered this application's last request; None before the first."""
    error: str = ""
    round_trip_ms: float | None = None
    size_bytes: int | None = None
    """Sum of its replicas' log sizes (DescribeLogDirs)."""
    disk_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    failed_dirs: tuple[FailedLogDir, ...] = ()


@dataclass(frozen=True, slots=True)
class Partition:
    topic: str
    partition: int
    leader: int | None
    leader_epoch: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline: tuple[int, ...] = ()
    start_offset: int | None = None
    high_watermark: int | None = None
    last_stable_offset: int | None = None
    size_bytes: int | None = None
    """The size of the leader's log."""
    replica_bytes: Mapping[int, int] = field(default_factory=dict)
    """The size of each replica's log, by broker."""
    rate_records_per_s: float | None = None
    rate_bytes_per_s: float | None = None

    @property
    def under_replicated(self) -> bool:
        return len(self.isr) < len(self.replicas)

    @property
    def offset_span(self) -> int | None:
        """End minus start: an upper bound of the number of records, not a count."""
        if self.high_watermark is None or self.start_offset is None:
            return None
        return self.high_watermark - self.start_offset


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    topic_id: str = ""
    internal: bool = False
    partitions: tuple[Partition, ...] = ()
    error: str = ""

    @property
    def replication_factor(self) -> int:
        return max((len(p.replicas) for p in self.partitions), default=0)


@dataclass(frozen=True, slots=True)
class Member:
    member_id: str
    client_id: str
    host: str
    instance_id: str | None = None
    assignment: tuple[TopicPartition, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One group in one partition."""

    topic: str
    partition: int
    committed: int | None
    end_offset: int | None
    lag_records: int | None
    """End minus committed, at least 0."""
    lag_seconds: float | None = None
    """The age of the first record that is not consumed, estimated from the sampled end offsets."""
    metadata: str = ""
    member_id: str | None = None
    client_id: str | None = None
    host: str | None = None


class GroupStatus(StrEnum):
    """Says how a group keeps up, judged from its last samples by rules without thresholds (after
    Burrow, LinkedIn's lag checker); see ``sampling.lag.partition_status``."""

    OK = "ok"
    LATE = "late"
    BEHIND = "falling behind"
    STALLED = "stalled"
    STOPPED = "stopped"
    REWOUND = "rewound"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Group:
    group_id: str
    state: str
    kind: str = "classic"
    """classic, consumer (KIP-848), share."""
    protocol: str = ""
    """The assignor, e.g. range."""
    coordinator: int | None = None
    members: tuple[Member, ...] = ()
    lags: tuple[PartitionLag, ...] = ()
    status: GroupStatus = GroupStatus.UNKNOWN
    lag_records: int | None = None
    lag_seconds: float | None = None
    rate_in_per_s: float | None = None
    rate_out_per_s: float | None = None
    catch_up_s: float | None = None
    """Seconds until the lag is 0 at the present rates; None when it does not shrink."""
    error: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(sorted({lag.topic for lag in self.lags}))


@dataclass(frozen=True, slots=True)
class Quorum:
    """The metadata quorum (DescribeQuorum). Its leader is the controller; under KRaft the
    controller id of a Metadata response is any broker."""

    leader_id: int | None
    leader_epoch: int | None = None
    high_watermark: int | None = None
    voters: tuple[int, ...] = ()
    observers: tuple[int, ...] = ()
    lags: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """The newest sample of every kind of datum. ``changes.diff`` compares two."""

    cluster_id: str = ""
    taken_s: float = 0.0
    controller_id: int | None = None
    """None when the cluster does not report it."""
    brokers: Mapping[int, Broker] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: Quorum | None = None
    sampled: Mapping[Datum, Sampled] = field(default_factory=dict)


class ConfigSource(StrEnum):
    TOPIC = "topic"
    BROKER = "this broker"
    CLUSTER = "cluster default"
    FILE = "file"
    DEFAULT = "default"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ConfigResource:
    kind: str
    """``broker`` or ``topic``; broker with name "" is the cluster-wide default."""
    name: str


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    name: str
    value: str | None
    """None when sensitive."""
    source: ConfigSource
    read_only: bool = False
    sensitive: bool = False
    kind: str = "string"
    """boolean, string, int, short, long, double, list, class, password."""
    text: str = ""
    default: str | None = None
    synonyms: tuple[tuple[str, str | None, ConfigSource], ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """``value`` None resets to the default."""

    resource: ConfigResource
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Header:
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why offsets of a partition could not be read, and where they end."""

    last_offset: int
    why: str
    """A sentence for people."""


class Record(NamedTuple):
    """One record as it was read, its bytes not decoded; or, with ``unreadable``, the place of
    records that could not be read: ``offset`` is the first of them, key and value are None.

    A tuple, because scans make millions: a frozen dataclass takes three times as long.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """Of a place that could not be read: that of the last record before it, -1 without one."""
    timestamp_type: str
    """create, append, or none."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    leader_epoch: int | None = None
    unreadable: Unreadable | None = None

    @property
    def order_ms(self) -> int:
        """Its place in an order by time: the timestamp. What could not be read, and has none before
        it, comes last, so that nobody misses it."""
        return 1 << 62 if self.unreadable and self.timestamp_ms < 0 else self.timestamp_ms

    def before(self, end: int) -> Record:
        """The same; of a place that could not be read, the part in front of this offset."""
        if self.unreadable is None or self.unreadable.last_offset < end:
            return self
        return self._replace(unreadable=Unreadable(end - 1, self.unreadable.why))

    @property
    def unreadable_offsets(self) -> int:
        """How many offsets could not be read; 0 of a record."""
        return self.unreadable.last_offset - self.offset + 1 if self.unreadable else 0


@dataclass(frozen=True, slots=True)
class NewRecord:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int | None = None
    """None: chosen by the key's hash (murmur2), without a key by the producer."""
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewTopic:
    name: str
    partitions: int = -1
    """-1: the broker's default."""
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict)
