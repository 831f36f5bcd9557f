"""SyncGroup (14): get a member's part of the leader's assignment, once that is
committed in the log."""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k14_sync_group import SyncGroupResponse


def sync_group(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Wait for the assignment; the leader's request brings it."""
    error = int(ErrorCode.INVALID_GROUP_ID)
    if event.message.group_id:
        shard, error = groups.locate(event.message.group_id)
        if shard is not None:
            groups.membership.sync(now_ms, shard, event)
            return
        if error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            # As in Kafka: join again, because the generation may not survive the load.
            error = ErrorCode.REBALANCE_IN_PROGRESS
    groups.env.outbox.respond(event, SyncGroupResponse(error_code=error))
