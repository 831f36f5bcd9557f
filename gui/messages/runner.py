"""Runs one scan at a time as a job of the session.

What the scan finds crosses from the client thread to the window's thread through a bounded feed,
30 times a second. While the feed is full, the scan waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from gui.jobs import Progress
from gui.session import Session
from gui.tasks import JobCancelled
from kafka_client.api import ClusterClient
from kafka_client.errors import ClientError
from kafka_client.model import Record
from kafka_client.reading.plan import ScanPlan, ScanRequest, plan_scan
from kafka_client.reading.scan import Progress as ScanProgress
from kafka_client.reading.scan import ScanResult, run_scan
from resources.wording import counted

TICK_MS = 33
BATCH = 2000
"""records handed to the page in one tick"""
FEED_LIMIT = 8000
"""records in the feed at which the scan waits"""
FULL_CHECK_S = 0.02


class Feed:
    """Records on their way: ``put`` on the client thread, ``take`` in the window's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self.plan: ScanPlan | None = None
        self.progress: ScanProgress | None = None

    async def put(self, records: Sequence[Record]) -> None:
        with self._lock:
            self._records += records
            waiting = len(self._records)
        while waiting > FEED_LIMIT:
            await asyncio.sleep(FULL_CHECK_S)
            with self._lock:
                waiting = len(self._records)

    def take(self, limit: int) -> list[Record]:
        with self._lock:
            taken, self._records = self._records[:limit], self._records[limit:]
        return taken


class ScanRunner(QObject):
    """``start`` emits ``planned``, then ``found`` and ``progressed`` again and again, and at last
    ``ended``, ``stopped`` or ``failed``. A scan that is dropped emits nothing more."""

    planned = Signal(ScanPlan)
    found = Signal(list)
    """list[Record]"""
    progressed = Signal(ScanProgress)
    ended = Signal(ScanResult)
    stopped = Signal()
    """the person stopped the scan"""
    failed = Signal(ClientError)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._feed = Feed()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        """resolved by the tick that finds the feed empty"""
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, request: ScanRequest) -> None:
        self.drop()
        self._feed = Feed()
        self._task = self._session.tasks.start(self._run(request, self._feed), owner=self)
        self._timer.start()

    def stop(self) -> None:
        """Stop as the person asked; what was read so far is emitted."""
        if self._task is not None:
            self._task.cancel()
            self._finish()
            self.stopped.emit()

    def drop(self) -> None:
        """Cancel the scan and forget what it has read but not emitted."""
        if self._task is not None:
            self._task.cancel()
            self._feed = Feed()
            self._finish()

    async def _run(self, request: ScanRequest, feed: Feed) -> None:
        async def work(client: ClusterClient, report: Progress) -> ScanResult:
            plan = feed.plan = await plan_scan(client, request)

            def progressed(progress: ScanProgress) -> None:
                feed.progress = progress
                report(progress.fraction, f"{progress.scanned:,} read, {progress.matched:,} match")

            return await run_scan(client, request, plan, feed.put, progressed)

        title = f"{'Live tail' if request.endless else 'Messages'} of {request.topic}"
        try:
            result = await self._session.run_job(title, work, summary=_summary)
        except JobCancelled:  # in the status bar's list of jobs
            self._finish()
            self.stopped.emit()
        except ClientError as error:
            await self._drain()
            self._finish()
            self.failed.emit(error)
        else:
            await self._drain()
            self._finish()
            self.ended.emit(result)

    async def _drain(self) -> None:
        """Wait until the ticks have emitted all that the scan put into the feed."""
        self._drained = asyncio.get_running_loop().create_future()
        await self._drained

    def _tick(self) -> None:
        feed = self._feed
        if feed.plan is not None:
            plan, feed.plan = feed.plan, None
            self.planned.emit(plan)
        records = feed.take(BATCH)
        if records:
            self.found.emit(records)
        if feed.progress is not None:
            progress, feed.progress = feed.progress, None
            self.progressed.emit(progress)
        if not records and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _finish(self) -> None:
        """Stop ticking and emit what is left in the feed."""
        self._task = None
        self._drained = None
        self._timer.stop()
        while records := self._feed.take(BATCH):
            self.found.emit(records)


def _summary(result: ScanResult) -> str:
    done = result.progress
    return f"{counted(done.scanned, 'record')} read, {done.matched:,} match."
