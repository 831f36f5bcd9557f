"""DescribeLogDirs (35): the sizes of the logs on this broker, and of its disk. There is one log
directory a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.ports import StorageFailed
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: DescribeLogDirsRequest = event.message
    wanted = None
    if request.topics is not None:
        wanted = {(topic.topic, index) for topic in request.topics for index in topic.partitions}
    result = DescribeLogDirsResult(log_dir=broker.settings.log_dir)
    topics: dict[str, DescribeLogDirsTopic] = {}
    partitions = broker.replicas.partitions
    for key in sorted(partitions if wanted is None else wanted & partitions.keys()):
        partition = partitions[key]
        if partition.topic not in topics:
            topics[partition.topic] = DescribeLogDirsTopic(partition.topic)
        lag = max(0, partition.high_watermark - partition.end_offset)
        topics[partition.topic].partitions.append(
            DescribeLogDirsPartition(partition.index, partition.log.size_bytes, lag)
        )
    result.topics = list(topics.values())
    try:
        result.total_bytes, result.usable_bytes = broker.disk.total_bytes()
    except StorageFailed:
        result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
    broker.outbox.respond(event, DescribeLogDirsResponse(results=[result]))
