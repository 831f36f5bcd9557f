"""JoinGroup (11): become or stay a member; ``coordinator.membership`` has the rules.

From version 4 on a new member first gets its id (MEMBER_ID_REQUIRED, KIP-394).
"""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.coordinator.responses import NULL_PROTOCOL_SINCE
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k11_join_group import JoinGroupResponse


def join_group(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Join a group that this node coordinates."""
    message = event.message
    shard, error = (None, int(ErrorCode.INVALID_GROUP_ID))
    if message.group_id:
        shard, error = groups.locate(message.group_id)
    if shard is not None:
        groups.membership.join(now_ms, shard, event)
        return
    response = JoinGroupResponse(error_code=error, member_id=message.member_id)
    response.protocol_name = None if event.version >= NULL_PROTOCOL_SINCE else ""
    groups.env.outbox.respond(event, response)
