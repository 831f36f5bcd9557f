"""A cluster that says it is larger than any cluster is."""

from __future__ import annotations

import pytest

from kafka_client.errors import TooLarge
from kafka_client.wire import GroupClient, limits
from kafka_client.wire.connection import FRAME_MAX_BYTES
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k03_metadata import MetadataResponse, MetadataResponseBroker
from kafka_protocol.messages.k16_list_groups import ListedGroup, ListGroupsResponse
from tests.unit.kafka_client.wire.broker import topic
from tests.unit.kafka_client.wire.cluster import Cluster

BROKERS = [MetadataResponseBroker(n, "127.0.0.1", 9) for n in range(limits.BROKERS_MOST + 1)]


def with_replicas(ids: range) -> MetadataResponse:
    one = topic("t", 1)
    one.partitions[0].replica_nodes = list(ids)
    return MetadataResponse(brokers=BROKERS[:1], topics=[one])


@pytest.mark.parametrize(
    ("response", "noun"),
    [
        (MetadataResponse(brokers=BROKERS), "1,001 brokers"),
        (with_replicas(range(limits.BROKERS_MOST + 1)), "1,001 brokers"),
        (with_replicas(range(limits.REPLICAS_MOST + 1)), "replicas"),
        (MetadataResponse(topics=[topic("t", 1, 0)] * 100_001), "100,001 topics"),
        (MetadataResponse(topics=[topic("t", 1, 50_001)] * 6), "300,006 partitions"),
    ],
    ids=["brokers", "brokers in replicas", "replicas", "topics", "partitions"],
)
async def test_that_a_metadata_answer_above_the_limits_is_refused_and_nothing_is_dialled(
    response: MetadataResponse, noun: str
) -> None:
    with pytest.raises(TooLarge, match=noun):
        limits.check_metadata(response)
    async with Cluster(1) as made:
        await made.client.metadata()
        made.brokers[0].answers[ApiKey.METADATA] = lambda _: response
        with pytest.raises(TooLarge, match=noun):
            await made.client.metadata()
        assert made.pool.broker_ids == [1]


def test_that_the_largest_clusters_that_kafka_supports_are_read() -> None:
    limits.check_metadata(
        MetadataResponse(brokers=BROKERS[:300], topics=[topic("t", 1, 20_000)] * 10)
    )


async def test_that_more_groups_than_the_limit_are_refused() -> None:
    many = ListGroupsResponse(groups=[ListedGroup("g", "", "")] * (limits.GROUPS_MOST + 1))
    async with Cluster(1) as made:
        await made.client.metadata()
        made.brokers[0].answers[ApiKey.LIST_GROUPS] = lambda _: many
        with pytest.raises(TooLarge, match="100,001 groups"):
            await GroupClient(made.pool).list_groups()


async def test_that_a_frame_above_the_limit_is_refused_with_its_size() -> None:
    async with Cluster(1) as made:
        await made.client.metadata()
        made.brokers[0].raw_size = FRAME_MAX_BYTES + 2**20
        with pytest.raises(TooLarge, match="33 MiB"):
            await made.client.metadata()
