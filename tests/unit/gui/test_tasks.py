from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from gui.tasks import TaskScope
from kafka_client.errors import ClientError, TimedOut
from kafka_client.runtime import ClientThread


@pytest.fixture
def runner() -> Iterator[ClientThread]:
    thread = ClientThread().start()
    yield thread
    thread.stop()


@pytest.fixture
def scope(qapp: object, runner: ClientThread) -> Iterator[TaskScope]:
    made = TaskScope(runner)
    yield made
    made.close()


async def answer(value: Any, after_s: float = 0.0) -> Any:
    await asyncio.sleep(after_s)
    return value


async def refusal() -> Any:
    raise TimedOut("No answer within 5 s.", next_step="Try again.")


def test_that_an_answer_comes_later_in_the_windows_thread(qtbot: QtBot, scope: TaskScope) -> None:
    owner, got = QObject(), []
    scope.spawn(answer(7), got.append, lambda error: None, owner)
    assert got == []
    qtbot.waitUntil(lambda: got == [7], timeout=2000)
    assert scope.waiting == 0


def test_that_a_refusal_comes_with_its_next_step(qtbot: QtBot, scope: TaskScope) -> None:
    owner: QObject = QObject()
    failed: list[ClientError] = []
    scope.spawn(refusal(), lambda _: None, failed.append, owner)
    qtbot.waitUntil(lambda: bool(failed), timeout=2000)
    assert str(failed[0]) == "No answer within 5 s." and failed[0].next_step == "Try again."


def test_that_nothing_comes_after_cancelling_closing_or_the_owners_end(
    qtbot: QtBot, runner: ClientThread, scope: TaskScope
) -> None:
    got: list[Any] = []
    stays, goes = QObject(), QObject()
    scope.spawn(answer(1, 0.05), got.append, got.append, stays).cancel()
    scope.spawn(answer(2, 0.05), got.append, got.append, goes)
    goes.deleteLater()
    other = TaskScope(runner)
    other.spawn(answer(3, 0.05), got.append, got.append, stays)
    other.close()
    qtbot.wait(250)
    assert got == []
    other.spawn(answer(4), got.append, got.append, stays)
    qtbot.wait(30)
    assert got == []
