"""Leader elections."""

from __future__ import annotations

import pytest

from kafka_client.errors import Rejected
from kafka_client.wire.elections import elect_leaders
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import ElectionType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k43_elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from tests.unit.kafka_client.wire.cluster import HASTY, Cluster


async def test_that_a_leader_that_is_the_wanted_one_already_is_no_failure():
    async with Cluster(1) as cluster:
        requests = []

        def answer(request):
            requests.append(request)
            results = [PartitionResult(0), PartitionResult(1, ErrorCode.ELECTION_NOT_NEEDED)]
            return ElectLeadersResponse(
                replica_election_results=[ReplicaElectionResult("t", results)]
            )

        cluster.brokers[0].answers[ApiKey.ELECT_LEADERS] = answer
        await elect_leaders(cluster.pool, [("t", 0), ("u", 3), ("t", 1)], unclean=True)
        (request,) = requests
        assert request.election_type == ElectionType.UNCLEAN
        assert [(t.topic, t.partitions) for t in request.topic_partitions] == [
            ("t", [0, 1]),
            ("u", [3]),
        ]


@pytest.mark.parametrize("whole", [True, False])
async def test_that_the_first_partition_without_a_leader_is_named(whole: bool):
    code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    async with Cluster(1) as cluster:
        cluster.brokers[0].answers[ApiKey.ELECT_LEADERS] = lambda request: ElectLeadersResponse(
            error_code=code if whole else 0,
            replica_election_results=[ReplicaElectionResult("t", [PartitionResult(4, code)])],
        )
        with pytest.raises(Rejected) as caught:
            await elect_leaders(cluster.pool, [("t", 4)], unclean=False)
        what = "elect leaders" if whole else "elect a leader of t-4"
        assert str(caught.value) == f"Cannot {what}: no replica may lead now."


async def test_that_an_election_may_take_longer_than_other_requests():
    async with Cluster(1, HASTY) as cluster:
        await cluster.client.metadata()
        cluster.brokers[0].answers[ApiKey.ELECT_LEADERS] = lambda request: ElectLeadersResponse()
        cluster.brokers[0].delay_s = 2 * cluster.pool.timeouts.poll_s
        await elect_leaders(cluster.pool, [("t", 0)], unclean=False)
        assert cluster.brokers[0].received.count(ApiKey.ELECT_LEADERS) == 1
