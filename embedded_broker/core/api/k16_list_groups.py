"""ListGroups (api key 16): the groups that are coordinated here; states and types may be asked
for, in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k16_list_groups import ListedGroup, ListGroupsResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived

CLASSIC = "classic"


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    shards = [broker.groups.shards[p] for p in sorted(broker.groups.shards)]
    response = ListGroupsResponse()
    if any(shard.loading and not shard.failed for shard in shards):
        response.error_code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        broker.outbox.respond(event, response)
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
    broker.outbox.respond(event, response)
