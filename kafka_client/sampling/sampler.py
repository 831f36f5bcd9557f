"""The sampler: keeps a snapshot and the series of one cluster fresh, each kind of datum on a
schedule of its own.

States: connecting -> connected <-> degraded, and any of them -> lost -> connected. The connection
is lost while metadata cannot be read; it is degraded while another kind of datum fails or a broker
does not answer. A failed round leaves a gap in its series; the snapshot keeps the previous values,
marked with the error. It is tried again after 0.5 s, then at growing intervals up to 15 s, with
jitter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from kafka_client import backoff
from kafka_client.api import ClusterClient
from kafka_client.changes import Change, Changes, diff
from kafka_client.errors import ClientError, TimedOut, Unsupported
from kafka_client.model import ClusterSnapshot, Datum, Sampled
from kafka_client.sampling.connection import connection, reachability
from kafka_client.sampling.rounds import RoundResult, Rounds
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Round, Schedule
from kafka_client.sampling.store import Series, SeriesStore
from kafka_client.snapshot import partition_count, with_brokers, with_sampled
from kafka_client.steady import steady_s
from resources.wording import seconds

logger = logging.getLogger(__name__)

MEASURES_OF = {
    Datum.METADATA: ("under_replicated", "broker_rtt"),
    Datum.OFFSETS: ("rate", "bytes", "end_rate"),
    Datum.COMMITTED: ("lag", "lag_s", "committed_rate"),
}
"""The measures whose series each kind of datum appends to."""
HISTORY_KEY_PARTS = 2
"""Series with longer keys (one partition, one topic of a group) stay out of the history."""

StartRound = Callable[[], Awaitable[RoundResult]]


class SampleHistory(Protocol):
    """Keeps samples and events beyond the memory's reach; ``history.History`` implements it."""

    def sample(self, series: Series, t: float, value: float) -> None:
        """Store a sample; ``t`` in seconds since the epoch."""

    def event(self, change: Change) -> None:
        """Store an event."""


class Sampler:
    """``start``, ``stop`` and the callbacks run on the client loop; ``focus``, ``pause``,
    ``resume`` and ``refresh`` may be called from any thread. Callbacks must return at once: hand
    over to another thread by a signal."""

    def __init__(
        self,
        client: ClusterClient,
        store: SeriesStore,
        schedule: Schedule | None = None,
        *,
        on_snapshot: Callable[[ClusterSnapshot, Changes], None] = lambda _snapshot, _changes: None,
        on_sampled: Callable[[Round], None] = lambda _round: None,
        on_state: Callable[[ConnectionState], None] = lambda _state: None,
        history: SampleHistory | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        rng: random.Random | None = None,
        name: str = "",
    ) -> None:
        """``name`` is the connection's, for the log. ``clock`` returns seconds since the epoch,
        ``steady`` a time that no step of that clock moves."""
        self.schedule = schedule or Schedule()
        self.store = store
        self._client = client
        self._rounds = Rounds(client, store, self.schedule, clock, steady)
        self._on_snapshot, self._on_sampled, self._on_state = on_snapshot, on_sampled, on_state
        self._history = history
        self._history_until: dict[Series, float] = {}
        """The time of the newest sample of each series that is in the history."""
        self._clock, self._steady = clock, steady
        self._rng = rng or random.Random()
        self._name = name or "cluster"
        self._emitted: ClusterSnapshot | None = None
        """The snapshot that ``on_snapshot`` was called with last."""
        self._has_snapshot = asyncio.Event()
        self._has_groups = asyncio.Event()
        self._state = ConnectionState(ConnectionKind.CONNECTING, "Connecting…", since_s=clock())
        self._state_emitted = False
        self._wake = {datum: asyncio.Event() for datum in Datum}
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def snapshot(self) -> ClusterSnapshot:
        return self._rounds.snapshot

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def paused(self) -> bool:
        return not self._resumed.is_set()

    def start(self) -> None:
        """Connect and sample until ``stop``."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="sampler")
        self._task.add_done_callback(self._on_task_done)

    async def stop(self) -> None:
        """End sampling. Does not close the client."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._rounds.close()

    def focus(self, topics: Iterable[str] = (), groups: Iterable[str] = ()) -> None:
        """Replace the topics and groups in focus: they are sampled at once, and more often than
        the others."""
        self._rounds.focus_topics, self._rounds.focus_groups = frozenset(topics), frozenset(groups)
        self.refresh(Datum.OFFSETS, Datum.GROUPS, Datum.COMMITTED)

    def pause(self) -> None:
        """Send no requests until ``resume``."""
        self._call_on_loop(self._resumed.clear)

    def resume(self) -> None:
        """Sample again, everything at once."""
        self._call_on_loop(self._resumed.set)
        self.refresh()

    def refresh(self, *data: Datum) -> None:
        """Sample these kinds of datum (or all) now; for instance after a change was made."""
        for datum in data or tuple(Datum):
            self._call_on_loop(self._wake[datum].set)

    def _call_on_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)
        else:
            function()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """A bug ends the task: log it and show the connection as lost, not as healthy."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        logger.error("sampling of %s stopped by an internal error", self._name, exc_info=error)
        cause = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        self._set_state(
            ConnectionKind.LOST,
            f"Sampling stopped. Internal error: {type(cause).__name__}.",
            "Connect again; the application's log has the details.",
        )

    # ---- the schedule
    async def _run(self) -> None:
        await self._connect()
        rounds = self._rounds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(Datum.METADATA, rounds.metadata))
            # The other rounds ask about the brokers, topics and groups of the rounds before.
            await self._has_snapshot.wait()
            tasks.create_task(self._repeat(Datum.OFFSETS, rounds.offsets))
            tasks.create_task(self._repeat(Datum.GROUPS, rounds.groups))
            tasks.create_task(self._repeat(Datum.QUORUM, rounds.quorum))
            tasks.create_task(self._repeat(Datum.LOG_DIRS, rounds.log_dirs))
            await self._has_groups.wait()
            tasks.create_task(self._repeat(Datum.COMMITTED, rounds.committed))

    async def _connect(self) -> None:
        self._set_state(ConnectionKind.CONNECTING, "Connecting…")
        failures = 0
        while True:
            try:
                await self._client.connect()
                return
            except ClientError as error:
                wait_s = self._back_off_s(failures)
                failures += 1
                retry_at_s = self._steady() + wait_s
                self._set_state(ConnectionKind.LOST, str(error), error.next_step, retry_at_s)
                await self._sleep(Datum.METADATA, wait_s)

    async def _repeat(self, datum: Datum, start_round: StartRound) -> None:
        failures = 0
        while True:
            await self._resumed.wait()
            self._wake[datum].clear()
            error = await self._round(datum, start_round)
            if isinstance(error, Unsupported):
                return
            wait_s = self._back_off_s(failures) if error else self._pause_s(datum)
            failures = failures + 1 if error else 0
            self._update_state(datum, error, wait_s)
            await self._sleep(datum, wait_s)

    async def _round(self, datum: Datum, start_round: StartRound) -> ClientError | None:
        """Run one round and return its error. The snapshot, the store, the history and the
        callbacks have its result afterwards."""
        started_s = time.monotonic()
        error: ClientError | None = None
        result = RoundResult({})
        try:
            async with asyncio.timeout(self.schedule.round_timeout_s):
                result = await start_round()
        except ClientError as caught:
            error = caught
        except TimeoutError:
            error = TimedOut(f"No answer within {seconds(self.schedule.round_timeout_s)}.")
        took_s = time.monotonic() - started_s
        now = self._clock()
        before = self.snapshot.sampled.get(datum, Sampled())
        if error is None:
            # A round of the visible part says nothing about the others: their errors stand.
            errors = (
                result.errors if result.complete else {**before.subject_errors, **result.errors}
            )
            sampled = Sampled(now, took_s, "", "", errors, self._steady())
        else:
            sampled = replace(before, error=str(error), next_step=error.next_step)
            for measure in MEASURES_OF.get(datum, ()):
                self.store.mark_gaps(now, measure)
        _log_errors(self._name, datum, before, sampled)
        self._rounds.snapshot = with_sampled(self.snapshot, datum, sampled)
        self._rounds.snapshot = with_brokers(
            self.snapshot, reachability(self.snapshot, self._client.round_trips().keys()), now
        )
        for other in result.hasten:
            self._wake[other].set()
        self._emit_snapshot()
        self._write_history(datum)
        if datum is Datum.GROUPS and error is None:
            self._has_groups.set()
        self._on_sampled(Round(now, datum, took_s, str(error or "")))
        return error

    def _pause_s(self, datum: Datum) -> float:
        """Seconds until the next round: at most ``metadata_s`` while a broker does not answer it,
        so that its return is noticed. A request to a broker that is known to be down costs
        nothing."""
        interval_s = self._interval_s(datum)
        errors = self.snapshot.sampled[datum].subject_errors
        if any(subject.startswith("broker ") for subject in errors):
            return min(interval_s, self.schedule.metadata_s)
        return interval_s

    def _interval_s(self, datum: Datum) -> float:
        schedule = self.schedule
        match datum:
            case Datum.METADATA:
                large = partition_count(self.snapshot) > schedule.large_partitions
                return schedule.metadata_large_s if large else schedule.metadata_s
            case Datum.OFFSETS:
                return schedule.offsets_visible_s
            case Datum.GROUPS:
                return schedule.groups_s
            case Datum.COMMITTED:
                return schedule.committed_visible_s
            case Datum.QUORUM:
                return schedule.quorum_s
            case Datum.LOG_DIRS:
                return schedule.log_dirs_s

    def _back_off_s(self, failures: int) -> float:
        return backoff.wait_s(
            failures, self.schedule.back_off_first_s, self.schedule.back_off_most_s, self._rng
        )

    async def _sleep(self, datum: Datum, duration_s: float) -> None:
        """Wait, until ``refresh`` at most."""
        # Not asyncio.wait_for: on Python 3.11 it loses a cancellation that arrives together with
        # the event, and ``stop`` would wait for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                await self._wake[datum].wait()

    # ---- results
    def _emit_snapshot(self) -> None:
        """Call ``on_snapshot`` and keep the events; nothing before the first metadata."""
        snapshot = self.snapshot
        metadata = snapshot.sampled.get(Datum.METADATA)
        if metadata is None or metadata.at_s is None:
            return
        changes = diff(self._emitted, snapshot)
        self._emitted = snapshot
        self._has_snapshot.set()
        if self._history is not None:
            for event in changes.events:
                self._history.event(event)
        self._on_snapshot(snapshot, changes)

    def _write_history(self, datum: Datum) -> None:
        """Pass new samples of totals, topics and groups to the history."""
        if self._history is None:
            return
        for measure in MEASURES_OF.get(datum, ()):
            for series in self.store.keys(measure, longest=HISTORY_KEY_PARTS):
                last = self.store.last(series)
                if last is not None and last[0] != self._history_until.get(series):
                    self._history_until[series] = last[0]
                    self._history.sample(series, *last)

    def _update_state(self, datum: Datum, error: ClientError | None, wait_s: float) -> None:
        """Set the connection's state after a round. ``wait_s``: seconds until the next one."""
        if datum is Datum.METADATA and error is not None:
            retry_at_s = self._steady() + wait_s
            self._set_state(ConnectionKind.LOST, str(error), error.next_step, retry_at_s)
            return
        if self.snapshot.sampled.get(Datum.METADATA, Sampled()).error:
            return  # lost: only metadata ends that
        if datum is Datum.METADATA and self._state.kind is ConnectionKind.LOST:
            self.refresh()  # do not wait for the back-off of the other rounds
        self._set_state(*connection(self.snapshot))

    def _set_state(
        self,
        kind: ConnectionKind,
        sentence: str,
        next_step: str = "",
        retry_at_s: float | None = None,
    ) -> None:
        since_s = self._state.since_s if kind is self._state.kind else self._clock()
        state = ConnectionState(kind, sentence, next_step, since_s, retry_at_s)
        if (kind, sentence) != (self._state.kind, self._state.sentence):
            bad = kind in (ConnectionKind.LOST, ConnectionKind.DEGRADED)
            level = logging.WARNING if bad else logging.INFO
            logger.log(level, "%s: %s -> %s: %s", self._name, self._state.kind, kind, sentence)
        if state != self._state or not self._state_emitted:
            self._state_emitted = True
            self._state = state
            self._on_state(state)


def _log_errors(name: str, datum: Datum, before: Sampled, after: Sampled) -> None:
    """Log the errors that are new and those that ended; an error that stays is logged once."""
    old = {**before.subject_errors, **({"": before.error} if before.error else {})}
    new = {**after.subject_errors, **({"": after.error} if after.error else {})}
    for subject, error in new.items():
        if old.get(subject) != error:
            where = f" of {subject}" if subject else ""
            logger.warning("%s: cannot read %s%s: %s", name, datum.value, where, error)
    for subject in old.keys() - new.keys():
        where = f" of {subject}" if subject else ""
        logger.info("%s: reading %s%s again", name, datum.value, where)
