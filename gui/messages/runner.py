"""Runs one scan at a time as a job of the session and brings what it finds into the window's
thread at 30 Hz. What is not taken yet waits in a bounded feed: when that is full, the reading
waits too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from gui.session import Job, Progress, Session
from kafka_client.api import ClusterClient
from kafka_client.errors import ClientError
from kafka_client.model import Record
from kafka_client.reading.plan import ScanPlan, ScanRequest, plan_scan
from kafka_client.reading.scan import Progress as ScanProgress
from kafka_client.reading.scan import ScanResult, run_scan

TICK_MS = 33
TAKEN_AT_ONCE = 2000
WAITING_AT_MOST = 8000


class Feed:
    """From the client thread (``put``) to the window's (``take``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self.plan: ScanPlan | None = None
        self.progress: ScanProgress | None = None

    async def put(self, records: Sequence[Record]) -> None:
        with self._lock:
            self._records += records
            waiting = len(self._records)
        while waiting > WAITING_AT_MOST:
            await asyncio.sleep(0.02)
            with self._lock:
                waiting = len(self._records)

    def take(self, most: int) -> list[Record]:
        with self._lock:
            taken, self._records = self._records[:most], self._records[most:]
        return taken


class ScanRunner(QObject):
    planned = Signal(object)  # ScanPlan
    found = Signal(list)  # records
    progressed = Signal(object)  # kafka_client.reading.scan.Progress
    ended = Signal(object)  # ScanResult, or None when it was stopped
    failed = Signal(object)  # ClientError

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._feed = Feed()
        self._job: Job | None = None
        self._end: ScanResult | ClientError | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        session.job_changed.connect(self._job_changed)

    @property
    def running(self) -> bool:
        return self._job is not None

    def start(self, request: ScanRequest) -> None:
        self.drop()
        feed = self._feed = Feed()

        async def work(client: ClusterClient, told: Progress) -> ScanResult:
            plan = await plan_scan(client, request)
            feed.plan = plan

            def report(progress: ScanProgress) -> None:
                feed.progress = progress
                told(progress.fraction, f"{progress.scanned:,} read, {progress.matched:,} match")

            return await run_scan(client, request, plan, feed.put, report)

        title = f"{'Live tail' if request.endless else 'Messages'} of {request.topic}"
        self._end = None
        self._job = self._session.run_job(
            title,
            work,
            done=self._done,
            failed=self._broke,
            said=lambda result: (
                f"{result.progress.scanned:,} records read, {result.progress.matched:,} match."
            ),
            owner=self,
        )
        self._timer.start()

    def stop(self) -> None:
        """As the person asked: what was read so far stays."""
        if self._job is not None:
            self._session.cancel_job(self._job.id)

    def drop(self) -> None:
        """Forget the scan that runs, and what it may still bring."""
        job, self._job = self._job, None
        self._timer.stop()
        self._feed = Feed()
        if job is not None:
            self._session.cancel_job(job.id)

    def _done(self, result: ScanResult) -> None:
        self._end = result

    def _broke(self, error: ClientError) -> None:
        self._end = error

    def _job_changed(self, job: Job) -> None:
        if self._job is not None and job.id == self._job.id and job.state == "cancelled":
            self._finish(None)

    def _tick(self) -> None:
        feed = self._feed
        if feed.plan is not None:
            plan, feed.plan = feed.plan, None
            self.planned.emit(plan)
        if records := feed.take(TAKEN_AT_ONCE):
            self.found.emit(records)
        if feed.progress is not None:
            progress, feed.progress = feed.progress, None
            self.progressed.emit(progress)
        if not records and self._end is not None:
            self._finish(self._end)

    def _finish(self, end: ScanResult | ClientError | None) -> None:
        self._job = None
        self._end = None
        self._timer.stop()
        while records := self._feed.take(TAKEN_AT_ONCE):
            self.found.emit(records)
        if isinstance(end, ClientError):
            self.failed.emit(end)
        else:
            self.ended.emit(end)
