"""A host for one page over a fake cluster: a session with its own client thread, and no window."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.client_bridge import ClientBridge
from gui.journal_feed import JournalFeed
from gui.navigation import Target
from gui.pages import PageContext
from gui.preferences import Preferences
from gui.session import Session
from gui.theme import ThemeController, load_fonts
from kafka_client.changes import diff
from kafka_client.gateway import Gateway
from kafka_client.journal import FileJournal
from kafka_client.profile import ConnectionProfile
from kafka_client.runtime import ClientThread
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient
from widgets.chart_clock import ChartClock
from widgets.theme import Theme


class PageHost:
    """``context`` is for the page; ``navigated`` and ``notes`` keep what it asked of the window."""

    def __init__(
        self, qtbot: QtBot, qapp: QApplication, client: FakeClient, folder: Path, read_only: bool
    ) -> None:
        load_fonts()
        self.qtbot = qtbot
        self.client = client
        self.theme = Theme()
        self.preferences = Preferences(folder / "preferences.json")
        self.theme_controller = ThemeController(qapp, self.theme, self.preferences)
        self.theme_controller.choose("dark")
        self.runner = ClientThread().start()
        self.bridge = ClientBridge(self.runner)
        profile = ConnectionProfile("fake", ("fake:9092",), read_only=read_only)
        self.journal_file = FileJournal(folder / "journal.sqlite")
        self.journal = JournalFeed(self.journal_file, self.bridge)
        gateway = Gateway(client, read_only=read_only, journal=self.journal, cluster=profile.name)
        self.session = Session(profile, gateway, self.bridge, SeriesStore())
        self.navigated: list[tuple[Target | str, bool]] = []
        """target, in a tab of its own"""
        self.notes: list[tuple[str, str]] = []
        self.session.tasks.failed.connect(
            lambda error: self.notes.append((f"{error} {error.next_step}".strip(), "bad"))
        )
        self.context = PageContext(
            self.session,
            self.theme,
            self.preferences,
            ChartClock(),
            self.journal,
            self._navigate,
            lambda sentence, tone: self.notes.append((sentence, tone)),
        )
        self.sample()

    def _navigate(self, target: Target | str, in_tab: bool = False, **_: Any) -> None:
        self.navigated.append((target, in_tab))

    def sample(self) -> None:
        """Take the next snapshot of the cluster, as the sampler does."""
        snapshot = self.client.cluster.metadata(self.client.cluster.clock())
        self.session.take_snapshot(snapshot, diff(self.session.snapshot, snapshot))

    def close(self) -> None:
        self.session.close()
        self.runner.stop()
        self.journal_file.close()


@contextmanager
def page_host(
    qtbot: QtBot, qapp: QApplication, client: FakeClient, folder: Path, read_only: bool = False
) -> Iterator[PageHost]:
    # Else the client thread may collect what is left of a page of an earlier test.
    gc.disable()
    made = PageHost(qtbot, qapp, client, folder, read_only)
    try:
        yield made
    finally:
        made.close()
        gc.enable()
        gc.collect()
