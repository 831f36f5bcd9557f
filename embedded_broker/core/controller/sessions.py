"""Broker sessions: when the controller last heard from each broker, and when it fences
a silent one.

A broker whose connection has closed, as a killed process's does at once, gets less
time, ``grace_ms``: two heartbeats, enough for a live one to reconnect. Kafka waits for the
whole session. No broker is fenced earlier after the controller has heard from it, so that
for so long it can rely on what it leads (``Lifecycle.in_touch``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from embedded_broker.core.controller.partitions import fence
from embedded_broker.core.controller.ports import MetadataQuorum
from embedded_broker.core.controller.view import ClusterView
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.records import MetadataRecord
from embedded_broker.options import Settings

TIMER = "controller.sessions"


def grace_ms(settings: Settings) -> int:
    """How much of its session is left to a broker whose connection closed: half at most, for a
    controller that has been replaced confirms sessions that long (``Sessions.confirms``)."""
    session_ms: int = settings["broker.session.timeout.ms"]
    interval_ms: int = settings["broker.heartbeat.interval.ms"]
    return min(session_ms // 2, 2 * interval_ms)


class SessionOwner(Protocol):
    """Declares what the sessions need of the controller that owns them."""

    @property
    def is_active(self) -> bool:
        """Return whether this node is the active controller."""

    @property
    def view(self) -> ClusterView:
        """The cluster including uncommitted proposals."""

    def propose(self, now_ms: int, records: Sequence[MetadataRecord]) -> bool:
        """Propose records; False when this node no longer leads."""

    def set_timer(self, key: str, at_ms: int, fire: Callable[[int], None]) -> None:
        """A timer that does nothing once the current activity has ended."""


class Sessions:
    """The time of the last contact with each unfenced broker; only the active
    controller keeps it."""

    def __init__(self, env: Environment, quorum: MetadataQuorum, owner: SessionOwner) -> None:
        self._env = env
        self._quorum = quorum
        self._owner = owner
        self._timeout_ms: int = env.settings["broker.session.timeout.ms"]
        self._grace_ms = grace_ms(env.settings)
        self._contact_ms: dict[int, int] = {}
        """Broker id -> monotonic time of the last contact."""
        self._connections: dict[int, int] = {}
        """Connection id -> the broker that sent its newest heartbeat over it."""
        self.leaving: dict[int, int] = {}
        """Brokers in controlled shutdown -> the offset after the records that moved
        their leaderships."""

    def start(self, now_ms: int) -> None:
        """Become active: every live broker gets a whole session, except the previous
        leader. Its silence made this node the leader, so its session started at its
        last contact; it has ``grace_ms`` from now on at least."""
        self._contact_ms.clear()
        self.leaving.clear()
        quorum = self._quorum
        image = self._owner.view.image
        for broker_id in sorted(image.brokers):
            if image.alive(broker_id):
                self._contact_ms[broker_id] = now_ms
        if quorum.last_leader_id in self._contact_ms and quorum.last_leader_id != self._env.node_id:
            contact_ms = min(now_ms, quorum.last_leader_contact_ms)
            least_ms = now_ms - self._timeout_ms + self._grace_ms
            self._contact_ms[quorum.last_leader_id] = max(contact_ms, least_ms)
            if quorum.last_leader_unreachable:
                self._shorten(now_ms, quorum.last_leader_id)
        self._set_timer(now_ms)

    def close(self) -> None:
        """Forget everything: this node is no longer the active controller."""
        self._contact_ms.clear()
        self._connections.clear()
        self.leaving.clear()
        self._env.outbox.cancel(TIMER)

    def confirms(self, now_ms: int) -> bool:
        """Return whether this controller may confirm sessions: it could not be replaced before a
        majority of the voters stopped to fetch from it."""
        contact_ms = self._quorum.majority_contact_ms(now_ms)
        return contact_ms is not None and now_ms - contact_ms < self._grace_ms

    def touch(self, now_ms: int, broker_id: int, connection_id: int) -> None:
        """The broker sent a request over this connection: its session restarts."""
        self._contact_ms[broker_id] = now_ms
        if self._connections.get(connection_id) != broker_id:
            self._connections = {c: b for c, b in self._connections.items() if b != broker_id}
            if connection_id >= 0:
                self._connections[connection_id] = broker_id
        if not self._env.outbox.has_timer(TIMER):
            self._set_timer(now_ms)

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        """Shorten the session of the broker whose newest connection closed."""
        broker_id = self._connections.pop(connection_id, -1)
        if broker_id in self._contact_ms:
            self._shorten(now_ms, broker_id)
            self._set_timer(now_ms)

    def _shorten(self, now_ms: int, broker_id: int) -> None:
        latest_ms = now_ms - self._timeout_ms + self._grace_ms
        self._contact_ms[broker_id] = min(self._contact_ms[broker_id], latest_ms)

    def is_live(self, now_ms: int, broker_id: int) -> bool:
        """Return whether the broker's session has not expired."""
        contact_ms = self._contact_ms.get(broker_id)
        return contact_ms is not None and now_ms - contact_ms < self._timeout_ms

    def is_connected(self, broker_id: int) -> bool:
        """Return whether the connection of the broker's newest heartbeat is open."""
        return broker_id in self._connections.values()

    def remove(self, broker_id: int) -> None:
        """End the broker's session."""
        self._contact_ms.pop(broker_id, None)
        self.leaving.pop(broker_id, None)

    def _set_timer(self, now_ms: int) -> None:
        if self._contact_ms:
            due_ms = max(now_ms, min(self._contact_ms.values()) + self._timeout_ms)
            self._owner.set_timer(TIMER, due_ms, lambda now: self._expire(now, due_ms))

    def _expire(self, now_ms: int, due_ms: int) -> None:
        late_ms = now_ms - due_ms
        if late_ms > self._timeout_ms // 4:
            # This process itself was suspended; heartbeats may be waiting unread.
            # Extend all sessions by the time that was lost.
            for broker_id in self._contact_ms:
                self._contact_ms[broker_id] += late_ms
        for broker_id in sorted(self._contact_ms):
            if not self.is_live(now_ms, broker_id):
                self.remove(broker_id)
                self._fence(now_ms, broker_id)
        self._set_timer(now_ms)

    def _fence(self, now_ms: int, broker_id: int) -> None:
        owner = self._owner
        if not owner.is_active or not owner.view.image.alive(broker_id):
            return
        self._env.note(
            Level.WARNING,
            f"Fencing broker {broker_id}: no heartbeat (session timeout {self._timeout_ms} ms).",
        )
        owner.propose(now_ms, fence(owner.view, broker_id))
