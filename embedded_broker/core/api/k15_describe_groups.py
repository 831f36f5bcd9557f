"""DescribeGroups (15): the members of groups; for a stable group also their
subscriptions and assignments.

A group that does not exist is "Dead"; from version 6 on with GROUP_ID_NOT_FOUND.
"""

from __future__ import annotations

from embedded_broker.core.controller.refusals import shortened
from embedded_broker.core.coordinator.group import Group, State
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k15_describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsResponse,
)

READ_DELETE_DESCRIBE = 1 << 3 | 1 << 6 | 1 << 8
"""Allowed operations on a group; there is no authorisation yet."""
NOT_FOUND_SINCE = 6


def describe_groups(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """Describe the groups that this node coordinates."""
    response = DescribeGroupsResponse()
    for group_id in event.message.groups:
        shard, error = groups.locate(group_id)
        if shard is None:
            response.groups.append(DescribedGroup(error, group_id=group_id))
            continue
        group = shard.groups.get(group_id)
        described = _missing(event.version, group_id) if group is None else _describe(group)
        if event.message.include_authorized_operations and not described.error_code:
            described.authorized_operations = READ_DELETE_DESCRIBE
        response.groups.append(described)
    groups.env.outbox.respond(event, response)


def _missing(version: int, group_id: str) -> DescribedGroup:
    described = DescribedGroup(group_id=group_id, group_state=State.DEAD.value)
    if version >= NOT_FOUND_SINCE:
        described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        described.error_message = shortened(f"Group {group_id} not found.")
    return described


def _describe(group: Group) -> DescribedGroup:
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
