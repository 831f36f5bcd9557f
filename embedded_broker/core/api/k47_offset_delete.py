"""OffsetDelete (api key 47): take back single committed offsets, of topics that no member
subscribes to (KIP-496)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.messages.k47_offset_delete import OffsetDeleteResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    shard, error = broker.groups.locate(event.message.group_id)
    if shard is None:
        broker.outbox.respond(event, OffsetDeleteResponse(error_code=error))
    else:
        broker.groups.offsets.delete(now_ms, shard, event)
