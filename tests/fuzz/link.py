"""Sends what a case makes to one broker and reads what comes back.

What must come back follows from the bytes that were sent: each whole frame with a supported API and
version gets a response that parses in that version, in order, or the connection is closed. Silence
is a finding too, but for requests that may wait for something.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from embedded_broker.core import api
from embedded_broker.shell.authentication import MECHANISM, DiallerProof
from kafka_protocol import codec
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.framing import decode_response, encode_request, read_client_id
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateRequest

ANSWER_S = 15.0
"""How long the broker may take for a request that need not wait."""
PATIENCE_S = 0.25
"""How long the attacker waits for one that may."""
MAY_WAIT = {
    ApiKey.JOIN_GROUP,
    ApiKey.SYNC_GROUP,
    ApiKey.FETCH,
    ApiKey.PRODUCE,
    ApiKey.DELETE_RECORDS,
    ApiKey.ELECT_LEADERS,
}


class Found(Exception):
    """The broker did what it must not do; the text says what."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A response that is due."""

    api_key: int
    version: int
    correlation_id: int
    may_wait: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes to send on one of the attacker's connections.

    With ``read`` its responses are read at once; else they stay due, as those of a client that
    sends on. ``leave`` closes the connection afterwards, whatever is due.
    """

    data: bytes
    line: int = 0
    read: bool = True
    leave: bool = False


class Line:
    """One connection, opened when it is first needed and after it was closed."""

    def __init__(self, address: tuple[str, int], insider: tuple[bytes, int, int] | None) -> None:
        """``insider`` (secret, own id, listener's id) makes it prove to be a broker first."""
        self._address = address
        self._insider = insider
        self._sock: socket.socket | None = None
        self._due: deque[Expected] = deque()
        self._tail = b""

    def send(self, data: bytes) -> None:
        """Send, and note which responses are due. A closed connection is opened again."""
        if self._sock is None:
            self._open()
        assert self._sock is not None
        expected, self._tail = due_for(self._tail + data)
        self._due += expected
        try:
            self._sock.settimeout(ANSWER_S)
            self._sock.sendall(data)
        except OSError:
            self.close()  # it may close before everything is sent

    def read(self) -> list[tuple[int, Any]]:
        """Read the responses that are due, as (API key, message); a closed connection ends them.

        Raises:
            Found: a response does not parse, is of another request, or does not come.
        """
        found = []
        while self._due and self._sock is not None:
            expected = self._due[0]
            frame = self._frame(expected)
            if frame is None:
                break
            self._due.popleft()
            found.append((expected.api_key, parsed(expected, frame)))
        if self._tail and self._sock is not None:
            # Half a frame is on its way: the end of the stream must end the connection.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            self._frame(Expected(-1, 0, 0, False))
            self.close()
        return found

    def _frame(self, expected: Expected) -> bytes | None:
        assert self._sock is not None
        self._sock.settimeout(PATIENCE_S if expected.may_wait else ANSWER_S)
        try:
            size = self._exactly(4)
            return None if size is None else self._exactly(struct.unpack(">i", size)[0])
        except TimeoutError:
            self.close()
            if not expected.may_wait:
                raise Found(f"no answer to {expected} within {ANSWER_S:g} s") from None
            return None
        except OSError:
            self.close()
            return None

    def _exactly(self, size: int) -> bytes | None:
        assert self._sock is not None
        data = bytearray()
        while len(data) < size:
            got = self._sock.recv(size - len(data))
            if not got:
                self.close()
                return None
            data += got
        return bytes(data)

    def _open(self) -> None:
        self._sock = socket.create_connection(self._address, timeout=ANSWER_S)
        self._tail = b""
        if self._insider is not None:
            secret, own_id, listener_id = self._insider
            proof = DiallerProof(secret, own_id, listener_id, "control")
            self._prove(SaslHandshakeRequest(MECHANISM))
            answer = self._prove(SaslAuthenticateRequest(proof.first_message()))
            final = proof.final_message(answer.auth_bytes)
            assert final is not None, "the broker does not know the secret"
            self._prove(SaslAuthenticateRequest(final))

    def _prove(self, message: Any) -> Any:
        self.send(bytes(encode_request(message, 1, 1, b"fuzz")))
        ((_, answer),) = self.read()
        assert answer.error_code == 0, answer
        return answer

    def close(self) -> None:
        """Close the connection; nothing is due any more."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._due.clear()
        self._tail = b""


def due_for(data: bytes) -> tuple[list[Expected], bytes]:
    """Return the responses that the frames in ``data`` must get, and the cut frame at its end.

    Nothing is due behind a frame after which the broker closes the connection.
    """
    expected: list[Expected] = []
    position = 0
    while len(data) - position >= 4:
        size = int.from_bytes(data[position : position + 4], "big", signed=True)
        frame = data[position + 4 : position + 4 + size]
        if size < 8:
            return expected, b""
        if len(frame) < size:
            break
        position += 4 + size
        api_key, version, correlation_id = struct.unpack_from(">hhi", frame)
        if api.unsupported(api_key, version):
            if api_key == ApiKey.API_VERSIONS:  # KIP-511
                expected.append(Expected(api_key, 0, correlation_id, False))
                continue
            return expected, b""
        if not (api_key == ApiKey.PRODUCE and _has_no_response(frame, version)):
            may_wait = api_key in MAY_WAIT
            expected.append(Expected(api_key, version, correlation_id, may_wait))
    return expected, data[position:]


def _has_no_response(frame: bytes, version: int) -> bool:
    """Return whether this Produce request has acks=0, as far as it can be decoded."""
    cls = codec.request_class(ApiKey.PRODUCE)
    try:
        _, start = read_client_id(frame, version >= cls.FLEXIBLE_SINCE)
        message = codec.decode(cls, version, frame, start, more_may_follow=True)
    except (ProtocolError, IndexError):
        return False
    return bool(message.acks == 0)


def parsed(expected: Expected, frame: bytes) -> Any:
    """Decode a response.

    Raises:
        Found: it is of another request, or malformed.
    """
    try:
        (correlation_id,) = struct.unpack_from(">i", frame)
        message = decode_response(expected.api_key, expected.version, frame)
    except (ProtocolError, struct.error) as e:
        raise Found(f"the answer to {expected} does not parse ({e}): {frame[:200].hex()}") from e
    if correlation_id != expected.correlation_id:
        raise Found(f"the answer to {expected} has correlation id {correlation_id}")
    return message


class Link:
    """The attacker's connections to one broker."""

    def __init__(
        self, address: tuple[str, int], insider: tuple[bytes, int, int] | None = None
    ) -> None:
        self._address = address
        self._insider = insider
        self._lines: dict[int, Line] = {}

    def perform(self, step: Step) -> list[tuple[int, Any]]:
        """Send a step; return the responses that were read. Raises: Found, OSError."""
        line = self._lines.get(step.line)
        if line is None:
            line = self._lines[step.line] = Line(self._address, self._insider)
        line.send(step.data)
        found = line.read() if step.read else []
        if step.leave:
            line.close()
        return found

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()
