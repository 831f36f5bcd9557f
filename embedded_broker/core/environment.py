"""Gather what every machine of one node gets: identity, settings, metadata, and the
outside world.

A machine takes an ``Environment`` and, next to it, one small port (a
``typing.Protocol`` in the machine's own package) for each neighbour that it asks or
notifies. Only ``broker.py`` knows all machines. A test builds one machine from an
environment and fakes of its ports.
"""

from __future__ import annotations

from dataclasses import dataclass

from embedded_broker.core.config import Config
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import MetadataImage
from embedded_broker.core.outbox import Outbox
from embedded_broker.core.ports import Clock, Disk, Rng
from embedded_broker.options import Settings


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Environment:
    """One node's surroundings. The fields never change; what ``image`` and ``outbox``
    hold does."""

    node_id: int
    settings: Settings
    """As read from server.properties at the start."""
    disk: Disk
    clock: Clock
    """Wall time only; the monotonic time comes with each event as ``now_ms``."""
    rng: Rng
    outbox: Outbox
    image: MetadataImage
    """The committed metadata that this node has applied; ``Broker`` is its only
    writer."""
    config: Config
    """Effective settings: ``settings`` overlaid with what ``image`` says was set at run
    time."""

    @classmethod
    def create(cls, settings: Settings, disk: Disk, clock: Clock, rng: Rng) -> Environment:
        """The environment of a node that has applied no metadata yet."""
        image = MetadataImage(cluster_id=settings.cluster_id)
        return cls(
            settings.node_id, settings, disk, clock, rng, Outbox(), image, Config(settings, image)
        )

    def note(self, level: Level, text: str) -> None:
        """Write a line to the broker's log."""
        self.outbox.note(level, text)
