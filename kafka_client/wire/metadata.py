"""Brokers, topics and offsets: Metadata and ListOffsets.

One ListOffsets request per leader for all its partitions. What fails for one broker or
partition is reported under its name; the rest of the answer stands.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

from kafka_client.error_map import clean, from_code
from kafka_client.errors import ClientError, Unsupported
from kafka_client.model import Broker, ClusterSnapshot, Partition, Topic, TopicPartition
from kafka_client.wire.limits import BROKERS_MOST, check, check_metadata
from kafka_client.wire.pool import ConnectionPool, gather
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import IsolationLevel
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kafka_protocol.messages.k60_describe_cluster import (
    DescribeClusterRequest,
    DescribeClusterResponse,
)

logger = logging.getLogger(__name__)

METADATA_TIMEOUT_S = 10.0
FENCED_SINCE = 2
"""The version of DescribeCluster that names fenced brokers."""
STALE_METADATA = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.LISTENER_NOT_FOUND,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_TOPIC_ID,
    }
)
"""Codes after which fresh metadata, or a moment, may help."""
ERRORS_MAX = 50
"""Partitions that are reported one by one; more would say the same."""
CONSUMER_REPLICA_ID = -1

Offsets = dict[TopicPartition, int]
Errors = dict[str, str]


class MetadataClient:
    """Keeps the leaders from the last Metadata response, for the requests that go to
    leaders."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._leaders: dict[TopicPartition, int] = {}
        self._fenced: dict[int, Broker] = {}
        self._fenced_error = ""
        """Why they were not learned the last time: said once, not every five seconds."""

    # ---- metadata
    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot:
        """See ``api.ClusterReader``."""
        names = None if topics is None else tuple(sorted(set(topics)))
        return await self._pool.once(("metadata", names), lambda: self._metadata(names))

    async def _metadata(self, names: tuple[str, ...] | None) -> ClusterSnapshot:
        wanted = None if names is None else [MetadataRequestTopic(name=name) for name in names]
        request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False)
        response: MetadataResponse = await self._pool.request_any(request, METADATA_TIMEOUT_S)
        if response.error_code:
            raise from_code(response.error_code, "read the cluster's metadata")
        check_metadata(response)
        brokers = {
            b.node_id: Broker(b.node_id, clean(b.host, 255), b.port, b.rack)
            for b in response.brokers
        }
        if names is None:
            self._fenced = await self._fenced_brokers(brokers)
        if brokers:
            self._pool.update_brokers(
                {b.broker_id: (b.host, b.port) for b in brokers.values()},
                {b.broker_id: (b.host, b.port) for b in self._fenced.values()},
            )
        if names is None:
            brokers |= self._fenced
        topics = {t.name: _topic(t.name, t) for t in response.topics if t.name is not None}
        self._update_leaders(topics.values(), all_topics=names is None)
        # Under KRaft every broker names a random broker as the controller (KIP-590):
        # only the quorum knows. A cluster that offers DescribeQuorum runs KRaft.
        kraft = await self._pool.offers(ApiKey.DESCRIBE_QUORUM)
        controller = None if kraft or response.controller_id < 0 else response.controller_id
        return ClusterSnapshot(
            clean(response.cluster_id or "", 64),
            time.time(),
            controller,
            dict(sorted(brokers.items())),
            dict(sorted(topics.items())),
        )

    async def _fenced_brokers(self, live: Mapping[int, Broker]) -> dict[int, Broker]:
        """The brokers that are registered and fenced (KIP-1073), by id; those known last when the
        cluster does not answer, none when it does not offer that."""
        request = DescribeClusterRequest(include_fenced_brokers=True)
        try:
            if await self._pool.version(ApiKey.DESCRIBE_CLUSTER) < FENCED_SINCE:
                return {}
            response: DescribeClusterResponse = await self._pool.request_any(request)
            if response.error_code:
                raise from_code(response.error_code, "describe the cluster")
        except Unsupported:
            return {}
        except ClientError as error:
            if str(error) != self._fenced_error:
                logger.info("cannot ask for fenced brokers: %s", error)
            self._fenced_error = str(error)
            return self._fenced
        self._fenced_error = ""
        check(len(response.brokers), BROKERS_MOST, "broker")
        return {
            b.broker_id: Broker(
                b.broker_id, clean(b.host, 255), b.port, b.rack, in_cluster=False, fenced=True
            )
            for b in response.brokers
            if b.is_fenced and b.broker_id not in live
        }

    def _update_leaders(self, topics: Iterable[Topic], all_topics: bool) -> None:
        if all_topics:
            self._leaders = {}
        for topic in topics:
            for p in topic.partitions:
                if p.leader is None:
                    self._leaders.pop((p.topic, p.partition), None)
                else:
                    self._leaders[p.topic, p.partition] = p.leader

    # ---- offsets
    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[Offsets, Errors]:
        """See ``api.ClusterReader``."""
        key = ("offsets", frozenset(partitions.items()), isolation)
        level = IsolationLevel[isolation.upper()]
        return await self._pool.once(key, lambda: self._offsets(dict(partitions), level))

    async def _offsets(
        self, wanted: dict[TopicPartition, int], isolation_level: int
    ) -> tuple[Offsets, Errors]:
        """Ask the leaders; refresh the metadata and ask once more for partitions that
        moved."""
        offsets: Offsets = {}
        errors: Errors = {}
        if any(tp not in self._leaders for tp in wanted):
            await self.metadata()
        moved = await self._ask_leaders(wanted, isolation_level, offsets, errors)
        if moved:
            await self.metadata()
            again = {tp: wanted[tp] for tp in moved}
            moved = await self._ask_leaders(again, isolation_level, offsets, errors)
            for (topic, partition), code in list(moved.items())[:ERRORS_MAX]:
                errors[f"{topic}-{partition}"] = str(from_code(code, "read its offsets"))
        return offsets, errors

    async def _ask_leaders(
        self,
        wanted: Mapping[TopicPartition, int],
        isolation_level: int,
        offsets: Offsets,
        errors: Errors,
    ) -> dict[TopicPartition, int]:
        """Add to ``offsets`` and ``errors``; return the partitions that another broker
        leads by now, with their error codes."""
        by_leader: dict[int, dict[TopicPartition, int]] = {}
        moved: dict[TopicPartition, int] = {}
        for tp, timestamp in wanted.items():
            leader = self._leaders.get(tp)
            if leader is None:
                moved[tp] = ErrorCode.LEADER_NOT_AVAILABLE
            else:
                by_leader.setdefault(leader, {})[tp] = timestamp
        timeout_s = self._pool.timeouts.poll_s
        responses, failures = await gather(
            {
                leader: self._pool.request(leader, _list_offsets(part, isolation_level), timeout_s)
                for leader, part in by_leader.items()
            }
        )
        errors.update({f"broker {leader}": str(error) for leader, error in failures.items()})
        for response in responses.values():
            _take_offsets(response, offsets, moved, errors)
        return moved


def _list_offsets(wanted: Mapping[TopicPartition, int], isolation_level: int) -> ListOffsetsRequest:
    topics: dict[str, list[ListOffsetsPartition]] = {}
    for (topic, partition), timestamp in wanted.items():
        # Epoch -1: any, as this client does not follow a leader's epochs.
        topics.setdefault(topic, []).append(ListOffsetsPartition(partition, -1, timestamp))
    named = [ListOffsetsTopic(name, partitions) for name, partitions in topics.items()]
    return ListOffsetsRequest(CONSUMER_REPLICA_ID, isolation_level, named)


def _take_offsets(
    response: ListOffsetsResponse,
    offsets: Offsets,
    moved: dict[TopicPartition, int],
    errors: Errors,
) -> None:
    for topic in response.topics:
        name = topic.name
        for p in topic.partitions:
            code = p.error_code
            if code == ErrorCode.NONE:
                offsets[name, p.partition_index] = p.offset
            elif code in STALE_METADATA:
                moved[name, p.partition_index] = code
            elif len(errors) < ERRORS_MAX:
                errors[f"{name}-{p.partition_index}"] = str(from_code(code, "read its offsets"))


def _topic(name: str, topic: MetadataResponseTopic) -> Topic:
    partitions = [_partition(name, p) for p in topic.partitions]
    partitions.sort(key=lambda p: p.partition)
    code = topic.error_code
    return Topic(
        name,
        "" if topic.topic_id == ZERO_UUID else str(topic.topic_id),
        topic.is_internal,
        tuple(partitions),
        str(from_code(code, f"describe topic {name}")) if code else "",
    )


def _partition(topic: str, p: MetadataResponsePartition) -> Partition:
    return Partition(
        topic,
        p.partition_index,
        p.leader_id if p.leader_id >= 0 else None,
        p.leader_epoch if p.leader_epoch >= 0 else None,
        tuple(p.replica_nodes),
        tuple(p.isr_nodes),
        tuple(p.offline_replicas),
    )
