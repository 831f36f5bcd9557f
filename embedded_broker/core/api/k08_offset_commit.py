"""OffsetCommit (8): answered when the offsets are committed in ``__consumer_offsets``.

Version 10 names topics by id (UNKNOWN_TOPIC_ID). Versions 2 to 4 may set a retention of
their own.
"""

from __future__ import annotations

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.events import RequestReceived


def offset_commit(groups: Groups, now_ms: int, event: RequestReceived) -> Steps | None:
    """Commit the offsets of a group that this node coordinates."""
    shard, error = groups.locate(event.message.group_id)
    if shard is None:
        groups.offsets.refuse_commit(event, error)
        return None
    return groups.offsets.commit(now_ms, shard, event)
