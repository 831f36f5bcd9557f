from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import delete, isValid

from gui.tasks import JobCancelled, TaskScope, after, chosen_file, emitted, opened
from kafka_client.errors import ClientError, TimedOut


@pytest.fixture
def scope(qapp: object) -> Any:
    made = TaskScope()
    yield made
    made.close()


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _type, error, _traceback: errors.append(error))
    return errors


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_that_a_task_is_forgotten_when_it_has_ended(scope: TaskScope) -> None:
    owner = QObject()
    task = scope.start(after(1), owner)
    assert scope.running == 1
    await task
    await after(1)
    assert scope.running == 0 and scope._owners == {}


def test_that_coroutines_run_while_a_plain_test_spins_the_loop(
    qtbot: QtBot, scope: TaskScope
) -> None:
    task = scope.start(after(5))
    qtbot.waitUntil(task.done)


async def test_that_an_uncaught_client_error_is_shown_by_the_window(
    scope: TaskScope, reported: list[BaseException]
) -> None:
    shown: list[ClientError] = []
    scope.failed.connect(shown.append)

    async def refuse() -> None:
        raise TimedOut("No answer within 5 s.")

    await asyncio.wait([scope.start(refuse())])
    await after(1)
    assert [str(error) for error in shown] == ["No answer within 5 s."] and reported == []


async def test_that_any_other_exception_reaches_the_top(
    scope: TaskScope, reported: list[BaseException]
) -> None:
    async def mistake() -> None:
        raise KeyError("partition")

    await asyncio.wait([scope.start(mistake())])
    await after(1)
    assert [type(error) for error in reported] == [KeyError]


async def test_that_a_cancelled_job_is_no_error(
    scope: TaskScope, reported: list[BaseException]
) -> None:
    shown: list[ClientError] = []
    scope.failed.connect(shown.append)

    async def cancelled() -> None:
        raise JobCancelled("Scan")

    await asyncio.wait([scope.start(cancelled())])
    await after(1)
    assert shown == [] and reported == []


async def test_that_only_the_tasks_of_a_destroyed_owner_are_cancelled(scope: TaskScope) -> None:
    goes, stays = QObject(), QObject()
    first, second = scope.start(forever(), goes), scope.start(forever(), goes)
    third = scope.start(forever(), stays)
    await after(1)
    delete(goes)
    await asyncio.wait([first, second])
    assert first.cancelled() and second.cancelled() and not third.done()


async def test_that_an_answer_is_dropped_when_the_owner_goes_before_it_is_delivered(
    scope: TaskScope,
) -> None:
    owner, continued = QObject(), []
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask() -> None:
        continued.append(await answer)

    task = scope.start(ask(), owner)
    await after(1)
    answer.set_result(7)
    delete(owner)
    await asyncio.wait([task])
    assert task.cancelled() and continued == []


async def test_that_closing_the_scope_cancels_what_runs_and_what_is_started_later(
    scope: TaskScope,
) -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    task = scope.start(forever())
    await after(1)
    scope.close()
    late, orphan = scope.start(work()), scope.start(work(), QObject())
    await asyncio.wait([task, late, orphan])
    assert task.cancelled() and late.cancelled() and orphan.cancelled() and ran == []


async def test_that_nothing_is_started_for_a_destroyed_owner(scope: TaskScope) -> None:
    owner = QObject()
    delete(owner)
    task = scope.start(forever(), owner)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_that_a_dialog_is_awaited_and_deleted_afterwards(qtbot: QtBot) -> None:
    dialog = QDialog()
    QTimer.singleShot(0, dialog, dialog.accept)
    assert await opened(dialog) == QDialog.DialogCode.Accepted
    assert isValid(dialog), "its fields can be read until the next await"
    await after(1)
    assert not isValid(dialog)


async def test_that_other_tasks_run_while_a_dialog_is_open(scope: TaskScope, qtbot: QtBot) -> None:
    dialog = QDialog()
    task = scope.start(opened(dialog))
    await after(1)
    assert dialog.isVisible()
    dialog.reject()
    assert await task == QDialog.DialogCode.Rejected


async def test_that_a_coroutine_is_cancelled_when_its_dialog_is_destroyed(
    scope: TaskScope, qtbot: QtBot
) -> None:
    parent = QWidget()
    task = scope.start(opened(QDialog(parent)))
    await after(1)
    delete(parent)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_that_a_dialog_closes_with_the_task_that_awaits_it(
    scope: TaskScope, qtbot: QtBot
) -> None:
    dialog = QDialog()
    task = scope.start(opened(dialog))
    await after(1)
    scope.close()
    await asyncio.wait([task])
    assert not isValid(dialog) or not dialog.isVisible()


def file_dialog(folder: Path) -> QFileDialog:
    dialog = QFileDialog(None, "Export", str(folder / "rows.csv"))
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    return dialog


async def test_that_a_file_dialog_returns_the_chosen_path(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = file_dialog(tmp_path)
    QTimer.singleShot(0, dialog, dialog.accept)
    assert await chosen_file(dialog) == str(tmp_path / "rows.csv")
    await after(1)
    assert not isValid(dialog)


async def test_that_a_cancelled_file_dialog_returns_none(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = file_dialog(tmp_path)
    QTimer.singleShot(0, dialog, dialog.reject)
    assert await chosen_file(dialog) is None


async def test_that_a_signal_is_awaited_with_its_arguments(qapp: object) -> None:
    dialog = QDialog()
    QTimer.singleShot(0, dialog, lambda: dialog.done(5))
    assert await emitted(dialog.finished) == (5,)
