from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from embedded_broker.shell.authentication import (
    MECHANISM,
    Authentication,
    DiallerProof,
    SecretRefused,
    find_secret,
    make_secret,
    proof,
)
from embedded_broker.shell.framed import Shared
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.fields import Message
from kafka_protocol.framing import encode_response
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from kafka_protocol.messages.k36_sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)
from tests.unit.embedded_broker.shell.dialling import Dialler
from tests.unit.embedded_broker.shell.fakes import SECRET, Served


def test_that_a_peer_proves_to_be_a_broker_and_is_answered_in_order(
    broker: Served, dialler: Dialler
) -> None:
    for send_id in range(1, 51):
        dialler.send(send_id)
    dialler.wait(responses=50)
    assert [send_id for send_id, _ in dialler.responses] == list(range(1, 51))
    assert {(c.broker_id, c.principal) for c in broker.node.callers} == {(7, "Broker:7")}
    assert not dialler.failures


def test_that_lanes_do_not_wait_for_each_other(broker: Served, dialler: Dialler) -> None:
    broker.node.delay_ms = 400
    dialler.send(1, lane="slow")
    broker.node.wait_for(lambda: broker.node.callers)
    broker.node.delay_ms = 0
    dialler.send(2, lane="quick")
    dialler.wait(responses=2)
    assert [send_id for send_id, _ in dialler.responses] == [2, 1]


def test_that_frames_between_brokers_do_not_wait_for_those_of_clients(
    broker: Served, dialler: Dialler
) -> None:
    def no_room(shared: Shared) -> None:
        shared.pool.limit = 0

    broker.inside(lambda: no_room(broker.runner.server.shared))
    dialler.loop.post(lambda: no_room(dialler.peers.shared))
    dialler.send(1, topics=["t" * 200] * 2_000)
    dialler.wait(responses=1)
    assert len(dialler.responses[0][1].topics) == 2_000


def test_that_a_peer_with_another_secret_is_refused(broker: Served) -> None:
    impostor = Dialler(b"another secret of thirty-two by.")
    impostor.peers.set_address(1, "127.0.0.1", broker.port)
    impostor.send(1)
    impostor.wait(failures=1)
    assert "not a broker of this cluster" in impostor.failures[0][1]
    assert not broker.node.callers
    impostor.stop()


def test_that_a_refused_dial_fails_and_the_next_is_paced(dialler: Dialler) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dialler.peers.set_address(2, "127.0.0.1", unused.getsockname()[1])
        began = time.monotonic()
        for send_id in range(1, 6):
            dialler.send(send_id, peer=2)
            dialler.wait(failures=send_id)
        assert time.monotonic() - began > 0.02 + 0.04 + 0.08
    dialler.send(9, peer=3)
    dialler.wait(failures=6)
    assert "address of the peer is unknown" in dialler.failures[-1][1]


def test_that_silence_fails_a_request_and_those_behind_it(broker: Served, dialler: Dialler) -> None:
    broker.node.delay_ms = 60_000
    dialler.send(1, timeout_ms=150)
    dialler.send(2, timeout_ms=30_000)
    dialler.wait(failures=2)
    assert "in time" in dialler.failures[0][1]
    broker.node.delay_ms = 0
    dialler.send(3)
    dialler.wait(responses=1)


def test_that_a_peer_that_accepts_and_says_nothing_is_given_up(dialler: Dialler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dialler.peers.set_address(2, "127.0.0.1", silent.getsockname()[1])
        dialler.send(1, timeout_ms=100, peer=2)
        dialler.wait(failures=1)


def test_that_requests_wait_for_a_peer_that_comes_back(broker: Served, dialler: Dialler) -> None:
    dialler.send(1)
    dialler.wait(responses=1)

    def break_all() -> None:
        for connection in list(broker.runner.server.connections.values()):
            connection.close("")

    broker.inside(break_all)
    # A request that meets the broken connection fails; each further one waits for the next dial.
    for send_id in range(2, 10):
        dialler.send(send_id)
        dialler.wait(results=send_id)
        if len(dialler.responses) > 1:
            break
    assert len(dialler.responses) == 2


def test_that_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    make_secret(tmp_path)
    first = find_secret(tmp_path)
    make_secret(tmp_path)
    assert find_secret(tmp_path) == first and len(first) == 32
    assert (tmp_path / "cluster.secret").stat().st_mode & 0o077 == 0


class Connection:
    challenge: bytes | None = None


def test_that_a_proof_cannot_be_replayed_or_skipped() -> None:

    listener, connection = Authentication(SECRET, 1), Connection()
    assert listener.respond(connection, SaslAuthenticateRequest(b"x" * 40)).refusal
    connection = Connection()
    listener.respond(connection, SaslHandshakeRequest("KAFKARIUM-CLUSTER"))
    dialler = DiallerProof(SECRET, 3, 1, "fetch")
    challenge = listener.respond(connection, SaslAuthenticateRequest(dialler.first_message()))
    assert challenge.broker_id == -1
    assert isinstance(challenge.response, SaslAuthenticateResponse)
    final = dialler.final_message(challenge.response.auth_bytes)
    assert final is not None
    assert listener.respond(connection, SaslAuthenticateRequest(final)).broker_id == 3
    assert listener.respond(connection, SaslAuthenticateRequest(final)).refusal
    other = Connection()
    listener.respond(other, SaslHandshakeRequest("KAFKARIUM-CLUSTER"))
    first = DiallerProof(SECRET, 3, 1, "fetch").first_message()
    listener.respond(other, SaslAuthenticateRequest(first))
    assert listener.respond(other, SaslAuthenticateRequest(final)).refusal


@pytest.mark.parametrize(
    "peers",
    [
        *(b"", b"x", b"3>1", b"-1>1:fetch", b"\xb2>1:fetch", b"3>1:FETCH", b"3>1:fetch\n"),
        *(b"9" * 11 + b">1:fetch", b"1" * 10_000 + b">1:fetch"),
        b"3>2:fetch",  # a relay: meant for broker 2, and this is broker 1
    ],
)
def test_that_a_malformed_or_another_brokers_id_is_refused(peers: bytes) -> None:

    listener, connection = Authentication(SECRET, 1), Connection()
    listener.respond(connection, SaslHandshakeRequest("KAFKARIUM-CLUSTER"))
    outcome = listener.respond(connection, SaslAuthenticateRequest(b"n" * 16 + peers))
    assert outcome.refusal and outcome.broker_id == -1


def test_that_a_proof_holds_for_one_lane_and_one_listener_only() -> None:
    dialler = DiallerProof(SECRET, 3, 1, "fetch")
    nonce, peers = dialler.first_message()[:16], dialler.first_message()[16:]
    own = b"m" * 16
    for other in (b"3>1:control", b"3>2:fetch", b"2>1:fetch"):
        forged = own + proof(SECRET, "listener", nonce, own, other)
        assert dialler.final_message(forged) is None and not dialler.proven
    assert dialler.final_message(own + proof(SECRET, "dialler", nonce, own, peers)) is None
    assert dialler.final_message(own + proof(SECRET, "listener", nonce, own, peers)) is not None
    assert dialler.proven


class Stranger:
    """A program that listens at a dead broker's address. It accepts every handshake and answers
    SaslAuthenticate with ``answer``; ``requests`` are the API keys that it was sent."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[int] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, client.makefile("rwb") as stream:
            while size := stream.read(4):
                frame = stream.read(int.from_bytes(size, "big"))
                api_key, version, correlation_id = struct.unpack_from(">hhi", frame)
                self.requests.append(api_key)
                message: Message = SaslHandshakeResponse(0, [MECHANISM])
                if api_key == SaslAuthenticateRequest.API_KEY:
                    message = SaslAuthenticateResponse(auth_bytes=self._answer)
                for piece in encode_response(message, version, correlation_id):
                    stream.write(piece)
                stream.flush()

    def stop(self) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.mark.parametrize("answer", [b"", b"x", b"n" * 16, b"n" * 48])
def test_that_a_stranger_at_a_dead_brokers_address_is_sent_nothing(
    dialler: Dialler, answer: bytes
) -> None:
    stranger = Stranger(answer)
    dialler.peers.set_address(2, "127.0.0.1", stranger.port)
    dialler.send(1, peer=2)
    dialler.wait(failures=1)
    assert "not a broker of this cluster" in dialler.failures[0][1]
    stranger.stop()
    assert set(stranger.requests) == {ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}


@pytest.mark.parametrize("text", ["", "abcd", "not hex", "00" * 15])
def test_that_a_secret_that_could_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.secret").write_text(text)
    with pytest.raises(SecretRefused, match="16"):
        find_secret(tmp_path)


def test_that_a_crash_leaves_no_half_written_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            make_secret(tmp_path)
    assert not list(tmp_path.iterdir())
