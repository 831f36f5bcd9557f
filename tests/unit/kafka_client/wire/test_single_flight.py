"""Identical calls share one flight."""

from __future__ import annotations

import asyncio

import pytest

from kafka_client.errors import Unreachable
from kafka_client.wire.single_flight import SingleFlight


class Slow:
    """A call that ends when it is released."""

    def __init__(self) -> None:
        self.calls = 0
        self.release = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        await self.release.wait()
        return self.calls


async def test_that_callers_with_one_key_share_one_call() -> None:
    flights, slow = SingleFlight(), Slow()
    callers = [asyncio.create_task(flights.run("key", slow)) for _ in range(5)]
    await asyncio.sleep(0)
    slow.release.set()
    assert await asyncio.gather(*callers) == [1] * 5
    assert await flights.run("key", slow) == 2


async def test_that_other_keys_fly_on_their_own() -> None:
    flights, slow = SingleFlight(), Slow()
    slow.release.set()
    await asyncio.gather(flights.run(1, slow), flights.run(2, slow))
    assert slow.calls == 2


async def test_that_a_cancelled_caller_does_not_cancel_the_others() -> None:
    flights, slow = SingleFlight(), Slow()
    impatient = asyncio.create_task(flights.run("key", slow))
    patient = asyncio.create_task(flights.run("key", slow))
    await asyncio.sleep(0)
    impatient.cancel()
    slow.release.set()
    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_that_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    flights = SingleFlight()

    async def fail() -> None:
        raise Unreachable("no")

    results = await asyncio.gather(
        flights.run("key", fail), flights.run("key", fail), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no", "no"]
    slow = Slow()
    slow.release.set()
    assert await flights.run("key", slow) == 1


async def test_that_nothing_starts_after_close() -> None:
    flights, slow = SingleFlight(), Slow()
    caller = asyncio.create_task(flights.run("key", slow))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(Unreachable):
        await flights.run("key", slow)
