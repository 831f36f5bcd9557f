"""The group coordinator of a node: which groups it coordinates, and where their state
is.

A group belongs to one partition of ``__consumer_offsets``, by the hash of its id; the
leader of that partition coordinates it. Each partition led here is a ``Shard``;
``Membership`` and ``Offsets`` handle requests on it.
"""

from __future__ import annotations

from functools import lru_cache, partial

from embedded_broker.core.coordinator.membership import Membership
from embedded_broker.core.coordinator.offsets import Offsets
from embedded_broker.core.coordinator.ports import LocalLog
from embedded_broker.core.coordinator.rebalance import Rebalances
from embedded_broker.core.coordinator.responses import MemberResponses
from embedded_broker.core.coordinator.shard import Shard
from embedded_broker.core.coordinator.sweeps import Sweeps
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.image import MetadataDelta
from embedded_broker.core.metadata.topics import OFFSETS_TOPIC
from embedded_broker.core.ports import ControllerCalls
from embedded_broker.core.retention_clock import RetentionClock
from kafka_protocol.errors import ErrorCode

STALLED_POLL_MS = 20
"""How often a load checks whether the high watermark has moved."""
CREATE_TIMEOUT_MS = 30_000
CREATE_BACKOFF_MS = 500


@lru_cache(4096)
def java_hash(text: str) -> int:
    """Java's String.hashCode over UTF-16 code units, as an int32."""
    result = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for i in range(0, len(units), 2):
        result = (31 * result + (units[i] << 8 | units[i + 1])) & 0xFFFFFFFF
    return result - 0x100000000 if result & 0x80000000 else result


def partition_for(group_id: str, partitions: int) -> int:
    """Return the partition of ``__consumer_offsets`` that a group belongs to."""
    value = java_hash(group_id)
    return (0 if value == -0x80000000 else abs(value)) % partitions


class Groups:
    """The groups that this node coordinates. A closed connection means nothing to a
    group, as in Kafka: a member may continue on another one, and expires if it does
    not."""

    def __init__(self, env: Environment, calls: ControllerCalls, log: LocalLog) -> None:
        self.env = env
        self._calls = calls
        self._log = log
        self.shards: dict[int, Shard] = {}
        """Partition of ``__consumer_offsets`` -> its groups."""
        responses = MemberResponses(env.outbox)
        self.rebalances = Rebalances(env, responses)
        self.membership = Membership(env, self.rebalances, responses)
        self.offsets = Offsets(env)
        self._sweeps = Sweeps(env.outbox)
        self._clock = RetentionClock(env)
        self._creating = False
        """Whether a request to create ``__consumer_offsets`` is in flight, or was a
        moment ago."""

    def start(self, now_ms: int) -> None:
        """Set the timer of offset expiry."""
        self._clock.wall_ms(now_ms)
        self._set_expiry_timer(now_ms)

    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        """Remove the committed offsets of deleted topics."""
        if delta.deleted_topics:
            for partition in sorted(self.shards):
                shard = self.shards[partition]
                if not shard.loading and not shard.failed:
                    self._forget_topics(now_ms, shard)

    def _forget_topics(self, now_ms: int, shard: Shard) -> None:
        self._sweeps.start(now_ms, shard, "forget topics", self.offsets.forget_topics)

    # ---- leadership
    def on_become_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        """This node leads a partition of ``__consumer_offsets``: load its groups."""
        shard = self.shards.get(partition)
        if shard is not None and leader_epoch <= shard.leader_epoch + 1:
            # No other leader was in between, so no other coordinator has changed the
            # groups.
            shard.leader_epoch = leader_epoch
            return
        if shard is not None:
            self.on_resign(now_ms, partition)
        self.shards[partition] = Shard(self.env, self._log, partition, leader_epoch)
        self._set_load_timer(now_ms)

    def on_resign(self, now_ms: int, partition: int) -> None:
        """This node no longer leads the partition: unload its groups."""
        shard = self.shards.pop(partition, None)
        if shard is not None:
            self.rebalances.close(shard)
            shard.close()

    def _set_load_timer(self, at_ms: int) -> None:
        self.env.outbox.timer("groups/load", at_ms, self._load)

    def _load(self, now_ms: int) -> None:
        """Load one slice of one partition, so that a tick stays short."""
        loading = [
            self.shards[p]
            for p in sorted(self.shards)
            if self.shards[p].loading and not self.shards[p].failed
        ]
        ready = [shard for shard in loading if not shard.waits_for_high_watermark]
        for shard in ready:
            read = shard.load(now_ms)
            if not shard.loading and not shard.failed:
                self.rebalances.loaded(now_ms, shard)
                # Topics that were deleted while no coordinator was there to notice.
                self._forget_topics(now_ms, shard)
            if read:
                break
        if ready:
            self._set_load_timer(now_ms)
        elif loading:
            self._set_load_timer(now_ms + STALLED_POLL_MS)

    # ---- lookup
    def locate(self, group_id: str) -> tuple[Shard | None, int]:
        """Return (the shard of a group that this node coordinates, NONE), or (None,
        error code)."""
        topic = self.env.image.topics.get(OFFSETS_TOPIC)
        if topic is None:
            return None, ErrorCode.NOT_COORDINATOR
        shard = self.shards.get(partition_for(group_id, len(topic.partitions)))
        if shard is None or shard.failed:
            return None, ErrorCode.NOT_COORDINATOR
        if shard.loading:
            return None, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return shard, ErrorCode.NONE

    def find_coordinator(self, now_ms: int, group_id: str) -> int:
        """Return the id of the broker that coordinates a group, or -1 when there is
        none now. The first call creates ``__consumer_offsets``."""
        image = self.env.image
        topic = image.topics.get(OFFSETS_TOPIC)
        if topic is None:
            self._create_topic(now_ms)
            return -1
        partition = topic.partitions[partition_for(group_id, len(topic.partitions))]
        return partition.leader if image.alive(partition.leader) else -1

    def _create_topic(self, now_ms: int) -> None:
        if self._creating:
            return
        from kafka_protocol.messages.k19_create_topics import (
            CreatableTopic,
            CreatableTopicConfig,
            CreateTopicsRequest,
            CreateTopicsResponse,
        )

        self._creating = True
        config = self.env.config
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

        def allow_again(_then_ms: int) -> None:
            self._creating = False

        def done(then_ms: int, response: CreateTopicsResponse | None, reason: str) -> None:
            for topic in response.topics if response is not None else ():
                if topic.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                    reason = topic.error_message or ErrorCode(topic.error_code).name
            if reason:
                self.env.note(Level.WARNING, f"Cannot create {OFFSETS_TOPIC}: {reason}")
            self.env.outbox.timer("groups/create", then_ms + CREATE_BACKOFF_MS, allow_again)

        self._calls.call(now_ms, request, CreateTopicsRequest.MAX_VERSION, CREATE_TIMEOUT_MS, done)

    # ---- expiry
    def _set_expiry_timer(self, now_ms: int) -> None:
        interval_ms: int = self.env.config.broker("offsets.retention.check.interval.ms")
        self.env.outbox.timer("groups/expiry", now_ms + interval_ms, self._expire)

    def _expire(self, now_ms: int) -> None:
        wall_ms = self._clock.wall_ms(now_ms)
        for partition in sorted(self.shards):
            shard = self.shards[partition]
            if not shard.loading and not shard.failed:
                self._sweeps.start(now_ms, shard, "expire", partial(self.offsets.expire, wall_ms))
        self._set_expiry_timer(now_ms)
