"""Tests a connection in stages, so that a person sees where it fails: the name, the port, the
login, the metadata, and the address that each broker advertises to clients (where most connections
fail)."""

from __future__ import annotations

import asyncio
import logging
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
from resources.wording import counted

logger = logging.getLogger(__name__)

DIAL_TIMEOUT_S = 4.0
PROBLEMS_SHOWN = 3


class StageState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the test. ``message`` is its result, ``next_step`` what to do about a failure."""

    name: str
    state: StageState = StageState.WAITING
    message: str = ""
    next_step: str = ""
    took_ms: float | None = None


STAGES = (
    "Find the address",
    "Reach the port",
    "Log in",
    "Ask for the brokers",
    "Reach every broker",
)

OnStage = Callable[[int, Stage], None]
"""Called with the index in STAGES and the stage's new state."""


async def check_connection(
    profile: ConnectionProfile, client: ClusterClient, on_stage: OnStage
) -> list[Broker]:
    """Run the stages in order and return the brokers, empty when a stage failed.

    The first failure ends the test; a broker that cannot be reached is a warning. Closes the
    client. Raises nothing.
    """
    addresses: list[tuple[str, int]] = []
    brokers: list[Broker] = []

    async def find_address() -> str:
        return await _find_addresses(profile, addresses)

    async def reach_port() -> str:
        return await _dial_any(addresses)

    async def log_in() -> str:
        await client.connect()
        if profile.security_protocol.sasl:
            return f"As {profile.sasl_username}."
        return "The cluster asks for no login."

    async def ask_for_brokers() -> str:
        snapshot = await client.metadata()
        brokers.extend(snapshot.brokers.values())
        return f"{counted(len(brokers), 'broker')}, {counted(len(snapshot.topics), 'topic')}."

    try:
        for index, work in enumerate((find_address, reach_port, log_in, ask_for_brokers)):
            if not await _run(index, work, on_stage):
                return []
        await _reach_all(profile, brokers, on_stage)
        return brokers
    finally:
        with suppress(ClientError):
            await client.close()


async def _run(index: int, work: Callable[[], Awaitable[str]], on_stage: OnStage) -> bool:
    """Run one stage; return whether it passed."""
    name = STAGES[index]
    on_stage(index, Stage(name, StageState.RUNNING))
    started_s = time.monotonic()
    try:
        message = await work()
    except ClientError as error:
        logger.warning("connection test failed at “%s”: %s", name, error)
        on_stage(index, Stage(name, StageState.FAILED, str(error), error.next_step))
        return False
    took_ms = (time.monotonic() - started_s) * 1000
    on_stage(index, Stage(name, StageState.PASSED, message, took_ms=took_ms))
    return True


async def _find_addresses(profile: ConnectionProfile, addresses: list[tuple[str, int]]) -> str:
    """Resolve every bootstrap server and append those that have an address. Raises: ClientError
    when none has."""
    loop = asyncio.get_running_loop()
    error: ClientError | None = None
    message = ""
    for server in profile.bootstrap_servers:
        host, port = profile.dial(*parse_address(server))
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                resolved = await loop.getaddrinfo(host, port)
        except (OSError, TimeoutError) as caught:
            error = from_os_error(caught, f"{host}:{port}")
            continue
        addresses.append((host, port))
        numeric = sorted({str(entry[4][0]) for entry in resolved})
        message = f"{host} is {', '.join(numeric[:3])}."
    if not addresses:
        assert error is not None, "a checked profile has a server"
        raise error
    return message


async def _dial_any(addresses: list[tuple[str, int]]) -> str:
    """Connect to the first address that accepts. Raises: Unreachable, that of the last address."""
    error: ClientError | None = None
    for host, port in addresses:
        try:
            await _dial(host, port)
        except ClientError as caught:
            error = caught
            continue
        return f"{host}:{port} accepts connections."
    assert error is not None, "there is an address to dial"
    raise error


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


async def _reach_all(profile: ConnectionProfile, brokers: list[Broker], on_stage: OnStage) -> None:
    index = len(STAGES) - 1
    name = STAGES[index]
    on_stage(index, Stage(name, StageState.RUNNING))

    async def problem_of(broker: Broker) -> str:
        host, port = profile.dial(broker.host, broker.port)
        advertised = f"{broker.host}:{broker.port}"
        try:
            await _dial(host, port)
        except ClientError as error:
            return f"Broker {broker.broker_id} is advertised as {advertised}: {error}"
        return ""

    problems = [text for text in await asyncio.gather(*map(problem_of, brokers)) if text]
    if problems:
        logger.warning("connection test: %s", " ".join(problems[:PROBLEMS_SHOWN]))
        next_step = (
            "Clients are sent to the advertised address, not to the one typed here: set "
            "advertised.listeners of the broker to an address that this machine can reach."
        )
        message = " ".join(problems[:PROBLEMS_SHOWN])
        on_stage(index, Stage(name, StageState.WARNED, message, next_step))
        return
    if len(brokers) == 1:
        message = "The broker answers at its advertised address."
    else:
        message = f"All {len(brokers)} brokers answer at their advertised addresses."
    on_stage(index, Stage(name, StageState.PASSED, message))
