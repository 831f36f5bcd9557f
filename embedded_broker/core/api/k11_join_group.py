"""JoinGroup (api key 11): the state machine is ``core.coordinator.membership``.

From version 4 on a new member first gets its id (MEMBER_ID_REQUIRED 79, KIP-394).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k11_join_group import JoinGroupResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    message = event.message
    shard, error = (None, int(ErrorCode.INVALID_GROUP_ID))
    if message.group_id:
        shard, error = broker.groups.locate(message.group_id)
    if shard is not None:
        broker.groups.membership.join(now_ms, shard, event)
        return
    response = JoinGroupResponse(error_code=error, member_id=message.member_id)
    response.protocol_name = None if event.version >= 7 else ""
    broker.outbox.respond(event, response)
