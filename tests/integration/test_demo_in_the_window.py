"""The window with a demo cluster of its own, from the first click to the end: real broker
processes, real traffic."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from PySide6.QtWidgets import QApplication, QDialog, QPushButton
from pytestqt.qtbot import QtBot

from gui.app import Application
from gui.embedded.cluster import EmbeddedCluster
from gui.embedded.states import BrokerState
from gui.embedded.stored import stored_clusters
from kafka_client.secrets import MemorySecrets

T = TypeVar("T")


class Demo:
    def __init__(self, application: Application, qtbot: QtBot, root: Path) -> None:
        self.application, self.qtbot, self.root = application, qtbot, root

    def until(self, true: Callable[[], bool], seconds: float = 20) -> None:
        self.qtbot.waitUntil(true, timeout=round(seconds * 1000))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        task = self.application.tasks.start(coroutine)
        self.until(task.done)
        return task.result()

    @property
    def cluster(self) -> EmbeddedCluster:
        session = self.application.clusters.shown
        assert session is not None and session.embedded is not None
        return session.embedded

    def lag(self) -> int:
        session = self.application.clusters.shown
        return (
            sum(g.lag_records or 0 for g in session.snapshot.groups.values())
            if session is not None
            else 0
        )

    def close(self) -> None:
        self.application.window.close()
        self.until(lambda: not self.application.window.isVisible(), 40)


@pytest.fixture
def demo(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Demo]:
    root = tmp_path / "clusters"
    application = Application(
        qapp,
        settings_path=tmp_path / "preferences.json",
        clusters_root=root,
        secrets=MemorySecrets(),
    )
    application.window.show()
    yield Demo(application, qtbot, root)
    stopping = application.tasks.start(application.end())
    qtbot.waitUntil(lambda: stopping.done(), timeout=40_000)
    application.deleteLater()
    qapp.processEvents()


def alive(pids: list[int]) -> list[int]:
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def test_that_one_click_brings_a_live_picture_and_closing_leaves_nothing_but_the_data(
    demo: Demo,
) -> None:
    began = time.monotonic()
    demo.application.welcome.demo.click()
    demo.until(lambda: demo.application.clusters.shown is not None)
    demo.until(lambda: demo.lag() > 0)
    assert time.monotonic() - began < 30, "ten seconds on a quiet machine"
    demo.until(
        lambda: len(demo.cluster.brokers) == 3 and all(b.pid for b in demo.cluster.brokers.values())
    )
    pids = [b.pid for b in demo.cluster.brokers.values() if b.pid]
    traffic = demo.cluster.traffic
    assert traffic is not None and traffic.running
    demo.until(lambda: set(traffic.consumers) == {"email", "slack", "sms"})
    pids.append(traffic.pid)
    demo.close()
    assert alive(pids) == []
    assert [stored.template for stored in stored_clusters(demo.root)] == ["notifications"], (
        "offered again at the next start"
    )


def test_that_a_broker_that_is_killed_shows_so_and_comes_back(demo: Demo) -> None:
    demo.application.actions.start_template("notifications")
    demo.until(lambda: demo.lag() > 0)
    demo.application.window.navigate("brokers", broker=2)
    cluster, session = demo.cluster, demo.application.clusters.shown
    assert session is not None
    demo.run(cluster.kill(2))
    demo.until(lambda: cluster.brokers[2].state is BrokerState.DIED)
    demo.until(lambda: session.snapshot.brokers[2].reachable is False)
    demo.until(lambda: any("Broker 2" in change.text for change in session.changes))
    demo.run(cluster.start_broker(2))
    demo.until(lambda: cluster.brokers[2].state is BrokerState.UP)
    demo.until(
        lambda: (
            not any(
                p.under_replicated for t in session.snapshot.topics.values() for p in t.partitions
            )
        ),
        40,
    )


def test_that_closing_asks_first_when_another_program_is_connected(demo: Demo) -> None:
    demo.application.actions.start_template("single")
    demo.until(lambda: demo.application.clusters.shown is not None and bool(demo.cluster.brokers))
    host, _, port = demo.cluster.bootstrap_servers.partition(":")
    if os.fork() == 0:  # another program: it only holds a connection
        with socket.create_connection((host, int(port))) as connection:
            connection.recv(1)
        os._exit(0)
    while demo.run(demo.cluster.external_connections()) != 1:
        pass
    demo.application.window.close()
    demo.until(lambda: _question() is not None)
    question = _question()
    assert question is not None and demo.application.window.isVisible()
    next(b for b in question.findChildren(QPushButton) if b.text() == "Stop and close").click()
    demo.until(lambda: not demo.application.window.isVisible(), 40)
    os.wait()


def _question() -> QDialog | None:
    dialogs = [
        w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()
    ]
    return dialogs[0] if dialogs else None
