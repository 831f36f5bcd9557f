"""This broker's life in its cluster, as the controller knows it.

starting -> registered     the controller has committed this life's registration (its offset is the broker epoch)
registered -> running      caught up with the metadata log and unfenced by the controller
running -> leaving         asked to stop: leaderships are handed over (controlled shutdown)
leaving -> stopped         the controller said so, nobody is left to hand over to, or patience is over
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import MetadataDelta
from embedded_broker.core.ports import StorageFailed
from embedded_broker.options import PROTOCOLS
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k62_broker_registration import (
    BrokerRegistrationRequest,
    Feature,
    Listener,
)
from kafka_protocol.messages.k63_broker_heartbeat import BrokerHeartbeatRequest

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

REGISTRATION_VERSION = 4
HEARTBEAT_VERSION = 1
TIMER = "lifecycle"
STOP_TIMER = "lifecycle.stop"
RETRY_MS = 100
CATCHING_UP_MS = 20
LEAVING_MS = 50
PATIENCE_MS = 5_000
"""How long a stop waits for leaderships to be handed over."""


def incarnation(life: int, random: UUID) -> UUID:
    """An incarnation id that tells which of two lives on one disk is the later: its first 48 bits
    count them."""
    return UUID(int=(life << 80) | (random.int & ((1 << 80) - 1)))


def life_of(incarnation_id: UUID) -> int:
    return incarnation_id.int >> 80


class State(Enum):
    STARTING = "starting"
    REGISTERED = "registered"
    RUNNING = "running"
    LEAVING = "leaving"
    STOPPED = "stopped"


class Lifecycle:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.state = State.STARTING
        self.broker_epoch = -1
        """This life's registration; -1 before it is committed."""
        self.incarnation_id = broker.rng.uuid()
        self._heartbeat_ms: int = broker.settings["broker.heartbeat.interval.ms"]
        self._session_ms: int = broker.settings["broker.session.timeout.ms"]
        self._register_until_ms = 0
        self._duplicate_since_ms = -1
        self._asking = False
        self._asked_ms = 0
        self._in_touch_until_ms = 0
        self._heartbeat_due = False

    def in_touch(self, now_ms: int) -> bool:
        """Whether the controller cannot have fenced this broker yet, for it has heard from it
        within the session: what this broker knows of its partitions then still holds."""
        return now_ms < self._in_touch_until_ms

    @property
    def is_ready(self) -> bool:
        """Whether clients are served: registered, unfenced, and this node has seen it."""
        return self.state is State.RUNNING

    @property
    def stopping(self) -> bool:
        return self.state in (State.LEAVING, State.STOPPED)

    def start(self, now_ms: int) -> None:
        try:
            self.incarnation_id = incarnation(
                self._broker.quorum.begin_life(), self._broker.rng.uuid()
            )
        except StorageFailed as e:
            self._refused(
                f"The log directory of broker {self._broker.node_id} cannot be written: {e}"
            )
            return
        self._begin(now_ms)

    def _begin(self, now_ms: int) -> None:
        self._register_until_ms = (
            now_ms + self._broker.settings["initial.broker.registration.timeout.ms"]
        )
        self._register(now_ms)

    # ---- registration
    def _register(self, now_ms: int) -> None:
        broker = self._broker
        settings = broker.settings
        own = broker.image.brokers.get(broker.node_id)
        known_epoch = own.broker_epoch if own is not None else 0
        request = BrokerRegistrationRequest(
            broker_id=broker.node_id,
            cluster_id=settings.cluster_id,
            incarnation_id=self.incarnation_id,
            listeners=[
                Listener(a.name, a.host, a.port, PROTOCOLS[a.security_protocol])
                for a in settings.advertised_listeners
            ],
            features=[Feature("metadata.version", 25, 25)],
            rack=settings.rack,
            log_dirs=[broker.disk.directory_id],
            previous_broker_epoch=known_epoch if broker.disk.was_clean else -1,
        )
        self._asking = True
        timeout_ms = max(1, min(2 * self._session_ms, self._register_until_ms - now_ms))
        broker.channel.call(now_ms, request, REGISTRATION_VERSION, timeout_ms, self._registered)

    def _registered(self, now_ms: int, response: Any, reason: str) -> None:
        broker = self._broker
        self._asking = False
        if self.state is not State.STARTING:
            return
        error = ErrorCode.REQUEST_TIMED_OUT if response is None else ErrorCode(response.error_code)
        if error is ErrorCode.NONE:
            self.broker_epoch = response.broker_epoch
            self.state = State.REGISTERED
            broker.disk.registered()
            broker.outbox.note(Level.INFO, f"Registered with epoch {self.broker_epoch}.")
            self._heartbeat(now_ms)
            return
        name = f"broker {broker.node_id} of cluster {broker.settings.cluster_id}"
        if error is ErrorCode.INCONSISTENT_CLUSTER_ID:
            self._refused(
                f"This is {name}, but the controller leads another cluster; it was not let in."
            )
        elif error is ErrorCode.DUPLICATE_BROKER_REGISTRATION:
            # It may be this broker's own former life, whose session has not lapsed yet.
            if self._duplicate_since_ms < 0:
                self._duplicate_since_ms = now_ms
            if now_ms - self._duplicate_since_ms > 2 * self._session_ms:
                self._refused(
                    f"This is {name} with the log directory {broker.disk.directory_id}, but another live broker has "
                    f"the id {broker.node_id} (its log directory is another one)."
                )
            else:
                broker.outbox.timer(TIMER, now_ms + RETRY_MS, self._register)
        elif error is ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
            self._refused(
                f"This is {name}, but the controller does not take it for a broker of its cluster."
            )
        elif now_ms >= self._register_until_ms:
            self._refused(
                f"This is {name}; no controller has registered it in time ({reason or error.name})."
            )
        else:
            broker.outbox.timer(TIMER, now_ms + RETRY_MS, self._register)

    def _refused(self, sentence: str) -> None:
        self.state = State.STOPPED
        self._broker.outbox.stop(2, sentence)

    # ---- heartbeats
    def _heartbeat(self, now_ms: int) -> None:
        broker = self._broker
        if self._asking or self.state in (State.STARTING, State.STOPPED):
            self._heartbeat_due = self._asking
            return
        self._asking = True
        self._asked_ms = now_ms
        self._heartbeat_due = False
        request = BrokerHeartbeatRequest(
            broker_id=broker.node_id,
            broker_epoch=self.broker_epoch,
            current_metadata_offset=broker.image.offset - 1,
            want_fence=False,
            want_shut_down=self.state is State.LEAVING,
        )
        broker.channel.call(now_ms, request, HEARTBEAT_VERSION, self._session_ms, self._heard)

    def _heard(self, now_ms: int, response: Any, reason: str) -> None:
        self._asking = False
        if self.state is State.STOPPED:
            return
        broker = self._broker
        error = ErrorCode.REQUEST_TIMED_OUT if response is None else ErrorCode(response.error_code)
        if error is ErrorCode.NONE:
            self._in_touch_until_ms = self._asked_ms + self._session_ms
        if error is ErrorCode.STALE_BROKER_EPOCH:
            self._refused(
                f"Broker {broker.node_id} was registered anew elsewhere; this process is no longer it."
            )
            return
        if error is ErrorCode.BROKER_ID_NOT_REGISTERED and self.state is not State.LEAVING:
            self.state = State.STARTING
            self._begin(now_ms)
            return
        if self.state is State.LEAVING and (
            error is not ErrorCode.NONE or response.should_shut_down
        ):
            self._leave(now_ms)
            return
        if self._heartbeat_due:
            self._heartbeat(now_ms)
            return
        delay_ms = {State.LEAVING: LEAVING_MS, State.REGISTERED: CATCHING_UP_MS}.get(
            self.state, self._heartbeat_ms
        )
        broker.outbox.timer(TIMER, now_ms + delay_ms, self._heartbeat)

    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        """Called when committed records have been applied."""
        broker = self._broker
        broker.channel.on_metadata(now_ms)
        for broker_id in sorted(delta.brokers):
            known = broker.image.brokers.get(broker_id)
            if known is None or broker_id == broker.node_id:
                continue
            for endpoint in known.endpoints:
                if endpoint.listener == broker.settings.inter_broker_listener:
                    broker.outbox.peer(broker_id, endpoint.host, endpoint.port)
        own = broker.image.brokers.get(broker.node_id)
        if own is None or own.broker_epoch != self.broker_epoch:
            return
        if self.state is State.REGISTERED and not own.fenced:
            self.state = State.RUNNING
            broker.outbox.note(Level.INFO, "Serves.")
        elif self.state is State.RUNNING and own.fenced:
            self.state = State.REGISTERED
            broker.outbox.note(Level.WARNING, "Was fenced by the controller.")
            self._heartbeat(now_ms)

    # ---- leaving
    def stop(self, now_ms: int) -> None:
        """Hand over and go; asked twice, go at once."""
        if self.state is State.STOPPED:
            return
        enabled = self._broker.settings["controlled.shutdown.enable"]
        if self.state in (State.STARTING, State.LEAVING) or not enabled:
            self._leave(now_ms)
            return
        self.state = State.LEAVING
        self._broker.outbox.timer(STOP_TIMER, now_ms + PATIENCE_MS, self._leave)
        self._heartbeat(now_ms)

    def _leave(self, now_ms: int) -> None:
        if self.state is State.STOPPED:
            return
        self.state = State.STOPPED
        self._broker.replicas.checkpoint()
        self._broker.quorum.stop(now_ms)
        self._broker.outbox.stop(0, "stopped in order")
