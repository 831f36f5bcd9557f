"""One node of the cluster: it builds the machines, passes each event to the one that it
concerns, and nothing else. The only file that knows all machines.

``start`` and ``handle`` are the only entrances; both return the effects to carry out. A
broken invariant raises ``AssertionError``: the shell logs it and stops this broker; the
cluster goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from embedded_broker.core.api.handlers import Machines
from embedded_broker.core.api.router import Router
from embedded_broker.core.controller.channel import ControllerChannel
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.lifecycle import Lifecycle
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import Effect
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import (
    ConnectionClosed,
    Event,
    Flushed,
    RequestReceived,
    ResponseReceived,
    SendFailed,
    StopRequested,
    TickEnded,
    TimerFired,
)
from embedded_broker.core.metadata.image import MetadataDelta, MetadataImage
from embedded_broker.core.metadata.records import MetadataRecord
from embedded_broker.core.metadata.replay import replay
from embedded_broker.core.ports import Clock, Disk, Rng
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.replicas import Replicas
from embedded_broker.options import Settings


class Broker:
    """Connects the machines. Where two of them need each other, or one below reports to
    one above, the call goes through a method here (``QuorumListener``,
    ``OffsetsListener``)."""

    def __init__(self, settings: Settings, disk: Disk, clock: Clock, rng: Rng) -> None:
        env = self.env = Environment.create(settings, disk, clock, rng)
        self._outbox = env.outbox
        self.quorum = Quorum(env, self)
        self.controller = Controller(env, self.quorum)
        self.channel = ControllerChannel(
            env, self.quorum, lambda: self.controller.is_active, self._handle_request
        )
        self.disk_health = DiskHealth(env, self)
        self.lifecycle = Lifecycle(
            env, self.channel, self.quorum, self._checkpoint, self.disk_health
        )
        self.replicas = Replicas(env, self.channel, self.lifecycle, self, self.disk_health)
        self.groups = Groups(env, self.channel, self.replicas.local_log)
        self._router = Router(
            Machines(
                env,
                self.quorum,
                self.controller,
                self.channel,
                self.lifecycle.in_touch,
                self.replicas,
                self.groups,
            )
        )

    @property
    def image(self) -> MetadataImage:
        """The committed metadata that this node has applied."""
        return self.env.image

    # ---- entrances
    def start(self, now_ms: int) -> list[Effect]:
        """Start the machines; the disk has been recovered."""
        self.replicas.start(now_ms)
        self.groups.start(now_ms)
        self.quorum.start(now_ms)
        self.lifecycle.start(now_ms)
        return self._outbox.take()

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        """Pass an event to the machine that it concerns."""
        match event:
            case RequestReceived():
                self._router.receive(now_ms, event)
            case TickEnded():
                self.replicas.tick_ended(now_ms)
            case ResponseReceived() | SendFailed() | TimerFired() | Flushed():
                self._outbox.complete(now_ms, event)
            case ConnectionClosed():
                self.controller.connection_closed(now_ms, event.connection_id)
                self.replicas.connection_closed(now_ms, event.connection_id)
                self._router.connection_closed(event.connection_id)
            case StopRequested():
                self.lifecycle.stop(now_ms)
        return self._outbox.take()

    def waiting(self) -> dict[str, int]:
        """How much waits for events here, by kind: what must not grow without bound."""
        return self._outbox.waiting()

    # ---- QuorumListener
    def on_leadership(self, now_ms: int) -> None:
        """The quorum's epoch or leader changed."""
        self.controller.on_leadership(now_ms)
        self.channel.on_leader_change(now_ms)

    def on_committed(self, now_ms: int, records: Sequence[MetadataRecord], end_offset: int) -> None:
        """Apply committed metadata records, and notify the machines of what changed."""
        image = self.env.image
        delta = MetadataDelta()
        for record in records:
            replay(image, record, delta)
        image.offset = end_offset
        if not delta.empty:
            image.version += 1
            self.replicas.on_metadata(now_ms, delta)
            self.groups.on_metadata(now_ms, delta)
        self.channel.on_metadata(now_ms)
        self.lifecycle.on_metadata(now_ms, delta)

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> None:
        """Metadata is committed up to here: the controller may activate or respond."""
        if self.controller.on_high_watermark(now_ms, high_watermark):
            self.channel.on_leader_change(now_ms)

    def is_impostor(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        """Return whether a live broker has this id and another log directory."""
        return self.controller.is_impostor(now_ms, broker_id, directory_id)

    # ---- OffsetsListener
    def on_offsets_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        """This node leads a partition of ``__consumer_offsets``."""
        self.groups.on_become_leader(now_ms, partition, leader_epoch)

    def on_offsets_resign(self, now_ms: int, partition: int) -> None:
        """This node no longer leads the partition."""
        self.groups.on_resign(now_ms, partition)

    # ---- DiskListener
    def on_disk_failed(self, now_ms: int) -> None:
        """Ask the controller to fence this broker."""
        self.lifecycle.disk_changed(now_ms)

    def on_disk_fenced(self, now_ms: int) -> None:
        """Others lead now: lead nothing here either."""
        self.replicas.on_disk_fenced(now_ms)

    def on_disk_recovered(self, now_ms: int) -> None:
        """Open and delete what could not be, and ask to serve again."""
        self.replicas.on_disk_recovered(now_ms)
        self.lifecycle.disk_changed(now_ms)

    # ---- for machines that are built before those that they call
    def _handle_request(self, now_ms: int, event: RequestReceived) -> None:
        self._router.handle(now_ms, event)

    def _checkpoint(self) -> None:
        self.replicas.checkpoint()
