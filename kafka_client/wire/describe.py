"""Log directories and the metadata quorum: DescribeLogDirs, DescribeQuorum."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kafka_client.error_map import clean, from_code
from kafka_client.errors import Unsupported
from kafka_client.model import FailedLogDir, LogDirs, Quorum, TopicPartition
from kafka_client.wire.pool import ConnectionPool, gather
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import (
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
)
from kafka_protocol.messages.k55_describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionData,
    ResponsePartitionData,
    TopicData,
)

METADATA_TOPIC = "__cluster_metadata"

PATH_LONGEST = 200


async def log_dirs(
    pool: ConnectionPool, brokers: Iterable[int]
) -> tuple[dict[int, LogDirs], dict[str, str]]:
    """See ``api.ClusterReader``."""
    results, failures = await gather(
        {
            broker_id: pool.once(("log_dirs", broker_id), partial(_log_dirs_of, pool, broker_id))
            for broker_id in sorted(set(brokers))
        }
    )
    return results, {f"broker {broker_id}": str(error) for broker_id, error in failures.items()}


async def _log_dirs_of(pool: ConnectionPool, broker_id: int) -> LogDirs:
    request = DescribeLogDirsRequest(topics=None)
    response: DescribeLogDirsResponse = await pool.request(broker_id, request)
    if response.error_code:
        raise from_code(response.error_code, f"read the log directories of broker {broker_id}")
    sizes: dict[TopicPartition, int] = {}
    volumes: set[tuple[int, int]] = set()
    failed: list[FailedLogDir] = []
    for folder in response.results:
        if folder.error_code:
            path = clean(folder.log_dir, PATH_LONGEST)
            failed.append(FailedLogDir(path, str(from_code(folder.error_code, f"use {path}"))))
            continue
        if folder.total_bytes >= 0:
            # Folders on one volume report the same numbers: the set counts the volume
            # once.
            volumes.add((folder.total_bytes, folder.usable_bytes))
        _add_sizes(folder, sizes)
    volume = None
    if volumes:
        volume = (sum(total for total, _ in volumes), sum(free for _, free in volumes))
    return LogDirs(sizes, volume, tuple(failed))


def _add_sizes(folder: DescribeLogDirsResult, sizes: dict[TopicPartition, int]) -> None:
    for topic in folder.topics:
        for p in topic.partitions:
            if not p.is_future_key:  # a copy that is still being moved to this folder
                tp = (topic.name, p.partition_index)
                sizes[tp] = sizes.get(tp, 0) + p.partition_size


async def quorum(pool: ConnectionPool) -> Quorum:
    """See ``api.ClusterReader``."""
    return await pool.once("quorum", lambda: _quorum(pool))


async def _quorum(pool: ConnectionPool) -> Quorum:
    doing = "describe the metadata quorum"
    if not await pool.offers(ApiKey.DESCRIBE_QUORUM):
        raise Unsupported(
            "This cluster has no metadata quorum: it is older than KRaft, or hides it."
        )
    request = DescribeQuorumRequest([TopicData(METADATA_TOPIC, [PartitionData(0)])])
    response: DescribeQuorumResponse = await pool.request_any(request)
    if response.error_code:
        raise from_code(response.error_code, doing)
    partitions = [p for topic in response.topics for p in topic.partitions]
    code = partitions[0].error_code if partitions else ErrorCode.UNKNOWN_SERVER_ERROR
    if code:
        raise from_code(code, doing)
    return _quorum_of(partitions[0])


def _quorum_of(p: ResponsePartitionData) -> Quorum:
    replicas = (*p.current_voters, *p.observers)
    ends = {r.replica_id: r.log_end_offset for r in replicas}
    newest = ends.get(p.leader_id, max(ends.values(), default=0))
    return Quorum(
        p.leader_id if p.leader_id >= 0 else None,
        p.leader_epoch,
        p.high_watermark,
        tuple(sorted(r.replica_id for r in p.current_voters)),
        tuple(sorted(r.replica_id for r in p.observers)),
        {replica: max(0, newest - end) for replica, end in sorted(ends.items())},
    )
