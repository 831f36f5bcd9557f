"""Vote (api key 52), between brokers: see ``core.quorum.requests``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.quorum import requests

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    requests.vote(broker.quorum, now_ms, event)
