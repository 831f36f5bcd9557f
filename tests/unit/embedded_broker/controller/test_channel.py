"""Calls to the controller through leaders that die, change and say no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedded_broker.simulator.node import Node
from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsRequest
from tests.unit.embedded_broker.wired import Wired

Cluster = Callable[..., Wired]
Answers = list[tuple[Any, str]]


def call(node: Node, timeout_ms: int = 8_000) -> Answers:
    """Ask for producer ids from inside a node; effects leave with its next event."""
    answers: Answers = []
    broker = node.broker
    request = AllocateProducerIdsRequest(node.node_id, broker.lifecycle.broker_epoch)

    def done(now_ms: int, response: Any, reason: str) -> None:
        answers.append((response, reason))

    broker.channel.call(node.clock.monotonic_ms(), request, 0, timeout_ms, done)
    return answers


def test_that_a_call_is_carried_out_here_or_there(cluster: Cluster) -> None:
    c = cluster()
    for node in c.nodes.values():
        answers = call(node)
        assert answers == []  # never before the call returns
        c.until(lambda: answers, 2_000)  # noqa: B023
        assert answers[0][0].error_code == 0


def test_that_a_call_outlives_the_controller_that_it_was_sent_to(cluster: Cluster) -> None:
    c = cluster()
    old = c.controller()
    assert old is not None
    caller = next(n for n in c.nodes.values() if n is not old)
    old.pause(6_000)
    c.run(10)
    answers = call(caller)
    c.until(lambda: answers, 5_000)
    assert answers[0][0].error_code == 0
    assert c.controller() is not old


def test_that_a_call_ends_in_time_when_there_is_no_controller(cluster: Cluster) -> None:
    c = cluster()
    caller = c.nodes[1]
    for node in c.nodes.values():
        if node is not caller:
            node.crash(power=False)
    c.run(50)
    answers = call(caller, 3_000)
    took = c.until(lambda: answers, 6_000)
    assert took <= 3_600
    assert answers[0][0] is None and answers[0][1]


def test_that_all_killed_at_once_serve_again_within_seconds(cluster: Cluster) -> None:
    """Scenario R5 of docs/reliability.md."""
    c = cluster()
    for node in c.nodes.values():
        node.crash(power=True)
    c.start()
    assert c.until(lambda: c.controller() and c.all_ready(), 5_000) < 2_500
