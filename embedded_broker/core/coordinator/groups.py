"""The group coordinator of a node: which groups are looked after here, and who looks after each
request.

A group belongs to one partition of ``__consumer_offsets``, by its id's hash; the leader of that
partition coordinates it. The partitions led here are ``Shard``s; ``Membership`` and ``Offsets``
carry requests out on them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from embedded_broker.core.coordinator.membership import Membership
from embedded_broker.core.coordinator.offsets import Offsets
from embedded_broker.core.coordinator.shard import OFFSETS_TOPIC, Shard
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import MetadataDelta
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

STALLED_POLL_MS = 20
"""How often a load looks whether the high watermark has moved."""
CREATE_TIMEOUT_MS = 30_000
CREATE_BACKOFF_MS = 500


@lru_cache(4096)
def java_hash(text: str) -> int:
    """Java's String.hashCode, as an int32: over UTF-16 code units."""
    result = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for i in range(0, len(units), 2):
        result = (31 * result + (units[i] << 8 | units[i + 1])) & 0xFFFFFFFF
    return result - 0x100000000 if result & 0x80000000 else result


def partition_for(group_id: str, partitions: int) -> int:
    """Which partition of ``__consumer_offsets`` a group belongs to."""
    value = java_hash(group_id)
    return (0 if value == -0x80000000 else abs(value)) % partitions


class Groups:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.shards: dict[int, Shard] = {}
        self.membership = Membership(broker)
        self.offsets = Offsets(broker, self.membership)
        self._creating = False

    def start(self, now_ms: int) -> None:
        self._plan_expiry(now_ms)

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        """A member's silence, not its connection, decides, as in Kafka: a client may come back on
        another one."""

    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        if delta.deleted_topics:
            names = {topic.name for topic in delta.deleted_topics}
            for partition in sorted(self.shards):
                shard = self.shards[partition]
                if not shard.loading and not shard.failed:
                    self.offsets.forget_topics(now_ms, shard, names)

    # ---- leadership
    def on_become_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        shard = self.shards.get(partition)
        if shard is not None and leader_epoch <= shard.leader_epoch + 1:
            shard.leader_epoch = (
                leader_epoch  # no other leader was in between, so nobody else has changed anything
            )
            return
        if shard is not None:
            self.on_resign(now_ms, partition)
        self.shards[partition] = Shard(self._broker, partition, leader_epoch)
        self._plan_load(now_ms)

    def on_resign(self, now_ms: int, partition: int) -> None:
        shard = self.shards.pop(partition, None)
        if shard is not None:
            self.membership.close(shard)
            shard.close()

    def _plan_load(self, at_ms: int) -> None:
        self._broker.outbox.timer("groups/load", at_ms, self._load)

    def _load(self, now_ms: int) -> None:
        """Load one slice of one partition that has something to load; a tick stays short."""
        loading = [
            self.shards[p]
            for p in sorted(self.shards)
            if self.shards[p].loading and not self.shards[p].failed
        ]
        ready = [shard for shard in loading if not shard.waits_for_high_watermark]
        for shard in ready:
            read = shard.load(now_ms)
            if not shard.loading and not shard.failed:
                self.membership.loaded(now_ms, shard)
                self.offsets.forget_topics(now_ms, shard)
            if read:
                break
        if ready:
            self._plan_load(now_ms)
        elif loading:
            self._plan_load(now_ms + STALLED_POLL_MS)

    # ---- who is asked
    def locate(self, group_id: str) -> tuple[Shard | None, int]:
        """The shard that a group belongs to, when it may be asked here; else the error code."""
        topic = self._broker.image.topics.get(OFFSETS_TOPIC)
        if topic is None:
            return None, ErrorCode.NOT_COORDINATOR
        shard = self.shards.get(partition_for(group_id, len(topic.partitions)))
        if shard is None or shard.failed:
            return None, ErrorCode.NOT_COORDINATOR
        if shard.loading:
            return None, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return shard, ErrorCode.NONE

    def find_coordinator(self, now_ms: int, group_id: str) -> int:
        """The node that coordinates a group, -1 when there is none at the moment; makes the topic
        on first use."""
        topic = self._broker.image.topics.get(OFFSETS_TOPIC)
        if topic is None:
            self._create_topic(now_ms)
            return -1
        found = topic.partitions[partition_for(group_id, len(topic.partitions))]
        return found.leader if self._broker.image.alive(found.leader) else -1

    def _create_topic(self, now_ms: int) -> None:
        if self._creating:
            return
        self._creating = True
        config = self._broker.config
        request = CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=OFFSETS_TOPIC,
                    num_partitions=config.broker("offsets.topic.num.partitions"),
                    replication_factor=config.broker("offsets.topic.replication.factor"),
                    configs=[
                        CreatableTopicConfig("cleanup.policy", "compact"),
                        CreatableTopicConfig("compression.type", "producer"),
                        CreatableTopicConfig(
                            "segment.bytes", str(config.broker("offsets.topic.segment.bytes"))
                        ),
                    ],
                )
            ],
            timeout_ms=CREATE_TIMEOUT_MS,
        )

        def over(_then_ms: int) -> None:
            self._creating = False

        def done(then_ms: int, response: CreateTopicsResponse | None, reason: str) -> None:
            for topic in response.topics if response is not None else ():
                if topic.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                    reason = topic.error_message or ErrorCode(topic.error_code).name
            if reason:
                self._broker.outbox.note(Level.WARNING, f"{OFFSETS_TOPIC} cannot be made: {reason}")
            self._broker.outbox.timer("groups/create", then_ms + CREATE_BACKOFF_MS, over)

        self._broker.channel.call(
            now_ms, request, CreateTopicsRequest.MAX_VERSION, CREATE_TIMEOUT_MS, done
        )

    # ---- expiry
    def _plan_expiry(self, now_ms: int) -> None:
        every_ms: int = self._broker.config.broker("offsets.retention.check.interval.ms")
        self._broker.outbox.timer("groups/expiry", now_ms + every_ms, self._expire)

    def _expire(self, now_ms: int) -> None:
        for partition in sorted(self.shards):
            shard = self.shards[partition]
            if not shard.loading and not shard.failed:
                self.offsets.expire(now_ms, shard)
        self._plan_expiry(now_ms)
