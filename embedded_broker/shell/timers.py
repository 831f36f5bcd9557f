"""The core's timers: one per key, replaced by setting the key again. Runs in the loop's thread."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from embedded_broker.shell.loop import Loop

SPARE = 1_000
"""Replaced entries that the heap may hold before it is cleaned."""


class Timers:
    """A heap in which a replaced timer stays until it is due, or until replaced ones are most of
    the heap. ``fire(key, token)`` is called for the newest token of a key only."""

    def __init__(self, loop: Loop, fire: Callable[[str, int], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._heap: list[tuple[int, int, str]] = []
        self._newest: dict[str, int] = {}
        self._call_ms = 0

    def set(self, key: str, token: int, at_ms: int) -> None:
        """Fire ``key`` with ``token`` at this time of the loop's clock, not as set before."""
        self._newest[key] = token
        heapq.heappush(self._heap, (at_ms, token, key))
        if len(self._heap) > 4 * len(self._newest) + SPARE:
            self._heap = [entry for entry in self._heap if self._newest.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
        self._arm()

    def _arm(self) -> None:
        at_ms = self._heap[0][0]
        if not self._call_ms or at_ms < self._call_ms:
            self._call_ms = at_ms
            self._loop.call_at(at_ms, self._due)

    def _due(self) -> None:
        now = self._loop.turn_ms
        if self._call_ms > now:
            return  # an earlier timer was set meanwhile, and its call has fired this one
        self._call_ms = 0
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, token, key = heapq.heappop(heap)
            if self._newest.get(key) == token:
                del self._newest[key]
                self._fire(key, token)
                heap = self._heap  # the call may have set timers, and cleaned the heap
        if heap:
            self._arm()
