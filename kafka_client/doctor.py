"""Tests a connection in stages, so that it is seen where it fails: the name, the port, the login,
and whether every broker can be reached at the address that the cluster gives to clients (which is
where most connections die)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from kafka_client.api import ClusterClient
from kafka_client.error_map import from_os_error
from kafka_client.errors import ClientError
from kafka_client.model import Broker
from kafka_client.profile import ConnectionProfile, parse_address

DIAL_TIMEOUT_S = 4.0


class StageState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """``sentence`` says what was found, ``next_step`` what to do about a failure."""

    name: str
    state: StageState = StageState.WAITING
    sentence: str = ""
    next_step: str = ""
    took_ms: float | None = None


STAGES = (
    "Find the address",
    "Reach the port",
    "Log in",
    "Ask for the brokers",
    "Reach every broker",
)


async def examine(
    profile: ConnectionProfile, client: ClusterClient, tell: Callable[[int, Stage], None]
) -> list[Broker]:
    """Run the stages in order, ``tell`` each one's number and state; the brokers when all
    answered so far. The first stage that fails ends it; a broker that cannot be reached is a
    warning. Closes the client. Raises nothing."""
    brokers: list[Broker] = []
    found: list[tuple[str, int]] = []

    async def names() -> str:
        return await _find(profile, found)

    async def ports() -> str:
        return await _dial_any(found)

    async def login() -> str:
        await client.connect()
        return (
            "No login is asked for."
            if not profile.security_protocol.sasl
            else f"As {profile.sasl_username}."
        )

    async def ask() -> str:
        snapshot = await client.metadata()
        brokers.extend(snapshot.brokers.values())
        return f"{len(brokers)} brokers, {len(snapshot.topics)} topics."

    try:
        for number, work in enumerate((names, ports, login, ask)):
            if not await _run(number, work, tell):
                return []
        await _reach_all(profile, brokers, tell)
        return brokers
    finally:
        with suppress(ClientError):
            await client.close()


async def _run(
    number: int, work: Callable[[], Awaitable[str]], tell: Callable[[int, Stage], None]
) -> bool:
    name = STAGES[number]
    tell(number, Stage(name, StageState.RUNNING))
    began = time.monotonic()
    try:
        sentence = await work()
    except ClientError as error:
        tell(number, Stage(name, StageState.FAILED, str(error), error.next_step))
        return False
    tell(
        number, Stage(name, StageState.PASSED, sentence, took_ms=(time.monotonic() - began) * 1000)
    )
    return True


async def _find(profile: ConnectionProfile, found: list[tuple[str, int]]) -> str:
    loop = asyncio.get_running_loop()
    trouble: ClientError | None = None
    for server in profile.bootstrap_servers:
        host, port = profile.dial(*parse_address(server))
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                answers = await loop.getaddrinfo(host, port)
        except (OSError, TimeoutError) as error:
            trouble = from_os_error(error, f"{host}:{port}")
            continue
        found.append((host, port))
        addresses = sorted({str(answer[4][0]) for answer in answers})
        sentence = f"{host} is {', '.join(addresses[:3])}."
    if not found:
        assert trouble is not None, "a checked profile has a server"
        raise trouble
    return sentence


async def _dial_any(addresses: list[tuple[str, int]]) -> str:
    trouble: ClientError | None = None
    for host, port in addresses:
        try:
            await _dial(host, port)
        except ClientError as error:
            trouble = error
            continue
        return f"{host}:{port} accepts connections."
    assert trouble is not None, "there is an address to dial"
    raise trouble


async def _dial(host: str, port: int) -> None:
    """Open a connection and close it. Raises: Unreachable."""
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise from_os_error(error, f"{host}:{port}") from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _reach_all(
    profile: ConnectionProfile, brokers: list[Broker], tell: Callable[[int, Stage], None]
) -> None:
    number = len(STAGES) - 1
    name = STAGES[number]
    tell(number, Stage(name, StageState.RUNNING))

    async def one(broker: Broker) -> str:
        host, port = profile.dial(broker.host, broker.port)
        try:
            await _dial(host, port)
        except ClientError as error:
            return (
                f"Broker {broker.broker_id} is advertised as {broker.host}:{broker.port}: {error}"
            )
        return ""

    problems = [problem for problem in await asyncio.gather(*map(one, brokers)) if problem]
    if problems:
        step = (
            "Clients are sent to the advertised address, not to the one typed here: set advertised.listeners of the "
            "broker to an address that this machine can reach."
        )
        tell(number, Stage(name, StageState.WARNED, " ".join(problems[:3]), step))
    else:
        tell(
            number,
            Stage(
                name, StageState.PASSED, f"All {len(brokers)} answer at their advertised addresses."
            ),
        )
