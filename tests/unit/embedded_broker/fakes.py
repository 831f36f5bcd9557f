"""Small fakes of what a machine of the core is given: a node's environment, and calls to the
controller."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

from embedded_broker.core.environment import Environment
from embedded_broker.core.log.time_lookup import Lookup
from embedded_broker.core.ports import CallDone, Disk
from embedded_broker.options import Settings
from embedded_broker.simulator.disk import Platter, SimDisk
from kafka_protocol.codec import decode, encode

WALL_MS = 1_760_000_000_000


class FakeClock:
    """Wall time by a function."""

    def __init__(self, wall_ms: Callable[[], int] = lambda: WALL_MS) -> None:
        self._wall_ms = wall_ms

    def wall_ms(self) -> int:
        return self._wall_ms()


class FakeRng:
    """Random numbers that repeat in every test."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def uuid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128))


class ControllerCall:
    """A request that a machine sent to the controller; the test answers it."""

    def __init__(self, message: Any, version: int, done: CallDone) -> None:
        self.message = message
        self.version = version
        self._done = done

    def answer(self, now_ms: int, response: Any, reason: str = "") -> None:
        """Call the machine back; ``response`` None is a failure."""
        self._done(now_ms, response, reason)


class FakeCalls:
    """Implements ``ControllerCalls``: keeps the calls for the test, oldest first."""

    def __init__(self, pending: list[ControllerCall] | None = None) -> None:
        self.pending: list[ControllerCall] = [] if pending is None else pending

    def call(
        self, now_ms: int, message: Any, version: int, timeout_ms: int, done: CallDone
    ) -> None:
        message = decode(type(message), version, encode(message, version))
        self.pending.append(ControllerCall(message, version, done))


def environment(
    settings: str = "node.id=1\n",
    disk: Disk | None = None,
    wall_ms: Callable[[], int] = lambda: WALL_MS,
) -> Environment:
    """The environment of a node with an empty image; ``settings`` is the text of
    server.properties."""
    return Environment.create(
        Settings.parse(settings),
        SimDisk(Platter(UUID(int=1))) if disk is None else disk,
        FakeClock(wall_ms),
        FakeRng(),
    )


def looked_up(lookup: Lookup) -> tuple[int, int] | None:
    """Run a time lookup to its end."""
    while True:
        try:
            next(lookup)
        except StopIteration as end:
            found: tuple[int, int] | None = end.value
            return found
