"""Virtual time: a heap of scheduled calls, a random stream per purpose, and a rolling hash.

Calls that are due in the same millisecond happen in an order drawn from the seed. Each purpose
(network, disks, clients, nemesis) has a random stream of its own, so that one more draw for one
does not change the others: a plan with one fault less still meets much the same world.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

WALL_START_MS = 1_760_000_000_000
"""Wall clock time at the start of every world."""


class Violation(Exception):
    """A broken promise: ``check`` names it (docs/reliability.md), ``text`` says what happened."""

    def __init__(self, check: str, text: str) -> None:
        super().__init__(f"{check}: {text}")
        self.check = check
        self.text = text


class World:
    """The scheduler, its random streams, and the trace."""

    def __init__(self, seed: int, keep_lines: int = 400) -> None:
        self.seed = seed
        self.now_ms = 0
        self.events = 0
        self.order = self.rng("order")
        self._heap: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: deque[str] = deque(maxlen=keep_lines)
        """The newest lines of the trace, for whoever looks for a bug."""
        self.watch: Callable[[str], None] | None = None
        """Called with each line of the trace."""
        self.on_event: Callable[[str, str], None] | None = None
        """Called with who did what, for each event that a person follows."""

    def rng(self, purpose: str) -> random.Random:
        """Return the random stream of a purpose.

        The purpose is part of what a seed means: another text is another stream.
        """
        return random.Random(f"{self.seed}/{purpose}")

    def at(self, at_ms: int, call: Callable[..., None], *args: Any) -> None:
        """Schedule a call at this time, or now if that is over."""
        self._sequence += 1
        # The random number orders calls of the same millisecond; the sequence only keeps the
        # comparison from reaching the functions.
        heappush(
            self._heap,
            (max(at_ms, self.now_ms), self.order.getrandbits(16), self._sequence, call, args),
        )

    def after(self, delay_ms: int, call: Callable[..., None], *args: Any) -> None:
        """Schedule a call after this delay."""
        self.at(self.now_ms + delay_ms, call, *args)

    def run_until(self, end_ms: int) -> None:
        """Make the calls that are due before ``end_ms``, then set the time to it.

        Raises:
            Violation: a call found a broken promise.
        """
        heap = self._heap
        while heap and heap[0][0] < end_ms:
            self.now_ms, _, _, call, args = heappop(heap)
            self.events += 1
            call(*args)
        self.now_ms = max(self.now_ms, end_ms)

    def trace(self, line: str) -> None:
        """Add a line to the rolling hash; equal hashes mean equal runs."""
        line = f"{self.now_ms} {line}"
        self._hash.update(line.encode())
        self.lines.append(line)
        if self.watch is not None:
            self.watch(line)

    def happened(self, who: str, text: str) -> None:
        """Trace an event that a person follows: a start, a fault, a line of a broker's log."""
        self.trace(f"{who} {text}")
        if self.on_event is not None:
            self.on_event(who, text)

    @property
    def trace_hash(self) -> str:
        """The hash of all lines of the trace so far."""
        return self._hash.hexdigest()


class NodeClock:
    """A machine's clocks: monotonic with an offset and a drift, and a wall clock that jumps."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rate_ppm = rng.randint(-300, 300)
        self._booted_ms = world.now_ms - rng.randint(1_000, 10_000_000)
        self.wall_skew_ms = rng.randint(-200, 200)

    def reboot(self) -> None:
        """Restart the monotonic clock, as a machine does at its start."""
        self._booted_ms = self._world.now_ms - 1_000

    def monotonic_ms(self) -> int:
        elapsed = self._world.now_ms - self._booted_ms
        return elapsed + elapsed * self._rate_ppm // 1_000_000

    def world_ms(self, monotonic_ms: int) -> int:
        """Return the first time of the world at which this clock shows ``monotonic_ms`` or more."""
        # Integer division rounds down: correct the estimate upwards.
        elapsed = monotonic_ms * 1_000_000 // (1_000_000 + self._rate_ppm)
        while elapsed + elapsed * self._rate_ppm // 1_000_000 < monotonic_ms:
            elapsed += 1
        return self._booted_ms + elapsed

    def wall_ms(self) -> int:
        return WALL_START_MS + self._world.now_ms + self.wall_skew_ms


class NodeRng:
    """The Rng port on a stream of its own."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream

    def below(self, n: int) -> int:
        return self._stream.randrange(n)

    def uuid(self) -> UUID:
        return UUID(int=self._stream.getrandbits(128), version=4)
