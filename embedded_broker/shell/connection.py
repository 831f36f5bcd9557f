"""A client's connection: turns frames into requests, and sends responses in request order.

Every request takes a slot. The slots of a connection are answered in order, whenever the core
responds. Produce requests are submitted at once, up to MAX_IN_FLIGHT at a time (twelve times the
rate of one at a time for small ones, measured). Behind any other request the next one waits, as
in Kafka, unless the other side is a broker.

States: new -> closed for a client; new -> challenged -> broker -> closed for a broker, which
proves its membership with the cluster's secret (see authentication.py). Runs in the thread of the
event loop.
"""

from __future__ import annotations

import re
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from embedded_broker.core import api
from embedded_broker.core.events import Caller
from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.framed import FramedSocket, Piece, Shared, release_records
from embedded_broker.shell.inspector import Inspector
from embedded_broker.shell.metadata_cache import CacheKey, MetadataCache
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError, decode, request_class
from kafka_protocol.fields import Message
from kafka_protocol.framing import (
    REQUEST_START,
    encode_response,
    encode_response_in_steps,
    read_client_id,
)
from kafka_protocol.primitives import CLIENT_ITEMS_MAX, ITEMS_MAX
from kafka_protocol.records.inspection import Outcome

# Looking up a member of an enum costs six times as much as a global does, at every request.
PRODUCE, METADATA, API_VERSIONS = ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.API_VERSIONS
MAX_IN_FLIGHT = 512
"""Produce requests of one client that may wait for their responses at the same time."""
REQUESTS_PER_WAKEUP = 64
"""Requests of one connection in one wake-up of the loop: a thousand small ones of one client
would delay every other client."""
MAX_OUT_BYTES = 8 * 1024 * 1024
"""Unsent response bytes above which the connection stops taking requests."""
CLIENT_ID_CHARACTERS = 255
_RESPONSE_HEADER = struct.Struct(">ii")
"""Size, correlation id."""
_HTTP = re.compile(rb"(GET |POST|PUT |HEAD|OPTI|DELE|PATC|CONN)")


class ConnectionOwner(Protocol):
    """Declares what a connection needs of the server that accepted it."""

    shared: Shared
    authentication: Authentication
    metadata_cache: MetadataCache | None
    inspector: Inspector

    def submit(self, slot: Slot, message: Message, outcomes: Sequence[Outcome] = ()) -> None:
        """Pass a decoded request to the core; the response goes to ``slot.connection``."""

    def schedule_flush(self, connection: ClientConnection) -> None:
        """Call ``connection.flush`` at the end of this wake-up."""

    def schedule_resume(self, connection: ClientConnection) -> None:
        """Call ``connection.resume`` at the end of this wake-up."""

    def connection_closed(self, connection: ClientConnection, reason: str) -> None:
        """Forget the connection. ``reason`` is empty when the other side just left."""


class Slot:
    """The place of one request's response among those of its connection.

    ``pieces`` is None until the core has responded, and empty for a request without a response
    (Produce with acks=0).
    """

    __slots__ = ("cache_key", "connection", "correlation_id", "pieces", "version")

    def __init__(self, connection: ClientConnection, version: int, correlation_id: int) -> None:
        self.connection = connection
        self.version = version
        self.correlation_id = correlation_id
        self.pieces: list[Piece] | None = None
        self.cache_key: CacheKey | None = None
        """Where to store the response, when it may serve the same request again."""


class ClientConnection(FramedSocket):
    """One accepted connection of a client or of another broker."""

    def __init__(
        self,
        owner: ConnectionOwner,
        sock: socket.socket,
        caller: Caller,
        request_max_bytes: int,
        brokers_only: bool = False,
    ) -> None:
        """``brokers_only`` marks a connection above the limit, which only a broker may use."""
        super().__init__(owner.shared, sock, request_max_bytes)
        self.owner = owner
        self.caller = caller
        self.brokers_only = brokers_only
        self.opened_ms = self.last_active_ms = owner.shared.loop.now_ms()
        self.slots: deque[Slot] = deque()
        self.only_produce = True
        """Whether every request in ``slots`` is a Produce request."""
        self.challenge: bytes | None = None
        """The authentication's state between its two steps."""
        self.resume_scheduled = False
        self._client_id_raw = b""
        self._turn = 0
        self._requests_this_turn = 0

    @property
    def connection_id(self) -> int:
        return self.caller.connection_id

    # ---- requests
    def on_frame(self, frame: memoryview) -> bool:
        """Take a request, or return False to be offered the same frame again by ``resume``."""
        api_key, version, correlation_id = REQUEST_START.unpack_from(frame, 0)
        if not self._may_take(api_key):
            return False
        self.only_produce = api_key == PRODUCE
        try:
            if not self._take(frame, api_key, version, correlation_id):
                return False
        except (ProtocolError, struct.error, IndexError) as e:
            self.close(f"malformed request of API key {api_key} version {version}: {e}")
        return True

    def _may_take(self, api_key: int) -> bool:
        """Return whether the connection takes a request of this api now."""
        slots = self.slots
        if (
            slots
            and self.caller.broker_id < 0
            and (not self.only_produce or api_key != PRODUCE or len(slots) >= MAX_IN_FLIGHT)
        ):
            return False
        if api_key == PRODUCE and self.owner.inspector.waits(self):
            return False
        # The client does not read its responses: a request more would only add to them.
        if self.out_bytes > MAX_OUT_BYTES:
            return False
        turn = self.shared.loop.turn
        if turn != self._turn:
            self._turn, self._requests_this_turn = turn, 0
        elif self._requests_this_turn >= REQUESTS_PER_WAKEUP:
            self.owner.schedule_resume(self)
            return False
        self._requests_this_turn += 1
        return True

    def _take(self, frame: memoryview, api_key: int, version: int, correlation_id: int) -> bool:
        """Decode a request and submit it; return False when its batches must be inspected first.

        Raises:
            ProtocolError, struct.error, IndexError: the frame is not a request.
        """
        reason = api.unsupported(api_key, version)
        if reason:
            if api_key == API_VERSIONS:
                self._respond_unsupported_version(correlation_id)
            else:
                self.close(reason)
            return True
        if api_key in api.AUTHENTICATION:
            self._authenticate(frame, api_key, version, correlation_id)
            return True
        if self.brokers_only:
            self.close("too many connections are open")
            return True
        cls = request_class(api_key)
        start = self._read_header(frame, version >= cls.FLEXIBLE_SINCE)
        slot = Slot(self, version, correlation_id)
        if api_key == METADATA and self._respond_from_cache(slot, frame[start:]):
            return True
        # A client's request is decoded within the time that others may have to wait.
        most = CLIENT_ITEMS_MAX if self.caller.broker_id < 0 else ITEMS_MAX
        message: Any = decode(cls, version, frame, start, more_may_follow=True, items_max=most)
        if api_key == PRODUCE:
            return self._take_produce(slot, message)
        self.slots.append(slot)
        self.owner.submit(slot, message)
        return True

    def _take_produce(self, slot: Slot, message: Any) -> bool:
        outcomes = self.owner.inspector.outcomes(self, message)
        if outcomes is not None:
            self.slots.append(slot)
            self.owner.submit(slot, message, outcomes)
        # The core has appended the records by now, or the frame is offered again: its buffer is
        # free.
        for topic in message.topic_data:
            release_records(topic.partition_data)
        return outcomes is not None

    def _respond_from_cache(self, slot: Slot, body: memoryview) -> bool:
        """Respond with the stored bytes; False when there are none, and then the response is
        stored."""
        cache = self.owner.metadata_cache
        if cache is None:
            return False
        slot.cache_key = (slot.version, self.caller.listener, bytes(body))
        stored = cache.get(slot.cache_key)
        if stored is None:
            return False
        slot.pieces = [_RESPONSE_HEADER.pack(len(stored) + 4, slot.correlation_id) + stored]
        self.slots.append(slot)
        self._advance()
        return True

    def _read_header(self, frame: memoryview, flexible: bool) -> int:
        """Read the client id and skip the tagged fields; returns where the body starts.

        Raises:
            ProtocolError, IndexError: the header is malformed, or the client id is not UTF-8.
        """
        client_id, start = read_client_id(frame, flexible)
        if client_id != self._client_id_raw:
            self._client_id_raw = client_id
            self._set_client_id(client_id)
        return start

    def _set_client_id(self, raw: bytes) -> None:
        try:
            client_id = raw.decode()
        except UnicodeDecodeError:
            raise ProtocolError("the client id is not UTF-8") from None
        self.caller = replace(self.caller, client_id=client_id[:CLIENT_ID_CHARACTERS])

    # ---- requests that the shell answers itself
    def _authenticate(
        self, frame: memoryview, api_key: int, version: int, correlation_id: int
    ) -> None:
        """Handle a broker's proof of membership."""
        cls = request_class(api_key)
        start = self._read_header(frame, version >= cls.FLEXIBLE_SINCE)
        message = decode(cls, version, frame, start)
        slot = Slot(self, version, correlation_id)
        self.slots.append(slot)
        outcome = self.owner.authentication.respond(self, message)
        if outcome.broker_id >= 0:
            self.caller = replace(
                self.caller, principal=f"Broker:{outcome.broker_id}", broker_id=outcome.broker_id
            )
            self.brokers_only = False
            self.shared.loop.prefer(self.fd)
            self.pool = self.shared.peer_pool
        self.respond(slot, outcome.response)
        if outcome.refusal:
            self.flush()  # the error code leaves before the connection closes
            self.close(outcome.refusal)

    def _respond_unsupported_version(self, correlation_id: int) -> None:
        """KIP-511: respond with version 0, error 35 and the supported range of this api, so that
        the client can ask again."""
        from embedded_broker.core.api.k18_api_versions import unsupported_version

        slot = Slot(self, 0, correlation_id)
        self.slots.append(slot)
        self.respond(slot, unsupported_version())

    # ---- responses
    def respond(self, slot: Slot, message: Message) -> None:
        """Fill a slot. Responses that are next in order leave at the end of the wake-up."""
        self._fill(slot, message, encode_response(message, slot.version, slot.correlation_id))

    def respond_in_steps(self, slot: Slot, message: Message) -> Iterator[None]:
        """The same for a response that may be long, with pauses."""
        pieces = yield from encode_response_in_steps(message, slot.version, slot.correlation_id)
        if not self.closed:
            self._fill(slot, message, pieces)

    def _fill(self, slot: Slot, message: Message, pieces: list[Piece]) -> None:
        slot.pieces = pieces
        if slot.cache_key is not None and self.owner.metadata_cache is not None:
            whole = pieces[0]
            assert isinstance(whole, bytearray)
            encoded = bytes(whole[_RESPONSE_HEADER.size :])
            self.owner.metadata_cache.put(slot.cache_key, message, encoded)
        self._advance()

    def no_response(self, slot: Slot) -> None:
        """Free the slot of a request that has no response."""
        slot.pieces = []
        self._advance()

    def _advance(self) -> None:
        """Queue the responses at the head of ``slots``, up to the first that is not there yet."""
        slots = self.slots
        if slots[0].pieces is None:
            return
        while slots and slots[0].pieces is not None:
            for piece in slots.popleft().pieces or ():
                self._out.append(piece)
                self.out_bytes += len(piece)
        self.owner.schedule_flush(self)
        if self.frame_waits:
            self.owner.schedule_resume(self)

    def flush(self) -> None:
        """Send the responses that are due; a request that waits for space may then be taken."""
        super().flush()
        self.last_active_ms = self.shared.loop.turn_ms
        if (
            self.frame_waits
            and not self.closed
            and not self.slots
            and self.out_bytes <= MAX_OUT_BYTES
        ):
            self.owner.schedule_resume(self)

    # ---- end
    def refuse_size(self, size: int, start: bytes) -> None:
        """Close with a hint when the first bytes are those of another protocol."""
        hint = ""
        if start[:2] == b"\x16\x03":
            hint = "; this looks like TLS, but the listener is plain text"
        elif _HTTP.match(start):
            hint = "; this looks like HTTP, but the listener speaks the Kafka protocol"
        self.close(f"invalid frame size {size}{hint}")

    def on_closed(self, reason: str) -> None:
        self.owner.connection_closed(self, reason)
