"""What the tables of topics and partitions show, worked out of a snapshot. Pure: values in,
values out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from kafka_client.model import ClusterSnapshot, Group, Partition, Topic
from widgets import figures
from widgets.column import Column


@dataclass(frozen=True, slots=True)
class TopicRow:
    name: str
    internal: bool
    partitions: int
    replication: int
    offline: int
    """partitions without a leader"""
    under_replicated: int
    size_bytes: int | None
    """one copy: the leaders' logs"""
    stored_bytes: int | None
    """every copy together"""
    span: int | None
    rate: float | None
    groups: int
    worst_lag: int | None
    worst_group: str
    error: str

    @property
    def health(self) -> str:
        if self.error:
            return self.error
        if self.offline:
            return f"{self.offline} offline"
        if self.under_replicated:
            return f"{self.under_replicated} under-replicated"
        return "in sync"

    @property
    def tone(self) -> str:
        if self.offline or self.error:
            return "bad"
        return "warn" if self.under_replicated else "ok"


def total(values: list[int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def rate_of(partitions: tuple[Partition, ...]) -> float | None:
    known = [p.rate_records_per_s for p in partitions if p.rate_records_per_s is not None]
    return sum(known) if known else None


def stored(partitions: tuple[Partition, ...]) -> int | None:
    return total([sum(p.replica_bytes.values()) if p.replica_bytes else None for p in partitions])


def readers(snapshot: ClusterSnapshot) -> dict[str, list[Group]]:
    """Topic -> the groups that have committed to it, from the last sample of committed offsets."""
    found: dict[str, list[Group]] = defaultdict(list)
    for group in snapshot.groups.values():
        for topic in group.topics:
            found[topic].append(group)
    return found


def lag_in(group: Group, topic: str) -> int | None:
    return total([lag.lag_records for lag in group.lags if lag.topic == topic])


def topic_row(topic: Topic, groups: list[Group]) -> TopicRow:
    parts = topic.partitions
    lags = [(lag, g.group_id) for g in groups if (lag := lag_in(g, topic.name)) is not None]
    worst = max(lags, default=(None, ""), key=lambda x: x[0] if x[0] is not None else -1)
    return TopicRow(
        name=topic.name,
        internal=topic.internal or topic.name.startswith("__"),
        partitions=len(parts),
        replication=topic.replication_factor,
        offline=sum(p.leader is None or p.leader < 0 for p in parts),
        under_replicated=sum(p.under_replicated for p in parts),
        size_bytes=total([p.size_bytes for p in parts]),
        stored_bytes=stored(parts),
        span=total([p.offset_span for p in parts]),
        rate=rate_of(parts),
        groups=len(groups),
        worst_lag=worst[0],
        worst_group=worst[1],
        error=topic.error,
    )


def topic_rows(snapshot: ClusterSnapshot) -> list[TopicRow]:
    by_topic = readers(snapshot)
    return [topic_row(topic, by_topic.get(name, [])) for name, topic in snapshot.topics.items()]


def _rate(value: float | None) -> str:
    return figures.rate(value)


def _lag_tip(row: TopicRow) -> str:
    return (
        f"The most is {row.worst_group}'s"
        if row.worst_group
        else "No group has committed to this topic"
    )


TOPIC_COLUMNS: list[Column[TopicRow]] = [
    Column("topic", "Topic", lambda r: r.name, width=240, stretch=True),
    Column("health", "Replicas", lambda r: r.health, paint="dot", tone=lambda r: r.tone, width=150),
    Column("partitions", "Partitions", lambda r: r.partitions, text=figures.count, numeric=True),
    Column("replication", "Replication", lambda r: r.replication, text=figures.count, numeric=True),
    Column(
        "rate",
        "Records/s",
        lambda r: r.rate,
        text=_rate,
        numeric=True,
        help="Growth of the partitions' end offsets between the last two samples",
    ),
    Column("span", "Offset span", lambda r: r.span, text=figures.count, numeric=True,
           help="End minus start offset: not a count of records where a topic is compacted or has transactions"),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=92, help="One copy"),
    Column("stored", "Stored", lambda r: r.stored_bytes, text=figures.size, numeric=True, width=92,
           help="Every replica together: what the topic costs on disk"),
    Column("groups", "Groups", lambda r: r.groups, text=figures.count, numeric=True),
    Column("lag", "Worst lag", lambda r: r.worst_lag, text=figures.count, numeric=True, tip=_lag_tip),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartitionRow:
    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline: tuple[int, ...]
    epoch: int | None
    start: int | None
    high_watermark: int | None
    stable: int | None
    size_bytes: int | None
    rate: float | None
    share: float | None
    """this partition's part of the topic's bytes (or, sizes unknown, of its offset span), 0..1"""

    @property
    def out_of_sync(self) -> tuple[int, ...]:
        return tuple(r for r in self.replicas if r not in self.isr)

    @property
    def tone(self) -> str:
        if self.leader is None or self.leader < 0:
            return "bad"
        return "warn" if self.out_of_sync else "ok"

    @property
    def preferred(self) -> bool:
        return bool(self.replicas) and self.leader == self.replicas[0]


def partition_rows(topic: Topic) -> list[PartitionRow]:
    weights = [
        p.size_bytes if p.size_bytes is not None else p.offset_span for p in topic.partitions
    ]
    whole = total(weights)
    return [
        PartitionRow(
            partition=p.partition,
            leader=p.leader,
            replicas=p.replicas,
            isr=p.isr,
            offline=p.offline,
            epoch=p.leader_epoch,
            start=p.start_offset,
            high_watermark=p.high_watermark,
            stable=p.last_stable_offset,
            size_bytes=p.size_bytes,
            rate=p.rate_records_per_s,
            share=None if not whole or weight is None else weight / whole,
        )
        for p, weight in zip(topic.partitions, weights, strict=True)
    ]


def ids(brokers: tuple[int, ...]) -> str:
    return ", ".join(map(str, brokers)) if brokers else "none"


def _isr_tip(row: PartitionRow) -> str:
    if row.out_of_sync:
        return f"Broker {ids(row.out_of_sync)} is behind; {len(row.isr)} of {len(row.replicas)} replicas are in sync"
    return "Every replica is in sync"


def _leader(value: int | None) -> str:
    return "none" if value is None or value < 0 else f"broker {value}"


def _leader_tip(row: PartitionRow) -> str:
    if row.leader is None or row.leader < 0:
        return "No replica that is in sync is alive: the partition takes no reads or writes"
    return (
        "The preferred leader"
        if row.preferred
        else f"The preferred leader is broker {row.replicas[0]}"
    )


PARTITION_COLUMNS: list[Column[PartitionRow]] = [
    Column("partition", "Partition", lambda r: r.partition, text=str, numeric=True, width=84),
    Column("leader", "Leader", lambda r: r.leader, text=_leader, paint="dot", tone=lambda r: r.tone, tip=_leader_tip,
           width=110),
    Column("replicas", "Replicas", lambda r: ids(r.replicas), width=100, help="The first is the preferred leader"),
    Column("isr", "In sync", lambda r: ids(r.isr), tip=_isr_tip, width=100,
           tone=lambda r: "text" if r.tone == "ok" else r.tone),
    Column("epoch", "Leader epoch", lambda r: r.epoch, text=figures.count, numeric=True,
           help="Rises with each change of the leader"),
    Column("start", "Start", lambda r: r.start, text=figures.count, numeric=True, help="The first offset still kept"),
    Column("high_watermark", "High watermark", lambda r: r.high_watermark, text=figures.count, numeric=True,
           help="What all in-sync replicas have; consumers see no further"),
    Column("stable", "Last stable", lambda r: r.stable, text=figures.count, numeric=True, hidden=True,
           help="Where read-committed consumers stop: the first open transaction"),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=92),
    Column("rate", "Records/s", lambda r: r.rate, text=_rate, numeric=True),
    Column("share", "Share of data", lambda r: r.share, text=figures.percent, paint="bar", width=140, stretch=True),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReaderRow:
    group: str
    state: str
    members: int
    lag: int | None
    seconds: float | None


def reader_rows(snapshot: ClusterSnapshot, topic: str) -> list[ReaderRow]:
    rows = []
    for group in readers(snapshot).get(topic, []):
        seconds = [
            lag.lag_seconds
            for lag in group.lags
            if lag.topic == topic and lag.lag_seconds is not None
        ]
        members = {lag.member_id for lag in group.lags if lag.topic == topic and lag.member_id}
        rows.append(
            ReaderRow(
                group.group_id,
                group.state,
                len(members),
                lag_in(group, topic),
                max(seconds, default=None),
            )
        )
    return rows


READER_COLUMNS: list[Column[ReaderRow]] = [
    Column("group", "Consumer group", lambda r: r.group, stretch=True, width=240),
    Column("state", "State", lambda r: r.state, width=120),
    Column("members", "Members here", lambda r: r.members, text=figures.count, numeric=True),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True),
]
