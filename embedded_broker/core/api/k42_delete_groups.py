"""DeleteGroups (api key 42): groups without members, and all that they have committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.coordinator.membership import group_error
from embedded_broker.core.coordinator.records import GroupKey, OffsetKey
from embedded_broker.core.coordinator.shard import Entry
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k42_delete_groups import DeletableGroupResult, DeleteGroupsResponse

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    response = DeleteGroupsResponse()
    waiting = 1

    def one_done() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            broker.outbox.respond(event, response)

    for group_id in dict.fromkeys(event.message.groups_names):
        result = DeletableGroupResult(group_id)
        response.results.append(result)
        shard, result.error_code = broker.groups.locate(group_id)
        if shard is None:
            continue
        group = shard.groups.get(group_id)
        if group is None:
            result.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        elif group.members or group.pending:
            result.error_code = ErrorCode.NON_EMPTY_GROUP
        else:
            entries = [
                Entry(OffsetKey(group_id, *partition), None) for partition in sorted(group.offsets)
            ]
            entries.append(Entry(GroupKey(group_id), None))

            def written(
                _then_ms: int, error_code: int, result: DeletableGroupResult = result
            ) -> None:
                result.error_code = group_error(error_code)
                one_done()

            waiting += 1
            shard.write(now_ms, entries, written)
    one_done()
