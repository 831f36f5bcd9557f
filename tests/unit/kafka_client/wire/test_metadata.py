"""Metadata and ListOffsets."""

import logging

import pytest

from kafka_client.model import LogDirs
from kafka_client.wire.describe import log_dirs
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import DescribeLogDirsResponse
from kafka_protocol.messages.k60_describe_cluster import DescribeClusterResponse
from tests.unit.kafka_client.wire.broker import NOT_OFFERED
from tests.unit.kafka_client.wire.cluster import Cluster


async def test_that_metadata_names_brokers_and_who_leads():
    async with Cluster(2) as cluster:
        snapshot = await cluster.client.metadata()
        assert sorted(snapshot.brokers) == [1, 2]
        assert snapshot.topics["t2"].partitions[1].leader == 2
        assert snapshot.controller_id is None


async def test_that_one_list_offsets_request_goes_to_each_leader():
    async with Cluster(2) as cluster:
        found, errors = await cluster.client.offsets(
            {(f"t{b}", p): -1 for b in (1, 2) for p in (0, 1)}
        )
        assert set(found.values()) == {7} and len(found) == 4 and not errors
        assert [b.received.count(ApiKey.LIST_OFFSETS) for b in cluster.brokers] == [1, 1]


async def test_that_a_fenced_broker_is_listed_and_asked_for_nothing_that_any_can_answer():
    async with Cluster(3) as cluster:
        live, fenced = cluster.brokers[:2], cluster.brokers[2]
        for broker in live:
            broker.brokers, broker.fenced = live, [fenced]
        for _ in range(4):
            snapshot = await cluster.client.metadata()
        assert sorted(snapshot.brokers) == [1, 2, 3]
        assert [b.fenced for b in snapshot.brokers.values()] == [False, False, True]
        assert not snapshot.brokers[3].in_cluster
        assert fenced.received == []
        fenced.answers[ApiKey.DESCRIBE_LOG_DIRS] = lambda request: DescribeLogDirsResponse()
        found, errors = await log_dirs(cluster.pool, [3])
        assert found == {3: LogDirs()} and not errors
        # Metadata of one topic says nothing about fenced brokers.
        snapshot = await cluster.client.metadata(["t1"])
        assert sorted(snapshot.brokers) == [1, 2]
        assert (await log_dirs(cluster.pool, [3]))[0] == {3: LogDirs()}


@pytest.mark.parametrize("newest", [NOT_OFFERED, 1])
async def test_that_a_cluster_which_does_not_name_fenced_brokers_has_none(newest):
    async with Cluster(2) as cluster:
        for broker in cluster.brokers:
            broker.highest[ApiKey.DESCRIBE_CLUSTER] = newest
        snapshot = await cluster.client.metadata()
        assert sorted(snapshot.brokers) == [1, 2]
        assert ApiKey.DESCRIBE_CLUSTER not in [k for b in cluster.brokers for k in b.received]


async def test_that_a_refusal_to_name_fenced_brokers_keeps_the_known_ones_and_is_logged_once(
    caplog,
):
    caplog.set_level(logging.INFO, "kafka_client.wire.metadata")
    async with Cluster(2) as cluster:
        first, second = cluster.brokers
        first.brokers, first.fenced = [first], [second]
        assert sorted((await cluster.client.metadata()).brokers) == [1, 2]
        refused = DescribeClusterResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        first.answers[ApiKey.DESCRIBE_CLUSTER] = lambda request: refused
        for _ in range(3):
            assert sorted((await cluster.client.metadata()).brokers) == [1, 2]
    assert len([r for r in caplog.records if "fenced" in r.getMessage()]) == 1
