"""Connections to all brokers of a cluster, by broker id: dialled when needed, dropped on any
doubt, dialled again later.

A broker that does not answer is left alone for 0.5 s, then longer, up to 15 s; who asks for it
meanwhile gets the last error at once. Identical questions that are under way are asked once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kafka_client import backoff
from kafka_client.errors import ClientError, TimedOut, Unreachable
from kafka_client.profile import ConnectionProfile, parse_address
from kafka_client.secrets import Secrets
from kafka_client.wire.connection import Connection
from kafka_client.wire.messages import Values

T = TypeVar("T")

DIAL_TIMEOUT_S = 4.0
ASK_TIMEOUT_S = 8.0
LOOK_TIMEOUT_S = 3.0
"""For what is asked again and again: a broker slower than this is shown as not answering."""
AT_ONCE = 8
BACK_OFF_FIRST_S, BACK_OFF_MOST_S = 0.5, 15.0


@dataclass
class _Line:
    """The way to one address."""

    host: str
    port: int
    subject: str
    connection: Connection | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    failures: int = 0
    not_before: float = 0.0
    last_error: ClientError | None = None
    answered_at: float = 0.0
    recovering: asyncio.Task[None] | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


class Wire:
    """Used from one loop; ``connect`` first."""

    def __init__(
        self, profile: ConnectionProfile, secrets: Secrets, dice: random.Random | None = None
    ) -> None:
        self.profile = profile
        self._secrets = secrets
        self._dice = dice or random.Random()
        self._seeds = [
            _Line(*profile.dial(*parse_address(a)), a) for a in profile.bootstrap_servers
        ]
        self._brokers: dict[int, _Line] = {}
        self._flights: dict[Hashable, asyncio.Task[Any]] = {}
        self._closed = False

    async def connect(self, timeout_s: float) -> None:
        """Reach any bootstrap server. Raises: the error of the last that was tried."""
        await self._any_line(timeout_s)

    async def close(self) -> None:
        self._closed = True
        for task in self._flights.values():
            task.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        for line in [*self._seeds, *self._brokers.values()]:
            if line.recovering is not None:
                line.recovering.cancel()
                await asyncio.gather(line.recovering, return_exceptions=True)
            if line.connection is not None:
                await line.connection.close()

    # ---- brokers
    @property
    def broker_ids(self) -> list[int]:
        return sorted(self._brokers)

    def learn(self, brokers: dict[int, tuple[str, int]]) -> None:
        """The cluster's brokers as they advertise themselves, after every Metadata answer."""
        for broker_id, (host, port) in brokers.items():
            address = self.profile.dial(host, port)
            known = self._brokers.get(broker_id)
            if known is None or (known.host, known.port) != address:
                if known is not None:
                    self._drop(known)
                self._brokers[broker_id] = _Line(*address, f"broker {broker_id}")
        for broker_id in set(self._brokers) - set(brokers):
            self._drop(self._brokers.pop(broker_id))

    def round_trips(self) -> dict[int, float]:
        """Of the brokers that answered within the last 30 s."""
        since = time.monotonic() - 30
        return {
            broker_id: line.connection.round_trip_ms
            for broker_id, line in sorted(self._brokers.items())
            if line.connection is not None
            and line.connection.is_open
            and line.connection.round_trip_ms is not None
            and line.answered_at > since
        }

    # ---- asking
    async def ask_any(self, api_key: int, values: Values, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Any broker that answers: when one fails, the next is tried once each. The last error is
        raised."""
        deadline = time.monotonic() + timeout_s
        tried: set[int] = set()
        while True:
            line = await self._any_line(deadline - time.monotonic(), tried)
            tried.add(id(line))
            try:
                return await self._ask(
                    line,
                    api_key,
                    values,
                    max(0.1, min(LOOK_TIMEOUT_S, deadline - time.monotonic())),
                )
            except (Unreachable, TimedOut):
                if time.monotonic() >= deadline or len(tried) >= len(self._brokers) + len(
                    self._seeds
                ):
                    raise

    async def ask(
        self, broker_id: int, api_key: int, values: Values, timeout_s: float = ASK_TIMEOUT_S
    ) -> Any:
        """This broker. Raises: Unreachable, TimedOut, Unsupported."""
        return await self._ask(self._line(broker_id), api_key, values, timeout_s)

    async def version(self, broker_id: int | None, api_key: int) -> int:
        """The version that would be spoken with this broker, or any. Raises as ``ask``."""
        line = await self._any_line(DIAL_TIMEOUT_S) if broker_id is None else self._line(broker_id)
        return (await self._open(line, DIAL_TIMEOUT_S)).version(api_key)

    async def offers(self, api_key: int) -> bool:
        line = await self._any_line(DIAL_TIMEOUT_S)
        return (await self._open(line, DIAL_TIMEOUT_S)).offers(api_key)

    async def once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Run this, or wait for the same that is already under way."""
        task = self._flights.get(key)
        if task is None:
            if self._closed:
                raise Unreachable("The connection was closed.")
            task = asyncio.ensure_future(make())
            self._flights[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    # ---- inside
    def _landed(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        self._flights.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, even when nobody waits any more

    def _drop(self, line: _Line) -> None:
        if line.recovering is not None:
            line.recovering.cancel()
        if line.connection is not None:
            self._later(line.connection.close())

    def _later(self, closing: Awaitable[None]) -> None:
        task = asyncio.ensure_future(closing)
        self._flights[task] = task
        task.add_done_callback(lambda done: self._landed(task, done))

    def _line(self, broker_id: int) -> _Line:
        line = self._brokers.get(broker_id)
        if line is None:
            raise Unreachable(
                f"The cluster does not list broker {broker_id}.",
                next_step="It may be down; refresh in a moment.",
                subject=f"broker {broker_id}",
            )
        return line

    async def _any_line(self, timeout_s: float, without: set[int] | None = None) -> _Line:
        """One that is open, else the first that opens; those in back-off come last and are tried
        all the same."""
        skip = without or set()
        lines = [line for line in self._brokers.values() if id(line) not in skip]
        open_now = [
            line for line in lines if line.connection is not None and line.connection.is_open
        ]
        if open_now:
            return min(
                open_now,
                key=lambda line: line.connection.round_trip_ms or 0.0 if line.connection else 0.0,
            )
        seeds = [line for line in self._seeds if id(line) not in skip]
        for line in seeds:
            if line.connection is not None and line.connection.is_open:
                return line
        self._dice.shuffle(lines)
        candidates = sorted(lines + seeds, key=lambda line: line.not_before)
        problem: ClientError = Unreachable("No broker is left to try.")
        deadline = time.monotonic() + timeout_s
        for position, line in enumerate(candidates):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            share = max(left / (len(candidates) - position), min(left, 1.0))
            try:
                await self._open(line, min(share, DIAL_TIMEOUT_S), patient=False)
                return line
            except (Unreachable, TimedOut) as error:
                problem = error
        raise problem

    async def _ask(self, line: _Line, api_key: int, values: Values, timeout_s: float) -> Any:
        async with line.gate:
            connection = await self._open(line, min(timeout_s, DIAL_TIMEOUT_S))
            try:
                answer = await connection.ask(api_key, values, timeout_s)
            except TimedOut as error:
                self._failed(line, error)
                raise
        line.answered_at = time.monotonic()
        return answer

    async def _open(self, line: _Line, timeout_s: float, patient: bool = True) -> Connection:
        """Its open connection, or a new one. ``patient``: while it is being recovered raise the
        last error."""
        if patient and line.last_error is not None:
            raise line.last_error.with_traceback(None)
        async with line.lock:
            if line.connection is not None and line.connection.is_open:
                return line.connection
            if line.connection is not None:
                await line.connection.close()
            connection = Connection(self.profile, self._secrets, line.host, line.port, line.subject)
            try:
                await connection.open(timeout_s)
            except ClientError as error:
                self._failed(line, error)
                raise
            came_back = line.last_error is not None
            line.connection, line.failures, line.last_error = connection, 0, None
            if came_back:
                self._hasten_others()
            return connection

    def _hasten_others(self) -> None:
        """One that comes back is seldom alone: those that are being waited for are tried now."""
        for line in self._brokers.values():
            if line.recovering is not None:
                line.failures = 0
                line.not_before = time.monotonic()
                line.hurry.set()

    def _failed(self, line: _Line, error: ClientError) -> None:
        wait_s = backoff.wait_s(line.failures, BACK_OFF_FIRST_S, BACK_OFF_MOST_S, self._dice)
        line.failures += 1
        line.last_error, line.not_before = error, time.monotonic() + wait_s
        known = any(line is other for other in self._brokers.values())
        if known and line.recovering is None and not self._closed:
            line.recovering = asyncio.create_task(
                self._recover(line), name=f"dial {line.subject} again"
            )

    async def _recover(self, line: _Line) -> None:
        """Until it is open again, or nobody's any more."""
        try:
            while line.last_error is not None and not self._closed:
                line.hurry.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        line.hurry.wait(), max(0.05, line.not_before - time.monotonic())
                    )
                with contextlib.suppress(ClientError):
                    await self._open(line, DIAL_TIMEOUT_S, patient=False)
        finally:
            line.recovering = None
