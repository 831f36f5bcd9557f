"""Connections in virtual time: order, cuts, resets, and late messages of dead processes."""

from __future__ import annotations

from typing import Any

from embedded_broker.simulator.network import Connection, Network
from embedded_broker.simulator.world import NodeClock, World
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse


class Echo:
    """A host whose process answers each heartbeat with its generation as the error code, at once
    or on demand."""

    def __init__(self, host_id: int, at_once: bool = True) -> None:
        self.host_id = host_id
        self.powered = True
        self.server: Echo | None = self
        self.at_once = at_once
        self.seen: list[int] = []
        self.waiting: list[tuple[Connection, list[Any], int]] = []

    def request(self, connection: Connection, version: int, message: Any) -> None:
        self.seen.append(message.generation_id)
        self.waiting.append((connection, connection.slots[-1], message.generation_id))
        if self.at_once:
            self.release(0)

    def release(self, index: int) -> None:
        connection, slot, number = self.waiting.pop(index)
        connection.answer(slot, HeartbeatResponse(error_code=number))

    def hung_up(self, connection: Connection) -> None:
        self.seen.append(-1)


def call(connection: Connection, number: int, answers: list[Any], timeout_ms: int = 1_000) -> None:
    def done(response: Any, reason: str) -> None:
        answers.append(reason or response.error_code)

    connection.call(HeartbeatRequest(generation_id=number), 4, timeout_ms, done)


def test_that_responses_to_a_broker_come_in_the_order_of_the_requests() -> None:
    world = World(1)
    host = Echo(2, at_once=False)
    connection = Network(world, codec=True).connect(1, host, 1, "c")
    answers: list[Any] = []
    for number in range(5):
        call(connection, number, answers)
    world.run_until(200)
    assert host.seen == [0, 1, 2, 3, 4]
    for _ in range(5):
        host.release(len(host.waiting) - 1)
    world.run_until(400)
    assert answers == [0, 1, 2, 3, 4]


def test_that_a_clients_requests_are_taken_one_by_one() -> None:
    world = World(1)
    host = Echo(2, at_once=False)
    connection = Network(world, codec=True).connect(1, host, -1, "c")
    answers: list[Any] = []
    for number in range(3):
        call(connection, number, answers)
    for number in range(3):
        world.run_until(200 * (number + 1))
        assert host.seen == list(range(number + 1))
        host.release(0)
    world.run_until(900)
    assert answers == [0, 1, 2]


def test_that_a_cut_delays_messages_until_the_heal() -> None:
    world = World(2)
    network, host = Network(world, codec=False), Echo(2)
    connection = network.connect(1, host, -1, "c")
    answers: list[Any] = []
    call(connection, 1, answers, 60_000)
    world.run_until(200)
    network.cut(1, 2)
    call(connection, 2, answers, 60_000)
    world.run_until(5_000)
    assert answers == [1]
    network.heal(1, 2)
    world.run_until(6_000)
    assert answers == [1, 2]


def test_that_a_timeout_breaks_the_connection_and_its_request_may_still_arrive() -> None:
    world = World(3)
    network, host = Network(world, codec=False), Echo(2)
    connection = network.connect(1, host, -1, "c")
    answers: list[Any] = []
    call(connection, 1, answers)
    world.run_until(200)
    network.cut(1, 2)
    call(connection, 2, answers)
    call(connection, 3, answers)
    world.run_until(3_000)
    assert answers == [1, "timed out", "timed out"] and connection.client_gone
    network.heal(1, 2)
    world.run_until(4_000)
    assert host.seen == [1, 2, 3, -1]


def test_that_a_dead_process_refuses_and_a_dark_machine_is_silent() -> None:
    world = World(4)
    network, host = Network(world, codec=False), Echo(2)
    host.server = None
    answers: list[Any] = []
    call(network.connect(1, host, -1, "c"), 1, answers)
    world.run_until(500)
    assert answers == ["connection refused"]
    host.powered = False
    call(network.connect(1, host, -1, "c"), 1, answers)
    world.run_until(1_000)
    assert len(answers) == 1
    world.run_until(3_000)
    assert answers[1:] == ["timed out"]


def test_that_messages_of_a_dead_process_still_arrive() -> None:
    world = World(5)
    network, host = Network(world, codec=False), Echo(2)
    connection = network.connect(1, host, -1, "c")
    answers: list[Any] = []
    call(connection, 1, answers)
    world.run_until(200)
    call(connection, 2, answers)
    connection.abandon()
    world.run_until(400)
    assert host.seen == [1, 2] and answers == [1]


def test_that_a_drifting_clock_converts_to_world_time() -> None:
    world = World(6)
    for purpose in range(50):
        clock = NodeClock(world, world.rng(str(purpose)))
        for ahead in (0, 1, 7, 999, 123_456):
            at = clock.world_ms(clock.monotonic_ms() + ahead)
            later = World(6)
            later.now_ms = at
            clock._world = later
            shown = clock.monotonic_ms()
            clock._world = world
            assert (
                shown >= clock.monotonic_ms() + ahead
                and at <= world.now_ms + ahead + ahead // 1_000 + 1
            )
