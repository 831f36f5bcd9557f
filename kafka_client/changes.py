"""The differences between two snapshots, as events with a time and a text: the list *What
changed*, and which rows a page must merge.

``diff`` is pure. Offsets, lags, rates and sizes change with every sample and make no event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    Datum,
    Group,
    Member,
    Partition,
    Topic,
    TopicPartition,
)
from resources.wording import counted, counted_is, numbered, verb

K = TypeVar("K")

SIMILAR_MOST = 6
"""More events of one kind and one broker than this are merged into one."""


class ChangeKind(StrEnum):
    """Values are stored in the history: do not change them."""

    LEADER_MOVED = "leader moved"
    LEADER_LOST = "leader lost"
    ISR_SHRANK = "ISR shrank"
    ISR_GREW = "ISR grew"
    REPLICAS_CHANGED = "replicas changed"
    BROKER_UP = "broker up"
    BROKER_DOWN = "broker down"
    CONTROLLER_MOVED = "controller moved"
    TOPIC_CREATED = "topic created"
    TOPIC_DELETED = "topic deleted"
    PARTITIONS_ADDED = "partitions added"
    GROUP_APPEARED = "group appeared"
    GROUP_GONE = "group gone"
    GROUP_STATE = "group state"
    MEMBER_JOINED = "member joined"
    MEMBER_LEFT = "member left"


@dataclass(frozen=True, slots=True)
class Change:
    """One event."""

    at_s: float
    """When the later snapshot was taken; it happened between the sample before and that one."""
    kind: ChangeKind
    text: str
    """A sentence without its full stop, in plain text."""
    topic: str | None = None
    partition: int | None = None
    broker_id: int | None = None
    group_id: str | None = None
    from_broker: int | None = None
    """The previous leader, when a leader moved or was lost."""
    partitions: tuple[TopicPartition, ...] = ()
    """The partitions of an event that merges many."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Lists what differs between two snapshots. The sets name all that has a new value, even a
    figure."""

    events: tuple[Change, ...] = ()
    first: bool = False
    """The first snapshot of a cluster: everything is new and nothing happened."""
    brokers: frozenset[int] = field(default_factory=frozenset)
    topics: frozenset[str] = field(default_factory=frozenset)
    groups: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.events or self.first or self.brokers or self.topics or self.groups)


def diff(old: ClusterSnapshot | None, new: ClusterSnapshot) -> Changes:
    """Compare two snapshots. Parts that are the same object are skipped, so a round that touched
    few topics costs little. Snapshots of different clusters have no events between them."""
    if old is None or (old.cluster_id and old.cluster_id != new.cluster_id):
        return Changes(
            (), True, frozenset(new.brokers), frozenset(new.topics), frozenset(new.groups)
        )
    at_s = new.taken_s
    events: list[Change] = []
    brokers = _different(old.brokers, new.brokers)
    topics = _different(old.topics, new.topics)
    groups = _different(old.groups, new.groups)
    # A kind of datum that was not sampled before has no past to compare with.
    if _sampled(old, Datum.METADATA) and _sampled(new, Datum.METADATA):
        events += _broker_events(at_s, old, new, brokers)
        events += _merge_similar(list(_topic_events(at_s, old, new, topics)))
    if None not in (old.controller_id, new.controller_id) and (
        old.controller_id != new.controller_id
    ):
        text = f"Controller moved from broker {old.controller_id} to broker {new.controller_id}"
        events.append(Change(at_s, ChangeKind.CONTROLLER_MOVED, text, broker_id=new.controller_id))
    if _sampled(old, Datum.GROUPS) and _sampled(new, Datum.GROUPS):
        events += _group_events(at_s, old, new, groups)
    return Changes(tuple(events), False, brokers, topics, groups)


def _sampled(snapshot: ClusterSnapshot, datum: Datum) -> bool:
    sampled = snapshot.sampled.get(datum)
    return sampled is not None and sampled.at_s is not None


def _different(old: Mapping[K, object], new: Mapping[K, object]) -> frozenset[K]:
    """Keys whose values differ, or that only one of the two has."""
    if old is new:
        return frozenset()
    changed = {
        key
        for key, value in new.items()
        if (before := old.get(key)) is not value and before != value
    }
    changed.update(key for key in old if key not in new)
    return frozenset(changed)


def _broker_events(
    at_s: float, old: ClusterSnapshot, new: ClusterSnapshot, touched: frozenset[int]
) -> Iterator[Change]:
    for broker_id in sorted(touched):
        was_up, is_up = _is_up(old.brokers.get(broker_id)), _is_up(new.brokers.get(broker_id))
        if is_up and not was_up:
            text = f"Broker {broker_id} is up"
            yield Change(at_s, ChangeKind.BROKER_UP, text, broker_id=broker_id)
        elif was_up and not is_up:
            text = f"Broker {broker_id} is down"
            yield Change(at_s, ChangeKind.BROKER_DOWN, text, broker_id=broker_id)


def _is_up(broker: Broker | None) -> bool:
    return broker is not None and broker.in_cluster


def _topic_events(
    at_s: float, old: ClusterSnapshot, new: ClusterSnapshot, touched: frozenset[str]
) -> Iterator[Change]:
    for name in sorted(touched):
        before, after = old.topics.get(name), new.topics.get(name)
        if before is None and after is not None:
            text = f"Topic {name} was created with {counted(len(after.partitions), 'partition')}"
            yield Change(at_s, ChangeKind.TOPIC_CREATED, text, topic=name)
        elif after is None and before is not None:
            yield Change(at_s, ChangeKind.TOPIC_DELETED, f"Topic {name} was deleted", topic=name)
        elif before is not None and after is not None:
            if before.topic_id and after.topic_id and before.topic_id != after.topic_id:
                text = f"Topic {name} was deleted and created again"
                yield Change(at_s, ChangeKind.TOPIC_CREATED, text, topic=name)
            else:
                yield from _partition_events(at_s, before, after)


def _partition_events(at_s: float, before: Topic, after: Topic) -> Iterator[Change]:
    old = {p.partition: p for p in before.partitions}
    added = [p for p in after.partitions if p.partition not in old]
    if added and old:
        total = counted(len(after.partitions), "partition")
        text = f"Topic {after.name} grew from {len(old):,} to {total}"
        yield Change(at_s, ChangeKind.PARTITIONS_ADDED, text, topic=after.name)
    for new in after.partitions:
        previous = old.get(new.partition)
        if previous is not None and previous is not new:
            yield from _replica_events(at_s, previous, new)


def _replica_events(at_s: float, old: Partition, new: Partition) -> Iterator[Change]:
    where = f"{new.topic}-{new.partition}"

    def change(
        kind: ChangeKind, text: str, broker_id: int | None = None, from_broker: int | None = None
    ) -> Change:
        return Change(
            at_s, kind, text, new.topic, new.partition, broker_id, from_broker=from_broker
        )

    if old.leader != new.leader:
        if new.leader is None:
            text = f"{where} has no leader (it was broker {old.leader})"
            yield change(ChangeKind.LEADER_LOST, text, old.leader, old.leader)
        elif old.leader is None:
            text = f"{where} is led by broker {new.leader} again"
            yield change(ChangeKind.LEADER_MOVED, text, new.leader)
        else:
            text = f"Leader of {where} moved from broker {old.leader} to broker {new.leader}"
            yield change(ChangeKind.LEADER_MOVED, text, new.leader, old.leader)
    fell_out = sorted(set(old.isr) - set(new.isr))
    caught_up = sorted(set(new.isr) - set(old.isr))
    if fell_out:
        brokers = numbered("broker", fell_out)
        text = f"In-sync set of {where} shrank to {_ids(new.isr)}: {brokers} fell out"
        yield change(ChangeKind.ISR_SHRANK, text, fell_out[0])
    if caught_up:
        brokers = numbered("broker", caught_up)
        text = f"In-sync set of {where} grew to {_ids(new.isr)}: {brokers} caught up"
        yield change(ChangeKind.ISR_GREW, text, caught_up[0])
    if set(old.replicas) != set(new.replicas):
        text = f"Replicas of {where} changed from {_ids(old.replicas)} to {_ids(new.replicas)}"
        yield change(ChangeKind.REPLICAS_CHANGED, text)


def _merge_similar(events: list[Change]) -> list[Change]:
    """Merge many events of one kind and one broker into one: a broker that stops or starts changes
    hundreds of partitions at once."""
    similar: dict[tuple[ChangeKind, int | None], list[Change]] = {}
    for event in events:
        # A leader that moved belongs to the broker that lost it.
        broker_id = event.from_broker if event.kind is ChangeKind.LEADER_MOVED else event.broker_id
        similar.setdefault((event.kind, broker_id), []).append(event)
    merged: list[Change] = []
    for (kind, broker_id), part in similar.items():
        text = _merged_text(kind, broker_id, len(part))
        if len(part) <= SIMILAR_MOST or not text:
            merged += part
        else:
            at_s, partitions = part[0].at_s, _partitions_of(part)
            merged.append(Change(at_s, kind, text, broker_id=broker_id, partitions=partitions))
    return merged


def _partitions_of(events: Sequence[Change]) -> tuple[TopicPartition, ...]:
    return tuple(
        (e.topic, e.partition) for e in events if e.topic is not None and e.partition is not None
    )


def _merged_text(kind: ChangeKind, broker_id: int | None, count: int) -> str:
    """The text of ``count`` events of one kind; empty when that kind is not merged."""
    partitions = counted(count, "partition")
    match kind:
        case ChangeKind.LEADER_MOVED if broker_id is None:
            return f"{partitions} {verb(count, 'has', 'have')} a leader again"
        case ChangeKind.LEADER_MOVED:
            return f"Leaders of {partitions} moved away from broker {broker_id}"
        case ChangeKind.LEADER_LOST:
            return f"{counted_is(count, 'partition')} without a leader (it was broker {broker_id})"
        case ChangeKind.ISR_SHRANK:
            return f"Broker {broker_id} fell out of the in-sync sets of {partitions}"
        case ChangeKind.ISR_GREW:
            return f"Broker {broker_id} caught up in {partitions}"
        case _:
            return ""


def _ids(ids: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(i) for i in ids) + ")" if ids else "nothing"


def _group_events(
    at_s: float, old: ClusterSnapshot, new: ClusterSnapshot, touched: frozenset[str]
) -> Iterator[Change]:
    for group_id in sorted(touched):
        before, after = old.groups.get(group_id), new.groups.get(group_id)
        if before is None and after is not None:
            text = f"Group {group_id} appeared"
            yield Change(at_s, ChangeKind.GROUP_APPEARED, text, group_id=group_id)
        elif after is None and before is not None:
            text = f"Group {group_id} is gone"
            yield Change(at_s, ChangeKind.GROUP_GONE, text, group_id=group_id)
        elif before is not None and after is not None:
            yield from _member_events(at_s, before, after)


def _member_events(at_s: float, before: Group, after: Group) -> Iterator[Change]:
    group_id = after.group_id
    if before.state != after.state and before.state and after.state:
        text = f"Group {group_id}: {before.state} -> {after.state}"
        yield Change(at_s, ChangeKind.GROUP_STATE, text, group_id=group_id)
    if before.members is after.members:
        return
    old = {m.member_id: m for m in before.members}
    new = {m.member_id: m for m in after.members}
    for member_id in sorted(set(new) - set(old)):
        text = f"{_member_name(new[member_id])} joined group {group_id}"
        yield Change(at_s, ChangeKind.MEMBER_JOINED, text, group_id=group_id)
    for member_id in sorted(set(old) - set(new)):
        text = f"{_member_name(old[member_id])} left group {group_id}"
        yield Change(at_s, ChangeKind.MEMBER_LEFT, text, group_id=group_id)


def _member_name(member: Member) -> str:
    return f"{member.instance_id or member.client_id or member.member_id} ({member.host})"
