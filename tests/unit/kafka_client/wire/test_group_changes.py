"""Changes of groups find their coordinator, wherever it moves, within one deadline."""

import asyncio

import pytest

from kafka_client.errors import Rejected
from kafka_client.wire import GroupClient
from kafka_client.wire import group_changes as module
from kafka_client.wire.group_changes import GroupChanges
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kafka_protocol.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse
from kafka_protocol.messages.k42_delete_groups import DeletableGroupResult, DeleteGroupsResponse
from tests.unit.kafka_client.wire.cluster import Cluster


def committed(*codes):
    parts = [OffsetCommitResponsePartition(i, code) for i, code in enumerate(codes)]
    return OffsetCommitResponse(topics=[OffsetCommitResponseTopic("t", partitions=parts)])


def deleted(code):
    return DeleteGroupsResponse(results=[DeletableGroupResult("g", code)])


def coordinators(cluster, *ids, code=ErrorCode.NONE):
    """Every broker names these brokers as the coordinator, one after the other."""
    left = list(ids)
    ports = {b.node_id: b.port for b in cluster.brokers}

    def answer(request):
        node = left.pop(0) if len(left) > 1 else left[0]
        return FindCoordinatorResponse(
            coordinators=[
                Coordinator(key, node, "127.0.0.1", ports.get(node, 0), code)
                for key in request.coordinator_keys
            ]
        )

    for broker in cluster.brokers:
        broker.answers[ApiKey.FIND_COORDINATOR] = answer


def changes(cluster):
    return GroupChanges(cluster.pool, GroupClient(cluster.pool))


async def test_that_offsets_are_set_at_the_coordinator_without_a_generation():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        coordinators(cluster, 2)
        received = []

        def commit(request):
            received.append(request)
            return committed(0, 0)

        cluster.brokers[1].answers[ApiKey.OFFSET_COMMIT] = commit
        await changes(cluster).alter_committed("g", {("t", 0): 5, ("t", 1): 7})
        (request,) = received
        assert (request.group_id, request.member_id) == ("g", "")
        assert request.generation_id_or_member_epoch == -1
        (topic,) = request.topics
        assert [(p.partition_index, p.committed_offset) for p in topic.partitions] == [
            (0, 5),
            (1, 7),
        ]


async def test_that_a_change_follows_a_coordinator_that_moves():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        coordinators(cluster, 1, 2)
        first, second = cluster.brokers
        first.answers[ApiKey.OFFSET_COMMIT] = lambda _: committed(ErrorCode.NOT_COORDINATOR)
        second.answers[ApiKey.OFFSET_COMMIT] = lambda _: committed(0)
        await changes(cluster).alter_committed("g", {("t", 0): 5})


async def test_that_a_refused_partition_is_named():
    async with Cluster(1) as cluster:
        await cluster.client.metadata()
        coordinators(cluster, 1)
        cluster.brokers[0].answers[ApiKey.OFFSET_COMMIT] = lambda _: committed(
            0, ErrorCode.UNKNOWN_MEMBER_ID
        )
        with pytest.raises(Rejected) as caught:
            await changes(cluster).alter_committed("g", {("t", 0): 5, ("t", 1): 7})
        assert (caught.value.code, caught.value.subject) == (ErrorCode.UNKNOWN_MEMBER_ID, "t-1")


async def test_that_a_group_is_deleted_though_the_first_answer_never_came():
    """The coordinator deleted it and died: the group that is gone is no failure then."""
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        coordinators(cluster, 1, 2)
        first, second = cluster.brokers

        def carry_out_and_die(_):
            raise OSError

        first.answers[ApiKey.DELETE_GROUPS] = carry_out_and_die
        second.answers[ApiKey.DELETE_GROUPS] = lambda _: deleted(ErrorCode.GROUP_ID_NOT_FOUND)
        await changes(cluster).delete_groups(["g"])
        with pytest.raises(Rejected) as caught:
            await changes(cluster).delete_groups(["g"])
        assert caught.value.code == ErrorCode.GROUP_ID_NOT_FOUND


async def test_that_a_group_without_a_coordinator_fails_within_the_deadline(monkeypatch):
    monkeypatch.setattr(module, "CHANGE_TIMEOUT_S", 0.5)
    async with Cluster(1) as cluster:
        await cluster.client.metadata()
        coordinators(cluster, -1, code=ErrorCode.COORDINATOR_NOT_AVAILABLE)
        with pytest.raises(Rejected) as caught:
            async with asyncio.timeout(3):
                await changes(cluster).delete_groups(["g"])
        assert caught.value.code == ErrorCode.COORDINATOR_NOT_AVAILABLE
