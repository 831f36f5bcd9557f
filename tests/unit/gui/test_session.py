from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from gui.client_bridge import ClientBridge
from gui.session import Job, JobState, Progress, Session
from gui.tasks import JobCancelled, after, emitted
from kafka_client.api import ClusterClient
from kafka_client.errors import TimedOut, Unreachable
from kafka_client.profile import quick
from kafka_client.sampling.state import ConnectionKind, ConnectionState
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(moving=False)


@pytest.fixture
def session(qapp: object, bridge: ClientBridge, client: FakeClient) -> Iterator[Session]:
    made = Session(quick("localhost:9092"), client, bridge, SeriesStore())
    yield made
    made.close()


def test_that_the_first_snapshot_arrives_with_its_groups_and_series(
    qtbot: QtBot, session: Session
) -> None:
    changes_seen: list[Any] = []
    session.snapshot_changed.connect(lambda snapshot, changes: changes_seen.append(changes))
    session.start()
    qtbot.waitUntil(
        lambda: bool(session.snapshot.groups) and ("rate",) in session.store, timeout=5000
    )
    assert changes_seen[0].first
    assert session.state.kind is ConnectionKind.CONNECTED


def test_that_a_lost_cluster_shows_the_reason_and_reconnects(
    qtbot: QtBot, session: Session, client: FakeClient
) -> None:
    states: list[ConnectionState] = []
    session.state_changed.connect(states.append)
    client.failing["connect"] = Unreachable(
        "Nothing listens on localhost:9092.", next_step="Start it."
    )
    session.start()
    qtbot.waitUntil(lambda: any(s.kind is ConnectionKind.LOST for s in states), timeout=3000)
    assert "Nothing listens" in session.state.sentence and session.state.next_step == "Start it."
    del client.failing["connect"]
    qtbot.waitUntil(
        lambda: session.loaded and session.state.kind is ConnectionKind.CONNECTED, timeout=6000
    )


async def test_that_a_job_reports_its_progress_and_ends_with_a_sentence(session: Session) -> None:
    jobs: list[Job] = []
    session.job_changed.connect(jobs.append)

    async def work(client: ClusterClient, progress: Progress) -> int:
        progress(0.5, "Half of it.")
        return 12

    result = await session.run_job("Empty email", work, summary=lambda n: f"{n} partitions empty.")
    assert result == 12
    assert [job.progress for job in jobs] == [None, 0.5, 1.0]
    assert jobs[-1].state is JobState.DONE and jobs[-1].sentence == "12 partitions empty."


async def test_that_a_failed_job_raises_its_error_and_keeps_the_sentence(session: Session) -> None:
    async def work(client: ClusterClient, progress: Progress) -> None:
        raise TimedOut("No answer within 5 s.")

    with pytest.raises(TimedOut):
        await session.run_job("Empty email", work)
    (job,) = session.jobs.values()
    assert (job.state, job.sentence) == (JobState.FAILED, "No answer within 5 s.")


async def test_that_a_person_who_cancels_a_job_cancels_its_work(session: Session) -> None:
    cancelled = asyncio.get_running_loop().create_future()

    async def work(client: ClusterClient, progress: Progress) -> None:
        progress(None, "Begun.")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            session.bridge.post(cancelled.set_result, None)

    task = session.tasks.start(session.run_job("Scan", work))
    while not any(job.sentence == "Begun." for job in session.jobs.values()):
        await after(1)
    (job,) = session.jobs.values()
    session.cancel_job(job.id)
    with pytest.raises(JobCancelled):
        await task
    await cancelled
    assert session.jobs[job.id].state is JobState.CANCELLED


async def test_that_a_job_is_cancelled_with_the_task_that_awaits_it(session: Session) -> None:
    async def work(client: ClusterClient, progress: Progress) -> None:
        await asyncio.get_running_loop().create_future()

    task = session.tasks.start(session.run_job("Scan", work))
    await emitted(session.job_changed)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [job.state for job in session.jobs.values()] == [JobState.CANCELLED]


async def test_that_a_question_is_answered_or_raises(session: Session, client: FakeClient) -> None:
    assert (await session.ask(lambda c: c.metadata())).topics
    client.failing["metadata"] = Unreachable("Nothing listens on localhost:9092.")
    with pytest.raises(Unreachable, match="Nothing listens"):
        await session.ask(lambda c: c.metadata())


async def test_that_closing_the_session_cancels_its_questions(
    session: Session, client: FakeClient
) -> None:
    client.delay_s = 60.0
    task = session.tasks.start(session.ask(lambda c: c.metadata()))
    await after(1)
    session.close()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_that_samples_of_the_last_run_are_loaded_at_the_next_start(
    qtbot: QtBot, bridge: ClientBridge, tmp_path: Path
) -> None:
    def run() -> Session:
        session = Session(quick("localhost:9092"), FakeClient(moving=False), bridge, SeriesStore())
        session.start(history_path=tmp_path / "history.sqlite")
        return session

    first = run()
    qtbot.waitUntil(lambda: first.store.last(("lag",)) is not None, timeout=5000)
    first.close().result(5)
    second = run()
    qtbot.waitUntil(lambda: ("lag",) in second.store, timeout=5000)
    times, _ = second.store.window(("lag",), 0.0, time.time())
    second.close().result(5)
    assert len(times) >= 1
