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
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from gui.tasks import RunsCoroutines, TaskScope, Ticket
from kafka_client.api import ClusterClient
from kafka_client.changes import Change, Changes
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, Datum
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Schedule

if TYPE_CHECKING:
    from gui.embedded.cluster import EmbeddedControl
    from kafka_client.history import History, HistoryLimits
    from kafka_client.profile import ConnectionProfile
    from kafka_client.sampling.sampler import Sampler
    from kafka_client.sampling.store import SeriesStore

T = TypeVar("T")

CHANGES_KEPT = 500
EVENTS_S = 3600.0
"""how far back what changed is shown of an earlier run"""
GATHER_MS = 200
"""the sampler shows a snapshot after each of its rounds; pages hear of one in this time"""
DEFAULT_WINDOW_S = 300.0


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """``progress`` 0..1, or None when the end is not known; ``sentence`` says what it does, at
    last what it did."""

    id: int
    title: str
    state: JobState = JobState.RUNNING
    progress: float | None = None
    sentence: str = ""


Progress = Callable[[float | None, str], None]
"""Called by a job on the client thread with how far it is."""


class Session(QObject):
    snapshot_changed = Signal(object, object)  # ClusterSnapshot, Changes
    sampled = Signal(object)  # Round(t, datum, took_s, error)
    state_changed = Signal(object)  # ConnectionState
    job_changed = Signal(object)  # Job
    window_changed = Signal(float)  # seconds that charts show
    paused_changed = Signal(bool)
    closed = Signal()

    _from_sampler = Signal(str, object, object)
    _progressed = Signal(int, object, str)

    def __init__(
        self,
        profile: ConnectionProfile,
        client: ClusterClient,
        runner: RunsCoroutines,
        store: SeriesStore,
        *,
        embedded: EmbeddedControl | None = None,
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
        self.jobs: dict[int, Job] = {}
        self.tasks = TaskScope(runner, self)
        self._runner = runner
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
        self._job_ids = itertools.count(1)
        self._tickets: dict[int, Ticket] = {}
        self._from_sampler.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._progressed.connect(self._job_progressed, Qt.ConnectionType.QueuedConnection)

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
        if seconds != self._window_s:
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

    def ask(
        self,
        make: Callable[[ClusterClient], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[ClientError], None],
        owner: QObject,
    ) -> Ticket:
        """Run ``make(client)`` on the client thread; one of the callbacks comes later in the
        window's thread, none when the ticket was cancelled or ``owner`` is gone."""

        async def asked() -> T:
            return await make(self.client)

        return self.tasks.spawn(asked(), done, failed, owner)

    def run_job(
        self,
        title: str,
        make: Callable[[ClusterClient, Progress], Awaitable[T]],
        *,
        done: Callable[[T], None] | None = None,
        failed: Callable[[ClientError], None] | None = None,
        said: Callable[[T], str] = lambda result: result if isinstance(result, str) else "Done.",
        owner: QObject | None = None,
    ) -> Job:
        """A long piece of work that the status bar lists and can cancel. ``said`` makes the
        sentence it ends with."""
        job = Job(next(self._job_ids), title)

        def progress(fraction: float | None, sentence: str = "") -> None:
            self._progressed.emit(job.id, fraction, sentence)

        async def worked() -> T:
            return await make(self.client, progress)

        def ended(result: T) -> None:
            self._set_job(job.id, state=JobState.DONE, progress=1.0, sentence=said(result))
            if done is not None:
                done(result)

        def broke(error: ClientError) -> None:
            self._set_job(job.id, state=JobState.FAILED, sentence=str(error))
            if failed is not None:
                failed(error)

        self.jobs[job.id] = job
        self._tickets[job.id] = self.tasks.spawn(worked(), ended, broke, owner or self)
        self.job_changed.emit(job)
        return job

    def cancel_job(self, job_id: int) -> None:
        ticket = self._tickets.get(job_id)
        if ticket is not None and not ticket.finished:
            ticket.cancel()
            self._set_job(job_id, state=JobState.CANCELLED, sentence="Cancelled.")

    def _job_progressed(self, job_id: int, fraction: float | None, sentence: str) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.state is JobState.RUNNING:
            self._set_job(job_id, progress=fraction, sentence=sentence or job.sentence)

    def _set_job(self, job_id: int, **what: Any) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], **what)
        if self.jobs[job_id].state is not JobState.RUNNING:
            self._tickets.pop(job_id, None)
        self.job_changed.emit(self.jobs[job_id])

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
                on_snapshot=lambda snapshot, changes: self._from_sampler.emit(
                    "snapshot", snapshot, changes
                ),
                on_sampled=lambda round_: self._from_sampler.emit("round", round_, None),
                on_state=lambda state: self._from_sampler.emit("state", state, None),
                history=self.history,
                name=self.profile.name,
            )
            self._sampler = sampler
            sampler.start()
            return sampler, happened

        def ready(result: tuple[Sampler, list[Change]]) -> None:
            """What was wanted of it before it was there."""
            sampler, happened = result
            self.changes[:0] = happened
            if self._paused:
                sampler.pause()
            if self._focus != ((), ()):
                sampler.focus(*self._focus)

        self.tasks.spawn(started(), ready, lambda _: None, self)

    def _take(self, what: str, value: Any, more: Any) -> None:
        match what:
            case "snapshot":
                self.take_snapshot(value, more)
            case "round":
                self.sampled.emit(value)
            case "state":
                self.state = value
                self.state_changed.emit(value)

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

        ending = self._runner.submit(ended())
        self.closed.emit()
        return ending


def _open_history(
    path: Path, store: SeriesStore, limits: HistoryLimits | None
) -> tuple[History, list[Change]]:
    """On a thread that may wait for the disk."""
    from kafka_client.history import History

    path.parent.mkdir(parents=True, exist_ok=True)
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
