"""This broker's membership in its cluster, as the controller sees it.

starting   -> registered   the controller has committed this incarnation's registration
registered -> running      caught up with the metadata log, and unfenced by the
controller running    -> registered   fenced by the controller running    -> leaving
asked to stop: leaderships move away (controlled shutdown) leaving    -> stopped
the controller allowed it, no broker is left to take over, or the
                           time for it is over
any        -> starting     the controller does not know this broker (any more)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial

from embedded_broker.core.controller.incarnation import incarnation_id
from embedded_broker.core.controller.ports import VotingProcess
from embedded_broker.core.controller.sessions import grace_ms
from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.image import MetadataDelta
from embedded_broker.core.ports import ControllerCalls, StorageFailed
from embedded_broker.options import PROTOCOLS
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k62_broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
    Feature,
    Listener,
)
from kafka_protocol.messages.k63_broker_heartbeat import (
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
)

REGISTRATION_VERSION = 4
HEARTBEAT_VERSION = 1
TIMER = "lifecycle"
STOP_TIMER = "lifecycle.stop"
TELL_MS = 10_000
"""The first time that a broker tells why it is not registered, and the time to the next."""
RETRY_MS = 100
DISK_RETRY_MS = 1_000
CATCHING_UP_MS = 20
LEAVING_MS = 50
SHUTDOWN_TIMEOUT_MS = 5_000
"""How long a controlled shutdown may take before the broker stops anyway."""


class State(Enum):
    """See the module."""

    STARTING = "starting"
    REGISTERED = "registered"
    RUNNING = "running"
    LEAVING = "leaving"
    STOPPED = "stopped"


class Lifecycle:
    """Registers this broker, sends its heartbeats, and shuts it down."""

    def __init__(
        self,
        env: Environment,
        calls: ControllerCalls,
        voter: VotingProcess,
        checkpoint: Callable[[], None],
        disk_health: DiskHealth,
    ) -> None:
        """``checkpoint`` saves the high watermarks; called at an orderly stop."""
        self._disk_health = disk_health
        self._env = env
        self._calls = calls
        self._voter = voter
        self._checkpoint = checkpoint
        self.state = State.STARTING
        self.broker_epoch = -1
        """Offset of this incarnation's registration; -1 before it is committed."""
        self.incarnation_id = env.rng.uuid()
        self._heartbeat_ms: int = env.settings["broker.heartbeat.interval.ms"]
        self._grace_ms = grace_ms(env.settings)
        self._session_ms: int = env.settings["broker.session.timeout.ms"]
        self._register_until_ms = self._tell_at_ms = 0
        self._duplicate_since_ms = -1
        """When the controller first reported a live broker with this id; -1 for
        never."""
        self._unrecorded = False
        """Whether the disk does not know of the registration yet."""
        self._in_flight = False
        """Whether a registration or heartbeat is on its way; one at a time."""
        self._sent_ms = 0
        self._in_touch_until_ms = 0
        self._heartbeat_due = False
        """Whether a heartbeat is due as soon as the one in flight has been answered."""

    def in_touch(self, now_ms: int) -> bool:
        """Return whether the controller cannot have fenced this broker yet, because it
        has heard from it lately. What this broker knows of its leaderships then still
        holds."""
        contact_ms = self._voter.majority_contact_ms(now_ms)
        if contact_ms is not None:
            # This node is, or was, the controller itself.
            return now_ms < contact_ms + self._grace_ms
        return now_ms < self._in_touch_until_ms

    @property
    def is_ready(self) -> bool:
        """Return whether this broker serves clients: registered, unfenced, and it has
        applied that."""
        return self.state is State.RUNNING

    def start(self, now_ms: int) -> None:
        """Count this incarnation on disk, then register it."""
        try:
            self.incarnation_id = incarnation_id(
                self._voter.begin_incarnation(), self._env.rng.uuid()
            )
        except StorageFailed as e:
            # A full disk may have room in a while; without its number this process could be
            # taken for the previous one.
            self._env.note(Level.ERROR, f"Cannot register: the log directory failed: {e}")
            self._env.outbox.timer(TIMER, now_ms + DISK_RETRY_MS, self.start)
            return
        self._begin(now_ms)

    def _begin(self, now_ms: int) -> None:
        timeout_ms = self._env.settings["initial.broker.registration.timeout.ms"]
        self._register_until_ms = now_ms + timeout_ms
        self._tell_at_ms = now_ms + TELL_MS
        self._register(now_ms)

    # ---- registration
    def _register(self, now_ms: int) -> None:
        env = self._env
        own = env.image.brokers.get(env.node_id)
        known_epoch = own.broker_epoch if own is not None else 0
        request = BrokerRegistrationRequest(
            broker_id=env.node_id,
            cluster_id=env.settings.cluster_id,
            incarnation_id=self.incarnation_id,
            listeners=[
                Listener(a.name, a.host, a.port, PROTOCOLS[a.security_protocol])
                for a in env.settings.advertised_listeners
            ],
            features=[Feature("metadata.version", 25, 25)],
            rack=env.settings.rack,
            log_dirs=[env.disk.directory_id],
            # -1 says that the disk may have lost records (KIP-966).
            previous_broker_epoch=known_epoch if env.disk.was_clean else -1,
        )
        self._in_flight = True
        timeout_ms = max(1, min(2 * self._session_ms, self._register_until_ms - now_ms))
        self._calls.call(now_ms, request, REGISTRATION_VERSION, timeout_ms, self._registered)

    def _registered(
        self, now_ms: int, response: BrokerRegistrationResponse | None, reason: str
    ) -> None:
        env = self._env
        self._in_flight = False
        if self.state is not State.STARTING:
            return
        error = ErrorCode.REQUEST_TIMED_OUT if response is None else ErrorCode(response.error_code)
        if response is not None and error is ErrorCode.NONE:
            self.broker_epoch = response.broker_epoch
            self.state = State.REGISTERED
            self._record_registration(now_ms)
            env.note(Level.INFO, f"Registered with broker epoch {self.broker_epoch}.")
            self._heartbeat(now_ms)
            return
        broker = f"Broker {env.node_id} of cluster {env.settings.cluster_id}"
        if error is ErrorCode.INCONSISTENT_CLUSTER_ID:
            self._refuse_to_run(f"{broker} was refused: the controller leads another cluster.")
        elif error is ErrorCode.DUPLICATE_BROKER_REGISTRATION:
            # It may be this broker's previous incarnation, whose session has not
            # expired yet.
            if self._duplicate_since_ms < 0:
                self._duplicate_since_ms = now_ms
            if now_ms - self._duplicate_since_ms > 2 * self._session_ms:
                self._refuse_to_run(
                    f"{broker}, log directory {env.disk.directory_id}, was refused: another live"
                    f" broker has the id {env.node_id}, with a different log directory or the"
                    " original of this one. Give this broker an id and a directory of its own.",
                    error,
                )
            else:
                env.outbox.timer(TIMER, now_ms + RETRY_MS, self._register)
        elif error is ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
            self._refuse_to_run(
                f"{broker} was refused: the controller does not accept it as a broker of its"
                " cluster. Check that all brokers have the same cluster secret."
            )
        elif now_ms >= self._register_until_ms:
            self._refuse_to_run(
                f"{broker} could not register in time: {reason or error.name}."
                f" {self._why_unregistered(now_ms)}"
            )
        else:
            if now_ms >= self._tell_at_ms:
                self._tell_at_ms = now_ms + TELL_MS
                env.note(
                    Level.WARNING,
                    f"{broker} is not registered yet: {reason or error.name}."
                    f" {self._why_unregistered(now_ms)}",
                )
            env.outbox.timer(TIMER, now_ms + RETRY_MS, self._register)

    def _why_unregistered(self, now_ms: int) -> str:
        """What is probably wrong, and what to do."""
        since_ms = self._voter.taken_for_leader_since_ms
        if 0 <= since_ms <= now_ms - 2 * self._session_ms:
            return (
                f"The other brokers are in touch with a running broker {self._env.node_id}, which"
                " leads the quorum: this directory seems to be a copy of its. Stop one of the two."
            )
        return "Check that a majority of the controller quorum's voters is running."

    def _refuse_to_run(self, sentence: str, error: ErrorCode = ErrorCode.NONE) -> None:
        self.state = State.STOPPED
        self._env.outbox.stop(2, sentence, error)

    # ---- heartbeats
    def _heartbeat(self, now_ms: int) -> None:
        env = self._env
        if self._in_flight or self.state in (State.STARTING, State.STOPPED):
            self._heartbeat_due = self._in_flight
            return
        self._in_flight = True
        self._sent_ms = now_ms
        self._heartbeat_due = False
        failed = self._disk_health.failed
        request = BrokerHeartbeatRequest(
            broker_id=env.node_id,
            broker_epoch=self.broker_epoch,
            current_metadata_offset=env.image.offset - 1,
            want_fence=failed,
            want_shut_down=self.state is State.LEAVING,
            offline_log_dirs=[env.disk.directory_id] if failed else [],
        )
        done = partial(self._answered, failed)
        self._calls.call(now_ms, request, HEARTBEAT_VERSION, self._session_ms, done)

    def disk_changed(self, now_ms: int) -> None:
        """The log directory failed, or works again: tell the controller at once."""
        if self._unrecorded and not self._disk_health.failed:
            self._record_registration(now_ms)
        self._heartbeat(now_ms)

    def _record_registration(self, now_ms: int) -> None:
        """Let the disk know that the controller has this incarnation. Until it does, a kill
        counts as unclean, which is safe."""
        try:
            self._env.disk.registered()
            self._unrecorded = False
        except StorageFailed as e:
            self._unrecorded = True
            self._disk_health.write_failed(now_ms, "cannot record the registration", e)

    def _answered(
        self,
        wanted_fence: bool,
        now_ms: int,
        response: BrokerHeartbeatResponse | None,
        reason: str,
    ) -> None:
        """Handle the response to a heartbeat that did or did not ask to be fenced."""
        self._in_flight = False
        if self.state is State.STOPPED:
            return
        error = ErrorCode.REQUEST_TIMED_OUT if response is None else ErrorCode(response.error_code)
        if error is ErrorCode.NONE:
            # The session counts from when the controller received the heartbeat, which
            # is not before it was sent. A node's heartbeats to itself say nothing.
            if self._voter.majority_contact_ms(now_ms) is None:
                self._in_touch_until_ms = self._sent_ms + self._grace_ms
            if wanted_fence and response is not None and response.is_fenced:
                self._disk_health.fenced(now_ms)
        if error is ErrorCode.STALE_BROKER_EPOCH:
            self._refuse_to_run(
                f"Another process has registered as broker {self._env.node_id}; this one stops."
            )
            return
        if error is ErrorCode.BROKER_ID_NOT_REGISTERED and self.state is not State.LEAVING:
            self.state = State.STARTING
            self._begin(now_ms)
            return
        if self.state is State.LEAVING and (
            response is None or error is not ErrorCode.NONE or response.should_shut_down
        ):
            self._leave(now_ms)
            return
        if self._heartbeat_due:
            self._heartbeat(now_ms)
            return
        delay_ms = {State.LEAVING: LEAVING_MS, State.REGISTERED: CATCHING_UP_MS}.get(
            self.state, self._heartbeat_ms
        )
        if self._disk_health.failed:
            delay_ms = self._heartbeat_ms  # it is not about to be unfenced
        self._env.outbox.timer(TIMER, now_ms + delay_ms, self._heartbeat)

    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        """Committed records have been applied: learn the peers' addresses, and whether
        this broker is fenced."""
        env = self._env
        for broker_id in sorted(delta.brokers):
            known = env.image.brokers.get(broker_id)
            if known is None or broker_id == env.node_id:
                continue
            for endpoint in known.endpoints:
                if endpoint.listener == env.settings.inter_broker_listener:
                    env.outbox.peer(broker_id, endpoint.host, endpoint.port)
        own = env.image.brokers.get(env.node_id)
        # A record of a previous incarnation says nothing about this one.
        if own is None or own.broker_epoch != self.broker_epoch:
            return
        if self.state is State.REGISTERED and not own.fenced:
            self.state = State.RUNNING
            env.note(Level.INFO, "Unfenced: serving clients.")
        elif self.state is State.RUNNING and own.fenced:
            self.state = State.REGISTERED
            env.note(Level.WARNING, "Fenced by the controller.")
            self._heartbeat(now_ms)

    # ---- leaving
    def stop(self, now_ms: int) -> None:
        """Move leaderships away and stop; on the second call, stop at once."""
        if self.state is State.STOPPED:
            return
        enabled = self._env.settings["controlled.shutdown.enable"]
        if self.state in (State.STARTING, State.LEAVING) or not enabled:
            self._leave(now_ms)
            return
        self.state = State.LEAVING
        self._env.outbox.timer(STOP_TIMER, now_ms + SHUTDOWN_TIMEOUT_MS, self._leave)
        self._heartbeat(now_ms)

    def _leave(self, now_ms: int) -> None:
        if self.state is State.STOPPED:
            return
        self.state = State.STOPPED
        self._checkpoint()
        self._voter.stop(now_ms)
        self._env.outbox.stop(0, "stopped in order")
