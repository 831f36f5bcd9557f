"""Which broker a request goes to, and what a broker that fails costs."""

import asyncio
import random
import re

import pytest

from kafka_client.errors import Unreachable
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire.connection import Connection
from kafka_client.wire.endpoint import Endpoint
from kafka_protocol.api_keys import ApiKey
from tests.unit.kafka_client.wire.broker import FakeBroker
from tests.unit.kafka_client.wire.cluster import HASTY, PATIENT, Cluster, pool_to


async def test_that_identical_requests_under_way_are_sent_once():
    async with Cluster(1) as cluster:
        await cluster.pool.connect(20.0)
        await asyncio.gather(*(cluster.client.metadata() for _ in range(20)))
        assert cluster.brokers[0].received.count(ApiKey.METADATA) == 1


async def test_that_a_refused_address_is_a_sentence_with_a_next_step():
    broker = await FakeBroker().start()
    await broker.stop()
    pool = pool_to(quick(f"127.0.0.1:{broker.port}"))
    with pytest.raises(Unreachable) as caught:
        await pool.connect(20.0)
    assert str(caught.value) == f"Nothing listens on 127.0.0.1:{broker.port}."
    assert caught.value.next_step
    await pool.close()


async def test_that_a_broker_that_takes_and_never_answers_costs_its_deadline_once():
    async with Cluster(2, HASTY) as cluster:
        await cluster.client.metadata()
        frozen = cluster.brokers[1]
        wanted = {(f"t{b}", 0): -1 for b in (1, 2)}
        await cluster.client.offsets(wanted)
        frozen.mode = "hang"
        for _ in range(20):
            found, errors = await cluster.client.offsets(wanted)
            assert found == {("t1", 0): 7} and list(errors) == ["broker 2"]
            assert re.search("did not answer within|does not answer", errors["broker 2"])
        # One while it was fine, one that waited for its deadline, none of the nineteen
        # others.
        assert frozen.received.count(ApiKey.LIST_OFFSETS) == 2


async def test_that_a_broker_that_comes_back_is_dialled_without_a_request(caplog):
    caplog.set_level("INFO", "kafka_client.wire.endpoint")
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        second = cluster.brokers[1]
        await cluster.client.offsets({("t2", 0): -1})
        await second.stop()
        _, errors = await cluster.client.offsets({("t2", 0): -1})
        assert list(errors) == ["broker 2"]
        await second.start(second.port)
        async with asyncio.timeout(10.0):
            while (await cluster.client.offsets({("t2", 0): -1}))[1]:
                await asyncio.sleep(0.02)
        assert 2 in cluster.pool.round_trips()
    lines = [record.getMessage() for record in caplog.records]
    assert sum("no connection to broker 2: " in line for line in lines) == 1
    assert sum(line.endswith("broker 2 is connected again") for line in lines) == 1


async def test_that_a_flapping_broker_never_breaks_requests_to_others():
    async with Cluster(3) as cluster:
        await cluster.client.metadata()
        wanted = {(f"t{b}", 0): -1 for b in (1, 2, 3)}
        modes = ["close", "fine", "garbage", "huge", "fine", "http"]
        for turn in range(30):
            cluster.brokers[2].mode = modes[turn % len(modes)]
            found, errors = await cluster.client.offsets(wanted)
            assert found[("t1", 0)] == found[("t2", 0)] == 7
            assert set(errors) <= {"broker 3"}
            await asyncio.sleep(0.02)
        cluster.brokers[2].mode = "fine"
        async with asyncio.timeout(10.0):
            while len((await cluster.client.offsets(wanted))[0]) < 3:
                await asyncio.sleep(0.02)


async def test_that_metadata_goes_to_another_broker_when_one_hangs():
    async with Cluster(2, HASTY) as cluster:
        await cluster.client.metadata()
        wanted = {("t1", 0): -1, ("t2", 0): -1}
        for frozen in cluster.brokers:
            await cluster.client.offsets(wanted)
            frozen.mode = "hang"
            snapshot = await cluster.client.metadata()
            assert sorted(snapshot.brokers) == [1, 2]
            frozen.mode = "fine"
            async with asyncio.timeout(10.0):
                while (await cluster.client.offsets(wanted))[1]:
                    await asyncio.sleep(0.02)


async def test_that_a_dial_that_waited_for_one_that_failed_reports_the_recovery(monkeypatch):
    opened, failures, recovered = Connection.open, [Unreachable("not yet")], []

    async def open_(self, timeout_s):
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        await opened(self, timeout_s)

    monkeypatch.setattr(Connection, "open", open_)
    broker = await FakeBroker().start()
    address = ("127.0.0.1", broker.port)
    endpoint = Endpoint(
        quick(f"127.0.0.1:{broker.port}"),
        MemorySecrets(),
        address,
        "broker 1",
        PATIENT,
        random.Random(1),
        lambda: recovered.append(address),
    )
    first, second = await asyncio.gather(
        endpoint.dial(20.0), endpoint.dial(20.0), return_exceptions=True
    )
    assert isinstance(first, Unreachable) and isinstance(second, Connection)
    assert recovered == [address]
    await endpoint.close()
    await broker.stop()
