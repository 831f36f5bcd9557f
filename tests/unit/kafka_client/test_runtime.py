import asyncio
import threading

import pytest

from kafka_client.runtime import ClientThread


@pytest.fixture
def thread():
    running = ClientThread("kafka-client-test").start()
    yield running
    running.stop()


def test_that_a_coroutine_runs_on_the_thread_and_its_value_comes_back(thread):
    async def name():
        return threading.current_thread().name

    assert thread.submit(name()).result(2) == "kafka-client-test"


def test_that_an_error_comes_back_as_it_was(thread):
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        thread.submit(fail()).result(2)


def test_that_stop_cancels_what_runs_and_later_work_is_refused(thread):
    cleaned = threading.Event()

    async def long():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    future = thread.submit(long())
    thread.submit(asyncio.sleep(0)).result(2)
    assert thread.stop()
    assert cleaned.is_set() and future.cancelled()
    late = thread.submit(long())
    assert late.cancelled()
