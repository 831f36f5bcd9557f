"""How often a cluster may make this application dial: a few brokers at a time, so many in a
second, first come, first served.

A broker's address comes from the cluster. Without a bound, one Metadata response makes every
Kafkarium that reads it dial a thousand addresses, again and again. Bootstrap servers, which the
person wrote, do not wait here.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kafka_client.errors import Unreachable
from resources.wording import counted

AT_A_TIME = 20
BURST = 100
"""Dials without a wait: all brokers of nearly every cluster."""
PER_S = 20.0
"""Dials per second after that."""


class Dials:
    """The dials of one cluster; used from one loop. A turn is given in the order of the calls, when
    fewer than ``at_a_time`` dials are under way and the rate allows one more."""

    def __init__(
        self,
        at_a_time: int = AT_A_TIME,
        burst: int = BURST,
        per_s: float = PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = at_a_time
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._left = float(burst)  # dials that the rate allows now
        self._counted_at = clock()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, subject: str, timeout_s: float | None) -> AsyncIterator[None]:
        """Wait for a turn to dial ``subject``, without a limit when ``timeout_s`` is None.

        Raises:
            Unreachable: its turn has not come within ``timeout_s``.
        """
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._advance()
        try:
            async with asyncio.timeout(timeout_s):
                await mine
        except BaseException as error:
            self._leave(mine)
            if isinstance(error, TimeoutError):
                raise self._too_many(subject) from None
            raise
        try:
            yield
        finally:
            self._free += 1
            self._advance()

    def _leave(self, mine: asyncio.Future[None]) -> None:
        """Give up waiting; give the turn back if it came in the same moment."""
        if mine in self._waiting:
            self._waiting.remove(mine)
        elif not mine.cancelled():
            self._free += 1
            self._advance()

    def _too_many(self, subject: str) -> Unreachable:
        waiting = counted(len(self._waiting), "broker")
        return Unreachable(
            f"{subject.capitalize()} was not dialled yet: {waiting} of this cluster wait for their"
            f" turn, {self._per_s:g} a second.",
            next_step="It is dialled when its turn comes.",
            subject=subject,
        )

    def _advance(self) -> None:
        """Give turns to those that wait; come back when the rate allows the next one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_s)
        self._counted_at = now
        while self._waiting and self._free and self._left >= 1:
            first = self._waiting.popleft()
            if first.done():
                continue
            self._free -= 1
            self._left -= 1
            first.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._free:
            wait_s = (1 - self._left) / self._per_s
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._advance)
