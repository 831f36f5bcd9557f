"""One node of the cluster: it owns the machines, hands each event to the one that it concerns,
and nothing else.

``start`` and ``handle`` are the only entrances; both return the effects to carry out. A broken
invariant raises ``AssertionError``: the shell logs it and stops this broker, the cluster goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from embedded_broker.core import api
from embedded_broker.core.config import Config
from embedded_broker.core.controller.channel import ControllerChannel
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.lifecycle import Lifecycle
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.effects import Effect
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
from embedded_broker.core.metadata.replay import replay
from embedded_broker.core.outbox import Outbox
from embedded_broker.core.ports import Clock, Disk, Rng
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import response_class
from kafka_protocol.errors import ErrorCode

if TYPE_CHECKING:
    from embedded_broker.options import Settings

FORWARD_TIMEOUT_MS = 30_000
"""How long a controller request waits for a controller when it does not say so itself."""


class Broker:
    """Routes events; see the machines for what happens."""

    def __init__(self, settings: Settings, disk: Disk, clock: Clock, rng: Rng) -> None:
        self.node_id: int = settings.node_id
        self.settings = settings
        self.disk = disk
        self.clock = clock
        self.rng = rng
        self.outbox = Outbox()
        self.image = MetadataImage(cluster_id=settings.cluster_id)
        self.config = Config(settings, self.image)
        self.quorum = Quorum(self)
        self.controller = Controller(self)
        self.channel = ControllerChannel(self)
        self.lifecycle = Lifecycle(self)
        self.replicas = Replicas(self)
        self.groups = Groups(self)

    def start(self, now_ms: int) -> list[Effect]:
        """What a node does first; its disk has been recovered."""
        self.replicas.start(now_ms)
        self.groups.start(now_ms)
        self.quorum.start(now_ms)
        self.lifecycle.start(now_ms)
        return self.outbox.take()

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        match event:
            case RequestReceived():
                self._request(now_ms, event)
            case TickEnded():
                self.replicas.tick_ended(now_ms)
            case ResponseReceived() | SendFailed() | TimerFired() | Flushed():
                self.outbox.complete(now_ms, event)
            case ConnectionClosed():
                self.controller.connection_closed(now_ms, event.connection_id)
                self.replicas.connection_closed(now_ms, event.connection_id)
                self.groups.connection_closed(now_ms, event.connection_id)
            case StopRequested():
                self.lifecycle.stop(now_ms)
        return self.outbox.take()

    def on_committed(self, now_ms: int, records: Sequence[Any], end_offset: int) -> None:
        """Apply committed metadata records, in order, and tell the machines what changed.

        Called by the quorum; ``end_offset`` is the metadata offset after the last of them.
        """
        delta = MetadataDelta()
        for record in records:
            replay(self.image, record, delta)
        self.image.offset = end_offset
        if not delta.empty:
            self.image.version += 1
            self.replicas.on_metadata(now_ms, delta)
            self.groups.on_metadata(now_ms, delta)
        self.lifecycle.on_metadata(now_ms, delta)

    def _request(self, now_ms: int, event: RequestReceived) -> None:
        key: int = event.message.API_KEY
        entry = api.TABLE.get(key)
        if entry is None or not entry.min_version <= event.version <= entry.max_version:
            if key != ApiKey.API_VERSIONS:
                self.outbox.drop(event, f"api {key} version {event.version} is not spoken here")
                return
        elif entry.between_brokers and event.caller.broker_id < 0:
            self._refuse(event)
            return
        elif entry.controller and not self.controller.is_active and event.caller.broker_id < 0:
            self._forward(now_ms, event)
            return
        api.handler(key)(self, now_ms, event)

    def _refuse(self, event: RequestReceived) -> None:
        """A client sent what only brokers may send."""
        response = response_class(event.message.API_KEY)()
        if hasattr(response, "error_code"):
            response.error_code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
            self.outbox.respond(event, response)
        else:
            self.outbox.drop(event, f"api {event.message.API_KEY} is for brokers of this cluster")

    def _forward(self, now_ms: int, event: RequestReceived) -> None:
        """Ask the active controller for the client. A request that came from a broker is never
        forwarded again: its handler answers NOT_CONTROLLER, and the channel that sent it looks
        further."""

        def done(_now_ms: int, response: Any, reason: str) -> None:
            if response is None:
                self.outbox.drop(event, f"no controller carried it out: {reason}")
            else:
                self.outbox.respond(event, response)

        timeout_ms = getattr(event.message, "timeout_ms", FORWARD_TIMEOUT_MS)
        self.channel.call(now_ms, event.message, event.version, max(1_000, timeout_ms), done)
