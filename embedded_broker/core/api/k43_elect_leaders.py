"""ElectLeaders (api key 43): see ``core.controller.elect_leaders``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import elect_leaders

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    elect_leaders.elect_leaders(broker.controller, now_ms, event)
