"""DeleteGroups (42): delete groups without members, and their committed offsets."""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.coordinator.errors import group_error
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.coordinator.records import GroupKey, OffsetKey
from embedded_broker.core.coordinator.shard import Entry
from embedded_broker.core.events import RequestReceived
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k42_delete_groups import DeletableGroupResult, DeleteGroupsResponse

ITEMS_A_GROUP = 30
"""The work of deleting one with its own batch of records."""


def delete_groups(groups: Groups, now_ms: int, event: RequestReceived) -> Steps:
    """Delete the groups that this node coordinates; respond when the last is
    deleted."""
    response = DeleteGroupsResponse()
    # One more than the writes, so that the response does not leave before the loop
    # ends.
    waiting = 1

    def one_done() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            groups.env.outbox.respond(event, response)

    for group_id in dict.fromkeys(event.message.groups_names):
        result = DeletableGroupResult(group_id)
        response.results.append(result)
        yield 1
        shard, result.error_code = groups.locate(group_id)
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
            yield ITEMS_A_GROUP + 3 * len(entries)
    one_done()
