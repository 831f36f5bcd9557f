"""Writes to the log what the window does: which clusters it opens and loses, how its jobs end,
how long its thread was blocked. It listens to signals and changes nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from gui.jobs import Job, JobState
from gui.open_clusters import Clusters
from gui.watchdog import Watchdog

if TYPE_CHECKING:
    from gui.session import Session
    from kafka_client.sampling.state import ConnectionKind, ConnectionState

logger = logging.getLogger(__name__)

STALL_LOGGED_MS = 250.0
"""A stall of the window's thread from here on is a line in the log."""


class ActivityLog(QObject):
    def __init__(self, clusters: Clusters, watchdog: Watchdog, parent: QObject) -> None:
        super().__init__(parent)
        self._kinds: dict[Session, ConnectionKind] = {}
        clusters.opened.connect(self._opened)
        clusters.closed.connect(self._closed)
        clusters.trouble.connect(lambda sentence: logger.warning("%s", sentence))
        watchdog.stalled.connect(self._stalled)

    def _opened(self, session: Session) -> None:
        profile = session.profile
        logger.info(
            "cluster %r opened: %s over %s%s",
            profile.name,
            ", ".join(profile.bootstrap_servers),
            profile.security_protocol,
            ", read-only" if session.read_only else "",
        )
        session.state_changed.connect(lambda state: self._state_changed(session, state))
        session.job_changed.connect(lambda job: self._job_changed(session, job))

    def _closed(self, session: Session) -> None:
        self._kinds.pop(session, None)
        logger.info("cluster %r closed", session.profile.name)

    def _state_changed(self, session: Session, state: ConnectionState) -> None:
        """Only when the kind changes: a cluster that is lost says so at every try."""
        from kafka_client.sampling.state import ConnectionKind

        if self._kinds.get(session) is state.kind:
            return
        self._kinds[session] = state.kind
        level = logging.INFO if state.kind is ConnectionKind.CONNECTED else logging.WARNING
        if state.kind is ConnectionKind.CONNECTING:
            level = logging.INFO
        logger.log(
            level, "cluster %r is %s: %s", session.profile.name, state.kind.value, state.sentence
        )

    def _job_changed(self, session: Session, job: Job) -> None:
        name = session.profile.name
        match job.state:
            case JobState.RUNNING:
                return  # also every step of its progress
            case JobState.FAILED:
                logger.warning("%s on %r failed: %s", job.title, name, job.sentence)
            case JobState.DONE | JobState.CANCELLED:
                logger.info("%s on %r: %s", job.title, name, job.sentence)

    def _stalled(self, duration_ms: float) -> None:
        if duration_ms >= STALL_LOGGED_MS:
            logger.warning("the window's thread was blocked for %.0f ms", duration_ms)
