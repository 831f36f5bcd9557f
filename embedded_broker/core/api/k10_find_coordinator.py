"""FindCoordinator (10): the broker that coordinates a group. The first request creates
``__consumer_offsets``.

Versions up to 3 ask for one key, later ones for many. There are no coordinators of
transactions and share groups.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.constants import CoordinatorType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse

MANY_KEYS_SINCE = 4


def find_coordinator(groups: Groups, now_ms: int, event: RequestReceived) -> Steps:
    """Return the coordinator of each key."""
    message = event.message
    outbox = groups.env.outbox
    if event.version >= MANY_KEYS_SINCE:
        coordinators = []
        for key in message.coordinator_keys:
            coordinators.append(_find(groups, now_ms, event, key))
            yield 1
        outbox.respond(event, FindCoordinatorResponse(coordinators=coordinators))
        return
    one = _find(groups, now_ms, event, message.key)
    response = FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message,
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )
    outbox.respond(event, response)


def _find(groups: Groups, now_ms: int, event: RequestReceived, key: str) -> Coordinator:
    if event.message.key_type != CoordinatorType.GROUP:
        text = "This cluster coordinates groups only, no transactions and no share groups."
        return Coordinator(key, -1, "", -1, ErrorCode.INVALID_REQUEST, text)
    node_id = groups.find_coordinator(now_ms, key)
    endpoint = None
    if node_id >= 0:
        endpoints = groups.env.image.endpoints(event.caller.listener, [node_id])
        endpoint = next(endpoints, None)
    if endpoint is None:
        text = "The coordinator is not available."
        return Coordinator(key, -1, "", -1, ErrorCode.COORDINATOR_NOT_AVAILABLE, text)
    return Coordinator(key, node_id, endpoint[1], endpoint[2], ErrorCode.NONE, None)
