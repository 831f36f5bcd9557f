"""LeaveGroup (api key 13): one member, or from version 3 on several, also static ones by their
instance id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k13_leave_group import (
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    message = event.message
    response = LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
    if message.group_id:
        shard, response.error_code = broker.groups.locate(message.group_id)
        if shard is not None:
            leaving = message.members if event.version >= 3 else [MemberIdentity(message.member_id)]
            for one in leaving:
                group = shard.groups.get(message.group_id)
                code = int(ErrorCode.UNKNOWN_MEMBER_ID)
                if group is not None:
                    code = broker.groups.membership.leave(
                        now_ms, shard, group, one.member_id, one.group_instance_id
                    )
                response.members.append(MemberResponse(one.member_id, one.group_instance_id, code))
            if event.version < 3:
                response.error_code = response.members[0].error_code
    broker.outbox.respond(event, response)
