"""Lists Kafkarium's files and folders, and its connections, for About and Preferences."""

from __future__ import annotations

from pathlib import Path

from gui import log
from gui.about.diagnostics import Connected, Place
from gui.session import Session


def places(preferences: Path, history: Path, clusters: Path) -> list[Place]:
    """Return the files and folders of Kafkarium, the most often needed first."""
    installed = log.installed()
    size = f"at most {log.FILES_KEPT} files of {log.FILE_BYTES // 1_000_000} MB"
    if installed is None:
        log_place = Place("Log", log.log_folder() / log.FILE_NAME, "not written by this process")
    elif installed.path is None:
        log_place = Place("Log", installed.folder / log.FILE_NAME, installed.problem)
    else:
        log_place = Place("Log", installed.path, size)
    return [
        log_place,
        Place("Preferences", preferences),
        Place("Connections", preferences.with_name("connections.json"), "without secrets"),
        Place("History of connections", history, "one file for each cluster"),
        Place("Embedded clusters", clusters, "one folder for each cluster, with its history"),
    ]


def connected(session: Session) -> Connected:
    snapshot = session.snapshot
    return Connected(
        session.profile,
        session.state.kind.value,
        len(snapshot.brokers),
        len(snapshot.topics),
        session.embedded is not None,
    )
