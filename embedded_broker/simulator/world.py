"""Virtual time: one heap of what happens next, one stream of randomness per purpose, one rolling
hash of what happened.

Two things due at the same millisecond happen in an order drawn from the seed. Draws for the
network do not disturb those of the disks, the clients or the nemesis, so that a plan with one
fault fewer still meets much the same world.
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


class Violation(Exception):
    """A promise was broken: which check, and what was seen."""

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
        """The newest lines of the trace, for a person who looks for a bug."""
        self.watch: Callable[[str], None] | None = None

    def rng(self, purpose: str) -> random.Random:
        """A stream of randomness of its own; the same for the same seed and purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def at(self, at_ms: int, do: Callable[..., None], *args: Any) -> None:
        self._sequence += 1
        heappush(
            self._heap,
            (max(at_ms, self.now_ms), self.order.getrandbits(16), self._sequence, do, args),
        )

    def after(self, delay_ms: int, do: Callable[..., None], *args: Any) -> None:
        self.at(self.now_ms + delay_ms, do, *args)

    def run_until(self, end_ms: int) -> None:
        """Let everything happen that is due before ``end_ms``.

        Raises: Violation, from whatever happens.
        """
        heap = self._heap
        while heap and heap[0][0] < end_ms:
            self.now_ms, _, _, do, args = heappop(heap)
            self.events += 1
            do(*args)
        self.now_ms = max(self.now_ms, end_ms)

    def trace(self, line: str) -> None:
        """Take a line into the rolling hash; equal hashes mean equal runs."""
        line = f"{self.now_ms} {line}"
        self._hash.update(line.encode())
        self.lines.append(line)
        if self.watch is not None:
            self.watch(line)

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()


class NodeClock:
    """A machine's clocks: monotonic with an offset and a drift, and a wall clock that jumps."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rate_ppm = rng.randint(-300, 300)
        self._booted_ms = world.now_ms - rng.randint(1_000, 10_000_000)
        self.wall_skew_ms = rng.randint(-200, 200)

    def reboot(self) -> None:
        """Monotonic clocks begin anew with the machine."""
        self._booted_ms = self._world.now_ms - 1_000

    def monotonic_ms(self) -> int:
        elapsed = self._world.now_ms - self._booted_ms
        return elapsed + elapsed * self._rate_ppm // 1_000_000

    def world_ms(self, monotonic_ms: int) -> int:
        """The first world time at which this clock shows ``monotonic_ms`` or later."""
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
