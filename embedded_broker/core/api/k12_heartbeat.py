"""Heartbeat (api key 12): a member lives; it learns that it has to join again
(REBALANCE_IN_PROGRESS 27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k12_heartbeat import HeartbeatResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    error = int(ErrorCode.INVALID_GROUP_ID)
    if event.message.group_id:
        shard, error = broker.groups.locate(event.message.group_id)
        if shard is not None:
            error = broker.groups.membership.heartbeat(now_ms, shard, event)
        elif error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            error = ErrorCode.NONE  # as Kafka: nobody is to join anew because of a load
    broker.outbox.respond(event, HeartbeatResponse(error_code=error))
