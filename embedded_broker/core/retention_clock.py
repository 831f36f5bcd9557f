"""The wall time by which records and offsets are deleted: slow to believe a clock that leaps.

A wall clock may step by years: a wrong battery, a wrong time server, a virtual machine that was
restored. Kafka then deletes all records and committed offsets at once. This clock follows the wall
clock down at once, and up at most CATCH_UP times as fast as time passes: after a computer has slept
for a weekend, retention is right again after two hours; a clock that leaps ten years has no effect
before a person has noticed.

At the start of a process there is nothing to compare the wall clock with: it is believed.
"""

from __future__ import annotations

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment

CATCH_UP = 24
"""A day in an hour."""
NOTED_MS = 3_600_000
"""A leap of an hour is worth a line in the log."""


class RetentionClock:
    """One for each machine that deletes by age, which calls ``wall_ms`` at its start."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._believed_ms = -1
        """The wall time that was returned last; -1 before the first call."""
        self._at_ms = 0
        """The monotonic time of that call."""
        self._noted = False
        """Whether the log tells of the leap that is being caught up."""

    def wall_ms(self, now_ms: int) -> int:
        """Return the wall time in milliseconds since the epoch, as far as it is believed."""
        wall_ms = self._env.clock.wall_ms()
        if self._believed_ms >= 0:
            most_ms = self._believed_ms + CATCH_UP * (now_ms - self._at_ms)
            self._note_leap(wall_ms - most_ms)
            wall_ms = min(wall_ms, most_ms)
        self._believed_ms, self._at_ms = wall_ms, now_ms
        return wall_ms

    def _note_leap(self, ahead_ms: int) -> None:
        if ahead_ms > NOTED_MS and not self._noted:
            self._env.note(
                Level.WARNING,
                f"The clock leapt {ahead_ms // NOTED_MS} hours ahead: retention follows it slowly,"
                " so that a wrong clock deletes nothing.",
            )
        self._noted = ahead_ms > NOTED_MS
