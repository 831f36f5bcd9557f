from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from gui.session import Job, JobState, Progress, Session
from kafka_client.api import ClusterClient
from kafka_client.errors import Unreachable
from kafka_client.profile import quick
from kafka_client.runtime import ClientThread
from kafka_client.sampling.state import ConnectionKind, ConnectionState
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient


@pytest.fixture
def runner() -> Iterator[ClientThread]:
    thread = ClientThread().start()
    yield thread
    thread.stop()


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(moving=False)


@pytest.fixture
def session(qapp: object, runner: ClientThread, client: FakeClient) -> Iterator[Session]:
    made = Session(quick("localhost:9092"), client, runner, SeriesStore())
    yield made
    made.close()


def test_that_the_first_picture_comes_with_its_groups_and_series(
    qtbot: QtBot, session: Session
) -> None:
    told: list[Any] = []
    session.snapshot_changed.connect(lambda snapshot, changes: told.append(changes))
    session.start()
    qtbot.waitUntil(
        lambda: bool(session.snapshot.groups) and ("rate",) in session.store, timeout=5000
    )
    assert told[0].first
    assert session.state.kind is ConnectionKind.CONNECTED


def test_that_a_lost_cluster_is_told_with_the_reason_and_comes_back(
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


def test_that_a_job_tells_its_progress_and_ends_with_a_sentence(
    qtbot: QtBot, session: Session
) -> None:
    told: list[Job] = []
    session.job_changed.connect(told.append)

    async def work(client: ClusterClient, progress: Progress) -> int:
        progress(0.5, "Half of it.")
        return 12

    session.run_job("Empty email", work, said=lambda n: f"{n} partitions emptied.")
    qtbot.waitUntil(lambda: told[-1].state is JobState.DONE, timeout=3000)
    assert [job.progress for job in told] == [None, 0.5, 1.0]
    assert told[-1].sentence == "12 partitions emptied."


def test_that_a_job_can_be_cancelled(qtbot: QtBot, session: Session) -> None:
    told: list[Job] = []
    session.job_changed.connect(told.append)

    async def work(client: ClusterClient, progress: Progress) -> None:
        await asyncio.sleep(60)

    job = session.run_job("Scan", work)
    session.cancel_job(job.id)
    assert told[-1].state is JobState.CANCELLED
    qtbot.wait(50)
    assert told[-1].state is JobState.CANCELLED


def test_that_an_answer_is_dropped_when_the_session_is_closed(
    qtbot: QtBot, session: Session
) -> None:
    got: list[Any] = []
    owner = QObject()
    session.ask(lambda client: client.metadata(), got.append, got.append, owner)
    session.close()
    qtbot.wait(100)
    assert got == []


def test_that_what_was_sampled_before_is_there_again_at_the_next_start(
    qtbot: QtBot, runner: ClientThread, tmp_path: Path
) -> None:
    def run() -> Session:
        session = Session(quick("localhost:9092"), FakeClient(moving=False), runner, SeriesStore())
        session.start(history_path=tmp_path / "history.sqlite")
        return session

    first = run()
    qtbot.waitUntil(lambda: first.store.last(("lag",)) is not None, timeout=5000)
    qtbot.wait(1200)
    first.close().result(5)
    second = run()
    qtbot.waitUntil(lambda: ("lag",) in second.store, timeout=5000)
    times, _ = second.store.window(("lag",), 0.0, time.time())
    second.close().result(5)
    assert len(times) >= 1 and times[0] < time.time() - 1
