"""DescribeLogDirs (35): the sizes of the logs on this broker, and of its disk. A broker
has one log directory."""

from __future__ import annotations

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


def describe_log_dirs(replicas: Replicas, now_ms: int, event: RequestReceived) -> None:
    """Describe the log directory."""
    request: DescribeLogDirsRequest = event.message
    wanted = None
    if request.topics is not None:
        wanted = {(topic.topic, index) for topic in request.topics for index in topic.partitions}
    env = replicas.env
    result = DescribeLogDirsResult(log_dir=env.settings.log_dir)
    topics: dict[str, DescribeLogDirsTopic] = {}
    partitions = replicas.partitions
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
        result.total_bytes, result.usable_bytes = env.disk.total_bytes()
    except StorageFailed:
        result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
    if replicas.disk_health.failed:
        result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
    env.outbox.respond(event, DescribeLogDirsResponse(results=[result]))
