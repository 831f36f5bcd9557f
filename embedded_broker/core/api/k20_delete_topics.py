"""DeleteTopics (api key 20): see ``core.controller.topics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import topics

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    topics.delete_topics(broker.controller, now_ms, event)
