"""Visits all groups of a shard, some at a time: there may be thousands of them, with thousands of
offsets each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from embedded_broker.core.coordinator.shard import Shard
from embedded_broker.core.outbox import Outbox

Visit = Callable[[int, Shard, str], int]
"""(now_ms, shard, group id): look at this group, if it is still there; returns how many offsets
were looked at, and ten for each that was changed."""
ITEMS_AT_ONCE = 2_000
"""Offsets between two pauses of a millisecond."""
TIMER = "groups/sweep"


class Sweeps:
    """The sweeps of a node, one after the other."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._line: dict[tuple[Shard, str], tuple[Visit, deque[str]]] = {}

    def start(self, now_ms: int, shard: Shard, what: str, visit: Visit) -> None:
        """Visit every group of the shard. One of the same kind (``what``) begins again."""
        self._line[shard, what] = (visit, deque(sorted(shard.groups)))
        if not self._outbox.has_timer(TIMER):
            self._go_on(now_ms)

    def _go_on(self, now_ms: int) -> None:
        left = ITEMS_AT_ONCE
        while self._line and left > 0:
            key = next(iter(self._line))
            shard = key[0]
            visit, waiting = self._line[key]
            if waiting and not shard.closed:
                left -= 1 + visit(now_ms, shard, waiting.popleft())
            else:
                del self._line[key]
        if self._line:
            self._outbox.timer(TIMER, now_ms + 1, self._go_on)
