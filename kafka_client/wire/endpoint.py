"""One address of a cluster: its connection, and when to dial it again after a failure.

States: idle -> connected -> failed -> connected ... While an endpoint is failed,
requests get its last error at once, and a broker's endpoint dials again by itself with
back-off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka_client import backoff
from kafka_client.errors import ClientError, TimedOut
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets
from kafka_client.wire.connection import FRAME_MAX_BYTES, Connection
from kafka_client.wire.dials import Dials
from kafka_protocol.fields import Message

logger = logging.getLogger(__name__)

CONCURRENT_REQUESTS = 8
"""Requests to one broker under way at the same time; more wait here."""
LEAST_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds; tests use shorter ones."""

    dial_s: float = 4.0
    request_s: float = 8.0
    poll_s: float = 3.0
    """For requests that are repeated: a broker slower than this is shown as not
    answering."""
    backoff_first_s: float = 0.5
    backoff_max_s: float = 15.0


class Endpoint:
    """Used from one loop. ``subject`` is what errors name.

    ``on_recovered`` is called when it is connected again after a failure; None for an
    address that is not dialled again by itself (a bootstrap server). Each dial waits for
    its turn among ``dials``; None for an address that the person wrote.
    """

    def __init__(
        self,
        profile: ConnectionProfile,
        secrets: Secrets,
        address: tuple[str, int],
        subject: str,
        timeouts: Timeouts,
        rng: random.Random,
        on_recovered: Callable[[], None] | None = None,
        dials: Dials | None = None,
    ) -> None:
        self.address = address
        self.subject = subject
        self.answered_at = 0.0  # monotonic time of the last response
        self.not_before = 0.0  # monotonic time before which it is not dialled again
        self._frame_max_bytes = FRAME_MAX_BYTES
        self._profile, self._secrets = profile, secrets
        self._timeouts, self._rng = timeouts, rng
        self._on_recovered = on_recovered
        self._dials = dials
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONCURRENT_REQUESTS)
        self._failures = 0
        self._last_error: ClientError | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._dial_now = asyncio.Event()
        self._dropped = False

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_open

    @property
    def round_trip_ms(self) -> float | None:
        """Return the round trip of the last response on an open connection."""
        return self._connection.round_trip_ms if self._connection and self.is_open else None

    def limit_frames(self, most_bytes: int) -> None:
        """Take responses up to this size, FRAME_MAX_BYTES unless this is called."""
        self._frame_max_bytes = most_bytes
        if self._connection is not None:
            self._connection.frame_max_bytes = most_bytes

    async def connection(self) -> Connection:
        """The open connection, dialled when there is none.

        Raises:
            ClientError: the last error at once while it is failed, or the failure to
            dial.
        """
        if self._last_error is not None:
            raise self._last_error.with_traceback(None)
        return await self.dial(self._timeouts.dial_s)

    async def dial(self, timeout_s: float) -> Connection:
        """As ``connection``, but try even while it is failed. ``timeout_s`` limits the
        wait for a turn to dial, and then the dial."""
        async with self._opening:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            try:
                async with self._turn(timeout_s):
                    return await self._open(timeout_s)
            except ClientError as error:
                self._failed(error)
                raise

    def _turn(self, timeout_s: float | None) -> contextlib.AbstractAsyncContextManager[None]:
        if self._dials is None:
            return contextlib.nullcontext()
        return self._dials.turn(self.subject, timeout_s)

    async def _open(self, timeout_s: float) -> Connection:
        """Replace the connection by a new one, with ``_opening`` taken; say so when it was
        failed before."""
        if self._connection is not None:
            await self._connection.close()
        connection = Connection(self._profile, self._secrets, *self.address, self.subject)
        connection.frame_max_bytes = self._frame_max_bytes
        await connection.open(timeout_s)
        if self._dropped:  # closed while it was dialled
            await connection.close()
        recovered = self._last_error is not None
        self._connection, self._failures, self._last_error = connection, 0, None
        if recovered:
            logger.info("%s: %s is connected again", self._profile.name, self.subject)
            if self._on_recovered is not None:
                self._on_recovered()
        return connection

    async def request(self, message: Message, timeout_s: float) -> Any:
        """Send a request and return its response. Raises: Unreachable, TimedOut,
        Unsupported."""
        async with self._slots:
            connection = await self.connection()
            try:
                response = await connection.request(message, timeout_s)
            except TimedOut as error:
                # The broker is alive enough to accept a connection and no more: do not
                # dial it again at once, or every request would wait for its deadline.
                self._failed(error)
                raise
        self.answered_at = time.monotonic()
        return response

    def hasten(self) -> None:
        """Dial now if it waits to be dialled again."""
        if self._recovering is not None:
            self._failures = 0
            self.not_before = time.monotonic()
            self._dial_now.set()

    async def close(self) -> None:
        """Close the connection for good."""
        self._dropped = True
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.gather(self._recovering, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def _failed(self, error: ClientError) -> None:
        wait_s = backoff.wait_s(
            self._failures, self._timeouts.backoff_first_s, self._timeouts.backoff_max_s, self._rng
        )
        if self._failures == 0:  # the tries that follow fail alike
            logger.warning("%s: no connection to %s: %s", self._profile.name, self.subject, error)
        self._failures += 1
        self._last_error, self.not_before = error, time.monotonic() + wait_s
        if self._on_recovered is not None and self._recovering is None and not self._dropped:
            self._recovering = asyncio.create_task(
                self._recover(), name=f"dial {self.subject} again"
            )

    async def _recover(self) -> None:
        """Dial with back-off until the connection is open or the endpoint is closed."""
        try:
            while self._last_error is not None and not self._dropped:
                self._dial_now.clear()
                wait_s = max(LEAST_WAIT_S, self.not_before - time.monotonic())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._dial_now.wait()
                await self._dial_when_its_turn_comes()
        finally:
            self._recovering = None

    async def _dial_when_its_turn_comes(self) -> None:
        """However long that takes: the place in the queue is kept, and others that ask for
        this endpoint meanwhile get its last error at once."""
        async with self._turn(None), self._opening:
            if self.is_open:
                return
            try:
                await self._open(self._timeouts.dial_s)
            except ClientError as error:  # kept in _last_error; not_before has moved
                self._failed(error)
