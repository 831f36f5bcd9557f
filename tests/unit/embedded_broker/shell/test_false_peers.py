"""A broker of the cluster, with its secret, whose answers are none: its connection ends, its
requests fail, and the other lanes go on."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.peers import MAX_RESPONSE_BYTES
from kafka_protocol.codec import decode, request_class
from kafka_protocol.framing import encode_response, read_client_id
from kafka_protocol.messages.k03_metadata import MetadataResponse, MetadataResponseTopic
from tests.unit.embedded_broker.shell.dialling import Dialler
from tests.unit.embedded_broker.shell.fakes import SECRET, framed

PEER = 2


def answer(correlation_id: int, topics: int = 0) -> bytes:
    message = MetadataResponse(topics=[MetadataResponseTopic(name="t")] * topics)
    return b"".join(map(bytes, encode_response(message, 9, correlation_id)))


class FalsePeer:
    """Proves itself like broker 2, then sends ``reply(correlation id)`` for each request; nothing
    more after b""."""

    def __init__(self, reply: Callable[[int], bytes]) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        authentication = Authentication(SECRET, PEER)
        connection = SimpleNamespace(challenge=None, caller=SimpleNamespace(connection_id=1))
        client, _ = self._listener.accept()
        with client, client.makefile("rwb") as stream:
            try:
                while size := stream.read(4):
                    frame = stream.read(int.from_bytes(size, "big"))
                    api_key, version, correlation_id = struct.unpack_from(">hhi", frame)
                    if api_key in (17, 36):
                        cls = request_class(api_key)
                        _client_id, start = read_client_id(frame, version >= cls.FLEXIBLE_SINCE)
                        request = decode(cls, version, frame, start)
                        outcome = authentication.respond(connection, request)
                        for piece in encode_response(outcome.response, version, correlation_id):
                            stream.write(piece)
                    else:
                        stream.write(self._reply(correlation_id))
                    stream.flush()
            except OSError:
                pass  # the dialler has hung up

    def stop(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive(), "the connection was not closed"
        self._listener.close()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (lambda _id: struct.pack(">i", MAX_RESPONSE_BYTES + 1) + b"x" * 8, "invalid frame size"),
        (lambda _id: struct.pack(">i", -1), "invalid frame size"),
        (lambda id_: answer(id_ + 1), "out of order"),
        (lambda id_: answer(id_)[:-1] + b"\xff" * 9, "malformed"),
        (lambda id_: framed(struct.pack(">i", id_) + b"\xff" * 64), "malformed"),
        (lambda id_: framed(answer(id_, 50)[4:200]), "malformed"),
        (lambda _id: framed(b"\0" * 8), "out of order"),
        (lambda id_: struct.pack(">i", 1 << 20) + answer(id_), "did not respond in time"),
        (lambda _id: b"", "did not respond in time"),
        (lambda _id: b"HTTP/1.1 400 Bad Request\r\n\r\n", "invalid frame size"),
    ],
    ids=[
        *("too large", "negative", "another request", "more behind it", "garbage", "cut off"),
        *("zeros", "half a frame", "silence", "HTTP"),
    ],
)
def test_that_a_false_answer_ends_its_connection_alone(
    dialler: Dialler, reply: Callable[[int], bytes], why: str
) -> None:
    peer = FalsePeer(reply)
    dialler.peers.set_address(PEER, "127.0.0.1", peer.port)
    dialler.send(1, timeout_ms=300, peer=PEER)
    dialler.wait(failures=1)
    assert dialler.failures[0][0] == 1 and why in dialler.failures[0][1]
    peer.stop()
    dialler.send(2)
    dialler.wait(responses=1)


def test_that_an_answer_that_nobody_asked_for_ends_its_connection(dialler: Dialler) -> None:
    peer = FalsePeer(lambda id_: answer(id_) * 2)
    dialler.peers.set_address(PEER, "127.0.0.1", peer.port)
    dialler.send(1, peer=PEER)
    dialler.wait(responses=1)
    peer.stop()  # returns when the dialler has hung up
    dialler.send(2)
    dialler.wait(responses=2)
