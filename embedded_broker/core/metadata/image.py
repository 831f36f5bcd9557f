"""The cluster as the metadata log tells it, up to the last record that this node has applied.

One image a node for its committed view, changed by ``replay`` alone; the active controller holds
a second one that runs ahead with its own proposals. Records are the classes of
``core.metadata.records``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from kafka_protocol.constants import ConfigResourceType

NO_LEADER = -1
BROKER, TOPIC = ConfigResourceType.BROKER, ConfigResourceType.TOPIC

ConfigKey = tuple[int, str]
"""(resource type, resource name)"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    listener: str
    host: str
    port: int
    security_protocol: int = 0


@dataclass(frozen=True, slots=True)
class BrokerImage:
    """A registered broker. ``broker_epoch`` (the offset of its registration) is its incarnation."""

    broker_id: int
    broker_epoch: int
    incarnation_id: UUID
    endpoints: tuple[Endpoint, ...]
    rack: str | None = None
    fenced: bool = True
    in_controlled_shutdown: bool = False
    directory_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionImage:
    topic_id: UUID
    topic: str
    partition: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    elr: tuple[int, ...] = ()
    last_known_elr: tuple[int, ...] = ()
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()
    recovering: bool = False
    """Whether its leader was elected uncleanly (LeaderRecoveryState.RECOVERING)."""


@dataclass(slots=True)
class TopicImage:
    topic_id: UUID
    name: str
    partitions: dict[int, PartitionImage] = field(default_factory=dict)


@dataclass(slots=True)
class MetadataImage:
    """All that the metadata log says. ``version`` rises with every change and keys caches of
    encoded answers."""

    cluster_id: str = ""
    offset: int = 0
    """The next metadata offset to apply."""
    version: int = 0
    brokers: dict[int, BrokerImage] = field(default_factory=dict)
    topics: dict[str, TopicImage] = field(default_factory=dict)
    topic_names: dict[UUID, str] = field(default_factory=dict)
    configs: dict[ConfigKey, dict[str, str]] = field(default_factory=dict)
    next_producer_id: int = 0
    features: dict[str, int] = field(default_factory=dict)

    def topic_by_id(self, topic_id: UUID) -> TopicImage | None:
        name = self.topic_names.get(topic_id)
        return None if name is None else self.topics[name]

    def partition(self, topic: str, partition: int) -> PartitionImage | None:
        found = self.topics.get(topic)
        return None if found is None else found.partitions.get(partition)

    def alive(self, broker_id: int) -> bool:
        """Registered, not fenced."""
        broker = self.brokers.get(broker_id)
        return broker is not None and not broker.fenced

    def eligible(self, broker_id: int) -> bool:
        """May join an ISR or lead: alive and not leaving (KIP-841)."""
        return self.alive(broker_id) and not self.brokers[broker_id].in_controlled_shutdown


@dataclass(slots=True)
class MetadataDelta:
    """What a stretch of applied records changed; handed to the machines that follow the
    metadata."""

    partitions: set[tuple[str, int]] = field(default_factory=set)
    """Created or changed; sort before iterating."""
    deleted_topics: list[TopicImage] = field(default_factory=list)
    """As they were before their deletion, in order."""
    configs: set[ConfigKey] = field(default_factory=set)
    brokers: set[int] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        return not (self.partitions or self.deleted_topics or self.configs or self.brokers)
