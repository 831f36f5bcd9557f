from __future__ import annotations

import asyncio

from kafka_client.doctor import STAGES, Stage, StageState, check_connection
from kafka_client.errors import Denied
from kafka_client.profile import quick
from tests.fakes.client import FakeClient


async def run(address: str, client: FakeClient) -> dict[int, Stage]:
    last: dict[int, Stage] = {}
    await check_connection(quick(address), client, last.__setitem__)
    return last


async def test_that_a_closed_port_fails_at_its_stage_with_a_next_step() -> None:
    stages = await run("127.0.0.1:1", FakeClient())
    assert [stages[i].state for i in stages] == [StageState.PASSED, StageState.FAILED]
    assert "127.0.0.1:1" in stages[1].message and stages[1].next_step


async def test_that_brokers_that_cannot_be_reached_where_they_are_advertised_are_named() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = FakeClient()
    client.cluster.base_port = 0  # brokers are advertised at the ports 1, 2 and 3
    stages = await run(f"127.0.0.1:{port}", client)
    server.close()
    await server.wait_closed()
    assert stages[len(STAGES) - 1].state is StageState.WARNED
    assert (
        "advertised" in stages[len(STAGES) - 1].message
        and "advertised.listeners" in stages[4].next_step
    )


async def test_that_a_refused_login_ends_the_test_and_closes_the_client() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = FakeClient()
    client.failing["connect"] = Denied("The user name or the password is wrong.")
    stages = await run(f"127.0.0.1:{port}", client)
    server.close()
    await server.wait_closed()
    assert stages[2].state is StageState.FAILED and 3 not in stages
    assert "close" in client.calls
