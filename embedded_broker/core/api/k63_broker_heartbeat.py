"""BrokerHeartbeat (api key 63), from a broker to the controller: see
``core.controller.brokers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import brokers

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    brokers.heartbeat(broker.controller, now_ms, event)
