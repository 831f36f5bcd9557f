"""DescribeGroups (15): the members of groups; for a stable group also their
subscriptions and assignments.

A group that does not exist is "Dead"; from version 6 on with GROUP_ID_NOT_FOUND. A group is
described once, however often it is asked for, and so many as fit into a response of
MOST_BYTES: Kafka has no such bound, and a request of a few bytes could take all memory.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.controller.refusals import shortened
from embedded_broker.core.coordinator.group import Group, Member, State
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
MOST_BYTES = 32 * 1024 * 1024
ITEMS_A_GROUP = 2
ITEMS_A_MEMBER = 2


def describe_groups(groups: Groups, now_ms: int, event: RequestReceived) -> Steps:
    """Describe the groups that this node coordinates."""
    response = DescribeGroupsResponse()
    left = MOST_BYTES
    for group_id in dict.fromkeys(event.message.groups):
        shard, error = groups.locate(group_id)
        group = None if shard is None else shard.groups.get(group_id)
        if group is not None:
            left -= sum(_size(group, member) for member in group.members.values())
            if left < 0:
                error = ErrorCode.MESSAGE_TOO_LARGE
        if error:
            described = DescribedGroup(error, group_id=group_id)
        elif group is None:
            described = _missing(event.version, group_id)
        else:
            described = _describe(group)
        if event.message.include_authorized_operations and not described.error_code:
            described.authorized_operations = READ_DELETE_DESCRIBE
        response.groups.append(described)
        yield ITEMS_A_GROUP + ITEMS_A_MEMBER * len(described.members)
    groups.env.outbox.respond(event, response)


def _size(group: Group, member: Member) -> int:
    """Bytes in a response, about."""
    return 100 + len(member.metadata(group.protocol)) + len(member.assignment)


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
