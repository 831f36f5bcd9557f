"""One cluster that answers with as much as a frame may hold, beside one that answers as usual."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.open_clusters import Clusters
from gui.preferences import Preferences
from kafka_client.confluent import ConfluentClient
from kafka_client.profile import ConnectionProfile
from kafka_client.runtime import ClientThread
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Schedule
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.primitives import write_uvarint
from tests.fakes.client import FakeClient
from tests.unit.kafka_client.wire.broker import FakeBroker

TOPICS = 900_000


def metadata_of_a_million_topics() -> bytes:
    """What follows the correlation id: version 12 and 13 of Metadata, about 30 MiB."""
    out = bytearray(b"\0" + bytes(4) + b"\x01" + b"\0" + bytes(4))
    write_uvarint(out, TOPICS + 1)
    for number in range(TOPICS):
        out += b"\0\0\x09t%07d" % number + bytes(16) + b"\0\x01" + bytes(4) + b"\0"
    return bytes(out + bytes(8))


@pytest.fixture
def hostile() -> Iterator[FakeBroker]:
    thread = ClientThread("hostile broker").start()
    broker = FakeBroker()
    broker.raw_bodies[ApiKey.METADATA] = metadata_of_a_million_topics()
    thread.submit(broker.start()).result(5)
    yield broker
    thread.submit(broker.stop()).result(5)
    thread.stop()


def test_that_a_cluster_that_answers_with_a_million_topics_does_not_stall_another(
    qtbot: QtBot,
    qapp: QApplication,
    tmp_path: Path,
    hostile: FakeBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Rounds every tenth of a second: with the usual second, a pause says little about a stall.
    often = Schedule(metadata_s=0.1, offsets_visible_s=0.1, committed_visible_s=0.1, groups_s=0.1)
    monkeypatch.setattr("gui.connection_preferences.schedule_of", lambda _preferences: often)

    def make_client(profile: ConnectionProfile) -> FakeClient | ConfluentClient:
        return FakeClient() if profile.name == "healthy" else ConfluentClient(profile)

    clusters = Clusters(
        make_client,
        tmp_path / "connections.json",
        tmp_path / "history",
        Preferences(tmp_path / "preferences.json"),
    )
    healthy = clusters.open_profile(ConnectionProfile("healthy", ("healthy:9092",)))
    rounds: list[float] = []
    healthy.sampled.connect(lambda _: rounds.append(time.monotonic()))
    qtbot.waitUntil(lambda: healthy.loaded, timeout=10_000)

    states: list[ConnectionState] = []
    began = time.monotonic()
    attacked = clusters.open_profile(
        ConnectionProfile("hostile", (f"127.0.0.1:{hostile.port}",)), remember=False
    )
    attacked.state_changed.connect(states.append)
    qtbot.waitUntil(
        lambda: any("topics" in s.sentence for s in states if s.kind is ConnectionKind.LOST),
        timeout=60_000,
    )
    attack_s = time.monotonic() - began
    during = [began, *(t for t in rounds if began <= t <= began + attack_s), began + attack_s]
    pauses = [after - before for before, after in pairwise(during)]
    for ending in clusters.close_all():
        ending.result(20)
    clusters.stop_threads(5)
    assert attack_s > 1.5, "the answer is no burden: it shows nothing"
    assert max(pauses) < attack_s / 2, (attack_s, max(pauses), len(during))
