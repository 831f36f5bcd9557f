"""The assignment of a member of a classic consumer group."""

from __future__ import annotations

from typing import ClassVar

from kafka_client.model import TopicPartition
from kafka_protocol.codec import ProtocolError, decode
from kafka_protocol.fields import FOREVER, INT16, INT32, STRING, Array, message, wire


@message
class AssignedTopic:
    topic: str = wire(STRING, default="")
    partitions: list[int] = wire(Array(INT32), factory=list)


@message
class ConsumerProtocolAssignment:
    """What follows the topics, the assignor's own data, is not read."""

    FLEXIBLE_SINCE: ClassVar[int] = FOREVER
    version: int = wire(INT16, default=0)
    assigned_partitions: list[AssignedTopic] = wire(Array(AssignedTopic), factory=list)


def read_assignment(data: bytes) -> tuple[TopicPartition, ...]:
    """The partitions of an assignment, sorted. Group members make these bytes themselves: those
    that are malformed are no assignment."""
    try:
        assignment: ConsumerProtocolAssignment = decode(
            ConsumerProtocolAssignment, 0, data, more_may_follow=True
        )
    except ProtocolError:
        return ()
    return tuple(sorted((t.topic, p) for t in assignment.assigned_partitions for p in t.partitions))
