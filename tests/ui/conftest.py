"""The real window over fake clusters, offscreen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.app import Application
from gui.main_window import MainWindow
from kafka_client.gateway import Gateway
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import MemorySecrets
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster


def large_cluster(topics: int, partitions: int = 3, groups: int = 20) -> FakeClient:
    """A fake cluster with that many topics, all of them with traffic."""
    cluster = FakeCluster(time.time, moving=False)
    for number in range(topics):
        cluster.create(
            f"service-{number % 40:02}.events-{number:04}",
            partitions,
            2,
            rate_per_s=1.0 + number % 17,
        )
    return FakeClient(cluster)


class Window:
    def __init__(self, application: Application, qtbot: QtBot, clients: list[FakeClient]) -> None:
        self.application, self.qtbot, self.clients = application, qtbot, clients
        self.window: MainWindow = application.window

    def connect(self, client: FakeClient, name: str = "orders", **more: object) -> FakeClient:
        """Open a cluster whose client is ``client``, and wait for its first snapshot."""
        self.clients.append(client)
        session = self.application.clusters.open_profile(
            ConnectionProfile(name, (f"{name}:9092",), **more),  # type: ignore[arg-type]
            remember=False,
        )
        self.qtbot.waitUntil(lambda: session.loaded, timeout=10_000)
        return client

    def wait_until(self, true: Callable[[], bool], timeout_ms: int = 5000) -> None:
        self.qtbot.waitUntil(true, timeout=timeout_ms)


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Window]:
    clients: list[FakeClient] = []

    def make_client(profile: ConnectionProfile) -> Gateway:
        read_only, journal = profile.writes_refused, application.journal
        return Gateway(clients[-1], read_only=read_only, journal=journal, cluster=profile.name)

    application = Application(
        qapp,
        settings_path=tmp_path / "preferences.json",
        clusters_root=tmp_path / "clusters",
        make_client=make_client,
        secrets=MemorySecrets(),
    )
    application.theme_controller.choose("dark")
    application.window.resize(1440, 900)  # the screen of the tests is small
    application.window.show()
    yield Window(application, qtbot, clients)
    application.close()
    application.window.deleteLater()
    application.deleteLater()
    qapp.processEvents()
