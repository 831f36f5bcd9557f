from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from PySide6.QtCore import QObject
from shiboken6 import delete

from gui.client_bridge import ClientBridge, InternalError
from gui.tasks import after
from kafka_client.errors import TimedOut
from kafka_client.runtime import ClientThread


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The exceptions that reached the top."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _type, error, _traceback: errors.append(error))
    return errors


async def test_that_the_result_of_work_on_the_client_thread_is_awaited(
    bridge: ClientBridge,
) -> None:
    async def name() -> str:
        return threading.current_thread().name

    assert await bridge.run(name()) == "kafka-client"


async def test_that_answers_arrive_in_the_order_in_which_the_client_gave_them(
    bridge: ClientBridge,
) -> None:
    gates = {number: asyncio.Event() for number in (1, 2, 3)}
    arrived: list[int] = []

    async def answer(number: int) -> None:
        await gates[number].wait()

    async def ask(number: int) -> None:
        await bridge.run(answer(number))
        arrived.append(number)

    async def open_gates() -> None:
        for number in (2, 3, 1):
            gates[number].set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    tasks = [asyncio.ensure_future(ask(number)) for number in gates]
    await after(5)
    await bridge.run(open_gates())
    await asyncio.gather(*tasks)
    assert arrived == [2, 3, 1]


async def test_that_a_client_error_is_raised_as_it_is(
    bridge: ClientBridge, reported: list[BaseException]
) -> None:
    async def refuse() -> None:
        raise TimedOut("No answer within 5 s.", next_step="Try again.")

    with pytest.raises(TimedOut) as raised:
        await bridge.run(refuse())
    assert raised.value.next_step == "Try again." and reported == []


async def test_that_a_bug_is_reported_once_and_raised_as_an_internal_error(
    bridge: ClientBridge, reported: list[BaseException]
) -> None:
    async def mistake() -> None:
        raise KeyError("partition")

    with pytest.raises(InternalError, match="Internal error: KeyError") as raised:
        await bridge.run(mistake())
    assert raised.value.next_step and [type(error) for error in reported] == [KeyError]


async def test_that_a_bug_is_reported_also_when_the_task_was_cancelled_before_its_delivery(
    bridge: ClientBridge, reported: list[BaseException]
) -> None:
    work: Future[None] = Future()
    task = asyncio.ensure_future(bridge.result_of(work))
    await after(1)
    work.set_exception(KeyError("partition"))
    task.cancel()
    await asyncio.wait([task])
    await after(1)
    assert task.cancelled() and [type(error) for error in reported] == [KeyError]


async def test_that_cancelling_the_task_cancels_the_work(bridge: ClientBridge) -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.ensure_future(bridge.run(endless()))
    while not started.is_set():
        await after(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(cancelled.wait, 5)


async def test_that_a_task_is_cancelled_when_the_client_thread_has_stopped(
    bridge: ClientBridge, runner: ClientThread
) -> None:
    async def name() -> str:
        return "never"

    runner.stop()
    with pytest.raises(asyncio.CancelledError):
        await bridge.run(name())


async def test_that_blocking_work_runs_on_its_executor(bridge: ClientBridge) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="rows") as rows:
        name = await bridge.run_in(rows, lambda: threading.current_thread().name)
    assert name.startswith("rows")


async def test_that_a_posted_call_is_skipped_when_its_receiver_is_destroyed(
    bridge: ClientBridge,
) -> None:
    class Receiver(QObject):
        def take(self, value: Any) -> None:
            received.append(value)

    received: list[Any] = []
    stays, goes = Receiver(), Receiver()
    bridge.post(goes.take, 1)
    bridge.post(stays.take, 2)
    delete(goes)
    await after(5)
    assert received == [2]
    gc.collect()
