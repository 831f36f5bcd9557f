from __future__ import annotations

import asyncio

from kafka_client.doctor import STAGES, Stage, StageState, check_connection
from kafka_client.errors import Denied
from kafka_client.profile import quick
from tests.fakes.client import FakeClient


async def run(address: str, client: FakeClient) -> dict[int, Stage]:
    last: dict[int, Stage] = {}
    await check_connection(
        quick(address), client, lambda number, stage: last.__setitem__(number, stage)
    )
    return last


async def test_that_a_closed_port_fails_at_its_stage_with_a_next_step() -> None:
    told = await run("127.0.0.1:1", FakeClient())
    assert [told[i].state for i in told] == [StageState.PASSED, StageState.FAILED]
    assert "127.0.0.1:1" in told[1].message and told[1].next_step


async def test_that_brokers_that_cannot_be_reached_where_they_are_advertised_are_named() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told = await run(f"127.0.0.1:{port}", FakeClient())
    server.close()
    await server.wait_closed()
    assert told[len(STAGES) - 1].state is StageState.WARNED
    assert (
        "advertised" in told[len(STAGES) - 1].message
        and "advertised.listeners" in told[4].next_step
    )


async def test_that_a_refused_login_ends_the_examination_and_closes_the_client() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = FakeClient()
    client.failing["connect"] = Denied("The user name or the password is wrong.")
    told = await run(f"127.0.0.1:{port}", client)
    server.close()
    await server.wait_closed()
    assert told[2].state is StageState.FAILED and 3 not in told
    assert "close" in client.calls
