"""What waits: produces for the high watermark, fetches for data, deletions for followers; and
until when.

Deadlines are kept in buckets of a fixed width with one timer for the earliest, so that a request
which is answered in time costs one insertion and one removal, and no timer of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from embedded_broker.core.outbox import Outbox


class Waiter(Protocol):
    """Something with a deadline; ``expire`` is called once, unless it was withdrawn before."""

    bucket: int

    def expire(self, now_ms: int) -> None: ...


class Deadlines:
    """Waiters by deadline, rounded up to ``width_ms``."""

    def __init__(self, outbox: Outbox, key: str, width_ms: int) -> None:
        self._outbox = outbox
        self._key = key
        self._width_ms = width_ms
        self._buckets: dict[int, dict[Waiter, None]] = {}
        self._expiring: dict[Waiter, None] = {}
        self._next = -1

    def __len__(self) -> int:
        return sum(len(b) for b in self._buckets.values())

    def add(self, waiter: Waiter, at_ms: int) -> None:
        bucket = -(-at_ms // self._width_ms)
        waiter.bucket = bucket
        held = self._buckets.get(bucket)
        if held is None:
            held = self._buckets[bucket] = {}
            if self._next < 0 or bucket < self._next:
                self._arm(bucket)
        held[waiter] = None

    def withdraw(self, waiter: Waiter) -> None:
        held = self._buckets.get(waiter.bucket)
        if held is not None:
            held.pop(waiter, None)
        self._expiring.pop(waiter, None)

    def _arm(self, bucket: int) -> None:
        self._next = bucket
        self._outbox.timer(self._key, bucket * self._width_ms, self._fire)

    def _fire(self, now_ms: int) -> None:
        due = [b for b in self._buckets if b * self._width_ms <= now_ms]
        self._next = -1
        for bucket in sorted(due):
            self._expiring = self._buckets.pop(bucket)
            while self._expiring:
                waiter = next(iter(self._expiring))
                del self._expiring[waiter]
                waiter.expire(now_ms)
        empty = [b for b, held in self._buckets.items() if not held]
        for bucket in empty:
            del self._buckets[bucket]
        if self._buckets and (self._next < 0 or min(self._buckets) < self._next):
            self._arm(min(self._buckets))


class AppendWait:
    """An append that waits until the high watermark has passed it, for a request or for a local
    caller.

    ``done(now_ms, error code)`` is called once; ``offset`` is the first offset after what was
    appended.
    """

    __slots__ = ("bucket", "done", "offset")

    def __init__(self, offset: int, done: Callable[[int, int], None]) -> None:
        self.offset = offset
        self.done: Callable[[int, int], None] | None = done
        self.bucket = -1

    def finish(self, now_ms: int, error_code: int) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(now_ms, error_code)
