"""One request never stops a broker, unless it shows that a log or the quorum is broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from embedded_broker.core.api import handlers
from embedded_broker.core.api.handlers import Machines
from embedded_broker.core.api.slices import Handler
from embedded_broker.core.events import RequestReceived
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from kafka_protocol.messages.k22_init_producer_id import InitProducerIdRequest
from tests.unit.embedded_broker.replication.bench import Bench, batch

Raise = Callable[[Machines, RequestReceived], None]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[ApiKey, Raise], Bench]:
    """A cluster in whose first broker the handler of an API is replaced."""

    def make(key: ApiKey, act: Raise) -> Bench:
        def bind(machines: Machines) -> Handler:
            return lambda _now_ms, event: act(machines, event)

        monkeypatch.setitem(handlers.BINDERS, key, bind)
        bench = Bench()
        bench.create()
        return bench

    return make


def test_that_a_bug_in_a_handler_is_an_error_of_that_request(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    def fail(_machines: Machines, _event: RequestReceived) -> None:
        raise OverflowError("int too big to convert")

    bench = broken(ApiKey.INIT_PRODUCER_ID, fail)
    node = bench.nodes[1]
    for count in (1, 2):
        request = node.ask(InitProducerIdRequest(None), 4)
        assert node.answers[request].error_code == ErrorCode.UNKNOWN_SERVER_ERROR
        note = node.notes[-1]
        assert "INIT_PRODUCER_ID version 4" in note and "OverflowError in fail:" in note
        assert f"({count} since the start)" in note


def test_that_a_bug_closes_the_connection_where_the_response_has_no_error_of_its_own(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    def fail(_machines: Machines, _event: RequestReceived) -> None:
        raise KeyError("x" * 100_000)

    bench = broken(ApiKey.PRODUCE, fail)
    node = bench.nodes[1]
    request = node.ask(ProduceRequest(None, -1, 1_000, []), 9)
    assert type(node.answers[request]).__name__ == "Drop"
    assert len(node.notes[-1]) < 1_000


def test_that_a_request_that_was_answered_before_the_bug_is_not_answered_twice(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    def fail(machines: Machines, event: RequestReceived) -> None:
        machines.env.outbox.drop(event, "answered")
        raise ValueError

    node = broken(ApiKey.PRODUCE, fail).nodes[1]
    request = node.ask(ProduceRequest(None, -1, 1_000, []), 9)
    assert node.answers[request].reason == "answered"


def test_that_a_broken_invariant_still_stops_the_broker(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    def fail(_machines: Machines, _event: RequestReceived) -> None:
        raise AssertionError("the high watermark went back")

    bench = broken(ApiKey.PRODUCE, fail)
    with pytest.raises(AssertionError, match="high watermark"):
        bench.nodes[1].ask(ProduceRequest(None, -1, 1_000, []), 9)


def test_that_a_bug_after_an_append_stops_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.create()
    partition = bench.nodes[1].partition()

    def fail(*_arguments: object) -> None:
        raise ValueError("after the append")

    monkeypatch.setattr(partition, "when_committed", fail)
    with pytest.raises(ValueError, match="after the append"):
        bench.nodes[1].produce(batch("a"))


def test_that_a_log_that_raises_in_the_middle_of_an_append_stops_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.create()

    def fail(*_arguments: object) -> None:
        raise IndexError("while rolling a segment")

    monkeypatch.setattr(bench.nodes[1].partition().log, "append", fail)
    with pytest.raises(IndexError, match="rolling"):
        bench.nodes[1].produce(batch("a"))


def test_that_what_an_outer_request_wrote_is_remembered_while_it_sends_one_to_itself(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    def write_ask_and_fail(machines: Machines, event: RequestReceived) -> None:
        machines.env.outbox.logs_changed = True
        inner = RequestReceived(-1, 4, InitProducerIdRequest(None), event.caller)
        machines.env.outbox.local_request_id(lambda _response: None)
        bench.nodes[1].router.handle(bench.now_ms, inner)
        raise ValueError("after the inner request")

    bench = broken(ApiKey.PRODUCE, write_ask_and_fail)
    with pytest.raises(ValueError, match="after the inner"):
        bench.nodes[1].ask(ProduceRequest(None, -1, 1_000, []), 9)


def test_that_a_forwarded_request_that_meets_a_bug_is_refused_in_its_own_shape(
    broken: Callable[[ApiKey, Raise], Bench],
) -> None:
    """Closing the connection would fail the other requests of the broker that forwarded it."""

    def fail(_machines: Machines, _event: RequestReceived) -> None:
        raise KeyError("x")

    node = broken(ApiKey.CREATE_TOPICS, fail).nodes[1]
    request = node.ask(CreateTopicsRequest([CreatableTopic("a", 1, 1)]), 5, broker_id=2)
    (topic,) = node.answers[request].topics
    assert (topic.name, topic.error_code) == ("a", ErrorCode.UNKNOWN_SERVER_ERROR)
