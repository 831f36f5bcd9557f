"""What was sampled, kept over restarts: one SQLite file per cluster, written by a thread of its
own.

Samples go into three tiers, each a table with one row per series and step: 1 s for an hour, 10 s
for a day, 1 min for 30 days. A row holds count, sum, least and greatest, so that a coarser step
is made exactly from finer ones. Events (what changed) and the journal (what was changed from
here) stay for 30 days and for ever.

The file is in WAL mode: a crash loses at most the last second and damages nothing. A file that
cannot be read is set aside under another name and a new one begun; a disk that is full stops the
history, not the application.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kafka_client.changes import Change, ChangeKind
from kafka_client.sampling.rings import Floats
from kafka_client.sampling.store import Series, SeriesStore

T = TypeVar("T")

TIERS = ((1, 3600), (10, 86_400), (60, 30 * 86_400))
"""(step, kept for) in seconds."""
EVENTS_KEPT_S = 30 * 86_400
WRITE_EVERY_S = 1.0
TIDY_EVERY_S = 60.0
QUEUE_MOST = 100_000
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE events (at REAL NOT NULL, kind TEXT NOT NULL, words TEXT NOT NULL, about TEXT NOT NULL);
CREATE INDEX events_at ON events (at);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, title TEXT NOT NULL, command TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""
_TIER = """
CREATE TABLE tier_{step} (
    series INTEGER NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL, low REAL NOT NULL,
    high REAL NOT NULL, PRIMARY KEY (series, at)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change that was made, or tried, from here. ``detail`` is JSON-like: the plan's rows."""

    at_s: float
    title: str
    command: str
    outcome: str
    """done, undone, or why it failed."""
    detail: object = None


class History:
    """``sample``, ``event`` and ``journal`` may be called from any thread and never wait; what
    reads (``window``, ``events``, ``entries``) waits for the disk: call it off the window's
    thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.error = ""
        """Why nothing is kept any more; empty while all is well."""
        self.dropped = 0
        self._clock = clock
        self._queue: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(QUEUE_MOST)
        self._ids: dict[Series, int] = {}
        self._stop = threading.Event()
        self._write_lock = threading.Lock()
        self._database = self._open()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    # ---- writing
    def sample(self, series: Series, t: float, value: float) -> None:
        if value == value:
            self._put("sample", (series, t, value))

    def event(self, change: Change) -> None:
        self._put("event", (change,))

    def journal(self, entry: JournalEntry) -> None:
        self._put("journal", (entry,))

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what is waiting, and end."""
        self._stop.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._database.close()

    def flush(self) -> None:
        """Write what is waiting, now."""
        self._write()

    # ---- reading
    def window(self, series: Series, t0: float, t1: float) -> tuple[Floats, Floats]:
        """(times, means), float64, of the finest tier that still holds t0. Empty when nothing is
        kept."""
        step = next((step for step, kept_s in TIERS if t0 >= self._clock() - kept_s), TIERS[-1][0])
        rows = self._ask(
            f"SELECT at, sum / count FROM tier_{step} JOIN series ON id = series WHERE key = ? AND at BETWEEN ? AND ?"
            " ORDER BY at",
            (_key(series), int(t0), int(t1)),
        )
        found = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def fill(self, store: SeriesStore, seconds: float = 3600.0) -> None:
        """Put the last hour into an empty store, with a gap up to now: charts begin where the
        last run ended."""
        now = self._clock()
        for series in self.keys():
            times, values = self.window(series, now - seconds, now)
            for t, value in zip(times.tolist(), values.tolist(), strict=True):
                store.append(series, t, value)
            if len(times):
                store.gap(series, float(times[-1]) + 1.0)

    def keys(self) -> list[Series]:
        return sorted(
            (tuple(json.loads(key)) for (key,) in self._ask("SELECT key FROM series")), key=str
        )

    def events(self, t0: float, t1: float) -> list[Change]:
        """Oldest first."""
        rows = self._ask(
            "SELECT at, kind, words, about FROM events WHERE at BETWEEN ? AND ? ORDER BY at",
            (t0, t1),
        )
        return [_change(at, kind, words, json.loads(about)) for at, kind, words, about in rows]

    def entries(self, limit: int = 500) -> list[JournalEntry]:
        """Newest first."""
        rows = self._ask(
            "SELECT at, title, command, outcome, detail FROM journal ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            JournalEntry(at, title, command, outcome, json.loads(d))
            for at, title, command, outcome, d in rows
        ]

    # ---- inside
    def _put(self, kind: str, what: tuple[Any, ...]) -> None:
        if self.error:
            return
        try:
            self._queue.put_nowait((kind, what))
        except queue.Full:
            self.dropped += 1

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_suffix(f".damaged-{int(self._clock())}"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path, check_same_thread=False, isolation_level=None, timeout=5.0
        )
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"a history of version {version}")
            if version == 0:
                tiers = "".join(_TIER.format(step=step) for step, _ in TIERS)
                database.executescript(
                    f"BEGIN; {_SCHEMA} {tiers} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
            self._ids = {
                tuple(json.loads(key)): i
                for i, key in database.execute("SELECT id, key FROM series")
            }
        except (sqlite3.DatabaseError, ValueError) as error:
            database.close()
            raise sqlite3.DatabaseError(str(error)) from error
        return database

    def _run(self) -> None:
        tidied = 0.0
        while not self._stop.wait(WRITE_EVERY_S):
            self._write()
            if self._clock() - tidied >= TIDY_EVERY_S:
                tidied = self._clock()
                self._tidy()
        self._write()

    def _write(self) -> None:
        """Everything that waits, in one transaction."""
        waiting = []
        while True:
            try:
                waiting.append(self._queue.get_nowait())
            except queue.Empty:
                break
        if waiting:
            self._in_transaction(lambda: self._write_all(waiting))

    def _write_all(self, waiting: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        rows: list[tuple[int, float, float]] = []
        for kind, what in waiting:
            match kind:
                case "sample":
                    series, t, value = what
                    rows.append((self._id(series), t, value))
                case "event":
                    (change,) = what
                    about = [
                        change.topic,
                        change.partition,
                        change.broker_id,
                        change.group_id,
                        change.partitions[:1000],
                    ]
                    values = (change.at_s, change.kind.value, change.words, json.dumps(about))
                    self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?)", values)
                case _:
                    (entry,) = what
                    detail = json.dumps(entry.detail, default=str)
                    self._database.execute(
                        "INSERT INTO journal (at, title, command, outcome, detail) VALUES (?, ?, ?, ?, ?)",
                        (entry.at_s, entry.title, entry.command, entry.outcome, detail),
                    )
        for step, _ in TIERS:
            self._database.executemany(
                f"INSERT INTO tier_{step} VALUES (?1, ?2, 1, ?3, ?3, ?3) ON CONFLICT (series, at) DO UPDATE SET"
                " count = count + 1, sum = sum + ?3, low = min(low, ?3), high = max(high, ?3)",
                [(series, int(t) // step * step, value) for series, t, value in rows],
            )

    def _id(self, series: Series) -> int:
        known = self._ids.get(series)
        if known is None:
            cursor = self._database.execute("INSERT INTO series (key) VALUES (?)", (_key(series),))
            known = self._ids[series] = int(cursor.lastrowid or 0)
        return known

    def _tidy(self) -> None:
        """Drop what is older than its tier keeps."""

        def drop() -> None:
            now = self._clock()
            for step, kept_s in TIERS:
                self._database.execute(f"DELETE FROM tier_{step} WHERE at < ?", (now - kept_s,))
            self._database.execute("DELETE FROM events WHERE at < ?", (now - EVENTS_KEPT_S,))

        self._in_transaction(drop)

    def _in_transaction(self, work: Callable[[], None]) -> None:
        with self._write_lock:
            ids = dict(self._ids)
            try:
                self._database.execute("BEGIN IMMEDIATE")
                work()
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                self._ids = ids
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self.error = f"History is no longer kept: {error}."

    def _ask(self, question: str, values: Iterable[object] = ()) -> list[Any]:
        with self._write_lock:
            return self._database.execute(question, tuple(values)).fetchall()


def _key(series: Series) -> str:
    return json.dumps(series, ensure_ascii=False)


def _change(at: float, kind: str, words: str, about: list[Any]) -> Change:
    topic, partition, broker_id, group_id, partitions = about
    return Change(
        at,
        ChangeKind(kind),
        words,
        topic,
        partition,
        broker_id,
        group_id,
        partitions=tuple((t, p) for t, p in partitions),
    )
