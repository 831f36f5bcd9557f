"""The journal: every change that this application sent to a cluster, with its outcome.

``gateway.Gateway`` writes one entry for each call of a ``ClusterWriter`` method, after the call
ended. A plan (``commands.plan``) adds its rows, the equal command line and how to undo it, through
``describe_writes``. An entry never holds a payload or a secret: of a produce request it names the
topics and the number of records.

``FileJournal`` keeps the newest ``ENTRIES_KEPT`` entries of all clusters in one SQLite file and
evicts the oldest.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kafka_client.errors import ClientError

if TYPE_CHECKING:
    import sqlite3

logger = logging.getLogger(__name__)

ENTRIES_KEPT = 10_000
PENDING_MOST = 1_000
"""Entries that may wait for the disk; further ones are dropped and counted."""
TEXT_MOST = 20_000
"""Characters of one field; longer texts are cut."""
DONE = "done"

_VERSION = 1
_SCHEMA = """
CREATE TABLE journal (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, cluster TEXT NOT NULL,
    method TEXT NOT NULL, subject TEXT NOT NULL, plan TEXT NOT NULL, command TEXT NOT NULL,
    outcome TEXT NOT NULL, undo TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change that was sent, or tried. Texts are plain text."""

    at_s: float
    """When it ended, seconds since the epoch."""
    cluster: str
    """The name of the connection."""
    method: str
    """The method of ``ClusterWriter``: ``delete_topics``, ``produce``, ..."""
    subject: str
    """What it was about: ``orders``, ``topic orders``, ``orders: 3 records``."""
    plan: str = ""
    """The plan as text, its title first, then a line per row; empty for a change without one."""
    command: str = ""
    """The equal command line of Kafka's own tools; empty when there is none."""
    outcome: str = DONE
    """``done``, or the message of the error."""
    undo: str = ""
    """The command line that undoes it; empty when it cannot be undone."""
    entry_id: int = 0
    """Grows with every entry; 0 before it is stored."""

    @property
    def succeeded(self) -> bool:
        return self.outcome == DONE


class Journal(Protocol):
    """The port that the gateway writes to."""

    def record(self, entry: JournalEntry) -> None:
        """Store an entry. Called from any thread; neither waits nor raises."""


@dataclass(frozen=True, slots=True)
class PlanText:
    """Holds what a plan adds to the entries of its writes; see the fields of ``JournalEntry``."""

    plan: str
    command: str
    undo: str = ""


_current_plan: ContextVar[PlanText | None] = ContextVar("current_plan", default=None)


@contextlib.contextmanager
def describe_writes(text: PlanText) -> Iterator[None]:
    """Add ``text`` to the entries of all writes that the current task makes inside the block."""
    token = _current_plan.set(text)
    try:
        yield
    finally:
        _current_plan.reset(token)


def described(entry: JournalEntry) -> JournalEntry:
    """The entry with the text of the plan that the current task applies, if it applies one."""
    text = _current_plan.get()
    if text is None:
        return entry
    return replace(entry, plan=text.plan, command=text.command, undo=text.undo)


class FileJournal:
    """See ``Journal``. One thread of its own owns the file, so that nobody else waits for the disk.

    When the file cannot be opened, entries are kept in memory until the process ends, and
    ``error`` says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error = ""
        """Why entries are not kept on disk; empty while they are."""
        self.dropped = 0
        """Entries that were not stored: too many were waiting, or the disk refused them."""
        self._database: sqlite3.Connection | None = None
        self._pending = 0
        self._closed = False
        self._lock = threading.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="journal")

    def record(self, entry: JournalEntry) -> None:
        with self._lock:
            full = self._pending >= PENDING_MOST
            if not full:
                self._pending += 1
        try:
            if full:
                raise RuntimeError(f"{PENDING_MOST} entries are waiting for the disk")
            self._thread.submit(self._insert, entry)
        except RuntimeError as error:  # also: the journal is closed
            self.dropped += 1
            logger.error("dropped the entry of %s on %s: %s", entry.method, entry.cluster, error)

    def entries(
        self, limit: int = 500, before: int | None = None, cluster: str | None = None
    ) -> concurrent.futures.Future[list[JournalEntry]]:
        """Read at most ``limit`` entries, newest first, all that ``record`` was given before
        included.

        ``before``: only entries with a smaller ``entry_id`` (the next page). ``cluster``: only
        those of this connection. The future raises ClientError when the file cannot be read.
        """
        return self._thread.submit(self._select, limit, before, cluster)

    def close(self) -> None:
        """Store the entries that wait, and end the thread. Blocks until the disk has them; a
        second call does nothing."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._close_database)
            self._thread.shutdown(wait=True)

    # ---- on the journal's own thread, which imports SQLite: 3 ms less before the first paint
    def _open(self) -> sqlite3.Connection:
        import sqlite3

        from kafka_client.sqlite_file import open_database, open_in_memory

        if self._database is None:
            try:
                self._database = open_database(self.path, _VERSION, _SCHEMA)
            except (OSError, sqlite3.Error) as error:
                self.error = f"The journal is kept in memory only: {error}."
                logger.error("cannot open %s, keeping the journal in memory: %s", self.path, error)
                self._database = open_in_memory(_VERSION, _SCHEMA)
        return self._database

    def _insert(self, entry: JournalEntry) -> None:
        import sqlite3

        with self._lock:
            self._pending -= 1
        values = [v[:TEXT_MOST] if isinstance(v, str) else v for v in astuple(entry)[:-1]]
        try:
            cursor = self._open().execute(
                f"INSERT INTO journal ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values
            )
            self._open().execute(
                "DELETE FROM journal WHERE entry_id <= ?", ((cursor.lastrowid or 0) - ENTRIES_KEPT,)
            )
        except sqlite3.Error as error:
            self.dropped += 1
            logger.error(
                "cannot store the entry of %s on %s: %s", entry.method, entry.cluster, error
            )

    def _select(self, limit: int, before: int | None, cluster: str | None) -> list[JournalEntry]:
        import sqlite3

        try:
            rows = self._open().execute(
                f"SELECT {_COLUMNS}, entry_id FROM journal"
                " WHERE (?1 IS NULL OR entry_id < ?1) AND (?2 IS NULL OR cluster = ?2)"
                " ORDER BY entry_id DESC LIMIT ?3",
                (before, cluster, limit),
            )
            return [JournalEntry(*row) for row in rows]
        except sqlite3.Error as error:
            raise ClientError(f"{self.path.name}: {error}.", next_step="Try again.") from error

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


_COLUMNS = ", ".join(f.name for f in fields(JournalEntry)[:-1])
