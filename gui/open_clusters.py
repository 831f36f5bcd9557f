"""The open clusters of this window: their sessions, which of them is shown, and the recent
connections.

Each session has a client thread of its own, so that what one cluster answers, however much it is,
does not hold up the others (decision 0025).
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QObject, Signal

from gui.client_bridge import ClientBridge
from gui.preferences import Preferences
from kafka_client.errors import BadInput
from kafka_client.profile import ConnectionProfile, load_profiles, save_profiles
from kafka_client.runtime import ClientThread

if TYPE_CHECKING:
    from gui.embedded.cluster import EmbeddedCluster
    from gui.session import Session
    from kafka_client.api import ClusterClient

RECENT_KEPT = 12

MakeClient: TypeAlias = "Callable[[ConnectionProfile], ClusterClient]"


class Clusters(QObject):
    """``make_client`` makes the client of a cluster; it is called in the window's thread and must
    not block."""

    # Sessions, whose class is imported with the first one.
    opened = Signal(QObject)
    closed = Signal(QObject)
    shown_changed = Signal()  # read ``shown``
    recent_changed = Signal()
    secrets_dropped = Signal(frozenset)  # names that no stored connection uses any more
    trouble = Signal(str)

    def __init__(
        self,
        make_client: MakeClient,
        recent_path: Path,
        history_folder: Path,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._make_client = make_client
        self._recent_path = recent_path
        self.history_folder = history_folder
        self._keys = itertools.count(1)
        self.sessions: dict[int, Session] = {}
        self._threads: dict[int, ClientThread] = {}
        """by the key of the session; of those that were closed too, while they end"""
        self.shown: Session | None = None
        self.recent: list[ConnectionProfile] = []
        self.problem = ""
        """why the recent connections could not be read"""
        try:
            self.recent = load_profiles(recent_path)
        except BadInput as error:
            self.problem = str(error)

    def open_profile(
        self,
        profile: ConnectionProfile,
        *,
        embedded: EmbeddedCluster | None = None,
        history_path: Path | None = None,
        remember: bool = True,
    ) -> Session:
        """Connect, and show the session at once; its state tells how the connection goes. A profile
        that is open already is shown again. The history is stored by the cluster's addresses, or
        at ``history_path``."""
        for session in self.sessions.values():
            if session.profile == profile:
                self.show(session)
                return session
        from gui.connection_preferences import history_limits_of, schedule_of
        from gui.session import Session
        from kafka_client.sampling.store import SeriesStore

        key = next(self._keys)
        self._threads = {k: t for k, t in self._threads.items() if not t.ended}
        thread = self._threads[key] = ClientThread(f"kafka {profile.name}"[:60]).start()
        session = Session(
            profile,
            self._make_client(profile),
            ClientBridge(thread, self),
            SeriesStore(),
            key=key,
            embedded=embedded,
            parent=self,
        )
        self.sessions[key] = session
        session.start(
            schedule_of(self._preferences),
            history_path=history_path or self._history_of(profile),
            history_limits=history_limits_of(self._preferences),
        )
        self.opened.emit(session)
        self.show(session)
        if remember and embedded is None:
            self.remember(profile)
        return session

    def _history_of(self, profile: ConnectionProfile) -> Path:
        addresses = ",".join(sorted(profile.bootstrap_servers))
        return self.history_folder / f"{hashlib.sha256(addresses.encode()).hexdigest()[:16]}.sqlite"

    def show(self, session: Session | None) -> None:
        if session is not self.shown:
            self.shown = session
            self.shown_changed.emit()

    def close_session(self, session: Session) -> concurrent.futures.Future[None] | None:
        """The future is done when the connections are closed and the history is written; None when
        the session is closed already."""
        if self.sessions.pop(session.key, None) is None:
            return None
        if self.shown is session:
            self.show(next(reversed(self.sessions.values()), None))
        ending = session.close()
        thread = self._threads[session.key]
        ending.add_done_callback(lambda _: thread.end())
        self.closed.emit(session)
        session.deleteLater()
        return ending

    def close_all(self) -> list[concurrent.futures.Future[None]]:
        closed = [self.close_session(session) for session in list(self.sessions.values())]
        return [ending for ending in closed if ending is not None]

    def stop_threads(self, timeout_s: float) -> None:
        """End the client threads, also those whose session did not close in time; wait at most
        ``timeout_s`` for all."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads.values():
            thread.end()
        for thread in self._threads.values():
            thread.stop(max(0.0, deadline_s - time.monotonic()))
        self._threads.clear()

    # ---- recent connections

    def remember(self, profile: ConnectionProfile) -> None:
        others = [
            p
            for p in self.recent
            if p.name != profile.name and p.bootstrap_servers != profile.bootstrap_servers
        ]
        self._keep([profile, *others][:RECENT_KEPT])

    def forget(self, profile: ConnectionProfile) -> None:
        self._keep([p for p in self.recent if p != profile])

    @property
    def references(self) -> frozenset[str]:
        """The names of the secrets of the recent connections."""
        return frozenset[str]().union(*(profile.references for profile in self.recent))

    def rename_secrets(self, names: Mapping[str, str]) -> frozenset[str]:
        """Store other names (old -> new) for secrets; return the old ones that nothing refers to
        now. A connection that is open keeps its names, for its client may still read them."""
        open_now = frozenset[str]().union(
            *(session.profile.references for session in self.sessions.values())
        )
        wanted = {old: new for old, new in names.items() if old not in open_now}
        before = self.references
        if wanted and self._keep([_renamed(profile, wanted) for profile in self.recent]):
            return frozenset(wanted) & before
        return frozenset()

    def _keep(self, profiles: list[ConnectionProfile]) -> bool:
        """Replace the list; return whether the file has it, too."""
        before, self.recent = self.references, profiles
        saved = True
        try:
            save_profiles(self._recent_path, profiles)
        except OSError as error:
            saved = False
            self.trouble.emit(
                f"The list of connections could not be saved: {error.strerror or error}."
            )
        dropped = before - self.references
        if saved and dropped:  # else the next start reads the old list, and needs its passwords
            self.secrets_dropped.emit(dropped)
        self.recent_changed.emit()
        return saved


def _renamed(profile: ConnectionProfile, names: Mapping[str, str]) -> ConnectionProfile:
    return replace(
        profile,
        sasl_password_ref=names.get(profile.sasl_password_ref, profile.sasl_password_ref),
        key_password_ref=names.get(profile.key_password_ref, profile.key_password_ref),
    )
