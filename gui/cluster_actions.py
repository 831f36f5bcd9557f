"""Starts, closes and removes clusters for the welcome page, the rail and the palette, and asks
the person first where data or connections are at stake."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from gui.confirm import confirmed, may_discard
from gui.embedded.manager import EmbeddedClusters
from gui.embedded.stored import StoredCluster
from gui.embedded.templates import TEMPLATES, Template
from gui.main_window import MainWindow
from gui.open_clusters import Clusters
from gui.tasks import TaskScope
from gui.welcome.page import WelcomePage
from kafka_client.errors import ClientError
from kafka_client.profile import ConnectionProfile
from resources.wording import counted, listed
from widgets import figures

if TYPE_CHECKING:
    from gui.embedded.cluster import EmbeddedCluster
    from gui.session import Session


class ClusterActions(QObject):
    """Each method returns at once; an error is shown on the welcome page while it is in sight,
    and as a toast otherwise."""

    def __init__(
        self,
        tasks: TaskScope,
        clusters: Clusters,
        embedded: EmbeddedClusters,
        window: MainWindow,
        welcome: WelcomePage,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._tasks, self._clusters, self._embedded = tasks, clusters, embedded
        self._window, self._welcome = window, welcome

    # ---- starting

    def start_template(self, name: str, again: bool = False) -> None:
        """Start a new cluster from a template; with ``again``, the stored one of that template
        that was used last, if there is one."""
        template = TEMPLATES[name]
        stored = self._embedded.newest(name) if again else None
        if stored is not None:
            self.start_stored(stored)
        else:
            self._start(template, self._embedded.start_new(template))

    def start_stored(self, stored: StoredCluster) -> None:
        self._start(TEMPLATES.get(stored.template), self._embedded.start_stored(stored))

    def _start(
        self, template: Template | None, start: Coroutine[Any, Any, EmbeddedCluster]
    ) -> None:
        self._tasks.start(self._open_started(template, start))

    async def _open_started(
        self, template: Template | None, start: Coroutine[Any, Any, EmbeddedCluster]
    ) -> None:
        choice = self._welcome.empty
        if template is not None:
            choice = self._welcome.demo if template.scenario else self._welcome.empty
            choice.show_busy(f"Starting {counted(template.brokers, 'broker')}…")
        try:
            cluster = await start
        except ClientError as error:
            self._show_error(error)
        else:
            self._open(cluster)
        choice.show_busy("")

    def _open(self, cluster: EmbeddedCluster) -> None:
        servers = tuple(cluster.bootstrap_servers.split(","))
        history = self._embedded.directory_of(cluster) / "history.sqlite"
        self._clusters.open_profile(
            ConnectionProfile(cluster.name, servers), embedded=cluster, history_path=history
        )

    def _show_error(self, error: ClientError) -> None:
        if self._clusters.shown is None:
            self._welcome.trouble.show_message(f"{error} {error.next_step}".strip(), "bad")
        else:
            self._window.notify_error(error)

    # ---- closing and removing

    def close_shown(self) -> None:
        if self._clusters.shown is not None:
            self.close_session(self._clusters.shown)

    def close_session(self, session: Session) -> None:
        """Close one cluster of the window, after a question when edits would be lost; an embedded
        one is stopped in order."""
        if session.unapplied_edits:
            self._tasks.start(self._close_if_agreed(session), owner=session)
        else:
            self._close(session)

    async def _close_if_agreed(self, session: Session) -> None:
        edits, window = session.unapplied_edits, self._window
        if await may_discard(window.theme, window, edits, session.name):
            self._close(session)

    def _close(self, session: Session) -> None:
        embedded = session.embedded
        self._clusters.close_session(session)
        if embedded is not None:
            self._tasks.start(self._embedded.stop(embedded))

    def remove(self, stored: StoredCluster) -> None:
        self._tasks.start(self._remove(stored))

    async def _remove(self, stored: StoredCluster) -> None:
        size = figures.size(await self._embedded.size_of(stored))
        if not await confirmed(
            self._window.theme,
            self._window,
            title=f"Remove {stored.title}?",
            text=f"{size} of records and settings are deleted: {stored.directory}",
            button="Remove",
        ):
            return
        try:
            await self._embedded.remove(stored)
        except ClientError as error:
            self._show_error(error)

    # ---- the end of the window

    async def may_stop(self) -> bool:
        """Ask before the window closes with edits that are not applied, or while other programs
        are connected to its clusters."""
        sessions = [s for s in self._clusters.sessions.values() if s.unapplied_edits]
        edits = sum(session.unapplied_edits for session in sessions)
        names = listed([session.name for session in sessions])
        if not await may_discard(self._window.theme, self._window, edits, names):
            return False
        connections = await self._embedded.external_connections()
        if not connections:
            return True
        return await confirmed(
            self._window.theme,
            self._window,
            title="Stop the clusters of this window?",
            text=f"{counted(connections, 'connection')} of other programs will be cut. The data"
            " stays and is offered again at the next start.",
            button="Stop and close",
        )

    async def stop_all(self) -> None:
        if self._embedded.running:
            self._window.setEnabled(False)
            self._window.notify("Stopping the clusters of this window in order…", "accent")
            await self._embedded.stop_all()
