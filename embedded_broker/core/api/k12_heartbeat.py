"""Heartbeat (12): keep a member's session alive; REBALANCE_IN_PROGRESS makes it join
again."""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k12_heartbeat import HeartbeatResponse


def heartbeat(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Note that a member is alive."""
    error = int(ErrorCode.INVALID_GROUP_ID)
    if event.message.group_id:
        shard, error = groups.locate(event.message.group_id)
        if shard is not None:
            error = groups.membership.heartbeat(now_ms, shard, event)
        elif error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            # As in Kafka: members must not join again only because the groups are being
            # loaded.
            error = ErrorCode.NONE
    groups.env.outbox.respond(event, HeartbeatResponse(error_code=error))
