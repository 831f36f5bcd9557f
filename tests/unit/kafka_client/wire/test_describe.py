"""Log directories and the metadata quorum."""

from __future__ import annotations

import pytest

from kafka_client.errors import Rejected, Unsupported
from kafka_client.model import FailedLogDir, LogDirs
from kafka_client.wire.describe import log_dirs, quorum
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from kafka_protocol.messages.k55_describe_quorum import (
    DescribeQuorumResponse,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)
from tests.unit.kafka_client.wire.broker import NOT_OFFERED
from tests.unit.kafka_client.wire.cluster import Cluster


def folder(name: str, sizes: list[int], total: int, free: int, future: bool = False):
    partitions = [
        DescribeLogDirsPartition(i, size, is_future_key=future) for i, size in enumerate(sizes)
    ]
    return DescribeLogDirsResult(
        0, name, [DescribeLogDirsTopic("t", partitions)], total_bytes=total, usable_bytes=free
    )


async def test_that_sizes_add_up_and_a_volume_with_two_folders_counts_once():
    async with Cluster(1) as cluster:
        await cluster.client.metadata()
        cluster.brokers[0].answers[ApiKey.DESCRIBE_LOG_DIRS] = lambda request: (
            DescribeLogDirsResponse(
                results=[
                    folder("/a", [10, 20], 1000, 400),
                    folder("/b", [1], 1000, 400),
                    folder("/c", [5], 50, 40),
                    folder("/moving", [7], 1000, 400, future=True),
                ]
            )
        )
        found, errors = await log_dirs(cluster.pool, [1, 1])
        assert found == {1: LogDirs({("t", 0): 16, ("t", 1): 20}, (1050, 440))} and not errors


async def test_that_a_broken_folder_is_reported_and_the_others_count():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        broken = DescribeLogDirsResult(ErrorCode.KAFKA_STORAGE_ERROR, "/bad")
        cluster.brokers[0].answers[ApiKey.DESCRIBE_LOG_DIRS] = lambda request: (
            DescribeLogDirsResponse(results=[broken, folder("/good", [3], -1, -1)])
        )
        cluster.brokers[1].answers[ApiKey.DESCRIBE_LOG_DIRS] = lambda request: (
            DescribeLogDirsResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        )
        found, errors = await log_dirs(cluster.pool, [1, 2, 9])
        failed = FailedLogDir("/bad", "Cannot use /bad: the broker has trouble with its disk.")
        assert found == {1: LogDirs({("t", 0): 3}, None, (failed,))}
        assert errors == {
            "broker 2": (
                "Cannot read the log directories of broker 2: no permission on this cluster."
            ),
            "broker 9": "The cluster does not list broker 9.",
        }


async def test_that_the_quorum_names_the_leader_and_how_far_each_replica_is():
    async with Cluster(1) as cluster:
        partition = ResponsePartitionData(
            leader_id=2,
            leader_epoch=7,
            high_watermark=90,
            current_voters=[
                ReplicaState(3, log_end_offset=95),
                ReplicaState(2, log_end_offset=100),
            ],
            observers=[ReplicaState(5, log_end_offset=101)],
        )
        cluster.brokers[0].answers[ApiKey.DESCRIBE_QUORUM] = lambda request: DescribeQuorumResponse(
            topics=[ResponseTopicData("__cluster_metadata", [partition])]
        )
        found = await quorum(cluster.pool)
        assert (found.leader_id, found.leader_epoch, found.high_watermark) == (2, 7, 90)
        assert (found.voters, found.observers) == ((2, 3), (5,))
        assert found.lags == {2: 0, 3: 5, 5: 0}


async def test_that_a_quorum_without_an_answer_is_an_error():
    async with Cluster(1) as cluster:
        cluster.brokers[0].answers[ApiKey.DESCRIBE_QUORUM] = lambda r: DescribeQuorumResponse()
        with pytest.raises(Rejected, match="describe the metadata quorum"):
            await quorum(cluster.pool)
    async with Cluster(1) as cluster:
        cluster.brokers[0].highest[ApiKey.DESCRIBE_QUORUM] = NOT_OFFERED
        with pytest.raises(Unsupported, match="no metadata quorum"):
            await quorum(cluster.pool)
