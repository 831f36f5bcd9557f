"""DescribeQuorum (api key 55): see ``core.quorum.describe``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.quorum import describe

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    describe.describe_quorum(broker.quorum, now_ms, event)
