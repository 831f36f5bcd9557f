"""One connected cluster as the window sees it: signals that tell what is so, and ``ask`` to want
something.

The client, its sampler and its store live on the client thread; this object lives in the window's
thread and is the only bridge between them. What comes from there is frozen, so it is handed over
as it is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from gui.client_bridge import ClientBridge
from gui.health import Tally
from gui.jobs import Job, Jobs, JobState, Progress, result_in_words
from gui.tasks import TaskScope
from kafka_client.api import ClusterClient
from kafka_client.changes import Change, Changes
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, Datum
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Schedule

if TYPE_CHECKING:
    from gui.embedded.cluster import EmbeddedCluster
    from kafka_client.history import History, HistoryLimits
    from kafka_client.profile import ConnectionProfile
    from kafka_client.sampling.sampler import Sampler
    from kafka_client.sampling.store import SeriesStore

T = TypeVar("T")
__all__ = ["Job", "JobState", "Progress", "Session"]

CHANGES_KEPT = 500
EVENTS_S = 3600.0
"""how far back what changed is shown of an earlier run"""
GATHER_MS = 200
"""the sampler shows a snapshot after each of its rounds; pages hear of one in this time"""
DEFAULT_WINDOW_S = 300.0


class Session(QObject):
    snapshot_changed = Signal(object, object)  # ClusterSnapshot, Changes
    sampled = Signal(object)  # Round(t, datum, took_s, error)
    state_changed = Signal(object)  # ConnectionState
    job_changed = Signal(object)  # Job
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
        embedded: EmbeddedCluster | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.profile = profile
        self.client = client
        self.store = store
        self.embedded = embedded
        self.snapshot = ClusterSnapshot()
        self.state = ConnectionState(ConnectionKind.CONNECTING, "Connecting…")
        self.changes: list[Change] = []
        """what happened since the connection, oldest first, at most CHANGES_KEPT"""
        self.tally = Tally()
        """counts over all topics of the snapshot"""
        self.bridge = bridge
        self.tasks = TaskScope(self)
        self._jobs = Jobs(bridge, self)
        self._jobs.changed.connect(self.job_changed)
        self.history: History | None = None
        """set on the client thread once it is open"""
        self._sampler: Sampler | None = None
        self._focus: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._pending: Changes | None = None
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self._tell_snapshot)
        self._paused = False
        self._window_s = DEFAULT_WINDOW_S

    # ---- what is so

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def read_only(self) -> bool:
        return self.profile.writes_refused

    @property
    def loaded(self) -> bool:
        """The first metadata has come; before it a page shows that it is loading."""
        return bool(self.snapshot.brokers)

    @property
    def window_s(self) -> float:
        return self._window_s

    def set_window(self, seconds: float) -> None:
        """Also with the window of now: charts that stand at a range follow again."""
        self._window_s = seconds
        self.window_changed.emit(seconds)

    @property
    def paused(self) -> bool:
        return self._paused

    def set_paused(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        if self._sampler is not None:
            (self._sampler.pause if paused else self._sampler.resume)()
        self.paused_changed.emit(paused)

    # ---- asking

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

    def focus(
        self, topics: Iterable[str] | None = None, groups: Iterable[str] | None = None
    ) -> None:
        """What a person looks at now: sampled first and more often. None leaves that half as it
        was."""
        wanted = (
            self._focus[0] if topics is None else tuple(topics),
            self._focus[1] if groups is None else tuple(groups),
        )
        if wanted != self._focus:
            self._focus = wanted
            if self._sampler is not None:
                self._sampler.focus(*wanted)

    def refresh(self, *data: Datum) -> None:
        """Sample these kinds (or all) now, for instance after a change was made."""
        if self._sampler is not None:
            self._sampler.refresh(*data)

    # ---- from the sampler

    def start(
        self,
        schedule: Schedule | None = None,
        *,
        history_path: Path | None = None,
        history_limits: HistoryLimits | None = None,
    ) -> None:
        """Connect and sample from now on; with a path, continue the history that is kept there."""

        async def started() -> tuple[Sampler, list[Change]]:
            from kafka_client.sampling.sampler import Sampler

            happened: list[Change] = []
            if history_path is not None:
                self.history, happened = await asyncio.to_thread(
                    _open_history, history_path, self.store, history_limits
                )
            sampler = Sampler(
                self.client,
                self.store,
                schedule,
                on_snapshot=lambda snapshot, changes: self.bridge.post(
                    self.take_snapshot, snapshot, changes
                ),
                on_sampled=lambda round_: self.bridge.post(self.sampled.emit, round_),
                on_state=lambda state: self.bridge.post(self._set_state, state),
                history=self.history,
                name=self.profile.name,
            )
            self._sampler = sampler
            sampler.start()
            return sampler, happened

        async def connect() -> None:
            sampler, happened = await self.bridge.run(started())
            self.changes[:0] = happened
            if self._paused:  # asked for before there was a sampler
                sampler.pause()
            if self._focus != ((), ()):
                sampler.focus(*self._focus)

        self.tasks.start(connect(), self)

    def _set_state(self, state: ConnectionState) -> None:
        self.state = state
        self.state_changed.emit(state)

    def take_snapshot(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        """The newest picture is at hand at once; that it changed is told a little later, for
        several rounds."""
        first = not self.loaded
        self.snapshot = snapshot
        self.changes.extend(changes.events)
        del self.changes[:-CHANGES_KEPT]
        self._pending = changes if self._pending is None else _together(self._pending, changes)
        if first:
            self._tell_snapshot()
        elif not self._gather.isActive():
            self._gather.start()

    def _tell_snapshot(self) -> None:
        changes, self._pending = self._pending, None
        if changes is not None:
            self.tally.update(self.snapshot, changes)
            self.snapshot_changed.emit(self.snapshot, changes)

    def close(self) -> concurrent.futures.Future[None]:
        """Stop sampling, close the client and the history, without waiting: the client thread
        does it. What comes back tells when it is done."""
        self._gather.stop()
        self.tasks.close()
        sampler, client, history = self._sampler, self.client, self.history

        async def ended() -> None:
            if sampler is not None:
                await sampler.stop()
            with contextlib.suppress(ClientError):
                await client.close()
            if history is not None:
                await asyncio.to_thread(history.close)

        ending = self.bridge.submit(ended())
        self.closed.emit()
        return ending


def _open_history(
    path: Path, store: SeriesStore, limits: HistoryLimits | None
) -> tuple[History, list[Change]]:
    """On a thread that may wait for the disk."""
    from kafka_client.history import History

    history = History(path, limits=limits)
    history.fill(store)
    now = time.time()
    return history, history.events(now - EVENTS_S, now)[-CHANGES_KEPT:]


def _together(old: Changes, new: Changes) -> Changes:
    return Changes(
        old.events + new.events,
        old.first or new.first,
        old.brokers | new.brokers,
        old.topics | new.topics,
        old.groups | new.groups,
    )
