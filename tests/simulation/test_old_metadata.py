"""A broker whose disk refuses newer metadata sends clients to others."""

from __future__ import annotations

from typing import Any

from embedded_broker.simulator.scenario import Scenario
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest
from kafka_protocol.messages.k60_describe_cluster import DescribeClusterRequest


def test_that_a_broker_that_cannot_write_newer_metadata_sends_clients_away() -> None:
    scenario = Scenario(3, 3, "F0", None, None)
    world, client = scenario.world, scenario.admin.client
    for node in scenario.nodes.values():
        node.start()
    scenario._wait(scenario.healthy, 30_000, "no cluster")
    controller = scenario.checks.controller()
    victim = next(n for n in scenario.nodes.values() if n is not controller)

    def ask(message: Any, version: int) -> Any:
        answers: list[Any] = []
        client.call(victim.node_id, message, version, 1_000, lambda r, why: answers.append(r))
        scenario._wait(lambda: bool(answers), 2_000, "neither an answer nor a closed connection")
        return answers[0]

    def known(there: bool) -> bool:
        answers = [
            ask(MetadataRequest(), 12),
            ask(FindCoordinatorRequest(coordinator_keys=["g"]), 4),
            ask(DescribeClusterRequest(), 1),
        ]
        return all((answer is not None) is there for answer in answers)

    assert known(True)
    victim.platter.full = True
    assert known(True), "nothing newer has been committed: what it knows is still true"
    made: list[bool] = []
    others = [n for n in sorted(scenario.nodes) if n != victim.node_id]
    scenario.admin.client.any_broker = lambda: others[0]  # type: ignore[method-assign]
    scenario.admin.create("new", 3, lambda: made.append(True))
    scenario._wait(lambda: bool(made), 10_000, "the others do not create a topic")
    world.run_until(world.now_ms + 500)
    assert known(False)
    victim.platter.full = False
    scenario._wait(lambda: known(True), 10_000, "it sends clients away with a disk that works")
