"""FindCoordinator (api key 10): which broker coordinates a group. The first question makes
``__consumer_offsets``.

Versions to 3 ask for one key, later ones for many. Coordinators of transactions and share groups
are not offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.constants import CoordinatorType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    message = event.message
    if event.version >= 4:
        found = [_find(broker, now_ms, event, key) for key in message.coordinator_keys]
        broker.outbox.respond(event, FindCoordinatorResponse(coordinators=found))
        return
    one = _find(broker, now_ms, event, message.key)
    response = FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message,
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )
    broker.outbox.respond(event, response)


def _find(broker: Broker, now_ms: int, event: RequestReceived, key: str) -> Coordinator:
    if event.message.key_type != CoordinatorType.GROUP:
        text = "This cluster coordinates groups only, no transactions and no share groups."
        return Coordinator(key, -1, "", -1, ErrorCode.INVALID_REQUEST, text)
    node_id = broker.groups.find_coordinator(now_ms, key)
    endpoint = (
        next(iter(broker.replicas.endpoints(event.caller.listener, [node_id])), None)
        if node_id >= 0
        else None
    )
    if endpoint is None:
        text = "The coordinator is not available."
        return Coordinator(key, -1, "", -1, ErrorCode.COORDINATOR_NOT_AVAILABLE, text)
    return Coordinator(key, node_id, endpoint[1], endpoint[2], ErrorCode.NONE, None)
