"""Which brokers the controller has heard of, and when one that is silent is fenced.

A broker whose connection has ended, as a killed process's does at once, has less time: two
heartbeats, in which one that lives has connected again. Kafka waits for the whole session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller.partitions import without_broker
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.records import BrokerRegistrationChangeRecord

if TYPE_CHECKING:
    from embedded_broker.core.controller.controller import Controller

TIMER = "controller.sessions"


class Sessions:
    """Last signs of life by the monotonic clock, of unfenced brokers; kept by the active
    controller alone."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._timeout_ms: int = controller.broker.settings["broker.session.timeout.ms"]
        self._grace_ms = min(
            self._timeout_ms, 2 * int(controller.broker.settings["broker.heartbeat.interval.ms"])
        )
        self._contact_ms: dict[int, int] = {}
        self._connections: dict[int, int] = {}
        """Connection id -> the broker that sent its newest heartbeat over it."""
        self.leaving: dict[int, int] = {}
        """Brokers in controlled shutdown: the offset after the records that took their
        leaderships."""

    def start(self, now_ms: int) -> None:
        """A new controller gives everyone a whole session, except the leader before it: its
        silence is what made this one the controller, and it has been measured."""
        self._contact_ms.clear()
        self.leaving.clear()
        quorum = self._controller.broker.quorum
        for broker_id in sorted(self._controller.image.brokers):
            if self._controller.image.alive(broker_id):
                self._contact_ms[broker_id] = now_ms
        if quorum.heard_leader_id in self._contact_ms and quorum.heard_leader_id != quorum.node_id:
            self._contact_ms[quorum.heard_leader_id] = min(now_ms, quorum.leader_heard_ms)
            if quorum.leader_hung_up:
                self._hurry(now_ms, quorum.heard_leader_id)
        self._set_timer(now_ms)

    def close(self) -> None:
        self._contact_ms.clear()
        self._connections.clear()
        self.leaving.clear()
        self._controller.broker.outbox.cancel(TIMER)

    def touch(self, now_ms: int, broker_id: int, connection_id: int) -> None:
        self._contact_ms[broker_id] = now_ms
        if self._connections.get(connection_id) != broker_id:
            self._connections = {c: b for c, b in self._connections.items() if b != broker_id}
            if connection_id >= 0:
                self._connections[connection_id] = broker_id
        if not self._controller.broker.outbox.has_timer(TIMER):
            self._set_timer(now_ms)

    def hung_up(self, now_ms: int, connection_id: int) -> None:
        broker_id = self._connections.pop(connection_id, -1)
        if broker_id in self._contact_ms:
            self._hurry(now_ms, broker_id)
            self._set_timer(now_ms)

    def _hurry(self, now_ms: int, broker_id: int) -> None:
        latest_ms = now_ms - self._timeout_ms + self._grace_ms
        self._contact_ms[broker_id] = min(self._contact_ms[broker_id], latest_ms)

    def is_live(self, now_ms: int, broker_id: int) -> bool:
        """Whether it has been heard of within the session timeout."""
        contact_ms = self._contact_ms.get(broker_id)
        return contact_ms is not None and now_ms - contact_ms < self._timeout_ms

    def forget(self, broker_id: int) -> None:
        self._contact_ms.pop(broker_id, None)
        self.leaving.pop(broker_id, None)

    def _set_timer(self, now_ms: int) -> None:
        if self._contact_ms:
            due_ms = max(now_ms, min(self._contact_ms.values()) + self._timeout_ms)
            self._controller.every(now_ms, TIMER, due_ms, lambda now: self._expire(now, due_ms))

    def _expire(self, now_ms: int, due_ms: int) -> None:
        late_ms = now_ms - due_ms
        if late_ms > self._timeout_ms // 4:
            # This process itself stood still; heartbeats may wait unread. The others get the time
            # back.
            for broker_id in self._contact_ms:
                self._contact_ms[broker_id] += late_ms
        for broker_id in sorted(self._contact_ms):
            if not self.is_live(now_ms, broker_id):
                self.forget(broker_id)
                self._fence(now_ms, broker_id)
        self._set_timer(now_ms)

    def _fence(self, now_ms: int, broker_id: int) -> None:
        controller = self._controller
        if not controller.is_active or not controller.image.alive(broker_id):
            return
        controller.broker.outbox.note(
            Level.WARNING,
            f"Broker {broker_id} is silent (session {self._timeout_ms} ms) and is fenced.",
        )
        controller.propose(now_ms, fence(controller, broker_id))


def fence(controller: Controller, broker_id: int) -> list[object]:
    """The records that fence a broker and give its leaderships to others."""
    epoch = controller.image.brokers[broker_id].broker_epoch
    return [
        BrokerRegistrationChangeRecord(broker_id, epoch, fenced=1),
        *without_broker(controller, broker_id),
    ]
