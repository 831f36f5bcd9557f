"""One connected cluster as the window sees it: its snapshot, signals when something changes, and
``await session.ask(...)``.

The client, its sampler and its store live on the client thread; this object lives in the window's.
What arrives from there is frozen, so it is passed on as it is.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, QTimer, Signal

from gui.client_bridge import ClientBridge
from gui.health import Tally
from gui.jobs import Job, Jobs, JobState, Progress, result_in_words
from gui.sampling import Sampling
from gui.tasks import TaskScope
from kafka_client.changes import Change, Changes
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, Datum
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Round, Schedule

if TYPE_CHECKING:
    from gui.embedded.cluster import EmbeddedCluster
    from kafka_client.api import ClusterClient
    from kafka_client.history import History, HistoryLimits
    from kafka_client.profile import ConnectionProfile
    from kafka_client.sampling.store import SeriesStore

T = TypeVar("T")
__all__ = ["Job", "JobState", "Progress", "Session"]

CHANGES_KEPT = 500
GATHER_MS = 200
"""The sampler reports a snapshot after each of its rounds; pages receive at most one in this
time."""
DEFAULT_WINDOW_S = 300.0


class Session(QObject):
    snapshot_changed = Signal(ClusterSnapshot, Changes)
    sampled = Signal(Round)
    state_changed = Signal(ConnectionState)
    job_changed = Signal(Job)
    window_changed = Signal(float)  # seconds that charts show
    paused_changed = Signal(bool)
    closed = Signal()

    def __init__(
        self,
        profile: ConnectionProfile,
        client: ClusterClient,
        bridge: ClientBridge,
        store: SeriesStore,
        *,
        key: int = 0,
        embedded: EmbeddedCluster | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.key = key
        """identifies the session among those that this window has opened"""
        self.profile = profile
        self.client = client
        self.store = store
        self.embedded = embedded
        self.snapshot = ClusterSnapshot()
        self.state = ConnectionState(ConnectionKind.CONNECTING, "Connecting…")
        self.changes: list[Change] = []
        self.unapplied: WeakKeyDictionary[QObject, int] = WeakKeyDictionary()
        """Edits that a page would lose when it is closed, by page."""
        """what changed since the connection, oldest first, at most CHANGES_KEPT"""
        self.tally = Tally()
        """counts over all topics of the snapshot"""
        self.bridge = bridge
        self.tasks = TaskScope(self)
        self._jobs = Jobs(bridge, self)
        self._jobs.changed.connect(self.job_changed)
        self.sampling = Sampling(client, store, bridge, profile.name, self)
        self.sampling.snapshot_taken.connect(self.take_snapshot)
        self.sampling.sampled.connect(self.sampled)
        self.sampling.state_changed.connect(self._set_state)
        self._pending: Changes | None = None
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self._emit_snapshot)
        self._paused = False
        self._window_s = DEFAULT_WINDOW_S

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def read_only(self) -> bool:
        return self.profile.writes_refused

    @property
    def unapplied_edits(self) -> int:
        return sum(self.unapplied.values())

    @property
    def loaded(self) -> bool:
        """True once the first metadata has arrived; until then pages show that they load."""
        return bool(self.snapshot.brokers)

    @property
    def history(self) -> History | None:
        """None until the sampling has opened it, or without one."""
        return self.sampling.history

    @property
    def window_s(self) -> float:
        """The seconds that the live charts show."""
        return self._window_s

    def set_window(self, seconds: float) -> None:
        """Emits also when the window stays: charts that stand at a range follow again."""
        self._window_s = seconds
        self.window_changed.emit(seconds)

    @property
    def paused(self) -> bool:
        return self._paused

    def set_paused(self, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            self.sampling.set_paused(paused)
            self.paused_changed.emit(paused)

    # ---- questions and jobs

    @property
    def jobs(self) -> dict[int, Job]:
        return self._jobs.list

    async def ask(self, make: Callable[[ClusterClient], Awaitable[T]]) -> T:
        """``await session.ask(lambda client: ...)``: run it on the client thread and return the
        answer. Raises: ClientError."""

        async def question() -> T:
            return await make(self.client)

        return await self.bridge.run(question())

    async def run_job(
        self,
        title: str,
        make: Callable[[ClusterClient, Progress], Awaitable[T]],
        *,
        summary: Callable[[T], str] = result_in_words,
    ) -> T:
        """Run a long piece of work on the client thread, which the status bar lists and can
        cancel, and return its result; ``summary`` makes the sentence it ends with. Raises:
        ClientError; JobCancelled when the person cancelled it."""

        async def work(progress: Progress) -> T:
            return await make(self.client, progress)

        return await self._jobs.run(title, work, summary)

    def cancel_job(self, job_id: int) -> None:
        self._jobs.cancel(job_id)

    # ---- sampling

    def focus(
        self, topics: Iterable[str] | None = None, groups: Iterable[str] | None = None
    ) -> None:
        """Sample what the person looks at now first and more often. None leaves that half."""
        self.sampling.focus(topics, groups)

    def refresh(self, *data: Datum) -> None:
        """Sample these kinds (or all) now, for instance after a change."""
        self.sampling.refresh(*data)

    def start(
        self,
        schedule: Schedule | None = None,
        *,
        history_path: Path | None = None,
        history_limits: HistoryLimits | None = None,
    ) -> None:
        """Connect and sample from now on; with a path, continue the history that is stored
        there."""

        async def connect() -> None:
            self.changes[:0] = await self.sampling.start(schedule, history_path, history_limits)

        self.tasks.start(connect())

    def _set_state(self, state: ConnectionState) -> None:
        self.state = state
        self.state_changed.emit(state)

    def take_snapshot(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        """Store the snapshot now; emit ``snapshot_changed`` at most every GATHER_MS with the
        merged changes."""
        first = not self.loaded
        self.snapshot = snapshot
        self.changes.extend(changes.events)
        del self.changes[:-CHANGES_KEPT]
        self._pending = changes if self._pending is None else _merged(self._pending, changes)
        if first:
            self._emit_snapshot()
        elif not self._gather.isActive():
            self._gather.start()

    def _emit_snapshot(self) -> None:
        changes, self._pending = self._pending, None
        if changes is not None:
            self.tally.update(self.snapshot, changes)
            self.snapshot_changed.emit(self.snapshot, changes)

    def close(self) -> concurrent.futures.Future[None]:
        """Cancel the tasks; stop sampling and close the client and the history on the client
        thread. Returns at once; the future is done when all is closed."""
        self._gather.stop()
        self.tasks.close()
        sampling, client = self.sampling, self.client

        async def end() -> None:
            await sampling.stop()
            with contextlib.suppress(ClientError):
                await client.close()
            await sampling.close_history()

        ending = self.bridge.submit(end())
        self.closed.emit()
        return ending


def _merged(old: Changes, new: Changes) -> Changes:
    return Changes(
        old.events + new.events,
        old.first or new.first,
        old.brokers | new.brokers,
        old.topics | new.topics,
        old.groups | new.groups,
    )
