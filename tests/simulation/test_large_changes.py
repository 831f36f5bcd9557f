"""Requests that create thousands of partitions are prepared in slices and happen as a whole."""

from __future__ import annotations

from typing import Any

from embedded_broker.core.effects import Effect
from embedded_broker.core.events import Event, RequestReceived
from embedded_broker.simulator.client import SimClient
from embedded_broker.simulator.node import Node, Observer
from embedded_broker.simulator.scenario import Scenario
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from kafka_protocol.messages.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)

MANY = 5_000


class Bench:
    def __init__(self) -> None:
        self.scenario = Scenario(1, 3, "F0", None, None)
        for node in self.scenario.nodes.values():
            node.start()
        self.scenario._wait(self.scenario.healthy, 30_000, "no cluster")
        self.clients = [self.scenario._client(f"c{i}") for i in range(2)]
        self.answers: list[tuple[str, Any]] = []

    def send(self, name: str, client: SimClient, message: Any, version: int) -> None:
        controller = self.scenario.checks.controller()
        assert controller is not None
        client.call(
            controller.node_id,
            message,
            version,
            30_000,
            lambda r, _: self.answers.append((name, r)),
        )

    def wait(self, count: int) -> dict[str, Any]:
        self.scenario._wait(lambda: len(self.answers) == count, 30_000, "no answers")
        return dict(self.answers)


def new_topic(partitions: int) -> CreateTopicsRequest:
    return CreateTopicsRequest([CreatableTopic("big", partitions, 3)], timeout_ms=20_000)


def test_that_others_are_served_while_a_large_topic_is_created() -> None:
    bench = Bench()
    controller = bench.scenario.checks.controller()
    assert controller is not None
    requests: list[str] = []
    answered_at: list[int] = []

    class Watch(Observer):
        def before_event(self, node: Node, event: Event) -> None:
            if node is controller and isinstance(event, RequestReceived):
                requests.append(type(event.message).__name__)

        def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
            if node is controller and isinstance(event, RequestReceived):
                answered_at.append(controller.broker.quorum.end_offset)

    controller.observers.append(Watch())
    before = controller.broker.quorum.end_offset
    bench.send("create", bench.clients[0], new_topic(MANY), 7)
    found = bench.wait(1)
    created = answered_at[requests.index("CreateTopicsRequest")]
    assert created == before, "nothing else was handled before it was done"
    assert found["create"].topics[0].num_partitions == MANY


def test_that_what_happens_meanwhile_counts() -> None:
    bench = Bench()
    bench.send("large", bench.clients[0], new_topic(MANY), 7)
    bench.send("small", bench.clients[1], new_topic(1), 7)
    found = bench.wait(2)
    codes = {name: found[name].topics[0].error_code for name in found}
    assert codes == {"small": ErrorCode.NONE, "large": ErrorCode.TOPIC_ALREADY_EXISTS}


def test_that_no_broker_gets_more_partitions_than_it_can_keep_open() -> None:
    bench = Bench()
    for node in bench.scenario.nodes.values():
        assert node.process is not None
        node.process.disk.logs_most = 100
    bench.send("too many", bench.clients[0], new_topic(101), 7)
    refused = bench.wait(1)["too many"].topics[0]
    assert refused.error_code == ErrorCode.POLICY_VIOLATION
    assert "for broker 1: 101, and 100 at most" in refused.error_message
    bench.send("enough", bench.clients[0], new_topic(90), 7)
    assert bench.wait(2)["enough"].topics[0].error_code == ErrorCode.NONE
    more = CreatePartitionsRequest([CreatePartitionsTopic("big", 101, None)], timeout_ms=9_000)
    bench.send("too many more", bench.clients[0], more, 3)
    assert bench.wait(3)["too many more"].results[0].error_code == ErrorCode.POLICY_VIOLATION


def test_that_two_requests_for_more_partitions_do_not_add_them_twice() -> None:
    bench = Bench()
    bench.send("new", bench.clients[0], new_topic(1), 7)
    bench.wait(1)
    for i, count in enumerate((MANY, MANY + 1_000)):
        more = CreatePartitionsRequest(
            [CreatePartitionsTopic("big", count, None)], timeout_ms=9_000
        )
        bench.send(f"more {i}", bench.clients[i], more, 3)
    found = bench.wait(3)
    codes = [found[f"more {i}"].results[0].error_code for i in range(2)]
    assert codes in ([0, 0], [ErrorCode.INVALID_PARTITIONS, 0])
    controller = bench.scenario.checks.controller()
    assert controller is not None
    assert len(controller.broker.image.topics["big"].partitions) == MANY + 1_000
