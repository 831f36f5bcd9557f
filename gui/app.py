"""The composition root: makes the parts of the application, wires them, and runs the window."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, Qt, QTimer
from PySide6.QtWidgets import QApplication

from gui import log
from gui.activity_log import ActivityLog
from gui.client_bridge import ClientBridge
from gui.cluster_actions import ClusterActions
from gui.command_palette import Entry
from gui.embedded.manager import EmbeddedClusters
from gui.embedded.stored import StoredCluster, data_root
from gui.event_loop import AttachedLoop, window_loop
from gui.garbage import GarbageCollector
from gui.journal_feed import JournalFeed
from gui.main_window import MainWindow
from gui.open_clusters import Clusters, MakeClient
from gui.page_kit.latest_job import SWITCH_S
from gui.pages import PAGES
from gui.preference_effects import PreferenceEffects
from gui.preferences import TIME_STYLE, Preferences
from gui.stored_secrets import StoredSecrets
from gui.tasks import TaskScope, after, emitted, opened
from gui.theme import ThemeController
from gui.watchdog import Watchdog
from gui.welcome.page import WelcomePage
from kafka_client.journal import FileJournal, Journal
from kafka_client.profile import ConnectionProfile
from kafka_client.runtime import ClientThread
from kafka_client.secrets import KeyringSecrets, Secrets
from widgets.chart_clock import ChartClock
from widgets.theme import Theme
from widgets.time_style import STYLES, TimeStyle

if TYPE_CHECKING:
    from gui.about.diagnostics import Place
    from gui.session import Session
    from kafka_client.api import ClusterClient


def confluent(secrets: Secrets, journal: Journal) -> MakeClient:
    """Clients of real clusters; every change that goes through one is journaled."""

    def make(profile: ConnectionProfile) -> ClusterClient:
        from kafka_client.gateway import open_client

        return open_client(profile, secrets, journal)

    return make


PRELOAD_AFTER_MS = 200
PRELOAD_PAUSE_MS = 30
PAGES_GONE_MS = 1000
"""after closing a cluster its pages are destroyed by then"""
END_S = 2.0
"""how long closing waits for connections to close and histories to be written"""


class Application(QObject):
    """Owns the window and everything that it needs. ``close`` ends it in order.

    ``settings_path`` is the file of its preferences; scripts outside this repository pass it by
    that name.
    """

    def __init__(
        self,
        qt: QApplication,
        *,
        settings_path: Path | None = None,
        clusters_root: Path | None = None,
        make_client: MakeClient | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        super().__init__(qt)
        self.qt = qt
        self._attached = _attached_loop(qt)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """done when the window was closed and everything has ended"""
        qt.setApplicationName("kafkarium")
        qt.setApplicationDisplayName("Kafkarium")
        qt.setQuitOnLastWindowClosed(False)
        self.preferences = Preferences(settings_path, self)
        self.theme = Theme(parent=self)
        self.theme_controller = ThemeController(qt, self.theme, self.preferences, self)
        self.clock = ChartClock(self, style=TimeStyle(self.preferences.get(TIME_STYLE), self))
        self.watchdog = Watchdog(self)
        self.thread_ = ClientThread().start()  # for dialogs; each open cluster has its own
        self.bridge = ClientBridge(self.thread_, self)
        self.tasks = TaskScope(self)
        self.secrets = secrets or KeyringSecrets()
        data = clusters_root or data_root()
        self.journal = FileJournal(data.with_name("journal.sqlite"))
        self.journal_feed = JournalFeed(self.journal, self.bridge, self)
        self.make_client = make_client or confluent(self.secrets, self.journal_feed)
        recent = self.preferences.path.with_name("connections.json")
        self.clusters = Clusters(
            self.make_client,
            recent,
            data.with_name("history"),
            self.preferences,
            self,
        )
        StoredSecrets(self.clusters, self.secrets, self.bridge, self.tasks, self)
        self.welcome = WelcomePage(self.theme)
        self.window = MainWindow(
            self.theme,
            self.preferences,
            self.clock,
            self.clusters,
            self.welcome,
            self.watchdog,
            self.journal_feed,
        )
        self.embedded = EmbeddedClusters(self.bridge, data, self)
        self.actions = ClusterActions(
            self.tasks, self.clusters, self.embedded, self.window, self.welcome, self
        )
        self._ending: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        """measures the data of the stored clusters that Welcome lists"""
        sys.setswitchinterval(SWITCH_S)
        self.garbage = GarbageCollector(self)
        ActivityLog(self.clusters, self.watchdog, self)
        self.effects = PreferenceEffects(self.preferences, self.clusters, self.embedded, data, self)
        self.tasks.failed.connect(self.window.notify_error)
        self._wire()

    def _wire(self) -> None:
        window, welcome, clusters = self.window, self.welcome, self.clusters
        window.demo_requested.connect(lambda: self.actions.start_template("notifications"))
        window.connect_requested.connect(self.open_connect_dialog)
        window.theme_requested.connect(self.switch_theme)
        window.close_requested.connect(self.ask_to_close)
        window.preferences_requested.connect(self.open_preferences)
        window.about_requested.connect(self.open_about)
        welcome.demo_requested.connect(self.actions.start_template)
        welcome.connect_requested.connect(self.open_connect_dialog)
        welcome.profile_requested.connect(lambda profile: clusters.open_profile(profile))
        welcome.forget_requested.connect(clusters.forget)
        welcome.start_requested.connect(self.actions.start_stored)
        welcome.remove_requested.connect(self.actions.remove)
        clusters.opened.connect(self._opened)
        clusters.recent_changed.connect(self._show_lists)
        clusters.closed.connect(self._closed)
        self.embedded.changed.connect(self._show_lists)
        self.qt.applicationStateChanged.connect(self._state_changed)
        window.add_actions(self._actions())
        self.clock.style.changed.connect(
            lambda: self.preferences.set(TIME_STYLE, self.clock.style.style)
        )
        self.preferences.changed.connect(self._preference_changed)
        self.preferences.save_failed.connect(lambda sentence: window.notify(sentence, "warn"))
        for problem in (self.preferences.problem, clusters.problem):
            if problem:
                window.notify(problem, "warn")
        welcome.demo.setFocus()
        self._show_lists()

    def _preference_changed(self, name: str) -> None:
        if name == TIME_STYLE.name:
            self.clock.style.choose(self.preferences.get(TIME_STYLE))

    def _actions(self) -> list[Entry]:
        return [
            Entry(
                "Start a demo cluster",
                "action",
                "demo",
                lambda: self.actions.start_template("notifications"),
            ),
            Entry("Connect to a cluster…", "action", "connect", self.open_connect_dialog, "Ctrl+N"),
            Entry("Show the welcome page", "action", "overview", lambda: self.clusters.show(None)),
            Entry("Close this cluster", "action", "close", self.actions.close_shown),
            Entry("Switch between dark and light", "action", "moon", self.switch_theme),
            Entry(
                "Follow the system's theme",
                "action",
                "system",
                lambda: self.theme_controller.choose("system"),
            ),
            *(
                Entry(
                    f"Write times: {title}",
                    "action",
                    "clock",
                    partial(self.clock.style.choose, style),
                )
                for style, title in STYLES
            ),
            Entry(
                "Pause or resume sampling", "action", "pause", self.window.toggle_pause, "Ctrl+P"
            ),
            Entry(
                "Collapse or open the rail", "action", "sidebar", self.window.toggle_rail, "Ctrl+B"
            ),
            Entry("Preferences…", "action", "configuration", self.open_preferences, "Ctrl+,"),
            Entry("About Kafkarium", "action", "info", self.open_about),
            Entry(
                "Show stalls of the window",
                "action",
                "activity",
                self.window.toggle_debug,
                "Ctrl+Shift+D",
            ),
        ]

    async def preload(self) -> None:
        """Import the pages one by one while nothing else happens, so that the first visit to one
        does not wait for it; then move what is loaded out of the garbage collector's sight."""
        modules = [
            "kafka_client.sampling.sampler",
            "kafka_client.gateway",
            "widgets.charts.chart_panel",  # imports pyqtgraph: never before the first paint
            *(page.factory.partition(":")[0] for page in PAGES),
        ]
        await after(PRELOAD_AFTER_MS)
        for module in modules:
            import_module(module)
            await after(PRELOAD_PAUSE_MS)
        self.garbage.settle()

    def _opened(self, session: Session) -> None:
        self.tasks.start(self._settle_after_first_snapshot(session), owner=session)

    async def _settle_after_first_snapshot(self, session: Session) -> None:
        """The first snapshot lives long: the garbage collector need not look at it again."""
        await emitted(session.snapshot_changed)
        self.garbage.settle()

    def _closed(self, _: Session) -> None:
        self._show_lists()
        self.tasks.start(self._collect_closed_pages())

    async def _collect_closed_pages(self) -> None:
        await after(PAGES_GONE_MS)
        self.garbage.collect_all()

    def switch_theme(self) -> None:
        self.theme_controller.choose("light" if self.theme.dark else "dark")

    def open_connect_dialog(self) -> None:
        self.tasks.start(self._connect())

    async def _connect(self) -> None:
        from gui.connect_dialog import ConnectDialog

        dialog = ConnectDialog(self.theme, self.bridge, self.secrets, self.make_client, self.window)
        if await opened(dialog) and dialog.accepted_profile is not None:
            self.clusters.open_profile(dialog.accepted_profile)

    def open_preferences(self) -> None:
        from gui.preferences_dialog import PreferencesDialog

        fixed = [place for place in self.places() if place.path != self.embedded.root]
        dialog = PreferencesDialog(
            self.theme, self.preferences, fixed, self.effects.default_folder, self.window
        )
        self.tasks.start(opened(dialog))

    def open_about(self) -> None:
        from gui.about.dialog import AboutDialog
        from gui.about.places import connected

        connections = [connected(session) for session in self.clusters.sessions.values()]
        dialog = AboutDialog(self.theme, self.places(), connections, self.window)
        self.tasks.start(opened(dialog))

    def places(self) -> list[Place]:
        """The files and folders that Kafkarium keeps something in."""
        from gui.about.places import places

        return places(self.preferences.path, self.clusters.history_folder, self.embedded.root)

    def _show_lists(self) -> None:
        stored = self.embedded.stored
        self.welcome.show_lists(self.clusters.recent, stored)
        if self._measuring is not None:
            self._measuring.cancel()
        self._measuring = self.tasks.start(self._show_sizes(stored))

    async def _show_sizes(self, stored: Sequence[StoredCluster]) -> None:
        for cluster in stored:
            self.welcome.show_size(cluster, await self.embedded.size_of(cluster))

    def _state_changed(self, state: Qt.ApplicationState) -> None:
        """Another window may have started or stopped a cluster meanwhile."""
        if state is Qt.ApplicationState.ApplicationActive and self.clusters.shown is None:
            self._show_lists()

    # ---- the end

    def ask_to_close(self) -> None:
        """Close the window; if other programs use its clusters, ask the person first."""
        if self._ending is None:
            self._ending = self.tasks.start(self._end_if_agreed())

    def end_now(self) -> None:
        """Close the window without asking."""
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self.tasks.start(self.end())

    async def _end_if_agreed(self) -> None:
        if await self.actions.may_stop():
            await self.end()
        else:
            self._ending = None

    async def end(self) -> None:
        """Stop the embedded clusters in order, then close everything."""
        try:
            await self.actions.stop_all()
        finally:
            self.close()
            if not self.ended.done():
                self.ended.set_result(None)

    def close(self) -> None:
        """Close everything but running embedded clusters; waits at most END_S for connections and
        histories."""
        if not self.thread_.running:
            return
        self.window.may_close = True
        self.window.setUpdatesEnabled(False)  # Qt warns when it paints a window that has closed
        self.window.close()
        self.tasks.close()
        ending = self.clusters.close_all()
        self.preferences.save()
        concurrent.futures.wait(ending, END_S)
        self.clusters.stop_threads(END_S)
        self.thread_.stop(END_S)
        self.journal.close()
        self.garbage.stop()
        if self._attached is not None and asyncio.current_task() is None:
            self._attached.close()
        elif self._attached is not None:
            QTimer.singleShot(0, self._attached.close)  # not inside one of its own tasks


def _attached_loop(qt: QApplication) -> AttachedLoop | None:
    """An asyncio loop for a script that spins Qt's loop itself; None when a loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop = AttachedLoop(qt)
        loop.enter()
        return loop
    return None


def run(demo: bool = False, bootstrap: str = "") -> int:
    """Show the window until it is closed. ``demo`` starts the Notifications cluster at once."""
    qt = QApplication(sys.argv[:1])
    with window_loop(qt) as loop:
        loop.run_until_complete(_run(qt, demo, bootstrap))
    return 0


async def _run(qt: QApplication, demo: bool, bootstrap: str) -> None:
    application = Application(qt)
    try:
        application.window.show()
        application.tasks.start(application.preload())
        installed = log.installed()
        if installed is not None and installed.problem:
            application.window.notify(installed.problem, "warn")
        _end_on_signals(application)
        if demo:
            application.actions.start_template("notifications", again=True)
        elif bootstrap:
            from kafka_client.profile import quick

            application.clusters.open_profile(quick(bootstrap))
        await application.ended
    finally:
        application.close()


def _end_on_signals(application: Application) -> None:
    """Close the window on SIGINT and SIGTERM without asking. Python runs its signal handlers only
    while it executes Python code, so a signal wakes Qt's loop through a socket."""
    import socket

    reading, writing = socket.socketpair()
    for end in (reading, writing):
        end.setblocking(False)
    previous: int = signal.set_wakeup_fd(writing.fileno())
    notifier = QSocketNotifier(reading.fileno(), QSocketNotifier.Type.Read, application)

    def drain() -> None:
        reading.recv(64)

    handler: Callable[..., None] = lambda *_: application.end_now()  # noqa: E731
    notifier.activated.connect(drain)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)

    def restore() -> None:
        signal.set_wakeup_fd(previous)
        reading.close()
        writing.close()

    application.destroyed.connect(restore)
