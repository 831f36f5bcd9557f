"""The wall time by which records and offsets are deleted: slow to believe a clock that leaps.

A wall clock may step by years: a wrong battery, a wrong time server, a virtual machine that was
restored. Kafka then deletes all records and committed offsets at once. This clock follows the wall
clock down at once, and up at most CATCH_UP times as fast as time passes: after a computer has slept
for a weekend, retention is right again after two hours; a clock that leaps ten years has no effect
before a person has noticed.

The time that is believed is kept on the disk, so that a restart under a wrong clock deletes nothing
either: a process goes on where the one before it was, and catches up. Only the first process on a
disk has nothing to compare the wall clock with, and believes it. A wall clock that is behind this
program itself (a machine without a battery begins in 1970) deletes nothing and is not kept.
"""

from __future__ import annotations

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment

CATCH_UP = 24
"""A day in an hour."""
LEAST_MS = 1_735_689_600_000
"""The beginning of 2025: this program was written after it."""
NOTED_MS = 3_600_000
"""A leap of an hour is worth a line in the log."""


class RetentionClock:
    """One for each machine that deletes by age."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._believed_ms = env.disk.load_wall_ms()
        """The wall time that was believed last; -1 before the first call on a new disk."""
        self._at_ms = -1
        """The monotonic time of the last call; -1 before the first of this process."""
        self._noted = False
        """Whether the log tells of the leap that is being caught up."""

    def wall_ms(self, now_ms: int) -> int:
        """Return the wall time in milliseconds since the epoch, as far as it is believed."""
        wall_ms = self._env.clock.wall_ms()
        if wall_ms < LEAST_MS:
            return wall_ms
        if self._believed_ms >= 0:
            elapsed_ms = now_ms - self._at_ms if self._at_ms >= 0 else 0
            most_ms = self._believed_ms + CATCH_UP * elapsed_ms
            self._note_leap(wall_ms - most_ms)
            wall_ms = min(wall_ms, most_ms)
        self._at_ms = now_ms
        if wall_ms != self._believed_ms:
            self._believed_ms = wall_ms
            self._env.disk.save_wall_ms(wall_ms)
        return wall_ms

    def _note_leap(self, ahead_ms: int) -> None:
        if ahead_ms > NOTED_MS and not self._noted:
            self._env.note(
                Level.WARNING,
                f"The clock leapt {ahead_ms // NOTED_MS} hours ahead: retention follows it slowly,"
                " so that a wrong clock deletes nothing.",
            )
        self._noted = ahead_ms > NOTED_MS
