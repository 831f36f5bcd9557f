"""Accepting connections: where there is no room, or no descriptor, left."""

from __future__ import annotations

import errno
import itertools
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from embedded_broker.options import Settings
from embedded_broker.shell import server
from embedded_broker.shell.process import limits_of, logs_of
from embedded_broker.shell.server import Limits, bind
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest
from tests.unit.embedded_broker.shell.fakes import Client, served


class Exhausted(socket.socket):
    """A listening socket whose process has no descriptors left for the first ``left`` accepts.

    ``failed_s`` holds when they failed, on the monotonic clock.
    """

    left = 3
    failed_s: list[float]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.left > 0:
            self.left -= 1
            self.failed_s.append(time.monotonic())
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_row_13_that_a_broker_without_descriptors_rests_instead_of_spinning(
    tmp_path: Path,
) -> None:
    with served(tmp_path) as broker:
        listening = Exhausted(fileno=bind("127.0.0.1", 0).detach())
        listening.setblocking(False)
        listening.failed_s = []
        broker.inside(lambda: broker.runner.server.listen(listening, "PLAINTEXT"))
        client = Client(socket.create_connection(listening.getsockname(), timeout=10))
        client.send(ApiVersionsRequest(), 0)
        assert client.answer(18, 0) is not None  # it waited in the backlog
        gaps_s = [later - earlier for earlier, later in itertools.pairwise(listening.failed_s)]
        assert len(gaps_s) == 2
        assert min(gaps_s) >= 0.9 * server.ACCEPT_AGAIN_MS / 1000
        client.close()


def test_row_13_that_idle_strangers_cannot_hold_the_places_of_brokers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RESERVED_FOR_BROKERS", 2)
    with served(tmp_path, Limits(max_connections=1)) as broker:
        client, *strangers = (broker.connect() for _ in range(4))
        # The oldest of the three strangers made room for the youngest.
        assert strangers[0].sock.recv(1) == b""
        client.send(ApiVersionsRequest(), 0)
        assert client.answer(18, 0) is not None
        monkeypatch.setattr(server, "PROOF_MS", 0)
        for stranger in strangers[1:]:
            assert stranger.sock.recv(1) == b""
        client.send(ApiVersionsRequest(), 0)
        assert client.answer(18, 0) is not None
        for one in (client, *strangers):
            one.close()


def test_that_half_of_the_files_are_not_for_clients() -> None:
    settings = Settings.parse("node.id=1")
    assert limits_of(settings, 1 << 20).max_connections == 1000
    assert limits_of(settings, 256).max_connections == 64
    assert limits_of(settings, 100).max_connections == 1
    assert [logs_of(files) for files in (1 << 20, 1024, 256, 100)] == [262_080, 192, 1, 1]
