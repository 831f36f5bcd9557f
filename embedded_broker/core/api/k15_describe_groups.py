"""DescribeGroups (api key 15): members, and with a stable group what they subscribe to and were
assigned.

A group that does not exist is "Dead", from version 6 on with GROUP_ID_NOT_FOUND 69.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.coordinator.group import Group, State
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k15_describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived

READ_DELETE_DESCRIBE = 1 << 3 | 1 << 6 | 1 << 8
"""Operations on a group; nothing is forbidden to anybody yet."""


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    response = DescribeGroupsResponse()
    for group_id in event.message.groups:
        shard, error = broker.groups.locate(group_id)
        if shard is None:
            response.groups.append(DescribedGroup(error, group_id=group_id))
            continue
        group = shard.groups.get(group_id)
        answer = _missing(event.version, group_id) if group is None else _described(group)
        if event.message.include_authorized_operations and not answer.error_code:
            answer.authorized_operations = READ_DELETE_DESCRIBE
        response.groups.append(answer)
    broker.outbox.respond(event, response)


def _missing(version: int, group_id: str) -> DescribedGroup:
    answer = DescribedGroup(group_id=group_id, group_state=State.DEAD.value)
    if version >= 6:
        answer.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        answer.error_message = f"Group {group_id} not found."
    return answer


def _described(group: Group) -> DescribedGroup:
    stable = group.state is State.STABLE
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=(group.protocol or "") if stable else "",
        members=[
            DescribedGroupMember(
                m.member_id,
                m.group_instance_id,
                m.client_id,
                m.client_host,
                m.metadata(group.protocol) if stable else b"",
                m.assignment if stable else b"",
            )
            for m in group.members.values()
        ],
    )
