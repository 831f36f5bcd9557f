"""Whether this node's log directory takes writes, and what follows when it does not.

working -> failed    a write of a partition failed: the controller is asked to fence this broker
failed  -> fenced    the controller has fenced it: others lead, and it leads nothing here either
fenced  -> working   a probe was written and flushed: the broker asks to serve again

A full disk, a disk with errors, a read-only remount and a process without file descriptors look the
same here: nothing more can be stored. The node keeps its process and its metadata, and comes back
by itself. Kafka stops a broker whose only log directory has failed.

Fencing is not skipped when the disk works again before the controller has answered: a partition
that could not write its leader epoch waits for a newer one, which only an election brings. When
the controller cannot commit, since its disk is the same full one, nothing is fenced and reading
goes on.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import StorageFailed

TIMER = "disk.probe"
PROBE_MS = 1_000


class State(Enum):
    """See the module."""

    WORKING = "working"
    FAILED = "failed"
    FENCED = "fenced"


class DiskListener(Protocol):
    """Learns of the changes; ``Broker`` passes them to the machines."""

    def on_disk_failed(self, now_ms: int) -> None:
        """Ask the controller to fence this broker."""

    def on_disk_fenced(self, now_ms: int) -> None:
        """Lead nothing: the controller gave the leaderships to others."""

    def on_disk_recovered(self, now_ms: int) -> None:
        """Open what could not be opened, and ask to serve again."""


class DiskHealth:
    """The state of the one log directory of this node."""

    def __init__(self, env: Environment, listener: DiskListener) -> None:
        self._env = env
        self._listener = listener
        self.state = State.WORKING

    @property
    def failed(self) -> bool:
        """Return whether the directory takes no writes, as far as is known."""
        return self.state is not State.WORKING

    def write_failed(self, now_ms: int, what: str, error: StorageFailed) -> None:
        """Note that ``what`` (a clause such as "cannot write orders-0") met this error."""
        self._env.note(Level.ERROR, f"The log directory failed: {what}: {error}")
        if self.state is State.WORKING:
            self.state = State.FAILED
            self._listener.on_disk_failed(now_ms)
            self._env.outbox.timer(TIMER, now_ms + PROBE_MS, self._probe)

    def fenced(self, now_ms: int) -> None:
        """Note that the controller has fenced this broker as it asked."""
        if self.state is State.FAILED:
            self.state = State.FENCED
            self._listener.on_disk_fenced(now_ms)

    def _probe(self, now_ms: int) -> None:
        try:
            self._env.disk.probe()
            works = self.state is State.FENCED
        except StorageFailed:
            works = False
        if not works:
            self._env.outbox.timer(TIMER, now_ms + PROBE_MS, self._probe)
            return
        self.state = State.WORKING
        self._env.note(Level.INFO, "The log directory takes writes again.")
        self._listener.on_disk_recovered(now_ms)
