"""A broker whose disk refuses newer metadata sends clients to others, and never back to itself."""

from __future__ import annotations

from typing import Any

from embedded_broker.simulator.batches import build
from embedded_broker.simulator.scenario import Scenario
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest
from kafka_protocol.messages.k60_describe_cluster import DescribeClusterRequest


def started() -> Scenario:
    scenario = Scenario(3, 3, "F0", None, None)
    for node in scenario.nodes.values():
        node.start()
    scenario._wait(scenario.healthy, 30_000, "no cluster")
    return scenario


def ask(scenario: Scenario, broker_id: int, message: Any, version: int) -> Any:
    """The response of a broker, or None when it closes the connection."""
    answers: list[Any] = []
    client = scenario.admin.client
    client.call(broker_id, message, version, 3_000, lambda r, why: answers.append(r))
    scenario._wait(lambda: bool(answers), 4_000, "neither an answer nor a closed connection")
    return answers[0]


def create(scenario: Scenario, name: str, by: int) -> None:
    made: list[bool] = []
    scenario.admin.client.any_broker = lambda: by  # type: ignore[method-assign]
    scenario.admin.create(name, 3, lambda: made.append(True))
    scenario._wait(lambda: bool(made), 10_000, "no topic")


def test_that_a_broker_that_cannot_write_newer_metadata_sends_clients_away() -> None:
    scenario = started()
    controller = scenario.checks.controller()
    victim = next(n for n in scenario.nodes.values() if n is not controller)
    other = next(n for n in scenario.nodes.values() if n is not victim)

    def known(there: bool) -> bool:
        answers = [
            ask(scenario, victim.node_id, MetadataRequest(), 12),
            ask(scenario, victim.node_id, FindCoordinatorRequest(coordinator_keys=["g"]), 4),
            ask(scenario, victim.node_id, DescribeClusterRequest(), 1),
        ]
        return all((answer is not None) is there for answer in answers)

    assert known(True)
    victim.platter.full = True
    assert known(True), "nothing newer has been committed: what it knows is still true"
    create(scenario, "new", other.node_id)
    scenario._wait(lambda: known(False), 2_000, "it shows old metadata")
    victim.platter.full = False
    scenario._wait(lambda: known(True), 10_000, "it sends clients away with a disk that works")


def test_that_a_broker_that_refuses_a_write_does_not_name_itself_as_the_leader() -> None:
    scenario = started()
    controller = scenario.checks.controller()
    assert controller is not None
    create(scenario, "t", controller.node_id)
    topic = controller.broker.image.topics["t"]
    place = next(p for p in topic.partitions.values() if p.leader != controller.node_id)
    victim = scenario.nodes[place.leader]
    victim.platter.full = True
    data = PartitionProduceData(index=place.partition, records=None)

    def refusal() -> Any:
        data.records = build([(None, b"v")], 1)
        topics = [TopicProduceData("t", partition_data=[data])]
        request = ProduceRequest(acks=-1, timeout_ms=1_000, topic_data=topics)
        answer = ask(scenario, victim.node_id, request, 12)
        return answer.responses[0].partition_responses[0]

    assert refusal().error_code == ErrorCode.KAFKA_STORAGE_ERROR
    refused = refusal()
    while refused.error_code == ErrorCode.KAFKA_STORAGE_ERROR:  # until the controller has answered
        refused = refusal()
    assert refused.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert victim.broker.image.topics["t"].partitions[place.partition].leader == victim.node_id
    assert refused.current_leader.leader_id != victim.node_id
