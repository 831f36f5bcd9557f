"""What is different between two snapshots, as facts with a time and words: the *what changed*
list, and what pages merge.

``diff`` is pure. Offsets, lags, rates and sizes move all the time and are no changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

K = TypeVar("K")

FEW = 6


class ChangeKind(StrEnum):
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
    """One fact. ``at_s`` is when it was seen (it happened between the sample before and this
    one)."""

    at_s: float
    kind: ChangeKind
    words: str
    topic: str | None = None
    partition: int | None = None
    broker_id: int | None = None
    group_id: str | None = None
    from_broker: int | None = None
    """Who led before, when a leader moved or was lost."""
    partitions: tuple[TopicPartition, ...] = ()
    """When one cause changed many partitions and they are told as one fact: which."""


@dataclass(frozen=True, slots=True)
class Changes:
    """``first`` marks the first snapshot of a connection: everything is new and nothing happened.
    The sets name what a page must look at again; they also hold what merely got new figures."""

    events: tuple[Change, ...] = ()
    first: bool = False
    brokers: frozenset[int] = field(default_factory=frozenset)
    topics: frozenset[str] = field(default_factory=frozenset)
    groups: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.events or self.first or self.brokers or self.topics or self.groups)


def diff(old: ClusterSnapshot | None, new: ClusterSnapshot) -> Changes:
    """Compare two snapshots of one cluster. Parts that are the same object are skipped, so a
    round that touched few topics costs little."""
    if old is None or (old.cluster_id != new.cluster_id and old.cluster_id):
        return Changes(
            (), True, frozenset(new.brokers), frozenset(new.topics), frozenset(new.groups)
        )
    at_s = new.taken_s
    events: list[Change] = []
    brokers = (
        _different(old.brokers, new.brokers) if old.brokers is not new.brokers else frozenset()
    )
    topics = _different(old.topics, new.topics) if old.topics is not new.topics else frozenset()
    groups = _different(old.groups, new.groups) if old.groups is not new.groups else frozenset()
    if _known(old, Datum.METADATA) and _known(new, Datum.METADATA):
        events += _broker_events(at_s, old, new, brokers)
        events += _told_together(list(_topic_events(at_s, old, new, topics)))
    if (
        old.controller_id is not None
        and new.controller_id is not None
        and old.controller_id != new.controller_id
    ):
        words = f"Controller moved from broker {old.controller_id} to broker {new.controller_id}"
        events.append(Change(at_s, ChangeKind.CONTROLLER_MOVED, words, broker_id=new.controller_id))
    if _known(old, Datum.GROUPS) and _known(new, Datum.GROUPS):
        events += _group_events(at_s, old, new, groups)
    return Changes(tuple(events), False, brokers, topics, groups)


def _known(snapshot: ClusterSnapshot, datum: Datum) -> bool:
    sampled = snapshot.sampled.get(datum)
    return sampled is not None and sampled.at_s is not None


def _different(old: Mapping[K, object], new: Mapping[K, object]) -> frozenset[K]:
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
        before, after = old.brokers.get(broker_id), new.brokers.get(broker_id)
        was_up, is_up = _is_up(before), _is_up(after)
        if is_up and not was_up:
            yield Change(
                at_s, ChangeKind.BROKER_UP, f"Broker {broker_id} is up", broker_id=broker_id
            )
        elif was_up and not is_up:
            yield Change(
                at_s, ChangeKind.BROKER_DOWN, f"Broker {broker_id} is down", broker_id=broker_id
            )


def _is_up(broker: Broker | None) -> bool:
    return broker is not None and broker.in_cluster


def _topic_events(
    at_s: float, old: ClusterSnapshot, new: ClusterSnapshot, touched: frozenset[str]
) -> Iterator[Change]:
    for name in sorted(touched):
        before, after = old.topics.get(name), new.topics.get(name)
        if before is None and after is not None:
            count = len(after.partitions)
            words = f"Topic {name} was created with {count} partition{'s' if count != 1 else ''}"
            yield Change(at_s, ChangeKind.TOPIC_CREATED, words, topic=name)
        elif after is None and before is not None:
            yield Change(at_s, ChangeKind.TOPIC_DELETED, f"Topic {name} was deleted", topic=name)
        elif before is not None and after is not None:
            if before.topic_id and after.topic_id and before.topic_id != after.topic_id:
                words = f"Topic {name} was deleted and created again"
                yield Change(at_s, ChangeKind.TOPIC_CREATED, words, topic=name)
            else:
                yield from _partition_events(at_s, before, after)


def _partition_events(at_s: float, before: Topic, after: Topic) -> Iterator[Change]:
    old = {p.partition: p for p in before.partitions}
    added = [p for p in after.partitions if p.partition not in old]
    if added and old:
        words = f"Topic {after.name} grew from {len(old)} to {len(after.partitions)} partitions"
        yield Change(at_s, ChangeKind.PARTITIONS_ADDED, words, topic=after.name)
    for new in after.partitions:
        was = old.get(new.partition)
        if was is not None and was is not new:
            yield from _replica_events(at_s, was, new)


def _replica_events(at_s: float, was: Partition, new: Partition) -> Iterator[Change]:
    where = f"{new.topic}-{new.partition}"

    def change(
        kind: ChangeKind, words: str, broker_id: int | None = None, was_at: int | None = None
    ) -> Change:
        return Change(
            at_s,
            kind,
            words,
            topic=new.topic,
            partition=new.partition,
            broker_id=broker_id,
            from_broker=was_at,
        )

    if was.leader != new.leader:
        if new.leader is None:
            yield change(
                ChangeKind.LEADER_LOST,
                f"{where} has no leader (it was broker {was.leader})",
                was.leader,
                was.leader,
            )
        elif was.leader is None:
            yield change(
                ChangeKind.LEADER_MOVED, f"{where} is led by broker {new.leader} again", new.leader
            )
        else:
            words = f"Leader of {where} moved from broker {was.leader} to broker {new.leader}"
            yield change(ChangeKind.LEADER_MOVED, words, new.leader, was.leader)
    left = sorted(set(was.isr) - set(new.isr))
    came = sorted(set(new.isr) - set(was.isr))
    if left:
        words = f"In-sync set of {where} shrank to {_ids(new.isr)}: {_brokers(left)} fell out"
        yield change(ChangeKind.ISR_SHRANK, words, left[0])
    if came:
        words = f"In-sync set of {where} grew to {_ids(new.isr)}: {_brokers(came)} caught up"
        yield change(ChangeKind.ISR_GREW, words, came[0])
    if set(was.replicas) != set(new.replicas):
        words = f"Replicas of {where} changed from {_ids(was.replicas)} to {_ids(new.replicas)}"
        yield change(ChangeKind.REPLICAS_CHANGED, words)


def _told_together(events: list[Change]) -> list[Change]:
    """One broker that goes or comes changes many partitions at once: more than a few of one kind
    become one fact."""
    alike: dict[tuple[ChangeKind, int | None], list[Change]] = {}
    for event in events:
        whose = event.from_broker if event.kind is ChangeKind.LEADER_MOVED else event.broker_id
        alike.setdefault((event.kind, whose), []).append(event)
    told: list[Change] = []
    for (kind, broker_id), part in alike.items():
        words = _words_for_many(kind, broker_id, len(part))
        if len(part) <= FEW or not words:
            told += part
        else:
            partitions = tuple(
                (e.topic, e.partition)
                for e in part
                if e.topic is not None and e.partition is not None
            )
            told.append(
                Change(part[0].at_s, kind, words, broker_id=broker_id, partitions=partitions)
            )
    return told


def _words_for_many(kind: ChangeKind, broker_id: int | None, count: int) -> str:
    match kind:
        case ChangeKind.LEADER_MOVED if broker_id is None:
            return f"{count} partitions have a leader again"
        case ChangeKind.LEADER_MOVED:
            return f"Leaders of {count} partitions moved away from broker {broker_id}"
        case ChangeKind.LEADER_LOST:
            return f"{count} partitions have no leader (it was broker {broker_id})"
        case ChangeKind.ISR_SHRANK:
            return f"Broker {broker_id} fell out of the in-sync sets of {count} partitions"
        case ChangeKind.ISR_GREW:
            return f"Broker {broker_id} caught up in {count} partitions"
        case _:
            return ""


def _ids(ids: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(i) for i in ids) + ")" if ids else "nothing"


def _brokers(ids: list[int]) -> str:
    return ("broker " if len(ids) == 1 else "brokers ") + ", ".join(str(i) for i in ids)


def _group_events(
    at_s: float, old: ClusterSnapshot, new: ClusterSnapshot, touched: frozenset[str]
) -> Iterator[Change]:
    for group_id in sorted(touched):
        before, after = old.groups.get(group_id), new.groups.get(group_id)
        if before is None and after is not None:
            yield Change(
                at_s, ChangeKind.GROUP_APPEARED, f"Group {group_id} appeared", group_id=group_id
            )
        elif after is None and before is not None:
            yield Change(
                at_s, ChangeKind.GROUP_GONE, f"Group {group_id} is gone", group_id=group_id
            )
        elif before is not None and after is not None:
            yield from _one_group(at_s, before, after)


def _one_group(at_s: float, before: Group, after: Group) -> Iterator[Change]:
    group_id = after.group_id
    if before.state != after.state and before.state and after.state:
        words = f"Group {group_id}: {before.state} -> {after.state}"
        yield Change(at_s, ChangeKind.GROUP_STATE, words, group_id=group_id)
    if before.members is after.members:
        return
    old = {m.member_id: m for m in before.members}
    new = {m.member_id: m for m in after.members}
    for member_id in sorted(set(new) - set(old)):
        words = f"{_name(new[member_id])} joined group {group_id}"
        yield Change(at_s, ChangeKind.MEMBER_JOINED, words, group_id=group_id)
    for member_id in sorted(set(old) - set(new)):
        words = f"{_name(old[member_id])} left group {group_id}"
        yield Change(at_s, ChangeKind.MEMBER_LEFT, words, group_id=group_id)


def _name(member: Member) -> str:
    return f"{member.instance_id or member.client_id or member.member_id} ({member.host})"
