"""How often a cluster may make this application dial."""

from __future__ import annotations

import asyncio
import time

import pytest

from kafka_client.errors import Unreachable
from kafka_client.wire.dials import BURST, PER_S, Dials
from kafka_client.wire.endpoint import Timeouts
from kafka_protocol.messages.k03_metadata import MetadataResponse, MetadataResponseBroker
from kafka_protocol.messages.k16_list_groups import ListGroupsRequest
from tests.unit.kafka_client.wire.broker import FakeBroker
from tests.unit.kafka_client.wire.cluster import Cluster


async def test_that_dials_are_bounded_in_number_and_rate_and_keep_their_order() -> None:
    dials = Dials(at_a_time=3, burst=5, per_s=100.0)
    order: list[int] = []
    under_way = most = 0

    async def dial(number: int) -> None:
        nonlocal under_way, most
        async with dials.turn(f"broker {number}", None):
            order.append(number)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    began = time.monotonic()
    await asyncio.gather(*(dial(number) for number in range(25)))
    assert order == list(range(25))
    assert most <= 3
    assert time.monotonic() - began >= (25 - 5) / 100.0 * 0.99


async def test_that_a_broker_whose_turn_does_not_come_says_why_and_leaves_the_queue() -> None:
    dials = Dials(at_a_time=1, burst=10, per_s=10.0)
    async with dials.turn("broker 1", 1.0):
        with pytest.raises(Unreachable, match="Broker 2 was not dialled yet") as caught:
            async with dials.turn("broker 2", 0.05):
                pass
        assert caught.value.subject == "broker 2"
    async with dials.turn("broker 3", 1.0):
        pass


async def test_that_a_cancelled_wait_gives_its_turn_back() -> None:
    dials = Dials(at_a_time=1, burst=100, per_s=100.0)

    async def wait() -> None:
        async with dials.turn("broker 2", None):
            pytest.fail("it was cancelled before its turn")

    async with dials.turn("broker 1", 1.0):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
    waiting.cancel()  # in the same moment as it is given its turn
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with dials.turn("broker 3", 1.0):
        pass


async def test_that_a_cluster_of_many_dead_brokers_is_dialled_slowly() -> None:
    """As many brokers as a response may list, all at an address that closes every connection."""
    dialled = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.transport.abort()

    dead = await asyncio.start_server(refuse, "127.0.0.1", 0, backlog=1000)
    port = dead.sockets[0].getsockname()[1]

    def many(broker: FakeBroker) -> MetadataResponse:
        alive = MetadataResponseBroker(1, "127.0.0.1", broker.port)
        brokers = [MetadataResponseBroker(n, "127.0.0.1", port) for n in range(2, 901)]
        return MetadataResponse(cluster_id="many", brokers=[alive, *brokers])

    async with Cluster(1, Timeouts(1.0, 20.0, 2.0, 0.05, 0.1)) as made:
        made.brokers[0].answers[3] = lambda _: many(made.brokers[0])
        began = time.monotonic()
        await made.client.metadata()
        ids = made.pool.broker_ids
        assert len(ids) == 900
        answers = await asyncio.gather(
            *(made.pool.request(broker_id, ListGroupsRequest(), 1.0) for broker_id in ids[1:]),
            return_exceptions=True,
        )
        assert all(isinstance(answer, Unreachable) for answer in answers)
        elapsed_s = time.monotonic() - began
        assert 0 < dialled <= BURST + PER_S * elapsed_s + 1
        await made.client.metadata()  # the broker that answers is not held up
        await made.pool.close()
    dead.close()
    await dead.wait_closed()
