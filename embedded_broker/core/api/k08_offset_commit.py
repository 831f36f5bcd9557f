"""OffsetCommit (api key 8): answered when the offsets are committed in ``__consumer_offsets``.

Version 10 names topics by id (UNKNOWN_TOPIC_ID 100). Versions 2 to 4 may ask for a retention of
their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    shard, error = broker.groups.locate(event.message.group_id)
    if shard is None:
        broker.groups.offsets.refuse_commit(event, error)
    else:
        broker.groups.offsets.commit(now_ms, shard, event)
