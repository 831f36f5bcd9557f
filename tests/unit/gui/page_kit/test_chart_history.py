"""Charts read beyond memory from the session's history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject

from gui.client_bridge import ClientBridge
from gui.page_kit.chart_history import ChartHistory
from gui.session import Session
from kafka_client.history import History
from kafka_client.profile import quick
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient

RATE = ("rate",)


@pytest.fixture
def session(qapp: object, bridge: ClientBridge) -> Iterator[Session]:
    made = Session(quick("localhost:9092"), FakeClient(moving=False), bridge, SeriesStore())
    yield made
    made.close()


@pytest.fixture
def history(session: Session, tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path / "history.sqlite")
    session.sampling.history = made
    yield made
    session.sampling.history = None
    made.close()


async def window(past: ChartHistory, t0: float, t1: float) -> Any:
    answer: asyncio.Future[Mapping[Any, Any] | None] = asyncio.get_running_loop().create_future()
    past.request([RATE], t0, t1, answer.set_result)
    return await answer


async def test_that_a_window_is_read_from_the_file(session: Session, history: History) -> None:
    now = time.time()
    for age in (300, 200, 100):
        history.sample(RATE, now - age, float(age))
    history.flush()
    past = ChartHistory(session, session)
    samples = await window(past, now - 250, now)
    assert samples[RATE][1].tolist() == [200.0, 100.0]
    answer: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
    past.request_beginning([RATE], answer.set_result)
    beginning = await answer
    assert beginning is not None and abs(beginning - (now - 300)) < 61


async def test_that_a_session_without_a_history_answers_none(session: Session) -> None:
    assert await window(ChartHistory(session, session), 0.0, 1.0) is None


async def test_that_a_closed_history_answers_none_and_is_logged(
    session: Session, history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history.close()
    assert await window(ChartHistory(session, session), 0.0, 1.0) is None
    assert "was not read" in caplog.text


async def test_that_nothing_is_called_back_once_the_page_is_gone(
    session: Session, history: History
) -> None:
    page = QObject()
    answers: list[object] = []
    ChartHistory(session, page).request([RATE], 0.0, 1.0, answers.append)
    page.deleteLater()
    while session.tasks.running:
        await asyncio.sleep(0)
    assert answers == []
