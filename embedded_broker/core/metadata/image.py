"""The state of the cluster that follows from the metadata log up to the last applied
record.

Each node has one image for its committed view, which only ``replay`` changes. The
active controller has a second one that runs ahead with its own uncommitted proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from kafka_protocol.constants import ConfigResourceType

NO_LEADER = -1
BROKER, TOPIC = ConfigResourceType.BROKER, ConfigResourceType.TOPIC

ConfigKey = tuple[int, str]
"""(resource type, resource name)"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An advertised listener of a broker."""

    listener: str
    host: str
    port: int
    security_protocol: int = 0


@dataclass(frozen=True, slots=True)
class BrokerImage:
    """A registered broker."""

    broker_id: int
    broker_epoch: int
    """The metadata offset of its registration: each incarnation has a higher one."""
    incarnation_id: UUID
    """Made by the broker process at its start; see ``controller.incarnation``."""
    endpoints: tuple[Endpoint, ...]
    rack: str | None = None
    fenced: bool = True
    """Whether the controller has cut it off: not yet caught up, or its session
    expired."""
    in_controlled_shutdown: bool = False
    directory_ids: tuple[UUID, ...] = ()
    """Log directories; empty for a broker registered by an old version."""


class PartitionImage(NamedTuple):
    """One partition's replicas and leader. A tuple, because a request makes 10,000 at once."""

    topic_id: UUID
    topic: str
    partition: int
    replicas: tuple[int, ...]
    """Assigned brokers; the first is the preferred leader."""
    isr: tuple[int, ...]
    """In-sync replicas. Contains ``leader`` whenever there is one."""
    leader: int
    """NO_LEADER when no replica may lead."""
    leader_epoch: int
    """Rises by one with every record that names a leader."""
    partition_epoch: int
    """Rises by one with every record; AlterPartition must name the newest."""
    elr: tuple[int, ...] = ()
    """Eligible leader replicas (KIP-966): out of sync, but they have every acknowledged
    record."""
    last_known_elr: tuple[int, ...] = ()
    """The replica that led last while there is no leader, else empty."""
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()
    recovering: bool = False
    """Whether its leader was elected uncleanly (LeaderRecoveryState.RECOVERING)."""


@dataclass(slots=True)
class TopicImage:
    """A topic and its partitions by index."""

    topic_id: UUID
    name: str
    partitions: dict[int, PartitionImage] = field(default_factory=dict)


@dataclass(slots=True)
class MetadataImage:
    """The cluster's brokers, topics and settings."""

    cluster_id: str = ""
    offset: int = 0
    """The next metadata offset to apply."""
    version: int = 0
    """Rises with every change; keys the caches of effective settings and encoded
    responses."""
    brokers: dict[int, BrokerImage] = field(default_factory=dict)
    topics: dict[str, TopicImage] = field(default_factory=dict)
    topic_names: dict[UUID, str] = field(default_factory=dict)
    configs: dict[ConfigKey, dict[str, str]] = field(default_factory=dict)
    """Settings that were set at run time, as text; no key has an empty dictionary."""
    next_producer_id: int = 0
    """Producer ids from here on have not been allocated."""
    features: dict[str, int] = field(default_factory=dict)
    """Finalized feature levels."""

    def topic_by_id(self, topic_id: UUID) -> TopicImage | None:
        """The topic with this id, or None."""
        name = self.topic_names.get(topic_id)
        return None if name is None else self.topics[name]

    def partition(self, topic: str, partition: int) -> PartitionImage | None:
        """The partition, or None when this topic has none with this index."""
        image = self.topics.get(topic)
        return None if image is None else image.partitions.get(partition)

    def alive(self, broker_id: int) -> bool:
        """Return whether the broker is registered and not fenced."""
        broker = self.brokers.get(broker_id)
        return broker is not None and not broker.fenced

    def eligible(self, broker_id: int) -> bool:
        """Return whether the broker may join an ISR or lead: alive and not shutting
        down (KIP-841)."""
        return self.alive(broker_id) and not self.brokers[broker_id].in_controlled_shutdown

    def endpoints(
        self, listener: str, broker_ids: Iterable[int]
    ) -> Iterator[tuple[int, str, int, str | None]]:
        """Yield (id, host, port, rack) of those brokers that are alive and have this
        listener."""
        for broker_id in broker_ids:
            broker = self.brokers.get(broker_id)
            if broker is None or broker.fenced:
                continue
            for endpoint in broker.endpoints:
                if endpoint.listener == listener:
                    yield broker_id, endpoint.host, endpoint.port, broker.rack
                    break


@dataclass(slots=True)
class MetadataDelta:
    """Lists what a run of applied records changed; passed to the machines that follow the
    metadata."""

    partitions: set[tuple[str, int]] = field(default_factory=set)
    """Created or changed; sort before iterating."""
    deleted_topics: list[TopicImage] = field(default_factory=list)
    """As they were before their deletion, in order."""
    configs: set[ConfigKey] = field(default_factory=set)
    brokers: set[int] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        """Return whether no machine needs to be notified."""
        return not (self.partitions or self.deleted_topics or self.configs or self.brokers)
