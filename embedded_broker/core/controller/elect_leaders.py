"""ElectLeaders (43): give leadership to the preferred replica, or to any live replica
where none in sync is left."""

from __future__ import annotations

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.partitions import all_partitions, move, note_unclean
from embedded_broker.core.controller.view import ClusterView
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import NO_LEADER, PartitionImage
from embedded_broker.core.metadata.records import MetadataRecord, PartitionChangeRecord
from kafka_protocol.constants import ElectionType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k43_elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)


def elect_leaders(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Hold the elections of an ElectLeaders request."""
    request = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    kind = request.election_type
    if kind not in (ElectionType.PREFERRED, ElectionType.UNCLEAN):
        controller.refuse(event, ErrorCode.INVALID_REQUEST)
        return
    records: list[MetadataRecord] = []
    results: dict[str, ReplicaElectionResult] = {}

    def add(topic: str, partition: int, code: ErrorCode, text: str | None) -> None:
        result = results.setdefault(topic, ReplicaElectionResult(topic))
        result.partition_result.append(PartitionResult(partition, code, text))

    if request.topic_partitions is None:
        for p in all_partitions(controller.image):
            code, text, record = _elect(controller.view, p, kind)
            # A request for all partitions lists only those that needed an election.
            if code is not ErrorCode.ELECTION_NOT_NEEDED:
                add(p.topic, p.partition, code, text)
            records += [record] if record is not None else []
    else:
        requested = {(t.topic, index) for t in request.topic_partitions for index in t.partitions}
        for topic, index in sorted(requested):
            partition = controller.image.partition(topic, index)
            if partition is None:
                text = "This cluster has no such partition."
                add(topic, index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)
                continue
            code, text, record = _elect(controller.view, partition, kind)
            add(topic, index, code, text)
            records += [record] if record is not None else []
    response = ElectLeadersResponse(
        replica_election_results=[results[name] for name in sorted(results)]
    )
    controller.reply(now_ms, event, records, response)


def _elect(
    view: ClusterView, p: PartitionImage, kind: int
) -> tuple[ErrorCode, str | None, PartitionChangeRecord | None]:
    """Return (error code, its text, the record or None)."""
    if kind == ElectionType.PREFERRED:
        if p.leader == p.replicas[0]:
            return ErrorCode.ELECTION_NOT_NEEDED, "The preferred replica is the leader.", None
        record = move(view, p, p.isr, preferred=True)
        if record is None or record.leader != p.replicas[0]:
            text = f"The preferred replica {p.replicas[0]} is not in sync or not alive."
            return ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, text, None
        return ErrorCode.NONE, None, record
    if p.leader != NO_LEADER:
        return ErrorCode.ELECTION_NOT_NEEDED, "The partition has a leader.", None
    record = move(view, p, p.isr, unclean=True)
    if record is None or record.leader < 0:
        text = "No replica of the partition is alive."
        return ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, text, None
    note_unclean(view, p, record)
    return ErrorCode.NONE, None, record
