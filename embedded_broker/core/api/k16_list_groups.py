"""ListGroups (16): the groups that this node coordinates, filtered by state and type
(whose names are not case-sensitive)."""

from __future__ import annotations

from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k16_list_groups import ListedGroup, ListGroupsResponse

CLASSIC = "classic"


def list_groups(groups: Groups, now_ms: int, event: RequestReceived) -> None:
    """List groups; refused while some are being loaded, because the list would be
    incomplete."""
    shards = [groups.shards[p] for p in sorted(groups.shards)]
    response = ListGroupsResponse()
    if any(shard.loading and not shard.failed for shard in shards):
        response.error_code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        groups.env.outbox.respond(event, response)
        return
    states = {name.lower() for name in event.message.states_filter}
    types = {name.lower() for name in event.message.types_filter}
    if not types or CLASSIC in types:
        for shard in shards:
            for group_id in sorted(shard.groups):
                group = shard.groups[group_id]
                if not states or group.state.value.lower() in states:
                    listed = ListedGroup(
                        group_id, group.protocol_type or "", group.state.value, CLASSIC
                    )
                    response.groups.append(listed)
    groups.env.outbox.respond(event, response)
