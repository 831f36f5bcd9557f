"""Files that may hold a secret are for their owner alone, whatever the umask says."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_broker import ClusterSpec, LocalCluster
from kafka_client.history import History
from kafka_client.journal import FileJournal, JournalEntry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """The files and folders in it, itself included, that others may read, as text."""
    return [
        f"{stat.filemode(path.stat().st_mode)} {path.relative_to(folder.parent)}"
        for path in (folder, *folder.rglob("*"))
        if path.stat().st_mode & 0o077
    ]


@pytest.mark.integration
def test_that_nobody_else_can_read_what_a_cluster_keeps(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster(ClusterSpec(folder, 1, 0)) as cluster:
        assert cluster.bootstrap_servers
        names = {path.name for path in folder.rglob("*")}
        assert {"cluster.secret", "server.properties", "broker.log", "meta.properties"} <= names
        # Folders of partitions lie in one that is closed to others.
        assert not [
            line
            for line in open_to_others(folder)
            if not line.startswith("d") or "/data" not in line
        ]
    assert folder.stat().st_mode & 0o077 == 0


def test_that_nobody_else_can_read_the_history_and_the_journal(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    journal = FileJournal(folder / "journal.sqlite")
    journal.record(JournalEntry(1.0, "c", "m", "s"))
    assert journal.entries().result()
    assert not open_to_others(folder)
    journal.close()
    history = History(folder / "history.sqlite")
    assert not open_to_others(folder)
    history.close()
