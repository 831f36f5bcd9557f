"""The jobs of a session: long work that the status bar lists and a person can cancel.

States of a job: running -> done | failed | cancelled.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from gui.client_bridge import ClientBridge
from gui.tasks import JobCancelled
from kafka_client.errors import ClientError

T = TypeVar("T")

KEPT = 100
"""finished jobs that stay in the list"""


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """``progress`` is 0..1, or None when the end is not known; ``sentence`` says what the job is
    doing, and at its end what it did."""

    id: int
    title: str
    state: JobState = JobState.RUNNING
    progress: float | None = None
    sentence: str = ""


Progress = Callable[[float | None, str], None]
"""A job calls it on the client thread: how far it is, and a sentence ("" keeps the last)."""


def result_in_words(result: object) -> str:
    return result if isinstance(result, str) else "Done."


class Jobs(QObject):
    changed = Signal(Job)

    def __init__(self, bridge: ClientBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.list: dict[int, Job] = {}
        self._bridge = bridge
        self._ids = itertools.count(1)
        self._work: dict[int, concurrent.futures.Future[Any]] = {}

    @property
    def running(self) -> int:
        return len(self._work)

    async def run(
        self,
        title: str,
        make: Callable[[Progress], Coroutine[Any, Any, T]],
        summary: Callable[[T], str] = result_in_words,
    ) -> T:
        """Run ``make(progress)`` on the client thread as a job; ``summary`` makes the sentence it
        ends with. Raises: ClientError; JobCancelled when a person cancelled it."""
        job = Job(next(self._ids), title)

        def progress(fraction: float | None, sentence: str = "") -> None:
            self._bridge.post(self._progressed, job.id, fraction, sentence)

        work: concurrent.futures.Future[T] = self._bridge.submit(make(progress))
        self._work[job.id] = work
        self._set(job)
        try:
            result = await self._bridge.result_of(work)
        except asyncio.CancelledError:
            self._end(job.id, JobState.CANCELLED, "Cancelled.")
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise JobCancelled(title) from None
        except ClientError as error:
            self._end(job.id, JobState.FAILED, str(error))
            raise
        self._end(job.id, JobState.DONE, summary(result))
        return result

    def cancel(self, job_id: int) -> None:
        work = self._work.get(job_id)
        if work is not None:
            work.cancel()

    def _progressed(self, job_id: int, fraction: float | None, sentence: str) -> None:
        if job_id in self._work:
            job = self.list[job_id]
            self._set(replace(job, progress=fraction, sentence=sentence or job.sentence))

    def _end(self, job_id: int, state: JobState, sentence: str) -> None:
        del self._work[job_id]
        job = self.list[job_id]
        progress = 1.0 if state is JobState.DONE else job.progress
        self._set(replace(job, state=state, progress=progress, sentence=sentence))
        for old in [i for i in self.list if i not in self._work][:-KEPT]:
            del self.list[old]

    def _set(self, job: Job) -> None:
        self.list[job.id] = job
        self.changed.emit(job)
