"""Merges fresh data into a snapshot: each ``with_...`` function returns the old snapshot with one
kind of datum replaced.

Parts that did not change stay the same objects, so that ``changes.diff`` and the tables skip them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    Datum,
    Group,
    Partition,
    Quorum,
    Sampled,
    Topic,
    TopicPartition,
)

P = TypeVar("P", Partition, Broker)
S = TypeVar("S")

Fields = Mapping[str, object]
"""New values by the name of a field."""


def with_metadata(old: ClusterSnapshot, fresh: ClusterSnapshot) -> ClusterSnapshot:
    """Replace brokers and topics; partitions keep their offsets, sizes and rates.

    A broker that the cluster no longer lists stays, marked ``in_cluster=False``, while replicas
    are placed on it, or while it is registered and fenced. The answer of another cluster (another
    id) replaces everything.
    """
    same_cluster = not old.cluster_id or old.cluster_id == fresh.cluster_id
    base = old if same_cluster else ClusterSnapshot()
    topics = {
        name: _merge_topic(base.topics.get(name), topic) for name, topic in fresh.topics.items()
    }
    brokers = {
        broker_id: _merge_broker(base.brokers.get(broker_id), broker)
        for broker_id, broker in fresh.brokers.items()
    }
    placed = {
        broker_id for topic in topics.values() for p in topic.partitions for broker_id in p.replicas
    }
    for broker_id in sorted(placed - set(brokers)):
        brokers[broker_id] = _marked_gone(base.brokers.get(broker_id, Broker(broker_id, "", -1)))
    return replace(
        base,
        cluster_id=fresh.cluster_id or base.cluster_id,
        taken_s=fresh.taken_s,
        # Under KRaft the controller in Metadata is any broker; the quorum's leader stands.
        controller_id=base.controller_id if base.quorum is not None else fresh.controller_id,
        brokers=_same_or(base.brokers, brokers),
        topics=_same_or(base.topics, topics),
    )


def with_quorum(old: ClusterSnapshot, quorum: Quorum, t: float) -> ClusterSnapshot:
    """Replace the quorum; its leader is the controller."""
    return replace(old, quorum=quorum, controller_id=quorum.leader_id, taken_s=t)


def with_partitions(
    old: ClusterSnapshot, fields: Mapping[TopicPartition, Fields], t: float
) -> ClusterSnapshot:
    """Replace some fields (offsets, rates, sizes) of some partitions. Partitions that do not exist
    are ignored."""
    by_topic: dict[str, dict[int, Fields]] = {}
    for (topic, partition), values in fields.items():
        by_topic.setdefault(topic, {})[partition] = values
    topics = dict(old.topics)
    touched = False
    for name, wanted in by_topic.items():
        before = topics.get(name)
        if before is None:
            continue
        partitions = tuple(_with(p, wanted.get(p.partition)) for p in before.partitions)
        if any(a is not b for a, b in zip(partitions, before.partitions, strict=True)):
            topics[name] = replace(before, partitions=partitions)
            touched = True
    return replace(old, topics=topics, taken_s=t) if touched else replace(old, taken_s=t)


def with_groups(old: ClusterSnapshot, groups: Mapping[str, Group], t: float) -> ClusterSnapshot:
    """Replace all groups; members and lags are in them already."""
    merged = {
        group_id: _same_or(old.groups.get(group_id, group), group)
        for group_id, group in groups.items()
    }
    return replace(old, groups=_same_or(old.groups, merged), taken_s=t)


def with_brokers(old: ClusterSnapshot, fields: Mapping[int, Fields], t: float) -> ClusterSnapshot:
    """Replace some fields (reachable, error, round trip, disk) of some brokers."""
    brokers = {
        broker_id: _with(broker, fields.get(broker_id)) for broker_id, broker in old.brokers.items()
    }
    if all(brokers[i] is old.brokers[i] for i in brokers):
        return replace(old, taken_s=t)
    return replace(old, brokers=brokers, taken_s=t)


def with_sampled(old: ClusterSnapshot, datum: Datum, sampled: Sampled) -> ClusterSnapshot:
    """Replace the age and the errors of one kind of datum."""
    return replace(old, sampled={**old.sampled, datum: sampled})


def all_partitions(
    snapshot: ClusterSnapshot, topics: Iterable[str] | None = None
) -> list[TopicPartition]:
    """Every partition, or those of these topics."""
    names = snapshot.topics if topics is None else topics
    chosen = [snapshot.topics[name] for name in names if name in snapshot.topics]
    return [(p.topic, p.partition) for topic in chosen for p in topic.partitions]


def partition_count(snapshot: ClusterSnapshot) -> int:
    return sum(len(topic.partitions) for topic in snapshot.topics.values())


def under_replicated(snapshot: ClusterSnapshot) -> list[Partition]:
    """The partitions whose in-sync set lacks a replica."""
    return [p for topic in snapshot.topics.values() for p in topic.partitions if p.under_replicated]


def _merge_topic(before: Topic | None, fresh: Topic) -> Topic:
    if before is None or (before.topic_id and fresh.topic_id and before.topic_id != fresh.topic_id):
        return fresh
    if fresh.error and not fresh.partitions:
        fresh = replace(fresh, partitions=before.partitions)
    old = {p.partition: p for p in before.partitions}
    partitions = tuple(_merge_partition(old.get(p.partition), p) for p in fresh.partitions)
    merged = replace(fresh, partitions=partitions)
    return before if merged == before else merged


def _merge_partition(before: Partition | None, fresh: Partition) -> Partition:
    if before is None:
        return fresh
    now = (fresh.leader, fresh.leader_epoch, fresh.replicas, fresh.isr, fresh.offline)
    if now == (before.leader, before.leader_epoch, before.replicas, before.isr, before.offline):
        return before
    return replace(
        before,
        leader=fresh.leader,
        leader_epoch=fresh.leader_epoch,
        replicas=fresh.replicas,
        isr=fresh.isr,
        offline=fresh.offline,
    )


def _merge_broker(before: Broker | None, fresh: Broker) -> Broker:
    if before is None:
        return fresh
    returned = fresh.in_cluster and not before.in_cluster
    merged = replace(
        before,
        host=fresh.host,
        port=fresh.port,
        rack=fresh.rack,
        in_cluster=fresh.in_cluster,
        fenced=fresh.fenced,
        reachable=None if returned else before.reachable,
        error="" if returned else before.error,
    )
    return before if merged == before else merged


def _marked_gone(before: Broker) -> Broker:
    error = before.error or "The cluster does not list it"
    return _same_or(before, replace(before, in_cluster=False, fenced=False, error=error))


def _with(part: P, values: Fields | None) -> P:
    if not values or all(getattr(part, name) == value for name, value in values.items()):
        return part
    return replace(part, **values)  # type: ignore[arg-type]


def _same_or(old: S, new: S) -> S:
    """The old object when the two are equal."""
    return old if old == new else new
