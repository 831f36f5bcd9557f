"""A client's connection: frames become request events, answers leave in the order of their
requests.

A request takes a slot; the slots of a connection are answered in order, whenever their answers
come. Produce requests are handed on at once, many at a time (measured twelve times the rate of
one at a time for small ones); behind any other request the next one waits, as in Kafka, unless
the connection is a broker's.

States: new -> (a broker's: challenged -> broker) -> closed.
"""

from __future__ import annotations

import re
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from embedded_broker.core import api
from embedded_broker.core.events import Caller
from embedded_broker.shell.answers import Question
from embedded_broker.shell.framed import FramedSocket, Piece
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError, decode, request_class
from kafka_protocol.errors import ErrorCode
from kafka_protocol.framing import REQUEST_START, encode_response, read_client_id
from kafka_protocol.messages.k18_api_versions import ApiVersion, ApiVersionsResponse

if TYPE_CHECKING:
    from embedded_broker.shell.server import Server

# Looking up a member of an enum costs six times as much as a global does, at every request.
PRODUCE, METADATA, API_VERSIONS = ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.API_VERSIONS
MAX_IN_FLIGHT = 512
REQUESTS_A_TURN = 64
"""Requests of one connection in one wake-up; a thousand small ones would make everybody else
wait."""
MAX_OUT_BYTES = 8 * 1024 * 1024
CLIENT_ID_CHARACTERS = 255
_RESPONSE_HEADER = struct.Struct(">ii")
HTTP = re.compile(rb"(GET |POST|PUT |HEAD|OPTI|DELE|PATC|CONN)")


class Slot:
    """The place of one request's answer. ``pieces`` is None until it has one; empty when there is
    none to send."""

    __slots__ = ("connection", "correlation_id", "pieces", "question", "version")

    def __init__(self, connection: ClientConnection, version: int, correlation_id: int) -> None:
        self.connection = connection
        self.version = version
        self.correlation_id = correlation_id
        self.pieces: list[Piece] | None = None
        self.question: Question | None = None
        """What was asked, when the answer may be kept for who asks it again."""


class ClientConnection(FramedSocket):
    """One accepted connection; the server owns it."""

    def __init__(
        self, server: Server, sock: socket.socket, connection_id: int, host: str, listener: str
    ) -> None:
        super().__init__(server.shared, sock, server.limits.request_max_bytes)
        self.server = server
        self.connection_id = connection_id
        self.last_active_ms = server.shared.loop.now_ms()
        self.caller = Caller(connection_id, host, listener)
        self.slots: deque[Slot] = deque()
        self.only_produce = True
        """Whether all requests in the slots are Produce."""
        self.challenge: bytes | None = None
        self.brokers_only = False
        """Accepted beyond the limit: it stays if it proves to be a broker."""
        self._client_id_raw = b""
        self.offered = False
        """Whether the server will offer the frame that waits again."""
        self._turn = 0
        self._requests_this_turn = 0

    # ---- requests
    def on_frame(self, frame: memoryview) -> bool:
        api_key, version, correlation_id = REQUEST_START.unpack_from(frame, 0)
        slots = self.slots
        if (
            slots
            and self.caller.broker_id < 0
            and (not self.only_produce or api_key != PRODUCE or len(slots) >= MAX_IN_FLIGHT)
        ):
            return False
        if self.out_bytes > MAX_OUT_BYTES:
            return False
        turn = self.shared.loop.turn
        if turn != self._turn:
            self._turn, self._requests_this_turn = turn, 0
        elif self._requests_this_turn >= REQUESTS_A_TURN:
            self.server.offer_again(self)
            return False
        self._requests_this_turn += 1
        entry = api.TABLE.get(api_key)
        self.only_produce = api_key == PRODUCE
        try:
            if entry is None:
                self._own_request(frame, api_key, version, correlation_id)
                return True
            if not entry.min_version <= version <= entry.max_version:
                if api_key == API_VERSIONS:
                    self._answer_unknown_api_versions(correlation_id)
                else:
                    self.close(f"api {api_key} is not spoken in version {version}")
                return True
            cls = request_class(api_key)
            if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
                self.close(f"api {api_key} is not understood in version {version}")
                return True
            if self.brokers_only:
                self.close("there are too many connections")
                return True
            start = self._read_header(frame, version >= cls.FLEXIBLE_SINCE)
            answers = self.server.metadata_answers
            question: Question | None = None
            if api_key == METADATA and answers is not None:
                question = (version, self.caller.listener, bytes(frame[start:]))
                known = answers.find(question)
                if known is not None:
                    slot = Slot(self, version, correlation_id)
                    slots.append(slot)
                    slot.pieces = [_RESPONSE_HEADER.pack(len(known) + 4, correlation_id) + known]
                    self._advance()
                    return True
            message = decode(cls, version, frame, start, more_may_follow=True)
        except (ProtocolError, struct.error, IndexError) as e:
            self.close(f"a malformed request of api {api_key} version {version}: {e}")
            return True
        slot = Slot(self, version, correlation_id)
        slot.question = question
        slots.append(slot)
        self.server.request(slot, message)
        if api_key == PRODUCE:
            release_records(message)
        return True

    def _read_header(self, frame: memoryview, flexible: bool) -> int:
        """Take the client id and skip the tags; returns where the body starts."""
        client_id, start = read_client_id(frame, flexible)
        if client_id != self._client_id_raw:
            self._client_id_raw = client_id
            self._set_caller(client_id)
        return start

    def _set_caller(self, raw: bytes) -> None:
        try:
            client_id = raw.decode()
        except UnicodeDecodeError:
            raise ProtocolError("the client id is not UTF-8") from None
        old = self.caller
        self.caller = Caller(
            old.connection_id,
            old.host,
            old.listener,
            client_id[:CLIENT_ID_CHARACTERS],
            old.principal,
            old.broker_id,
        )

    # ---- the shell's own
    def _own_request(
        self, frame: memoryview, api_key: int, version: int, correlation_id: int
    ) -> None:
        """Brokers prove who they are with Kafka's authentication requests; clients are not
        offered them."""
        if api_key not in (ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE):
            self.close(f"api {api_key} is not known here")
            return
        cls = request_class(api_key)
        if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
            self.close(f"api {api_key} is not spoken in version {version}")
            return
        start = self._read_header(frame, version >= cls.FLEXIBLE_SINCE)
        message = decode(cls, version, frame, start)
        slot = Slot(self, version, correlation_id)
        self.slots.append(slot)
        response, broker_id, refused = self.server.authentication.answer(self, message)
        if broker_id >= 0:
            old = self.caller
            self.caller = Caller(
                old.connection_id,
                old.host,
                old.listener,
                old.client_id,
                f"Broker:{broker_id}",
                broker_id,
            )
            self.brokers_only = False
        self.answer(slot, response)
        if refused:
            self.flush()
            self.close(refused)

    def _answer_unknown_api_versions(self, correlation_id: int) -> None:
        """KIP-511: version 0, error 35, and the range of this api, so that the client can ask
        again."""
        entry = api.TABLE[API_VERSIONS]
        response = ApiVersionsResponse(
            error_code=ErrorCode.UNSUPPORTED_VERSION,
            api_keys=[ApiVersion(API_VERSIONS, entry.min_version, entry.max_version)],
        )
        slot = Slot(self, 0, correlation_id)
        self.slots.append(slot)
        self.answer(slot, response)

    # ---- answers
    def answer(self, slot: Slot, message: Any) -> None:
        """Fill a slot; what is due leaves at the end of the wake-up."""
        slot.pieces = pieces = encode_response(message, slot.version, slot.correlation_id)
        if slot.question is not None and self.server.metadata_answers is not None:
            whole = pieces[0]
            assert isinstance(whole, bytearray)
            self.server.metadata_answers.keep(slot.question, message, bytes(whole[8:]))
        self._advance()

    def answer_nothing(self, slot: Slot) -> None:
        slot.pieces = []
        self._advance()

    def _advance(self) -> None:
        slots = self.slots
        if slots[0].pieces is None:
            return
        while slots and slots[0].pieces is not None:
            for piece in slots.popleft().pieces or ():
                self._out.append(piece)
                self.out_bytes += len(piece)
        self.server.dirty(self)
        if self._held:
            self.server.offer_again(self)

    def flush(self) -> None:
        super().flush()
        self.last_active_ms = self.shared.loop.turn_ms
        if self._held and not self.closed and not self.slots and self.out_bytes <= MAX_OUT_BYTES:
            self.server.offer_again(self)

    # ---- offences, end
    def refuse_size(self, size: int, start: bytes) -> None:
        hint = ""
        if start[:2] == b"\x16\x03":
            hint = "; it looks like TLS, and this listener speaks plain text"
        elif HTTP.match(start):
            hint = "; it looks like HTTP, and this listener speaks Kafka's protocol"
        self.close(f"a frame of {size} bytes{hint}")

    def on_closed(self, reason: str) -> None:
        self.server.connection_closed(self, reason)


def release_records(message: Any) -> None:
    """Let go of the views into the frame, so that its memory can be used again; the records are
    in the log."""
    for topic in message.topic_data:
        for partition in topic.partition_data:
            view = partition.records
            if isinstance(view, memoryview):
                partition.records = None
                view.release()
