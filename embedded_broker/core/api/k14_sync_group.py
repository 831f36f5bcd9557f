"""SyncGroup (api key 14): members wait for their part of the leader's assignment, which is in the
log by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k14_sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    error = int(ErrorCode.INVALID_GROUP_ID)
    if event.message.group_id:
        shard, error = broker.groups.locate(event.message.group_id)
        if shard is not None:
            broker.groups.membership.sync(now_ms, shard, event)
            return
        if error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            error = (
                ErrorCode.REBALANCE_IN_PROGRESS
            )  # as Kafka: join again, the generation may not have outlived it
    broker.outbox.respond(event, SyncGroupResponse(error_code=error))
