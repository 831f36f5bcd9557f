"""One connection to one broker: dial, agree on versions, log in, then requests side by side.

States: new -> open -> closed, and never open again: whoever wants to go on makes a new one. Any
doubt closes it: an answer that does not decode, a frame over the limit, a request without an
answer in time (so a frozen broker costs one deadline, not one per request).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from typing import Any

from kafka_client.error_map import from_os_error
from kafka_client.errors import ClientError, TimedOut, Unreachable, Unsupported
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets
from kafka_client.wire import login
from kafka_client.wire.messages import BadFrame, Values, decode, encode, versions_known

CLIENT_ID = "kafkarium"
FRAME_LIMIT = 32 * 2**20
FIRST_FRAME_LIMIT = 2**20
USER_TIMEOUT_MS = 10_000
CLOSE_TIMEOUT_S = 0.5

API_VERSIONS = 18
_NEWEST_USED = {2: 9, 9: 9, 18: 3}
"""Where a newer version than this brings nothing that is used here."""


class Connection:
    """Used from one loop. ``address`` is what is dialled, ``subject`` what errors name ("broker
    2")."""

    def __init__(
        self, profile: ConnectionProfile, secrets: Secrets, host: str, port: int, subject: str
    ) -> None:
        self.subject = subject
        self.address = f"{host}:{port}"
        self.round_trip_ms: float | None = None
        self._profile, self._secrets = profile, secrets
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._ranges: dict[int, tuple[int, int]] = {}
        self._limit = FIRST_FRAME_LIMIT
        self._closed: ClientError | None = None

    @property
    def is_open(self) -> bool:
        return self._writer is not None and self._closed is None

    async def open(self, timeout_s: float) -> None:
        """Raises: Unreachable (naming the stage), Denied."""
        stage = "connect"
        try:
            async with asyncio.timeout(timeout_s):
                await self._dial()
                stage = "first request"
                self._reading = asyncio.create_task(
                    self._read_answers(), name=f"answers of {self.address}"
                )
                await self._agree()
                if self._profile.security_protocol.sasl:
                    stage = "login"
                    await login.log_in(self, self._profile, self._secrets)
                self._limit = FRAME_LIMIT
        except ClientError as error:
            await self._abandon(error)
            raise
        except (TimeoutError, OSError, EOFError) as error:
            problem = from_os_error(error, self.address, stage)
            await self._abandon(problem)
            raise problem from error
        except asyncio.CancelledError:
            await self._abandon(Unreachable(f"The connection to {self.address} was given up."))
            raise

    def version(self, api_key: int) -> int:
        """The newest version that both sides speak. Raises: Unsupported."""
        low, high = versions_known(api_key)
        theirs = self._ranges.get(api_key)
        newest = min(high, _NEWEST_USED.get(api_key, high), theirs[1] if theirs else -1)
        if theirs is None or newest < max(low, theirs[0]):
            raise Unsupported(
                f"The cluster at {self.address} does not offer request {api_key}.",
                subject=self.subject,
            )
        return newest

    def offers(self, api_key: int, version: int = 0) -> bool:
        return version <= self._ranges.get(api_key, (0, -1))[1]

    async def ask(
        self, api_key: int, values: Values, timeout_s: float, version: int | None = None
    ) -> Any:
        """Send a request and wait for its answer. Raises: Unreachable, TimedOut, Unsupported."""
        if version is None:
            version = self.version(api_key)
        number = next(self._numbers)
        frame = await self._exchange(
            number, encode(api_key, version, number, CLIENT_ID, values), timeout_s
        )
        try:
            return decode(api_key, version, frame)
        except BadFrame as error:
            raise self._fail(_garbage(self.address, self.subject, str(error))) from error

    async def ask_raw(self, body: bytes, timeout_s: float) -> bytes:
        """A frame without a header of Kafka's, as old SASL logins want; nothing else may be under
        way."""
        return await self._exchange(0, len(body).to_bytes(4, "big") + body, timeout_s)

    async def close(self) -> None:
        await self._abandon(
            Unreachable(f"The connection to {self.address} was closed.", subject=self.subject)
        )

    # ---- inside
    async def _dial(self) -> None:
        tls = (
            login.tls_context(self._profile, self._secrets)
            if self._profile.security_protocol.tls
            else None
        )
        name = self._host if tls is not None else None
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, ssl=tls, server_hostname=name, limit=2**18
        )
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sys.platform == "linux":
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    async def _agree(self) -> None:
        """ApiVersions, newest first; a broker that does not know that version answers in version
        0 with its range."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            software = version("kafkarium")
        except PackageNotFoundError:
            software = "0"
        values = {"client_software_name": "kafkarium", "client_software_version": software}
        number = next(self._numbers)
        frame = await self._exchange(
            number, encode(API_VERSIONS, 3, number, CLIENT_ID, values), 30.0
        )
        try:
            if frame[4:6] == b"\0\x23":
                number = next(self._numbers)
                frame = await self._exchange(
                    number, encode(API_VERSIONS, 0, number, CLIENT_ID, {}), 30.0
                )
                answer = decode(API_VERSIONS, 0, frame)
            else:
                answer = decode(API_VERSIONS, 3, frame)
        except BadFrame as error:
            raise _garbage(self.address, self.subject, str(error)) from error
        self._ranges = {
            int(k.api_key): (int(k.min_version), int(k.max_version)) for k in answer.api_keys
        }

    async def _exchange(self, number: int, frame: bytes, timeout_s: float) -> bytes:
        if self._closed is not None or self._writer is None:
            raise self._closed or Unreachable(
                f"{self.address} is not connected.", subject=self.subject
            )
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        began = time.perf_counter()
        try:
            self._writer.write(frame)
            async with asyncio.timeout(timeout_s):
                answer = await waiting
        except TimeoutError:
            raise self._fail(_silent(self.address, self.subject, timeout_s)) from None
        finally:
            self._waiting.pop(number, None)
        self.round_trip_ms = (time.perf_counter() - began) * 1000
        return answer

    async def _read_answers(self) -> None:
        assert self._reader is not None
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big", signed=True)
                if not 4 <= size <= self._limit:
                    self._fail(_garbage(self.address, self.subject, f"an answer of {size} bytes"))
                    return
                frame = await self._reader.readexactly(size)
                number = 0 if 0 in self._waiting else int.from_bytes(frame[:4], "big", signed=True)
                waiting = self._waiting.pop(number, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self._fail(from_os_error(error, self.address, "connect"))

    def _fail(self, error: ClientError) -> ClientError:
        """Close for this reason; everyone who waits is told."""
        if self._closed is None:
            error.subject = error.subject or self.subject
            self._closed = error
            if self._writer is not None:
                self._writer.transport.abort()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(error)
            self._waiting.clear()
        return error

    async def _abandon(self, error: ClientError) -> None:
        self._fail(error)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._writer.wait_closed()


def _garbage(address: str, subject: str, detail: str) -> Unreachable:
    return Unreachable(
        f"{address} does not answer in Kafka's protocol.",
        next_step="Check the port and the security protocol: it may be a TLS listener, or not Kafka at all.",
        subject=subject,
        detail=detail,
    )


def _silent(address: str, subject: str, seconds: float) -> TimedOut:
    return TimedOut(
        f"{address} took the request and did not answer within {seconds:g} s.",
        next_step="The broker may be frozen or overloaded.",
        subject=subject,
    )
