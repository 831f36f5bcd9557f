"""Groups and their coordinators."""

from kafka_client.wire import GroupClient
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from kafka_protocol.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse
from kafka_protocol.messages.k16_list_groups import ListedGroup, ListGroupsResponse
from tests.unit.kafka_client.wire.cluster import Cluster


async def test_that_a_moved_coordinator_is_found_again():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        for broker in cluster.brokers:
            broker.answers[ApiKey.LIST_GROUPS] = lambda request: ListGroupsResponse()
            broker.answers[ApiKey.FIND_COORDINATOR] = lambda request: FindCoordinatorResponse(
                coordinators=[Coordinator(key, 2) for key in request.coordinator_keys]
            )
        first, second = cluster.brokers
        first.answers[ApiKey.LIST_GROUPS] = lambda request: ListGroupsResponse(
            groups=[ListedGroup("g", group_state="Empty", group_type="classic")]
        )
        first.answers[ApiKey.OFFSET_FETCH] = lambda request: OffsetFetchResponse(
            groups=[OffsetFetchResponseGroup("g", error_code=ErrorCode.NOT_COORDINATOR)]
        )
        committed = OffsetFetchResponseTopics(
            "t1", partitions=[OffsetFetchResponsePartitions(0, 3)]
        )
        second.answers[ApiKey.OFFSET_FETCH] = lambda request: OffsetFetchResponse(
            groups=[OffsetFetchResponseGroup("g", [committed])]
        )
        groups = GroupClient(cluster.pool)
        listed, _ = await groups.list_groups()
        assert listed["g"].coordinator == 1
        found, errors = await groups.committed(["g"])
        assert found == {"g": {("t1", 0): (3, "")}} and not errors
