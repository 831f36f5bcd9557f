"""OffsetDelete (47): delete single committed offsets of topics that no member subscribes to
(KIP-496)."""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.messages.k47_offset_delete import OffsetDeleteResponse


def offset_delete(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Delete offsets of a group that this node coordinates."""
    shard, error = groups.locate(event.message.group_id)
    if shard is None:
        groups.env.outbox.respond(event, OffsetDeleteResponse(error_code=error))
    else:
        groups.offsets.delete(now_ms, shard, event)
