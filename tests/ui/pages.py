"""One page alone over a fake cluster: a session with a client thread of its own, no window around
it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.client_bridge import ClientBridge
from gui.pages import PageContext
from gui.preferences import Preferences
from gui.session import Session
from gui.theme import Look, load_fonts
from kafka_client.changes import diff
from kafka_client.gateway import Gateway
from kafka_client.profile import ConnectionProfile
from kafka_client.runtime import ClientThread
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient
from widgets.chart_clock import ChartClock
from widgets.theme import Theme


class Alone:
    """``context`` for the page; ``gone_to`` and ``said`` keep what it asked the window for."""

    def __init__(
        self, qtbot: QtBot, qapp: QApplication, client: FakeClient, folder: Path, read_only: bool
    ) -> None:
        load_fonts()
        self.qtbot = qtbot
        self.client = client
        self.theme = Theme()
        self.preferences = Preferences(folder / "preferences.json")
        self.look = Look(qapp, self.theme, self.preferences)
        self.look.choose("dark")
        self.runner = ClientThread().start()
        self.bridge = ClientBridge(self.runner)
        profile = ConnectionProfile("fake", ("fake:9092",), read_only=read_only)
        self.session = Session(
            profile, Gateway(client, read_only=read_only), self.bridge, SeriesStore()
        )
        self.gone_to: list[tuple[Any, Any]] = []
        self.said: list[tuple[str, str]] = []
        self.session.tasks.failed.connect(
            lambda error: self.said.append((f"{error} {error.next_step}".strip(), "bad"))
        )
        self.context = PageContext(
            self.session,
            self.theme,
            self.preferences,
            ChartClock(),
            lambda *a, **k: self.gone_to.append((a, k)),
            lambda *a: self.said.append(a),  # type: ignore[arg-type]
        )
        self.look_again()

    def look_again(self) -> None:
        """The next picture of the cluster, as the sampler would bring it."""
        snapshot = self.client.cluster.metadata(self.client.cluster.clock())
        self.session.take_snapshot(snapshot, diff(self.session.snapshot, snapshot))

    def close(self) -> None:
        self.session.close()
        self.runner.stop()


@contextmanager
def alone(
    qtbot: QtBot, qapp: QApplication, client: FakeClient, folder: Path, read_only: bool = False
) -> Iterator[Alone]:
    gc.disable()  # else the client thread may be the one that collects what is left of a page of an earlier test
    made = Alone(qtbot, qapp, client, folder, read_only)
    try:
        yield made
    finally:
        made.close()
        gc.enable()
        gc.collect()
