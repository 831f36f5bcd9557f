"""The records with which the controller changes existing partitions: in-sync sets,
leaders, eligible replicas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from embedded_broker.core.controller.elections import change
from embedded_broker.core.controller.view import MIN_ISR, UNCLEAN, ClusterView
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import (
    BROKER,
    NO_LEADER,
    TOPIC,
    MetadataImage,
    PartitionImage,
)
from embedded_broker.core.metadata.records import (
    RECOVERING,
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    MetadataRecord,
    PartitionChangeRecord,
)


def all_partitions(image: MetadataImage) -> Iterator[PartitionImage]:
    """Yield every partition, by topic name and index."""
    for name in sorted(image.topics):
        partitions = image.topics[name].partitions
        for index in sorted(partitions):
            yield partitions[index]


def move(
    view: ClusterView,
    p: PartitionImage,
    isr: Sequence[int],
    may_lead: Callable[[int], bool] | None = None,
    *,
    lost_data: Collection[int] = (),
    preferred: bool = False,
    unclean: bool = False,
    recovered: bool = False,
) -> PartitionChangeRecord | None:
    """``elections.change`` with the topic's settings and the brokers of ``view``."""
    return change(
        p,
        isr,
        may_lead or view.image.eligible,
        view.min_isr(p.topic),
        lost_data=lost_data,
        preferred=preferred,
        unclean=unclean or view.unclean_elections(p.topic),
        recovered=recovered,
    )


def without_broker(
    view: ClusterView, broker_id: int, lost_data: bool = False
) -> list[PartitionChangeRecord]:
    """Remove a broker from every in-sync set and leadership: it is fenced, shuts down,
    or registered a new incarnation. With ``lost_data`` also from the eligible leader
    replicas."""
    records: list[PartitionChangeRecord] = []
    lost = (broker_id,) if lost_data else ()

    def may_lead(replica: int) -> bool:
        return replica != broker_id and view.image.eligible(replica)

    for p in all_partitions(view.image):
        if broker_id in p.isr or p.leader == broker_id or (lost_data and broker_id in p.elr):
            record = move(view, p, [r for r in p.isr if r != broker_id], may_lead, lost_data=lost)
            if record is not None:
                records.append(record)
    return records


def with_broker(view: ClusterView, broker_id: int) -> list[PartitionChangeRecord]:
    """Elect leaders for the partitions without one that this broker, which is unfenced,
    may lead."""
    records: list[PartitionChangeRecord] = []

    def may_lead(replica: int) -> bool:
        return replica == broker_id or view.image.eligible(replica)

    for p in all_partitions(view.image):
        if p.leader == NO_LEADER and broker_id in p.replicas:
            record = move(view, p, p.isr, may_lead)
            if record is not None:
                records.append(record)
                note_unclean(view, p, record)
    return records


def fence(view: ClusterView, broker_id: int) -> list[MetadataRecord]:
    """The records that fence a broker and give its leaderships to others."""
    epoch = view.image.brokers[broker_id].broker_epoch
    return [
        BrokerRegistrationChangeRecord(broker_id, epoch, fenced=1),
        *without_broker(view, broker_id),
    ]


def note_unclean(view: ClusterView, p: PartitionImage, record: PartitionChangeRecord) -> None:
    """Write a warning to the log when a leader was elected that may lack acknowledged
    records."""
    if record.leader_recovery_state == RECOVERING:
        text = (
            f"Unclean election: broker {record.leader} leads {p.topic}-{p.partition};"
            " acknowledged records may be lost."
        )
        view.outbox.note(Level.WARNING, text)


def preferred_changes(view: ClusterView, limit: int) -> list[PartitionChangeRecord]:
    """Return leadership to preferred replicas that are in sync, for at most ``limit``
    partitions."""
    records: list[PartitionChangeRecord] = []
    for p in all_partitions(view.image):
        if p.leader != p.replicas[0] and p.leader != NO_LEADER:
            record = move(view, p, p.isr, preferred=True)
            if record is not None:
                records.append(record)
                if len(records) == limit:
                    break
    return records


def after_config_change(
    view: ClusterView, records: Sequence[MetadataRecord]
) -> list[PartitionChangeRecord]:
    """The partition changes that must accompany changed settings in the same batch.

    A new min.insync.replicas ends the eligibility outside the in-sync set (KIP-966),
    except where that set is empty: there nothing can have been acknowledged under the
    new rule. Allowing unclean election elects a leader for partitions without one.
    """
    changes: list[PartitionChangeRecord] = []
    for record in records:
        if not isinstance(record, ConfigRecord) or record.name not in (MIN_ISR, UNCLEAN):
            continue
        for p in _affected(view.image, record):
            if record.name == MIN_ISR and p.isr and p.elr:
                changes.append(
                    PartitionChangeRecord(p.partition, p.topic_id, eligible_leader_replicas=[])
                )
            elif record.name == UNCLEAN and record.value == "true" and p.leader == NO_LEADER:
                elected = move(view, p, p.isr, unclean=True)
                if elected is not None:
                    changes.append(elected)
                    note_unclean(view, p, elected)
    return changes


def _affected(image: MetadataImage, record: ConfigRecord) -> Iterator[PartitionImage]:
    """Yield the partitions whose effective setting the record may change."""
    if record.resource_type == TOPIC:
        topic = image.topics.get(record.resource_name)
        if topic is not None:
            for index in sorted(topic.partitions):
                yield topic.partitions[index]
    elif record.resource_type == BROKER:
        for p in all_partitions(image):
            if record.name not in image.configs.get((TOPIC, p.topic), {}):
                yield p
