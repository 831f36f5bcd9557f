"""ElectLeaders: give leadership to the preferred replica, or to any living one where none that is
in sync is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.controller.partitions import all_partitions, move, note_unclean
from embedded_broker.core.metadata.image import NO_LEADER, PartitionImage
from kafka_protocol.constants import ElectionType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k43_elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from embedded_broker.core.controller.controller import Controller
    from embedded_broker.core.events import RequestReceived


def elect_leaders(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    kind = request.election_type
    if kind not in (ElectionType.PREFERRED, ElectionType.UNCLEAN):
        controller.refuse(event, ErrorCode.INVALID_REQUEST)
        return
    records: list[Any] = []
    results: dict[str, ReplicaElectionResult] = {}

    def note(topic: str, partition: int, code: ErrorCode, text: str | None) -> None:
        result = results.setdefault(topic, ReplicaElectionResult(topic))
        result.partition_result.append(PartitionResult(partition, code, text))

    if request.topic_partitions is None:
        for p in all_partitions(controller.image):
            code, text, record = _elect(controller, p, kind)
            if (
                code is not ErrorCode.ELECTION_NOT_NEEDED
            ):  # of all partitions, those are told where there was a need
                note(p.topic, p.partition, code, text)
            records += [record] if record is not None else []
    else:
        asked = {(t.topic, number) for t in request.topic_partitions for number in t.partitions}
        for topic, number in sorted(asked):
            found = controller.image.partition(topic, number)
            if found is None:
                note(
                    topic,
                    number,
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    "This cluster has no such partition.",
                )
                continue
            code, text, record = _elect(controller, found, kind)
            note(topic, number, code, text)
            records += [record] if record is not None else []
    response = ElectLeadersResponse(
        replica_election_results=[results[name] for name in sorted(results)]
    )
    controller.reply(now_ms, event, records, response)


def _elect(
    controller: Controller, p: PartitionImage, kind: int
) -> tuple[ErrorCode, str | None, Any]:
    if kind == ElectionType.PREFERRED:
        if p.leader == p.replicas[0]:
            return ErrorCode.ELECTION_NOT_NEEDED, "The preferred replica leads already.", None
        record = move(controller, p, p.isr, preferred=True)
        if record is None or record.leader != p.replicas[0]:
            text = f"The preferred replica {p.replicas[0]} is not in sync or not alive."
            return ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, text, None
        return ErrorCode.NONE, None, record
    if p.leader != NO_LEADER:
        return ErrorCode.ELECTION_NOT_NEEDED, "The partition has a leader.", None
    record = move(controller, p, p.isr, unclean=True)
    if record is None or record.leader < 0:
        return (
            ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
            "No replica of the partition is alive.",
            None,
        )
    note_unclean(controller, p, record)
    return ErrorCode.NONE, None, record
