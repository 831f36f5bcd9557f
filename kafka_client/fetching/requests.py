"""Fetch requests of a consumer of committed records, and what their responses bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kafka_client.model import TopicPartition
from kafka_protocol.constants import IsolationLevel
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)

CONSUMER_REPLICA_ID = -1


def fetch_request(
    offsets: Mapping[TopicPartition, int],
    response_bytes: int,
    partition_bytes: int,
    wait_ms: int,
    least_bytes: int,
) -> FetchRequest:
    """In the order of ``offsets``, topic by topic: a broker sends at least one batch of the first
    partition that has any, however large it is."""
    topics: dict[str, FetchTopic] = {}
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, FetchTopic(topic=topic)).partitions.append(
            FetchPartition(partition, fetch_offset=offset, partition_max_bytes=partition_bytes)
        )
    return FetchRequest(
        replica_id=CONSUMER_REPLICA_ID,
        max_wait_ms=wait_ms,
        min_bytes=least_bytes,
        max_bytes=response_bytes,
        isolation_level=IsolationLevel.READ_COMMITTED,
        topics=list(topics.values()),
    )


def partitions_of(response: FetchResponse) -> Iterator[tuple[TopicPartition, PartitionData]]:
    for topic in response.responses:
        for data in topic.partitions:
            yield (topic.topic, data.partition_index), data


def aborted_of(data: PartitionData) -> list[tuple[int, int]]:
    """(producer id, first offset) of the transactions in it that were aborted."""
    return [(a.producer_id, a.first_offset) for a in data.aborted_transactions or ()]


def committed_end(data: PartitionData) -> int:
    """The offset after what a consumer of committed records may read."""
    return data.last_stable_offset if data.last_stable_offset >= 0 else data.high_watermark


def topics_of(partitions: Iterable[TopicPartition]) -> list[str]:
    return sorted({topic for topic, _ in partitions})
