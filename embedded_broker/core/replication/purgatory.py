"""Requests that wait: Produce for the high watermark, Fetch for data, DeleteRecords for
followers.

Deadlines are kept in buckets of a fixed width, with one timer for the earliest bucket:
a request that is answered in time costs one insertion and one removal, and no timer of
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from embedded_broker.core.outbox import Outbox


class Subscriber(Protocol):
    """A follower's fetch session that includes the partition."""

    def touch(self) -> None:
        """There are new records."""

    def watermarks_moved(self) -> None:
        """The high watermark or the start offset moved."""


class FetchWaiter(Protocol):
    """A consumer's Fetch that waits for this partition, among others."""

    def wake(self) -> None:
        """There may be something to answer."""


class Waiter(Protocol):
    """A waiting request; ``expire`` is called once at its deadline, unless it was
    withdrawn."""

    bucket: int
    """Set by ``Deadlines``."""

    def expire(self, now_ms: int) -> None:
        """The deadline has passed."""


class Deadlines:
    """Waiters by deadline, each rounded up to a multiple of ``width_ms``."""

    def __init__(self, outbox: Outbox, key: str, width_ms: int) -> None:
        self._outbox = outbox
        self._key = key
        self._width_ms = width_ms
        self._buckets: dict[int, dict[Waiter, None]] = {}
        self._expiring: dict[Waiter, None] = {}
        """The rest of the bucket whose waiters are being expired; they can still be
        withdrawn."""
        self._next = -1
        """The bucket that the timer is set for; -1 for none."""

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._buckets.values())

    def add(self, waiter: Waiter, at_ms: int) -> None:
        """Expire ``waiter`` at or shortly after ``at_ms``."""
        bucket = -(-at_ms // self._width_ms)
        waiter.bucket = bucket
        waiters = self._buckets.get(bucket)
        if waiters is None:
            waiters = self._buckets[bucket] = {}
            if self._next < 0 or bucket < self._next:
                self._arm(bucket)
        waiters[waiter] = None

    def withdraw(self, waiter: Waiter) -> None:
        """Do not expire ``waiter``; it may have been withdrawn before."""
        waiters = self._buckets.get(waiter.bucket)
        if waiters is not None:
            waiters.pop(waiter, None)
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
        empty = [b for b, waiters in self._buckets.items() if not waiters]
        for bucket in empty:
            del self._buckets[bucket]
        if self._buckets and (self._next < 0 or min(self._buckets) < self._next):
            self._arm(min(self._buckets))


class AppendWait:
    """An append that waits until the high watermark has passed it, for a request or a
    local caller.

    ``done(now_ms, error code)`` is called once; ``offset`` is the first offset after
    the appended records.
    """

    __slots__ = ("bucket", "done", "offset")

    def __init__(self, offset: int, done: Callable[[int, int], None]) -> None:
        self.offset = offset
        self.done: Callable[[int, int], None] | None = done
        self.bucket = -1

    def finish(self, now_ms: int, error_code: int) -> None:
        """Call ``done``, unless it has been called."""
        done, self.done = self.done, None
        if done is not None:
            done(now_ms, error_code)
