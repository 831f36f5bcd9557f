"""The partitions that have a replica on this node, and the settings of replication.

The parts of replication share one ``ReplicaTable``; only ``Replicas`` adds and removes
partitions.
"""

from __future__ import annotations

from uuid import UUID

from embedded_broker.core.config import Config
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.image import PartitionImage
from embedded_broker.core.replication.partition import Partition
from kafka_protocol.errors import ErrorCode


class ReplicationSettings:
    """Effective broker settings, read once and again when a broker setting changes: the
    fetch paths use them too often to look each one up."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.read()

    def read(self) -> None:
        """Take the current values."""
        config = self._config
        self.lag_ms: int = config.broker("replica.lag.time.max.ms")
        self.fetch_wait_ms: int = config.broker("replica.fetch.wait.max.ms")
        self.fetch_max_bytes: int = config.broker("replica.fetch.max.bytes")
        self.fetch_response_max_bytes: int = config.broker("replica.fetch.response.max.bytes")
        self.fetch_backoff_ms: int = config.broker("replica.fetch.backoff.ms")
        self.socket_timeout_ms: int = config.broker("replica.socket.timeout.ms")
        self.client_fetch_max_bytes: int = config.broker("fetch.max.bytes")


class ReplicaTable:
    """This node's partitions by name and by topic id."""

    def __init__(self, env: Environment) -> None:
        self._image = env.image
        self._node_id = env.node_id
        self.settings = ReplicationSettings(env.config)
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.by_id: dict[tuple[UUID, int], Partition] = {}
        """The same partitions as in ``partitions``."""
        self.broker_epoch = -1
        """This incarnation's; -1 until the applied metadata contains its
        registration."""

    def led_elsewhere(self, topic: str, index: int) -> PartitionImage | None:
        """The partition if the metadata names another broker as its leader: the hint for a client
        that this one refuses (KIP-951). This broker itself, which its metadata may still name, is
        no hint: the client would come back at once, and again."""
        known = self._image.partition(topic, index)
        if known is None or known.leader in (-1, self._node_id):
            return None
        return known

    def missing(self, topic: str, index: int) -> int:
        """The error code for a partition that has no replica here."""
        exists = self._image.partition(topic, index) is not None
        return ErrorCode.NOT_LEADER_OR_FOLLOWER if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
