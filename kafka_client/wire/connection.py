"""One connection to one broker: dial, agree on versions, log in, then many requests at
a time.

States: new -> open -> closed. A closed connection is never opened again: make a new
one. Every doubt closes it: a response that does not decode, a frame over the limit, a
request without a response in time. So a frozen broker costs one deadline, not one for
each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from functools import cache
from typing import Any

from kafka_client.error_map import from_os_error
from kafka_client.errors import ClientError, TimedOut, TooLarge, Unreachable, Unsupported
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets
from kafka_client.wire.login import log_in, tls_context
from kafka_client.wire.versions import NEWEST_USED, Ranges, negotiate
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message
from kafka_protocol.framing import CORRELATION_ID, decode_response, encode_request
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from resources.wording import seconds

CLIENT_ID = b"kafkarium"
FRAME_MAX_BYTES = 32 * 2**20
FIRST_FRAME_MAX_BYTES = 2**20
"""Until the login is done: who answers may not be a Kafka broker at all."""
READ_BUFFER_BYTES = 2**18
USER_TIMEOUT_MS = 10_000
"""After this time without an acknowledgement the kernel breaks the connection
(Linux)."""
CLOSE_TIMEOUT_S = 0.5
LOGIN_TIMEOUT_S = 10.0
NEGOTIATION_TIMEOUT_S = 30.0
"""For ApiVersions; ``open`` has a deadline of its own, which is shorter."""


class Connection:
    """Used from one loop. ``address`` is what is dialled, ``subject`` what errors name
    ("broker 2")."""

    def __init__(
        self, profile: ConnectionProfile, secrets: Secrets, host: str, port: int, subject: str
    ) -> None:
        self.subject = subject
        self.address = f"{host}:{port}"
        self.round_trip_ms: float | None = None  # of the last response
        self._profile, self._secrets = profile, secrets
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}  # by correlation id
        self._correlation_ids = itertools.count(1)
        self._offered: Ranges = {}
        self.frame_max_bytes = FRAME_MAX_BYTES
        """Of a response, once the login is done."""
        self._logged_in = False
        self._closed: ClientError | None = None

    @property
    def is_open(self) -> bool:
        return self._writer is not None and self._closed is None

    async def open(self, timeout_s: float) -> None:
        """Dial, agree on versions, log in.

        Raises:
            Unreachable: naming the stage that failed.
            Denied: the login was refused.
        """
        stage = "connect"
        try:
            async with asyncio.timeout(timeout_s):
                await self._dial()
                stage = "first request"
                self._reading = asyncio.create_task(
                    self._read_responses(), name=f"responses of {self.address}"
                )
                self._offered = await self._fetch_versions()
                if self._profile.security_protocol.sasl:
                    stage = "login"
                    await log_in(self._send_login, self._profile, self._secrets, self.subject)
                self._logged_in = True
        except ClientError as error:
            await self._shut(error)
            raise
        except (TimeoutError, OSError, EOFError) as error:
            problem = from_os_error(error, self.address, stage)
            await self._shut(problem)
            raise problem from error
        except asyncio.CancelledError:
            await self._shut(Unreachable(f"Connecting to {self.address} was cancelled."))
            raise

    def version(self, api_key: int) -> int:
        """The version that ``request`` uses for this api. Raises: Unsupported."""
        newest = negotiate(api_key, self._offered)
        if newest is None:
            raise Unsupported(
                f"The cluster at {self.address} does not offer request {ApiKey(api_key).name}.",
                subject=self.subject,
            )
        return newest

    def offers(self, api_key: int) -> bool:
        """Return whether the broker offers this api, in whatever version."""
        return api_key in self._offered

    async def request(self, message: Message, timeout_s: float, version: int | None = None) -> Any:
        """Send a request and wait for its response.

        Raises:
            Unreachable: the connection is closed or breaks, or the response is
            malformed. TimedOut: no response in time; this closes the connection.
            Unsupported: there is no version that both sides know.
        """
        if version is None:
            version = self.version(message.API_KEY)
        frame = await self._exchange(message, version, timeout_s)
        return self._decoded(message.API_KEY, version, frame)

    async def close(self) -> None:
        await self._shut(
            Unreachable(f"The connection to {self.address} was closed.", subject=self.subject)
        )

    # ---- opening
    async def _dial(self) -> None:
        uses_tls = self._profile.security_protocol.tls
        self._reader, self._writer = await asyncio.open_connection(
            self._host,
            self._port,
            ssl=tls_context(self._profile, self._secrets) if uses_tls else None,
            server_hostname=self._host if uses_tls else None,
            limit=READ_BUFFER_BYTES,
        )
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sys.platform == "linux":
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    async def _fetch_versions(self) -> Ranges:
        """Send ApiVersions. A broker that does not know the version answers in version
        0 with an error and its own range (KIP-511); then ask again in version 0."""
        newest = NEWEST_USED[ApiKey.API_VERSIONS]
        request = ApiVersionsRequest("kafkarium", _software_version())
        frame = await self._exchange(request, newest, NEGOTIATION_TIMEOUT_S)
        # The error code comes first in every version, so it can be read before the
        # version of the response is known.
        code = int.from_bytes(frame[CORRELATION_ID.size : CORRELATION_ID.size + 2], "big")
        version = newest
        if code == ErrorCode.UNSUPPORTED_VERSION:
            version = 0
            frame = await self._exchange(request, version, NEGOTIATION_TIMEOUT_S)
        response: ApiVersionsResponse = self._decoded(ApiKey.API_VERSIONS, version, frame)
        return {k.api_key: (k.min_version, k.max_version) for k in response.api_keys}

    async def _send_login(self, message: Message) -> Any:
        # Version 0 of the handshake would have SASL messages follow without Kafka's
        # frames.
        version = 1 if message.API_KEY == ApiKey.SASL_HANDSHAKE else None
        return await self.request(message, LOGIN_TIMEOUT_S, version)

    # ---- requests and responses
    async def _exchange(self, message: Message, version: int, timeout_s: float) -> bytes:
        """Send a request; return the frame of its response, without the size."""
        if self._closed is not None or self._writer is None:
            raise self._closed or Unreachable(
                f"{self.address} is not connected.", subject=self.subject
            )
        correlation_id = next(self._correlation_ids)
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = waiting
        began = time.perf_counter()
        try:
            self._writer.write(encode_request(message, version, correlation_id, CLIENT_ID))
            async with asyncio.timeout(timeout_s):
                frame = await waiting
        except TimeoutError:
            raise self._fail(_silent(self.address, self.subject, timeout_s)) from None
        finally:
            self._waiting.pop(correlation_id, None)
        self.round_trip_ms = (time.perf_counter() - began) * 1000
        return frame

    def _decoded(self, api_key: int, version: int, frame: bytes) -> Any:
        try:
            # As Kafka's own clients do, accept bytes after the message.
            return decode_response(api_key, version, frame, more_may_follow=True)
        except ProtocolError as error:
            detail = f"a malformed response to {ApiKey(api_key).name} {version}: {error}"
            raise self._fail(_not_kafka(self.address, self.subject, detail)) from error

    async def _read_responses(self) -> None:
        """Hand each frame to who waits for it, until the connection breaks."""
        assert self._reader is not None
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big", signed=True)
                most = self.frame_max_bytes if self._logged_in else FIRST_FRAME_MAX_BYTES
                if not CORRELATION_ID.size <= size <= most:
                    self._fail(self._wrong_size(size))
                    return
                frame = await self._reader.readexactly(size)
                waiting = self._waiting.pop(CORRELATION_ID.unpack_from(frame)[0], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
        except (OSError, EOFError) as error:
            self._fail(from_os_error(error, self.address, "connect"))

    def _wrong_size(self, size: int) -> ClientError:
        if self._logged_in and size > self.frame_max_bytes:  # it has answered in Kafka's protocol
            return TooLarge(
                f"{self.address} answers with {size / 2**20:,.0f} MiB; Kafkarium reads"
                f" {self.frame_max_bytes >> 20} at most.",
                next_step="Check the address, and what it is that answers there.",
            )
        return _not_kafka(self.address, self.subject, f"a response of {size} bytes")

    # ---- closing
    def _fail(self, error: ClientError) -> ClientError:
        """Close the connection for this reason and raise it in all that wait; return
        it."""
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

    async def _shut(self, error: ClientError) -> None:
        """Close the connection for this reason, and wait until its task and socket have
        ended."""
        self._fail(error)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            # The transport is aborted: what goes wrong while it closes changes nothing
            # any more.
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._writer.wait_closed()


@cache
def _software_version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 15 ms: not before it is needed

    try:
        return version("kafkarium")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"


def _not_kafka(address: str, subject: str, detail: str) -> Unreachable:
    return Unreachable(
        f"{address} does not answer in Kafka's protocol.",
        next_step=(
            "Check the port and the security protocol: it may be a TLS listener, or not Kafka at"
            " all."
        ),
        subject=subject,
        detail=detail,
    )


def _silent(address: str, subject: str, timeout_s: float) -> TimedOut:
    return TimedOut(
        f"{address} took the request and did not answer within {seconds(timeout_s)}.",
        next_step="The broker may be frozen or overloaded.",
        subject=subject,
    )
