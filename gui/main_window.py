"""The frame of the window: rail, header, pages, status bar. It knows pages by name alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.command_palette import CommandPalette, Entry
from gui.header import Header
from gui.jobs import Job, JobState
from gui.journal_feed import JournalFeed
from gui.navigation import BrokerTarget, GroupTarget, Navigate, PageTarget, Target, TopicTarget
from gui.open_clusters import Clusters
from gui.pages import PAGES, PageContext, PageSpec
from gui.preferences import DEBUG_VIEW, MAXIMISED, RAIL_NARROW, WINDOW_S, WINDOW_SIZE, Preferences
from gui.rail import ClusterLine, Rail
from gui.status_bar import StatusBar
from gui.watchdog import Watchdog
from kafka_client.errors import ClientError
from widgets.chart_clock import ChartClock
from widgets.charts.series_colors import SeriesColors
from widgets.plain import set_title
from widgets.screen import resize_to_fit
from widgets.theme import Theme
from widgets.toast import Toasts

if TYPE_CHECKING:
    from gui.session import Session
    from gui.session_view import SessionView

LASTED_S = 3.0


class MainWindow(QMainWindow):
    close_requested = Signal()
    demo_requested = Signal()
    connect_requested = Signal()
    theme_requested = Signal()
    preferences_requested = Signal()
    about_requested = Signal()

    def __init__(
        self,
        theme: Theme,
        preferences: Preferences,
        clock: ChartClock,
        clusters: Clusters,
        welcome: QWidget,
        watchdog: Watchdog,
        journal: JournalFeed,
        pages: Iterable[PageSpec] = PAGES,
    ) -> None:
        super().__init__()
        self.theme, self.preferences, self.clock, self.clusters = (
            theme,
            preferences,
            clock,
            clusters,
        )
        self.journal = journal
        self.may_close = False
        self._pages = tuple(pages)
        self._views: dict[int, SessionView] = {}
        self._actions: list[Entry] = []
        self._jobs: dict[tuple[int, int], float] = {}
        self.setWindowTitle("Kafkarium")
        self.setWindowIcon(theme.icon("app"))
        self.setMinimumSize(960, 600)
        self.rail = Rail(theme, self._pages)
        self.header = Header(theme)
        self.stack = QStackedWidget()
        self.welcome = welcome
        self.stack.addWidget(welcome)
        self._lay_out(watchdog)
        self.toasts = Toasts(theme, self)
        self.palette_box = CommandPalette(theme, self, self._entries, self.navigate)
        self._connect_parts()
        self._shortcuts()
        self._show_session()

    def _lay_out(self, watchdog: Watchdog) -> None:
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.header)
        right.addWidget(self.stack, 1)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addLayout(right, 1)
        body = QWidget(self)
        body.setProperty("role", "body")
        whole = QVBoxLayout(body)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(middle, 1)
        self.status = StatusBar(self.theme, watchdog, body)
        whole.addWidget(self.status)
        self.setCentralWidget(body)
        self.rail.set_narrow(self.preferences.get(RAIL_NARROW))
        resize_to_fit(self, *self.preferences.get(WINDOW_SIZE))
        if self.preferences.get(MAXIMISED):
            self.setWindowState(Qt.WindowState.WindowMaximized)
        self.status.show_debug(self.preferences.get(DEBUG_VIEW))

    def _connect_parts(self) -> None:
        clusters, header, rail = self.clusters, self.header, self.rail
        clusters.opened.connect(self._opened)
        clusters.closed.connect(self._closed)
        clusters.shown_changed.connect(self._show_session)
        clusters.trouble.connect(lambda words: self.notify(words, "warn"))
        rail.cluster_chosen.connect(lambda key: clusters.show(clusters.sessions[key]))
        rail.page_chosen.connect(self.navigate)
        rail.demo_requested.connect(self.demo_requested)
        rail.connect_requested.connect(self.connect_requested)
        rail.collapsed_changed.connect(lambda narrow: self.preferences.set(RAIL_NARROW, narrow))
        header.page_requested.connect(self.navigate)
        header.theme_requested.connect(self.theme_requested)
        header.palette_requested.connect(self.palette_box.open_palette)
        header.preferences_requested.connect(self.preferences_requested)
        header.about_requested.connect(self.about_requested)
        header.window_chosen.connect(self._choose_window)
        header.pause_requested.connect(self._pause)
        header.time_style_chosen.connect(self.clock.style.choose)
        self.clock.style.changed.connect(self._time_style_changed)
        self._time_style_changed()

    def _shortcuts(self) -> None:
        def key(keys: str, act: Callable[[], Any]) -> None:
            QShortcut(QKeySequence(keys), self).activated.connect(act)

        key("Ctrl+K", self.palette_box.open_palette)
        key("Ctrl+B", self.toggle_rail)
        key("Ctrl+P", self.toggle_pause)
        key("Ctrl+Shift+D", self.toggle_debug)
        key("Ctrl+W", self._close_tab)
        key("Ctrl+N", self.connect_requested.emit)
        key("Ctrl+,", self.preferences_requested.emit)
        key("F1", self.about_requested.emit)
        for page in self._pages:
            if page.shortcut:
                key(page.shortcut, partial(self.navigate, PageTarget(page.name)))

    # ---- for the rest of the window

    @property
    def view(self) -> SessionView | None:
        shown = self.clusters.shown
        return None if shown is None else self._views.get(shown.key)

    def navigate(self, target: Target | str, in_tab: bool = False, **where: Any) -> None:
        """Show the target in the pages of the shown cluster, if there is one."""
        if self.view is not None:
            self.view.navigate(target, in_tab, **where)

    def notify(self, sentence: str, tone: str = "accent") -> None:
        self.toasts.show_note(sentence, tone)

    def notify_error(self, error: ClientError) -> None:
        self.notify(f"{error} {error.next_step}".strip(), "bad")

    def add_actions(self, entries: Iterable[Entry]) -> None:
        """Let the palette offer these actions of the application at any time."""
        self._actions.extend(entries)

    def toggle_rail(self) -> None:
        self.rail.collapse(not self.rail.narrow)

    def toggle_debug(self) -> None:
        shown = not self.status.debug_shown
        self.status.show_debug(shown)
        self.preferences.set(DEBUG_VIEW, shown)

    # ---- sessions

    def _opened(self, session: Session) -> None:
        def context(navigate: Navigate) -> PageContext:
            return PageContext(
                session,
                self.theme,
                self.preferences,
                self.clock,
                self.journal,
                navigate,
                self.notify,
                SeriesColors(self.preferences, session.name),
            )

        from gui.session_view import SessionView

        view = SessionView(context, self.theme)
        self._views[session.key] = view
        self.stack.addWidget(view)
        view.page_shown.connect(self._page_shown)
        session.state_changed.connect(lambda _: self._show_state(session))
        session.snapshot_changed.connect(lambda *_: self._show_state(session))
        session.job_changed.connect(self._job_changed)
        session.tasks.failed.connect(self.notify_error)
        session.set_window(self.preferences.get(WINDOW_S))
        view.navigate(PageTarget("overview"))

    def _closed(self, session: Session) -> None:
        view = self._views.pop(session.key)
        self.stack.removeWidget(view)
        view.deleteLater()
        self._show_rail()

    def _show_session(self) -> None:
        session, view = self.clusters.shown, self.view
        self.stack.setCurrentWidget(view if view is not None else self.welcome)
        self.rail.show_pages(view is not None)
        self.status.show_session(session)
        if session is None:
            self.header.show_cluster("")
            self.header.show_health([])
            self.header.hide()
        else:
            profile = session.profile
            self.header.show()
            self.header.show_cluster(session.name, profile.colour, session.read_only)
            self.header.show_window(session.window_s)
            self.header.show_paused(session.paused)
            self._show_state(session)
            if view is not None:
                self.rail.show_page(view.page)
        set_title(self, f"{session.name} - Kafkarium" if session is not None else "Kafkarium")
        self._show_rail()

    def _show_state(self, session: Session) -> None:
        if session is self.clusters.shown and self.view is not None:
            from gui import health

            self.header.show_health(
                health.connection_items(
                    session.snapshot, session.state, session.tally, session.profile
                )
            )
        self._show_rail()

    def _show_rail(self) -> None:
        lines = [
            ClusterLine(
                key,
                session.name,
                _tone(session),
                session.profile.colour,
                session.read_only,
                session.state.sentence,
            )
            for key, session in self.clusters.sessions.items()
        ]
        shown = self.clusters.shown
        self.rail.show_clusters(lines, None if shown is None else shown.key)

    def _page_shown(self, page: str) -> None:
        if self.sender() is self.view or self.view is None:
            self.rail.show_page(page)

    def _job_changed(self, job: Job) -> None:
        """Show a toast for a finished job if it ran longer than LASTED_S: the person may look at
        another page. Whoever awaits the job shows its failure."""
        now = time.monotonic()
        began = self._jobs.setdefault((id(self.sender()), job.id), now)
        if job.state is JobState.DONE and now - began >= LASTED_S:
            self.notify(f"{job.title}: {job.sentence}", "ok")

    def _choose_window(self, seconds: float) -> None:
        self.preferences.set(WINDOW_S, seconds)
        for session in self.clusters.sessions.values():
            session.set_window(seconds)

    def _time_style_changed(self) -> None:
        self.header.show_time_style(self.clock.style.style)

    def toggle_pause(self) -> None:
        if self.clusters.shown is not None:
            self._pause(not self.clusters.shown.paused)

    def _pause(self, paused: bool) -> None:
        session = self.clusters.shown
        if session is not None:
            session.set_paused(paused)
            self.clock.set_paused(paused)
            self.header.show_paused(paused)

    def _close_tab(self) -> None:
        if self.view is not None:
            self.view.close_tab(self.view.bar.currentIndex())

    # ---- the palette

    def _entries(self) -> Iterator[Entry]:
        view = self.view
        if view is not None:
            for page in self._pages:
                yield Entry(
                    page.title,
                    "page",
                    page.icon,
                    partial(self.navigate, PageTarget(page.name)),
                    page.shortcut,
                    30,
                )
        for session in self.clusters.sessions.values():
            if session is not self.clusters.shown:
                yield Entry(
                    session.name,
                    "cluster",
                    "brokers",
                    partial(self.clusters.show, session),
                    "",
                    20,
                )
        yield from self._actions
        if view is None:
            return
        snapshot = view.session.snapshot
        for name, topic in snapshot.topics.items():
            weight = -20 if topic.internal else 10
            yield Entry(
                name, "topic", "topics", partial(self.navigate, TopicTarget(name)), "", weight
            )
        for name in snapshot.groups:
            yield Entry(
                name,
                "consumer group",
                "groups",
                partial(self.navigate, GroupTarget(name)),
                "",
                8,
            )
        for broker_id in snapshot.brokers:
            words = f"Broker {broker_id}"
            yield Entry(
                words,
                "broker",
                "brokers",
                partial(self.navigate, BrokerTarget(broker_id)),
                "",
                6,
            )

    # ---- closing

    @override
    def event(self, event: QEvent) -> bool:
        """Drop the paint request that was on its way while the window closed: Qt warns when it
        paints a window that has no handle any more."""
        if event.type() == QEvent.Type.UpdateRequest and not self.isVisible():
            return True
        return super().event(event)

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        """Ignore it and emit ``close_requested``; the application sets ``may_close`` and closes the
        window again."""
        self.preferences.set(MAXIMISED, self.isMaximized())
        size = self.normalGeometry().size()  # that of a maximised window when it is not
        if not size.isEmpty():
            self.preferences.set(WINDOW_SIZE, (size.width(), size.height()))
        if self.may_close:
            event.accept()
        else:
            event.ignore()
            QTimer.singleShot(
                0, self, self.close_requested.emit
            )  # Qt ignores a second close inside the first


def _tone(session: Session) -> str:
    from gui.status import CONNECTION_STATUS

    return CONNECTION_STATUS[session.state.kind].tone
