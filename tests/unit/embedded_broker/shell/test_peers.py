from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_broker.core.effects import Send
from embedded_broker.shell.authentication import Authentication, Proving, find_secret, make_secret
from embedded_broker.shell.framed import Shared
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.peers import Peers
from kafka_protocol.messages.k03_metadata import MetadataRequest
from tests.unit.embedded_broker.shell.fakes import SECRET, Served, served


class Dialler:
    """A broker's dialling side in a thread; what comes back is gathered."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.failures: list[tuple[int, str]] = []
        self.loop = Loop()
        self.peers = Peers(
            Shared(self.loop),
            7,
            secret,
            lambda send_id, _peer, message: self.answers.append((send_id, message)),
            lambda send_id, _peer, reason: self.failures.append((send_id, reason)),
        )
        self.loop.after_tick = self._after_tick
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def _after_tick(self) -> bool:
        again = self.peers.report_failures()
        self.peers.flush()
        return again

    def send(
        self, send_id: int, timeout_ms: int = 5000, lane: str = "control", peer: int = 1
    ) -> None:
        effect = Send(send_id, peer, lane, MetadataRequest(), 9, timeout_ms)
        self.loop.post(lambda: self.peers.send(effect))

    def wait(self, answers: int = 0, failures: int = 0) -> None:
        deadline = time.monotonic() + 10
        while len(self.answers) < answers or len(self.failures) < failures:
            assert time.monotonic() < deadline, (self.answers, self.failures)
            time.sleep(0.005)

    def stop(self) -> None:
        self.loop.post(self.peers.close)
        self.loop.post(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def dialler(broker: Served) -> Iterator[Dialler]:
    found = Dialler()
    found.peers.set_address(1, "127.0.0.1", broker.port)
    yield found
    found.stop()


def test_that_a_peer_proves_to_be_a_broker_and_is_answered_in_order(
    broker: Served, dialler: Dialler
) -> None:
    for send_id in range(1, 51):
        dialler.send(send_id)
    dialler.wait(answers=50)
    assert [send_id for send_id, _ in dialler.answers] == list(range(1, 51))
    assert {(c.broker_id, c.principal) for c in broker.node.callers} == {(7, "Broker:7")}
    assert not dialler.failures


def test_that_lanes_do_not_wait_for_each_other(broker: Served, dialler: Dialler) -> None:
    broker.node.hold_ms = 400
    dialler.send(1, lane="slow")
    time.sleep(0.1)
    broker.node.hold_ms = 0
    dialler.send(2, lane="quick")
    dialler.wait(answers=2)
    assert [send_id for send_id, _ in dialler.answers] == [2, 1]


def test_that_a_peer_with_another_secret_is_not_believed(broker: Served) -> None:
    stranger = Dialler(b"another secret of thirty-two by.")
    stranger.peers.set_address(1, "127.0.0.1", broker.port)
    stranger.send(1)
    stranger.wait(failures=1)
    assert "no broker of this cluster" in stranger.failures[0][1]
    assert not broker.node.callers
    stranger.stop()


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
    assert "not known" in dialler.failures[-1][1]


def test_that_silence_fails_a_request_and_those_behind_it(broker: Served, dialler: Dialler) -> None:
    broker.node.hold_ms = 60_000
    dialler.send(1, timeout_ms=150)
    dialler.send(2, timeout_ms=30_000)
    dialler.wait(failures=2)
    assert "in time" in dialler.failures[0][1]
    broker.node.hold_ms = 0
    dialler.send(3)
    dialler.wait(answers=1)


def test_that_a_peer_that_accepts_and_says_nothing_is_given_up(dialler: Dialler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dialler.peers.set_address(2, "127.0.0.1", silent.getsockname()[1])
        dialler.send(1, timeout_ms=100, peer=2)
        dialler.wait(failures=1)


def test_that_requests_wait_for_a_peer_that_comes_back(broker: Served, dialler: Dialler) -> None:
    dialler.send(1)
    dialler.wait(answers=1)

    def break_all() -> None:
        for connection in list(broker.runner.server.connections.values()):
            connection.close("")

    broker.inside(break_all)
    deadline = time.monotonic() + 5
    send_id = 2
    while len(dialler.answers) < 2:
        assert time.monotonic() < deadline
        dialler.send(send_id)
        dialler.wait(failures=0)
        time.sleep(0.05)
        send_id += 1


def test_that_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    make_secret(tmp_path)
    first = find_secret(tmp_path)
    make_secret(tmp_path)
    assert find_secret(tmp_path) == first and len(first) == 32
    assert (tmp_path / "cluster.secret").stat().st_mode & 0o077 == 0


class Connection:
    challenge: bytes | None = None


def test_that_a_proof_cannot_be_replayed_or_skipped() -> None:
    from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest
    from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateRequest

    listener, connection = Authentication(SECRET), Connection()
    assert listener.answer(connection, SaslAuthenticateRequest(b"x" * 40))[2]
    connection = Connection()
    listener.answer(connection, SaslHandshakeRequest("KAFKARIUM-CLUSTER"))
    proving = Proving(SECRET, 3)
    shown, broker_id, _ = listener.answer(connection, SaslAuthenticateRequest(proving.first()))
    assert broker_id == -1
    last = proving.second(shown.auth_bytes)
    assert last is not None
    assert listener.answer(connection, SaslAuthenticateRequest(last))[1] == 3
    assert listener.answer(connection, SaslAuthenticateRequest(last))[2]
    other = Connection()
    listener.answer(other, SaslHandshakeRequest("KAFKARIUM-CLUSTER"))
    listener.answer(other, SaslAuthenticateRequest(Proving(SECRET, 3).first()))
    assert listener.answer(other, SaslAuthenticateRequest(last))[2]
