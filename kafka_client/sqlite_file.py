"""Opens the SQLite files of this application; a file that cannot be read is renamed and a new one
is begun.

Files are in WAL mode with ``synchronous = NORMAL``: a crash of the process loses nothing that was
committed, a power failure at most the last transactions, and neither damages the file.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process that writes to the same file."""


def open_database(
    path: Path,
    version: int,
    schema: str,
    check: Callable[[sqlite3.Connection], None] = lambda database: None,
) -> sqlite3.Connection:
    """Open or create the file at ``path``; blocks on the disk.

    ``schema`` creates the tables of an empty file. ``check`` may read what the caller needs from
    the file; a ``sqlite3.DatabaseError`` or ``ValueError`` that it raises, an unknown version and
    a damaged file all lead to the same: the file is renamed to ``NAME.damaged-SECONDS`` and an
    empty one is created. Raises: OSError or sqlite3.Error when no file can be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(path, version, schema, check)
    except sqlite3.OperationalError:
        raise  # locked, read-only or on a full disk: the data is not damaged
    except sqlite3.DatabaseError as error:
        renamed = path.with_suffix(f".damaged-{int(time.time())}")
        logger.warning("renamed the unreadable file %s to %s: %s", path, renamed.name, error)
        path.replace(renamed)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return _connect(path, version, schema, check)


def open_in_memory(version: int, schema: str) -> sqlite3.Connection:
    """A database that ends with the process, for when no file can be created."""
    return _create(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None),
                   version, schema)  # fmt: skip


def _connect(
    path: Path, version: int, schema: str, check: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    # Made here for its mode, which SQLite gives to the files beside it too.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(
        path, check_same_thread=False, isolation_level=None, timeout=BUSY_TIMEOUT_S
    )
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        _create(database, version, schema)
        check(database)
    except sqlite3.OperationalError:
        database.close()
        raise
    except (sqlite3.DatabaseError, ValueError) as error:
        database.close()
        raise sqlite3.DatabaseError(str(error)) from error
    return database


def _create(database: sqlite3.Connection, version: int, schema: str) -> sqlite3.Connection:
    (existing,) = database.execute("PRAGMA user_version").fetchone()
    if existing not in (0, version):
        raise sqlite3.DatabaseError(f"its format has version {existing}, not {version}")
    if existing == 0:
        database.executescript(f"BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;")
    return database
