"""The consumer protocol: what the members of a classic consumer group tell each other
in the opaque bytes of JoinGroup and SyncGroup.

Brokers and onlookers read the beginning: the topics of a subscription, the partitions
of an assignment. Members make these bytes themselves, so they may be anything. Source:
Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment, all versions.
"""

from __future__ import annotations

from typing import ClassVar

from kafka_protocol.codec import ProtocolError, decode
from kafka_protocol.fields import FOREVER, INT16, INT32, STRING, Array, message, wire

# Every version begins with these fields and adds more at the end.
_BEGINNING = 0


@message
class ConsumerProtocolSubscription:
    FLEXIBLE_SINCE: ClassVar[int] = FOREVER
    version: int = wire(INT16, default=0)
    topics: list[str] = wire(Array(STRING), factory=list)


@message
class AssignedTopic:
    topic: str = wire(STRING, default="")
    partitions: list[int] = wire(Array(INT32), factory=list)


@message
class ConsumerProtocolAssignment:
    FLEXIBLE_SINCE: ClassVar[int] = FOREVER
    version: int = wire(INT16, default=0)
    assigned_partitions: list[AssignedTopic] = wire(Array(AssignedTopic), factory=list)


def subscribed_topics(data: bytes) -> list[str] | None:
    """The topics of a member's subscription; None when the bytes are no
    subscription."""
    try:
        found: ConsumerProtocolSubscription = decode(
            ConsumerProtocolSubscription, _BEGINNING, data, more_may_follow=True
        )
    except ProtocolError:
        return None
    return found.topics


def assigned_partitions(data: bytes) -> list[tuple[str, int]] | None:
    """The partitions of a member's assignment, sorted; None when the bytes are no
    assignment."""
    try:
        found: ConsumerProtocolAssignment = decode(
            ConsumerProtocolAssignment, _BEGINNING, data, more_may_follow=True
        )
    except ProtocolError:
        return None
    return sorted((t.topic, p) for t in found.assigned_partitions for p in t.partitions)
