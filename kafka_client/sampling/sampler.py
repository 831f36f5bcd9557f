"""The sampler: keeps a snapshot and the series of one cluster fresh, each kind of datum on a
schedule of its own.

States: connecting -> connected <-> degraded, and any of them -> lost -> connected. Metadata
decides over lost: when it does not come, nothing can be said; another kind of datum that fails,
or a broker that does not answer, is degraded. A round that fails leaves a gap in its series and
what was known in the snapshot, marked with the error; it is tried again after 0.5 s, then later
and later up to 15 s, with jitter.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from kafka_client import backoff
from kafka_client import snapshot as snapshots
from kafka_client.api import ClusterClient
from kafka_client.changes import Changes, diff
from kafka_client.errors import ClientError, TimedOut, Unsupported
from kafka_client.model import ClusterSnapshot, Datum, Sampled
from kafka_client.sampling.rounds import Answer, Rounds
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Round, Schedule
from kafka_client.sampling.store import Series, SeriesStore

if TYPE_CHECKING:
    from kafka_client.history import History

_SERIES_OF = {
    Datum.METADATA: ("under_replicated", "broker_rtt"),
    Datum.OFFSETS: ("rate", "bytes", "end_rate"),
    Datum.COMMITTED: ("lag", "lag_s", "committed_rate"),
}


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
        on_snapshot: Callable[[ClusterSnapshot, Changes], None] = lambda snapshot, changes: None,
        on_sampled: Callable[[Round], None] = lambda round_: None,
        on_state: Callable[[ConnectionState], None] = lambda state: None,
        history: History | None = None,
        clock: Callable[[], float] = time.time,
        dice: random.Random | None = None,
    ) -> None:
        self.schedule = schedule or Schedule()
        self.store = store
        self._client = client
        self._rounds = Rounds(client, store, self.schedule, clock)
        self._on_snapshot, self._on_sampled, self._on_state = on_snapshot, on_sampled, on_state
        self._history = history
        self._kept_until: dict[Series, float] = {}
        self._clock = clock
        self._dice = dice or random.Random()
        self._shown: ClusterSnapshot | None = None
        self._state = ConnectionState(ConnectionKind.CONNECTING, "Connecting...", since_s=clock())
        self._wake = {datum: asyncio.Event() for datum in Datum}
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._connected = False

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
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="sampler")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Does not close the client."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._rounds.close()

    def focus(self, topics: Iterable[str] = (), groups: Iterable[str] = ()) -> None:
        """What is in sight now, instead of what was: sampled at once and often."""
        self._rounds.focus_topics, self._rounds.focus_groups = frozenset(topics), frozenset(groups)
        self.refresh(Datum.OFFSETS, Datum.GROUPS, Datum.COMMITTED)

    def pause(self) -> None:
        """No requests until ``resume``."""
        self._from_any_thread(self._resumed.clear)

    def resume(self) -> None:
        self._from_any_thread(self._resumed.set)
        self.refresh()

    def refresh(self, *data: Datum) -> None:
        """Sample these (or all) now; for instance after a change was made."""
        for datum in data or tuple(Datum):
            self._from_any_thread(self._wake[datum].set)

    def _from_any_thread(self, act: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)
        else:
            act()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug stops the sampler; it must not look as if all were well."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._tell(
                ConnectionKind.LOST,
                "Sampling stopped because of an error in this program.",
                "Connect again; the application's log has the details.",
            )
            context = {
                "message": "the sampler ended with an error",
                "exception": error,
                "task": task,
            }
            task.get_loop().call_exception_handler(context)

    # ---- the schedule
    async def _run(self) -> None:
        await self._connect()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(Datum.METADATA, self._rounds.metadata))
            while not self._shown:
                await asyncio.sleep(0.02)
            for datum, ask in (
                (Datum.OFFSETS, self._rounds.offsets),
                (Datum.GROUPS, self._rounds.groups),
                (Datum.COMMITTED, self._rounds.committed),
                (Datum.QUORUM, self._rounds.quorum),
                (Datum.LOG_DIRS, self._rounds.log_dirs),
            ):
                tasks.create_task(self._repeat(datum, ask))

    async def _connect(self) -> None:
        self._tell(ConnectionKind.CONNECTING, "Connecting...")
        failures = 0
        while True:
            try:
                await self._client.connect()
                return
            except ClientError as error:
                wait_s = self._back_off_s(failures)
                failures += 1
                self._tell(ConnectionKind.LOST, str(error), error.next_step, self._clock() + wait_s)
                await self._sleep(Datum.METADATA, wait_s)

    async def _repeat(self, datum: Datum, ask: Callable[[], Awaitable[Answer]]) -> None:
        failures = 0
        while True:
            await self._resumed.wait()
            self._wake[datum].clear()
            problem = await self._one(datum, ask)
            if isinstance(problem, Unsupported):
                return
            wait_s = self._back_off_s(failures) if problem else self._pause_s(datum)
            failures = failures + 1 if problem else 0
            self._judge(datum, problem, wait_s)
            await self._sleep(datum, wait_s)

    async def _one(self, datum: Datum, ask: Callable[[], Awaitable[Answer]]) -> ClientError | None:
        """Run a round; whatever happened is in the snapshot, the store and the callbacks
        afterwards."""
        began = time.monotonic()
        problem: ClientError | None = None
        errors: dict[str, str] = {}
        whole = True
        try:
            async with asyncio.timeout(self.schedule.round_timeout_s):
                errors, whole = await ask()
        except ClientError as error:
            problem = error
        except TimeoutError:
            problem = TimedOut(f"No answer within {self.schedule.round_timeout_s:g} s.")
        took_s = time.monotonic() - began
        now = self._clock()
        before = self.snapshot.sampled.get(datum, Sampled())
        if problem is None:
            parts = errors if whole else {**before.subject_errors, **errors}
            sampled = Sampled(now, took_s, "", "", parts)
        else:
            sampled = replace(before, error=str(problem), next_step=problem.next_step)
            self._leave_gaps(datum, now)
        self._rounds.snapshot = snapshots.with_sampled(self.snapshot, datum, sampled)
        self._mark_brokers(now)
        self._show()
        self._keep(datum)
        self._on_sampled(Round(now, datum, took_s, str(problem or "")))
        return problem

    def _pause_s(self, datum: Datum) -> float:
        """Until the next round. While a broker does not answer it comes sooner, so that its
        return is seen: asking a broker that is known to be away costs nothing."""
        interval = self._interval_s(datum)
        away = any(
            subject.startswith("broker ") for subject in self.snapshot.sampled[datum].subject_errors
        )
        return min(interval, self.schedule.metadata_s) if away else interval

    def _interval_s(self, datum: Datum) -> float:
        plan = self.schedule
        match datum:
            case Datum.METADATA:
                large = snapshots.partition_count(self.snapshot) > plan.large_partitions
                return plan.metadata_large_s if large else plan.metadata_s
            case Datum.OFFSETS:
                return plan.offsets_visible_s
            case Datum.GROUPS:
                return plan.groups_s
            case Datum.COMMITTED:
                return (
                    plan.committed_visible_s
                    if self.snapshot.groups
                    else min(0.3, plan.committed_visible_s)
                )
            case Datum.QUORUM:
                return plan.quorum_s
            case Datum.LOG_DIRS:
                return plan.log_dirs_s

    def _back_off_s(self, failures: int) -> float:
        return backoff.wait_s(
            failures, self.schedule.back_off_first_s, self.schedule.back_off_most_s, self._dice
        )

    async def _sleep(self, datum: Datum, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake[datum].wait(), seconds)

    # ---- telling
    def _show(self) -> None:
        now = self.snapshot
        if Datum.METADATA not in now.sampled or now.sampled[Datum.METADATA].at_s is None:
            return
        changes = diff(self._shown, now)
        self._shown = now
        if self._history is not None:
            for event in changes.events:
                self._history.event(event)
        self._on_snapshot(now, changes)

    def _keep(self, datum: Datum) -> None:
        """New samples of totals, topics and groups go into the history too; single partitions do
        not."""
        if self._history is None:
            return
        for measure in _SERIES_OF.get(datum, ()):
            for series in self.store.keys(measure):
                last = self.store.last(series) if len(series) <= 2 else None
                if last is not None and last[0] > self._kept_until.get(series, 0.0):
                    self._kept_until[series] = last[0]
                    self._history.sample(series, *last)

    def _leave_gaps(self, datum: Datum, now: float) -> None:
        for measure in _SERIES_OF.get(datum, ()):
            for series in self.store.keys(measure):
                self.store.gap(series, now)

    def _mark_brokers(self, now: float) -> None:
        """A broker that failed in any kind's last round is marked with the reason."""
        failed: dict[int, str] = {}
        answered = set(self._client.round_trips())
        for sampled in self.snapshot.sampled.values():
            for subject, words in sampled.subject_errors.items():
                kind, _, number = subject.partition(" ")
                if kind == "broker" and number.isdigit():
                    failed.setdefault(int(number), words)
        fields: dict[int, dict[str, object]] = {}
        for broker_id, broker in self.snapshot.brokers.items():
            if not broker.in_cluster:
                fields[broker_id] = {"reachable": False}
            elif broker_id in failed:
                fields[broker_id] = {"reachable": False, "error": failed[broker_id]}
            else:
                reachable = (
                    True
                    if broker_id in answered
                    else (broker.reachable and not broker.error) or None
                )
                fields[broker_id] = {"reachable": reachable, "error": ""}
        self._rounds.snapshot = snapshots.with_brokers(self.snapshot, fields, now)

    def _judge(self, datum: Datum, problem: ClientError | None, wait_s: float) -> None:
        lost = bool(self.snapshot.sampled.get(Datum.METADATA, Sampled()).error)
        if datum is Datum.METADATA and problem is not None:
            self._tell(ConnectionKind.LOST, str(problem), problem.next_step, self._clock() + wait_s)
            return
        if lost:
            return
        if datum is Datum.METADATA and self._state.kind is ConnectionKind.LOST:
            self.refresh()
        total = len(self.snapshot.brokers)
        away = sorted(b for b, broker in self.snapshot.brokers.items() if broker.reachable is False)
        failing = [
            f"{d.value}: {s.error}" for d, s in sorted(self.snapshot.sampled.items()) if s.error
        ]
        unsupported = self.snapshot.sampled.get(Datum.QUORUM, Sampled())
        if unsupported.error and unsupported.at_s is None:
            failing = [f for f in failing if not f.startswith(Datum.QUORUM.value)]
        if away:
            first = self.snapshot.brokers[away[0]]
            sentence = (
                f"{total - len(away)} of {total} brokers answer. Broker {away[0]}: {first.error}"
            )
            self._tell(ConnectionKind.DEGRADED, sentence)
        elif failing:
            self._tell(ConnectionKind.DEGRADED, failing[0])
        else:
            self._tell(ConnectionKind.CONNECTED, f"{total} of {total} brokers answer.")

    def _tell(
        self,
        kind: ConnectionKind,
        sentence: str,
        next_step: str = "",
        retry_at_s: float | None = None,
    ) -> None:
        since_s = self._state.since_s if kind is self._state.kind else self._clock()
        state = ConnectionState(kind, sentence, next_step, since_s, retry_at_s)
        if state != self._state or not self._connected:
            self._connected = True
            self._state = state
            self._on_state(state)
