"""Partitions whose metadata has changed and whose replicas here have not followed yet.

A log is created or deleted, a role taken, with some file operations each. Thousands of partitions
change at once where large topics are created or a broker ends; this node goes on to handle
requests and heartbeats in between. To everybody else the metadata has reached those partitions
later, as it may anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Generic, TypeVar
from uuid import UUID

from embedded_broker.core.outbox import Outbox

Change = tuple[str, int] | tuple[UUID, int]
"""A partition that was created or changed, by the name of its topic; one that was deleted, by the
id: a topic of the same name may exist again."""
AT_ONCE = 4
"""Changes between two pauses of a millisecond: some milliseconds, twenty on a busy disk."""
SETTINGS_AT_ONCE = 500
"""The same for changes that touch no file: ten milliseconds."""


C = TypeVar("C", bound=Hashable)


class PendingChanges(Generic[C]):
    """Acts on ``at_once()`` changes at once, and on the rest in slices."""

    def __init__(
        self,
        outbox: Outbox,
        timer: str,
        at_once: Callable[[], int],
        act: Callable[[int, C], None],
    ) -> None:
        self._outbox = outbox
        self._timer, self._at_once = timer, at_once
        self._act = act
        self._line: dict[C, None] = {}

    def add(self, now_ms: int, changes: Iterable[C]) -> None:
        """``changes`` follow those that wait; one that waits already keeps its place."""
        self._line.update(dict.fromkeys(changes))
        if not self._outbox.has_timer(self._timer):
            self._go_on(now_ms)

    def hurry(self, now_ms: int, change: C) -> None:
        """Act on this change now if it waits. A client that has seen the metadata sends several
        batches at once: to refuse the first and judge the next by the new role would look like a
        gap in its sequence, for which librdkafka begins a new epoch and sends all again."""
        if change in self._line:
            del self._line[change]
            self._act(now_ms, change)

    def _go_on(self, now_ms: int) -> None:
        for change in list(islice(self._line, self._at_once())):
            del self._line[change]
            self._act(now_ms, change)
        if self._line:
            self._outbox.timer(self._timer, now_ms + 1, self._go_on)
