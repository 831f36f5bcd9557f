"""Metadata and ListOffsets."""

from kafka_protocol.api_keys import ApiKey
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
