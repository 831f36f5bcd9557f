"""LeaveGroup (13): remove one member; from version 3 on several, static ones also by
their instance id."""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k13_leave_group import (
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)

MANY_MEMBERS_SINCE = 3


def leave_group(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Remove the members that the request names."""
    message = event.message
    response = LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
    if message.group_id:
        shard, response.error_code = groups.locate(message.group_id)
        if shard is not None:
            many = event.version >= MANY_MEMBERS_SINCE
            leaving = message.members if many else [MemberIdentity(message.member_id)]
            for one in leaving:
                group = shard.groups.get(message.group_id)
                code = int(ErrorCode.UNKNOWN_MEMBER_ID)
                if group is not None:
                    code = groups.membership.leave(
                        now_ms, shard, group, one.member_id, one.group_instance_id
                    )
                response.members.append(MemberResponse(one.member_id, one.group_instance_id, code))
            if not many:
                response.error_code = response.members[0].error_code
    groups.env.outbox.respond(event, response)
