"""Apply metadata records to an image: the only writer of ``MetadataImage``, on every
broker and in the controller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from embedded_broker.core.metadata.image import (
    TOPIC,
    BrokerImage,
    Endpoint,
    MetadataDelta,
    MetadataImage,
    PartitionImage,
    TopicImage,
)
from embedded_broker.core.metadata.records import (
    LEADER_UNCHANGED,
    RECOVERING,
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
    UnregisterBrokerRecord,
)


def replay(image: MetadataImage, record: MetadataRecord, delta: MetadataDelta) -> None:
    """Apply one record to ``image`` and add what it changed to ``delta``.

    A record that does not fit the image is a broken invariant: the controller that
    wrote it had replayed everything before it.
    """
    match record:
        case PartitionChangeRecord():
            _partition_change(image, record, delta)
        case PartitionRecord():
            _partition(image, record, delta)
        case TopicRecord():
            assert record.name not in image.topics, f"topic {record.name} is created twice"
            image.topics[record.name] = TopicImage(record.topic_id, record.name)
            image.topic_names[record.topic_id] = record.name
        case RemoveTopicRecord():
            name = image.topic_names.pop(record.topic_id)
            delta.deleted_topics.append(image.topics.pop(name))
            if image.configs.pop((TOPIC, name), None) is not None:
                delta.configs.add((TOPIC, name))
        case ConfigRecord():
            _config(image, record, delta)
        case RegisterBrokerRecord():
            _register(image, record)
            delta.brokers.add(record.broker_id)
        case BrokerRegistrationChangeRecord():
            _registration_change(image, record)
            delta.brokers.add(record.broker_id)
        case UnregisterBrokerRecord():
            image.brokers.pop(record.broker_id, None)
            delta.brokers.add(record.broker_id)
        case ProducerIdsRecord():
            assert record.next_producer_id >= image.next_producer_id, "producer ids go back"
            image.next_producer_id = record.next_producer_id
        case FeatureLevelRecord():
            image.features[record.name] = record.feature_level
        case NoOpRecord():
            pass
        case _:
            raise AssertionError(f"not a metadata record: {record!r}")


def copy(image: MetadataImage) -> MetadataImage:
    """Return a second image that can run ahead; the two share the frozen parts."""
    return MetadataImage(
        image.cluster_id,
        image.offset,
        image.version,
        dict(image.brokers),
        {t.name: TopicImage(t.topic_id, t.name, dict(t.partitions)) for t in image.topics.values()},
        dict(image.topic_names),
        {key: dict(values) for key, values in image.configs.items()},
        image.next_producer_id,
        dict(image.features),
    )


def _partition(image: MetadataImage, r: PartitionRecord, delta: MetadataDelta) -> None:
    topic = image.topics[image.topic_names[r.topic_id]]
    assert r.partition_id not in topic.partitions, f"{topic.name}-{r.partition_id} is created twice"
    topic.partitions[r.partition_id] = PartitionImage(
        topic_id=r.topic_id,
        topic=topic.name,
        partition=r.partition_id,
        replicas=tuple(r.replicas),
        isr=tuple(r.isr),
        leader=r.leader,
        leader_epoch=r.leader_epoch,
        partition_epoch=r.partition_epoch,
        elr=tuple(r.eligible_leader_replicas or ()),
        last_known_elr=tuple(r.last_known_elr or ()),
        adding_replicas=tuple(r.adding_replicas),
        removing_replicas=tuple(r.removing_replicas),
        recovering=r.leader_recovery_state == RECOVERING,
    )
    delta.partitions.add((topic.name, r.partition_id))


def _partition_change(image: MetadataImage, r: PartitionChangeRecord, delta: MetadataDelta) -> None:
    topic = image.topics[image.topic_names[r.topic_id]]
    topic.partitions[r.partition_id] = changed(topic.partitions[r.partition_id], r)
    delta.partitions.add((topic.name, r.partition_id))


def changed(old: PartitionImage, r: PartitionChangeRecord) -> PartitionImage:
    """Return the partition after the record: the next partition epoch, and the next
    leader epoch when the record names a leader."""
    changes: dict[str, Any] = {"partition_epoch": old.partition_epoch + 1}
    for name, value in (
        ("isr", r.isr),
        ("replicas", r.replicas),
        ("removing_replicas", r.removing_replicas),
        ("adding_replicas", r.adding_replicas),
        ("elr", r.eligible_leader_replicas),
        ("last_known_elr", r.last_known_elr),
    ):
        if value is not None:
            changes[name] = tuple(value)
    if r.leader != LEADER_UNCHANGED:
        changes["leader"] = r.leader
        changes["leader_epoch"] = old.leader_epoch + 1
    if r.leader_recovery_state >= 0:
        changes["recovering"] = r.leader_recovery_state == RECOVERING
    return old._replace(**changes)


def _config(image: MetadataImage, r: ConfigRecord, delta: MetadataDelta) -> None:
    key = (r.resource_type, r.resource_name)
    values = image.configs.setdefault(key, {})
    if r.value is None:
        values.pop(r.name, None)
    else:
        values[r.name] = r.value
    # An image holds no empty dictionaries, so that equal clusters have equal images.
    if not values:
        del image.configs[key]
    delta.configs.add(key)


def _register(image: MetadataImage, r: RegisterBrokerRecord) -> None:
    image.brokers[r.broker_id] = BrokerImage(
        broker_id=r.broker_id,
        broker_epoch=r.broker_epoch,
        incarnation_id=r.incarnation_id,
        endpoints=tuple(
            Endpoint(e.name, e.host, e.port, e.security_protocol) for e in r.end_points
        ),
        rack=r.rack,
        fenced=r.fenced,
        in_controlled_shutdown=r.in_controlled_shutdown,
        directory_ids=tuple(r.log_dirs),
    )


def _registration_change(image: MetadataImage, r: BrokerRegistrationChangeRecord) -> None:
    old = image.brokers[r.broker_id]
    assert old.broker_epoch == r.broker_epoch, (
        f"a registration change for broker epoch {r.broker_epoch} of broker {r.broker_id},"
        f" whose epoch is {old.broker_epoch}"
    )
    image.brokers[r.broker_id] = replace(
        old,
        fenced=old.fenced if r.fenced == 0 else r.fenced > 0,
        in_controlled_shutdown=old.in_controlled_shutdown or r.in_controlled_shutdown > 0,
    )
