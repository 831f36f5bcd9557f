"""Jobs: listed while they run, with progress, how they ended, and a way to cancel them."""

from __future__ import annotations

import asyncio

import pytest

from gui.client_bridge import ClientBridge
from gui.jobs import KEPT, Job, Jobs, JobState, Progress
from gui.tasks import JobCancelled
from kafka_client.errors import Unreachable


@pytest.fixture
def jobs(bridge: ClientBridge) -> Jobs:
    return Jobs(bridge)


async def test_that_a_job_reports_its_progress_and_its_end(jobs: Jobs) -> None:
    changes: list[Job] = []
    jobs.changed.connect(changes.append)

    async def work(progress: Progress) -> int:
        progress(0.5, "Half way.")
        return 42

    assert await jobs.run("Count", work, lambda n: f"Counted {n}.") == 42
    states = [(job.state, job.progress, job.sentence) for job in changes]
    assert states[0] == (JobState.RUNNING, None, "")
    assert (JobState.RUNNING, 0.5, "Half way.") in states
    assert states[-1] == (JobState.DONE, 1.0, "Counted 42.")
    assert jobs.running == 0


async def test_that_a_failed_job_keeps_the_reason(jobs: Jobs) -> None:
    async def work(_: Progress) -> None:
        raise Unreachable("Broker 2 does not answer.")

    with pytest.raises(Unreachable):
        await jobs.run("Move", work)
    (job,) = jobs.list.values()
    assert (job.state, job.sentence) == (JobState.FAILED, "Broker 2 does not answer.")


async def test_that_a_person_can_cancel_a_job(jobs: Jobs) -> None:
    started = asyncio.get_running_loop().create_future()

    async def work(progress: Progress) -> None:
        progress(None, "Waiting.")
        await asyncio.Event().wait()

    def changed(job: Job) -> None:
        if job.sentence == "Waiting." and not started.done():
            started.set_result(job.id)

    jobs.changed.connect(changed)
    running = asyncio.ensure_future(jobs.run("Wait", work))
    jobs.cancel(await started)
    with pytest.raises(JobCancelled):
        await running
    (job,) = jobs.list.values()
    assert job.state is JobState.CANCELLED


async def test_that_only_the_newest_finished_jobs_stay(jobs: Jobs) -> None:
    async def work(_: Progress) -> str:
        return "Done."

    for _ in range(KEPT + 5):
        await jobs.run("Quick", work)
    assert len(jobs.list) == KEPT and min(jobs.list) == 6
