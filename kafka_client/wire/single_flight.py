"""Share identical requests: the same question that is under way already is not sent
again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from kafka_client.errors import Unreachable

T = TypeVar("T")


class SingleFlight:
    """Runs calls by key; used from one loop. ``close`` cancels those under way."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}
        self._closed = False

    async def run(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The result of ``make()``, or of the call with the same key that is under way.

        A caller that is cancelled does not cancel the call, which others may wait for.
        """
        task: asyncio.Future[T] | None = self._under_way.get(key)
        if task is None:
            if self._closed:
                raise Unreachable("The connection was closed.")
            task = self._start(key, make())
        return await asyncio.shield(task)

    def in_background(self, work: Awaitable[None]) -> None:
        """Run something that nobody waits for, except ``close``."""
        self._start(object(), work)

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Hashable, work: Awaitable[T]) -> asyncio.Future[T]:
        task = asyncio.ensure_future(work)
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            # Retrieve it, or asyncio would log it when every caller was cancelled
            # meanwhile.
            done.exception()
