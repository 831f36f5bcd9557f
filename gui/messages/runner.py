"""Runs one scan at a time as a job of the session and brings what it finds into the window's
thread at 30 Hz. What is not taken yet waits in a bounded feed: when that is full, the reading
waits too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from gui.session import Progress, Session
from gui.tasks import JobCancelled
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
        self._task: asyncio.Task[None] | None = None
        self._end: ScanResult | ClientError | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, request: ScanRequest) -> None:
        self.drop()
        feed = self._feed = Feed()
        self._end = None
        self._task = self._session.tasks.start(self._scan(request, feed), self)
        self._timer.start()

    async def _scan(self, request: ScanRequest, feed: Feed) -> None:
        async def work(client: ClusterClient, progressed: Progress) -> ScanResult:
            plan = await plan_scan(client, request)
            feed.plan = plan

            def report(progress: ScanProgress) -> None:
                feed.progress = progress
                progressed(
                    progress.fraction, f"{progress.scanned:,} read, {progress.matched:,} match"
                )

            return await run_scan(client, request, plan, feed.put, report)

        def summary(result: ScanResult) -> str:
            return f"{result.progress.scanned:,} records read, {result.progress.matched:,} match."

        title = f"{'Live tail' if request.endless else 'Messages'} of {request.topic}"
        try:
            self._end = await self._session.run_job(title, work, summary=summary)
        except ClientError as error:
            self._end = error
        except JobCancelled:
            self._finish(None)

    def stop(self) -> None:
        """As the person asked: what was read so far stays."""
        if self._task is not None:
            self._task.cancel()
            self._finish(None)

    def drop(self) -> None:
        """Forget the scan that runs, and what it may still bring."""
        task, self._task = self._task, None
        self._timer.stop()
        self._feed = Feed()
        if task is not None:
            task.cancel()

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
        self._task = None
        self._end = None
        self._timer.stop()
        while records := self._feed.take(TAKEN_AT_ONCE):
            self.found.emit(records)
        if isinstance(end, ClientError):
            self.failed.emit(end)
        else:
            self.ended.emit(end)
