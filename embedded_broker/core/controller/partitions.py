"""What the controller changes in existing partitions: in-sync sets, leaders, eligible replicas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from embedded_broker.core.controller.elections import change
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import (
    BROKER,
    NO_LEADER,
    TOPIC,
    MetadataImage,
    PartitionImage,
)
from embedded_broker.core.metadata.records import ConfigRecord, PartitionChangeRecord

if TYPE_CHECKING:
    from embedded_broker.core.controller.controller import Controller

MIN_ISR = "min.insync.replicas"
UNCLEAN = "unclean.leader.election.enable"


def all_partitions(image: MetadataImage) -> Iterator[PartitionImage]:
    for name in sorted(image.topics):
        partitions = image.topics[name].partitions
        for number in sorted(partitions):
            yield partitions[number]


def min_isr(controller: Controller, topic: str) -> int:
    return int(controller.config.topic(topic, MIN_ISR))


def move(
    controller: Controller,
    p: PartitionImage,
    isr: Sequence[int],
    may_lead: Callable[[int], bool] | None = None,
    *,
    lost_data: Collection[int] = (),
    preferred: bool = False,
    unclean: bool = False,
    recovered: bool = False,
) -> PartitionChangeRecord | None:
    """``elections.change`` with the topic's settings and the brokers of the image ahead."""
    return change(
        p,
        isr,
        may_lead or controller.image.eligible,
        min_isr(controller, p.topic),
        lost_data=lost_data,
        preferred=preferred,
        unclean=unclean or bool(controller.config.topic(p.topic, UNCLEAN)),
        recovered=recovered,
    )


def without_broker(
    controller: Controller, broker_id: int, lost_data: bool = False
) -> list[PartitionChangeRecord]:
    """Take a broker that is fenced, leaving or beginning a new life out of every in-sync set and
    leadership; out of the eligible replicas too when its disk lost something."""
    found: list[PartitionChangeRecord] = []
    lost = (broker_id,) if lost_data else ()

    def may_lead(replica: int) -> bool:
        return replica != broker_id and controller.image.eligible(replica)

    for p in all_partitions(controller.image):
        if broker_id in p.isr or p.leader == broker_id or (lost_data and broker_id in p.elr):
            record = move(
                controller, p, [r for r in p.isr if r != broker_id], may_lead, lost_data=lost
            )
            if record is not None:
                found.append(record)
    return found


def with_broker(controller: Controller, broker_id: int) -> list[PartitionChangeRecord]:
    """A broker has come back: partitions without a leader may have one now."""
    found: list[PartitionChangeRecord] = []

    def may_lead(replica: int) -> bool:
        return replica == broker_id or controller.image.eligible(replica)

    for p in all_partitions(controller.image):
        if p.leader == NO_LEADER and broker_id in p.replicas:
            record = move(controller, p, p.isr, may_lead)
            if record is not None:
                found.append(record)
                note_unclean(controller, p, record)
    return found


def note_unclean(controller: Controller, p: PartitionImage, record: PartitionChangeRecord) -> None:
    """Say it in the log when a leader was chosen that may lack acknowledged records."""
    if record.leader_recovery_state == 1:
        text = f"Unclean election: broker {record.leader} leads {p.topic}-{p.partition}; records may have been lost."
        controller.broker.outbox.note(Level.WARNING, text)


def preferred_changes(controller: Controller, limit: int) -> list[PartitionChangeRecord]:
    """Give leadership back to preferred replicas that are in sync."""
    found: list[PartitionChangeRecord] = []
    for p in all_partitions(controller.image):
        if p.leader != p.replicas[0] and p.leader != NO_LEADER:
            record = move(controller, p, p.isr, preferred=True)
            if record is not None:
                found.append(record)
                if len(found) == limit:
                    break
    return found


def after_config_change(
    controller: Controller, records: Sequence[Any]
) -> list[PartitionChangeRecord]:
    """What follows from settings that are about to change, in the same batch.

    Another min.insync.replicas ends the eligibility outside the in-sync set (KIP-966), except
    where that set is empty: there nothing can have been acknowledged under the new rule. Allowing
    unclean election gives a leader to partitions that have none.
    """
    found: list[PartitionChangeRecord] = []
    for record in records:
        if not isinstance(record, ConfigRecord) or record.name not in (MIN_ISR, UNCLEAN):
            continue
        for p in _touched(controller, record):
            if record.name == MIN_ISR and p.isr and p.elr:
                found.append(
                    PartitionChangeRecord(p.partition, p.topic_id, eligible_leader_replicas=[])
                )
            elif record.name == UNCLEAN and record.value == "true" and p.leader == NO_LEADER:
                elected = move(controller, p, p.isr, unclean=True)
                if elected is not None:
                    found.append(elected)
                    note_unclean(controller, p, elected)
    return found


def _touched(controller: Controller, record: ConfigRecord) -> Iterator[PartitionImage]:
    """The existing partitions whose effective setting the record may change."""
    image = controller.image
    if record.resource_type == TOPIC:
        topic = image.topics.get(record.resource_name)
        if topic is not None:
            for number in sorted(topic.partitions):
                yield topic.partitions[number]
    elif record.resource_type == BROKER:
        for p in all_partitions(image):
            if record.name not in image.configs.get((TOPIC, p.topic), {}):
                yield p
