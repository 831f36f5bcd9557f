"""Requests with much to do are handled in slices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from embedded_broker.core.api import handlers
from embedded_broker.core.api.handlers import Machines
from embedded_broker.core.api.slices import ITEMS_AT_ONCE, Handler, Steps
from embedded_broker.core.events import ConnectionClosed, RequestReceived
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k22_init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from kafka_protocol.records.build import NewRecord, build
from tests.unit.embedded_broker.replication.bench import Bench, Node, T

Work = Callable[[Machines, RequestReceived], Steps]


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], Node]:
    """A broker whose handler of InitProducerId is replaced."""

    def make(work: Work) -> Node:
        def bind(machines: Machines) -> Handler:
            return lambda _now_ms, event: work(machines, event)

        monkeypatch.setitem(handlers.BINDERS, ApiKey.INIT_PRODUCER_ID, bind)
        bench = Bench()
        bench.create()
        return bench.nodes[1]

    return make


def of_slices(count: int, end: Callable[[Machines, RequestReceived], None]) -> Work:
    def work(machines: Machines, event: RequestReceived) -> Steps:
        for _ in range(count):
            yield ITEMS_AT_ONCE
        end(machines, event)

    return work


def answer(machines: Machines, event: RequestReceived) -> None:
    machines.env.outbox.respond(event, InitProducerIdResponse(producer_id=7))


def test_that_others_are_handled_between_two_slices(working: Callable[[Work], Node]) -> None:
    node = working(of_slices(3, answer))
    first = node.ask(InitProducerIdRequest(None), 4)
    second = node.ask(InitProducerIdRequest(None), 4)
    for _ in range(5):
        assert first not in node.answers
        other = node.ask(ListOffsetsRequest(), 7)
        assert other in node.answers
        node.bench.run(1)
    assert node.answers[first].producer_id == 7
    node.bench.run(1)
    assert node.answers[second].producer_id == 7


def test_that_a_request_whose_client_left_is_given_up(working: Callable[[Work], Node]) -> None:
    done: list[RequestReceived] = []
    node = working(of_slices(3, lambda _machines, event: done.append(event)))
    node.ask(InitProducerIdRequest(None), 4)
    node.handle(ConnectionClosed(1))
    node.bench.run(20)
    assert not done


def test_that_a_bug_in_a_later_slice_is_an_error_of_that_request(
    working: Callable[[Work], Node],
) -> None:
    def fail(_machines: Machines, _event: RequestReceived) -> None:
        raise OverflowError

    node = working(of_slices(2, fail))
    request = node.ask(InitProducerIdRequest(None), 4)
    node.bench.run(5)
    assert node.answers[request].error_code == ErrorCode.UNKNOWN_SERVER_ERROR


def looked_up(node: Node, request: int) -> ListOffsetsPartitionResponse:
    found: ListOffsetsPartitionResponse = node.answers[request].topics[0].partitions[0]
    return found


def test_that_a_lookup_of_a_leader_that_resigned_meanwhile_is_refused() -> None:
    bench = Bench()
    bench.create()
    leader = bench.nodes[1]
    stamps = [1_000 + i // 10 for i in range(10_000)]
    leader.produce(build([NewRecord(None, b"v", stamp) for stamp in stamps]))
    bench.settle()
    topic = ListOffsetsTopic(T, [ListOffsetsPartition(0, -1, stamps[-1])])
    request = ListOffsetsRequest(-1, 0, [topic])
    found = leader.ask(request, 7)
    assert found not in leader.answers
    bench.run(10)
    assert looked_up(leader, found).offset == 9_990
    refused = leader.ask(request, 7)
    bench.change(leader=2)
    bench.run(10)
    assert looked_up(leader, refused).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
