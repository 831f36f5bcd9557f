"""AllocateProducerIds, from a broker to the controller (api key 67): see
``core.controller.producer_ids``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import producer_ids

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    producer_ids.allocate_producer_ids(broker.controller, now_ms, event)
