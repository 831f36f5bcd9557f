"""The history of one cluster, kept over restarts: samples and events in one SQLite file, written
by a thread of its own.

Samples go into three tiers, each a table with one row per series and step: 1 s for an hour, 10 s
for a day, 1 min for 30 days. A row holds count, sum, minimum and maximum, so that a coarser step
is computed exactly from finer ones. Events (``changes.Change``) stay for 30 days. ``HistoryLimits``
makes that shorter, and bounds the size of the file: the oldest rows of all tiers go first.

A wall clock may leap by years, and come back. By age, rows are deleted by ``BelievedClock``, which
is stored in the file; rows of a time to come are deleted once the clock is back.

A crash loses at most the last second. ``sqlite_file`` renames a file that cannot be read; a full
or read-only disk stops the history, not the application.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kafka_client.changes import Change, ChangeKind
from kafka_client.sampling.rings import Floats
from kafka_client.sampling.store import Series, SeriesStore
from kafka_client.sqlite_file import open_database, open_in_memory
from kafka_client.steady import steady_s

logger = logging.getLogger(__name__)

TIERS = ((1, 3600), (10, 86_400), (60, 30 * 86_400))
"""(step, kept for) in seconds."""
EVENTS_KEPT_S = 30 * 86_400
WRITE_EVERY_S = 1.0
TIDY_EVERY_S = 60.0
CLOCK_SLACK_S = 5.0
"""Age of a caller's clock reading; so much may be missing at the start of a window."""
CUT_AT_ONCE = 0.1
"""The share of the rows that is deleted at once when the file is too large."""
CUT_STEP_S = 60
"""How finely the cut is placed in time."""
CATCH_UP = 24
"""A day in an hour."""
AHEAD_S = 86_400.0
"""Rows so far in the time to come were written while the clock was wrong."""
QUEUE_MOST = 100_000
"""Samples and events that may wait for the disk; further ones are dropped and counted."""
PARTITIONS_KEPT = 1000
"""How many partitions of one event are stored."""
SCHEMA_VERSION = 1

_TIER = """
CREATE TABLE tier_{step} (
    series INTEGER NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL, PRIMARY KEY (series, at)
) WITHOUT ROWID;
"""
_SCHEMA = """
CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE events (
    at REAL NOT NULL, kind TEXT NOT NULL, words TEXT NOT NULL, about TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);
CREATE TABLE believed (at REAL NOT NULL);
""" + "".join(_TIER.format(step=step) for step, _ in TIERS)
_ADD_SAMPLE = """
INSERT INTO tier_{step} VALUES (?1, ?2, 1, ?3, ?3, ?3) ON CONFLICT (series, at) DO UPDATE SET
    count = count + 1, sum = sum + ?3, low = min(low, ?3), high = max(high, ?3)
"""
_WINDOW = """
SELECT at, sum / count FROM tier_{step} JOIN series ON id = series
WHERE key = ? AND at BETWEEN ? AND ? ORDER BY at
"""

_FIRST = f"SELECT min(at) FROM tier_{TIERS[-1][0]} JOIN series ON id = series WHERE key = ?"


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Bounds what is kept of one cluster: nothing older than ``days``, and no more than
    ``size_bytes`` of rows and indexes."""

    days: float = 30.0
    size_bytes: int = 1 << 30


class Sample(NamedTuple):
    """One value of one series; ``t`` in seconds since the epoch."""

    series: Series
    t: float
    value: float


class BelievedClock:
    """The wall time by which rows are deleted: slow to believe a clock that leaps.

    Until the process ends it goes on from the wall time at its start, whatever the wall clock does
    meanwhile. What lies between two runs may be an absence or a leap: that is caught up CATCH_UP
    times as fast as time passes. After a weekend retention is right again in two hours; a clock
    that leapt ten years has no effect before a person has noticed.
    """

    def __init__(
        self, stored_s: float | None, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        """``stored_s`` is ``believed_s`` of the last run, None without one."""
        self._clock, self._steady = clock, steady
        self._began_s, self._begin_s = clock(), steady()
        self._at_s = self._begin_s
        self.believed_s = self._began_s if stored_s is None else stored_s
        """Never goes back, so that a clock that was wrong and in the past costs nothing either."""

    def advance(self) -> tuple[float, float]:
        """Return (now, newest): the time by which ages are counted, and the time beyond which
        nothing can have been written with a right clock."""
        wall, now = self._clock(), self._steady()
        passed_s, self._at_s = now - self._at_s, now
        goal_s = self._began_s + now - self._begin_s
        caught_up_s = min(goal_s, self.believed_s + CATCH_UP * passed_s)
        self.believed_s = max(self.believed_s, caught_up_s)
        return min(wall, self.believed_s), max(wall, goal_s, self.believed_s)


class History:
    """``sample`` and ``event`` may be called from any thread and never wait. ``window``, ``fill``,
    ``keys`` and ``events`` wait for the disk: call them off the window's thread. After ``close``
    they raise ``sqlite3.ProgrammingError``."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        limits: HistoryLimits | None = None,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self.path = path
        self.limits = limits or HistoryLimits()
        """May be replaced at any time, from any thread; applied within TIDY_EVERY_S."""
        self.error = ""
        """Why samples are no longer kept; empty while they are."""
        self.dropped = 0
        """Samples and events that found the queue full."""
        self._clock, self._steady = clock, steady
        self._stored_s: float | None = None
        """What an earlier run believed the time to be."""
        self._queue: queue.Queue[Sample | Change] = queue.Queue(QUEUE_MOST)
        self._ids: dict[Series, int] = {}
        self._stop = threading.Event()
        self._flush_lock = threading.Lock()
        self._database_lock = threading.Lock()
        self._database = self._open()
        self._believed = BelievedClock(self._stored_s, clock, steady)
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    # ---- writing
    def sample(self, series: Series, t: float, value: float) -> None:
        """Keep one value; NaN (a gap) is not kept."""
        if value == value:
            self._put(Sample(series, t, value))

    def event(self, change: Change) -> None:
        """Keep one event, with at most PARTITIONS_KEPT of its partitions."""
        self._put(change)

    def close(self, timeout_s: float = 3.0) -> None:
        """Write the queue and end the thread, within ``timeout_s``."""
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("the history %s was not written within %g s", self.path.name, timeout_s)
        else:
            with self._database_lock:  # a reading thread may be inside SQLite
                self._database.close()

    def flush(self) -> None:
        """Write the queue now; wait for a write of another thread that is under way."""
        with self._flush_lock:
            waiting: list[Sample | Change] = []
            while True:
                try:
                    waiting.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            if waiting:
                self._in_transaction(lambda: self._write(waiting))

    # ---- reading
    def window(self, series: Series, t0: float, t1: float) -> tuple[Floats, Floats]:
        """(times, means) with t0 <= time <= t1, float64, from the finest tier that still reaches
        back to t0. Empty arrays for an unknown series."""
        # The caller read the clock a moment earlier: without the slack "the last hour" would begin
        # just before the finest tier does.
        oldest = self._clock() - CLOCK_SLACK_S
        step = next((step for step, kept_s in TIERS if t0 >= oldest - kept_s), TIERS[-1][0])
        rows = self._rows(_WINDOW.format(step=step), (_key(series), int(t0), int(t1)))
        pairs = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    async def windows(
        self, wanted: Sequence[Series], t0: float, t1: float
    ) -> dict[Series, tuple[Floats, Floats]]:
        """``window`` of several series, read on a thread. Raises: sqlite3.Error."""

        def read() -> dict[Series, tuple[Floats, Floats]]:
            return {series: self.window(series, t0, t1) for series in wanted}

        return await asyncio.to_thread(read)

    async def beginning(self, wanted: Sequence[Series]) -> float | None:
        """The time of the oldest sample of these series, read on a thread; None without one.
        Raises: sqlite3.Error."""

        def read() -> float | None:
            firsts = [self._rows(_FIRST, (_key(series),))[0][0] for series in wanted]
            return min((float(first) for first in firsts if first is not None), default=None)

        return await asyncio.to_thread(read)

    def fill(self, store: SeriesStore, seconds: float = 3600.0) -> None:
        """Put the last hour into an empty store, with a gap at the end of each series: charts
        begin where the last run ended."""
        now = self._clock()
        for series in self.keys():
            times, values = self.window(series, now - seconds, now)
            for t, value in zip(times.tolist(), values.tolist(), strict=True):
                store.append(series, t, value)
            if len(times):
                store.gap(series, float(times[-1]) + 1.0)

    def keys(self) -> list[Series]:
        """The keys of all series that were ever kept."""
        rows = self._rows("SELECT key FROM series")
        return sorted((tuple(json.loads(key)) for (key,) in rows), key=str)

    def events(self, t0: float, t1: float) -> list[Change]:
        """The events with t0 <= time <= t1, oldest first."""
        rows = self._rows(
            "SELECT at, kind, words, about FROM events WHERE at BETWEEN ? AND ? ORDER BY at",
            (t0, t1),
        )
        return [_change(at, kind, text, json.loads(about)) for at, kind, text, about in rows]

    # ---- inside
    def _put(self, item: Sample | Change) -> None:
        if self.error:
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            if not self.dropped:
                logger.warning("the history %s drops samples: its queue is full", self.path.name)
            self.dropped += 1

    def _open(self) -> sqlite3.Connection:
        try:
            return open_database(self.path, SCHEMA_VERSION, _SCHEMA, self._read_ids)
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
            return open_in_memory(SCHEMA_VERSION, _SCHEMA)

    def _read_ids(self, database: sqlite3.Connection) -> None:
        rows = database.execute("SELECT id, key FROM series")
        self._ids = {tuple(json.loads(key)): series_id for series_id, key in rows}
        # A file of an earlier version has no such table.
        database.execute("CREATE TABLE IF NOT EXISTS believed (at REAL NOT NULL)")
        ((self._stored_s,),) = database.execute("SELECT max(at) FROM believed")
        if self._stored_s is None:
            newest = f"SELECT max(at) FROM tier_{TIERS[-1][0]}"
            ((self._stored_s,),) = database.execute(newest)

    def _fail(self, error: Exception) -> None:
        self.error = f"History is no longer kept: {error}."
        logger.error("the history %s is no longer kept: %s", self.path, error)

    def _run(self) -> None:
        tidied_s = -math.inf
        while not self._stop.wait(WRITE_EVERY_S):
            self.flush()
            if self._steady() - tidied_s >= TIDY_EVERY_S:
                tidied_s = self._steady()
                self._tidy()
        self.flush()

    def _write(self, waiting: Sequence[Sample | Change]) -> None:
        rows: list[tuple[int, float, float]] = []
        for item in waiting:
            match item:
                case Sample(series, t, value):
                    rows.append((self._id(series), t, value))
                case Change():
                    self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?)", _row(item))
        for step, _ in TIERS:
            self._database.executemany(
                _ADD_SAMPLE.format(step=step),
                [(series_id, int(t) // step * step, value) for series_id, t, value in rows],
            )

    def _id(self, series: Series) -> int:
        series_id = self._ids.get(series)
        if series_id is None:
            cursor = self._database.execute("INSERT INTO series (key) VALUES (?)", (_key(series),))
            series_id = self._ids[series] = int(cursor.lastrowid or 0)
        return series_id

    def _tidy(self) -> None:
        """Delete what is older than its tier keeps, then the oldest rows of a file that is too
        large."""
        limits = self.limits
        now, newest = self._believed.advance()
        kept = [(f"tier_{step}", kept_s) for step, kept_s in TIERS] + [("events", EVENTS_KEPT_S)]

        def delete() -> None:
            for table, kept_s in kept:
                oldest = now - min(kept_s, limits.days * 86_400)
                self._database.execute(
                    f"DELETE FROM {table} WHERE at < ? OR at > ?", (oldest, newest + AHEAD_S)
                )
            self._database.execute("DELETE FROM believed")
            self._database.execute("INSERT INTO believed VALUES (?)", (self._believed.believed_s,))

        self._in_transaction(delete)
        if not self.error and self._used_bytes() > limits.size_bytes:
            self._in_transaction(lambda: self._shrink(limits.size_bytes))
            self._give_back()

    def _shrink(self, size_bytes: int) -> None:
        """Delete the oldest CUT_AT_ONCE of the rows until the others fit. A share of the rows, not
        of their time: after a leap of the clock, years without rows lie between some of them."""
        tables = [f"tier_{step}" for step, _ in TIERS] + ["events"]
        rows = " UNION ALL ".join(
            f"SELECT CAST(at / {CUT_STEP_S} AS INTEGER) AS step FROM {t}" for t in tables
        )
        while self._used_bytes() > size_bytes:
            steps = self._database.execute(
                f"SELECT step, count(*) FROM ({rows}) GROUP BY step ORDER BY step"
            ).fetchall()
            if not steps:
                return  # nothing is left but the names of the series
            cut = _cut_after(steps)
            for table in tables:
                self._database.execute(f"DELETE FROM {table} WHERE at < ?", (cut,))

    def _used_bytes(self) -> int:
        """Bytes of the pages in use; the file may hold free ones beside them."""
        ((pages,),) = self._database.execute("PRAGMA page_count")
        ((free,),) = self._database.execute("PRAGMA freelist_count")
        ((page_bytes,),) = self._database.execute("PRAGMA page_size")
        return int((pages - free) * page_bytes)

    def _give_back(self) -> None:
        """Give free pages back to the disk when they are most of the file: SQLite reuses them,
        but never returns them by itself."""
        with self._database_lock:
            try:
                ((pages,),) = self._database.execute("PRAGMA page_count")
                ((free,),) = self._database.execute("PRAGMA freelist_count")
                if free * 2 > pages:
                    self._database.execute("VACUUM")
            except sqlite3.Error as error:
                self._fail(error)

    def _in_transaction(self, work: Callable[[], None]) -> None:
        with self._database_lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                work()
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._fail(error)

    def _rows(self, statement: str, values: Iterable[object] = ()) -> list[Any]:
        with self._database_lock:
            return self._database.execute(statement, tuple(values)).fetchall()


def _cut_after(steps: Sequence[tuple[int, int]]) -> float:
    """The time before which CUT_AT_ONCE of the rows lie, the newest step among them only when it
    is the only one. ``steps``: (CUT_STEP_S since the epoch, rows), ascending."""
    wanted = CUT_AT_ONCE * sum(rows for _, rows in steps)
    counted_rows = 0
    for step, rows in steps[:-1]:
        counted_rows += rows
        if counted_rows >= wanted:
            return float((step + 1) * CUT_STEP_S)
    return float(steps[-1][0] * CUT_STEP_S if len(steps) > 1 else (steps[0][0] + 1) * CUT_STEP_S)


def _key(series: Series) -> str:
    return json.dumps(series, ensure_ascii=False)


def _row(change: Change) -> tuple[float, str, str, str]:
    about = [
        change.topic,
        change.partition,
        change.broker_id,
        change.group_id,
        change.partitions[:PARTITIONS_KEPT],
    ]
    return change.at_s, change.kind.value, change.text, json.dumps(about)


def _change(at: float, kind: str, text: str, about: list[Any]) -> Change:
    topic, partition, broker_id, group_id, partitions = about
    return Change(
        at,
        ChangeKind(kind),
        text,
        topic,
        partition,
        broker_id,
        group_id,
        partitions=tuple((t, p) for t, p in partitions),
    )
