"""Computes the rows of the tables of topics, partitions and readers from a snapshot.

Pure functions: frozen values in, frozen rows out; they may run on any thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gui.page_kit.columns import status_column
from gui.page_kit.sums import sum_known
from gui.status import BAD, Status, partition_tone, replica_status
from kafka_client.model import ClusterSnapshot, Group, Partition, Topic
from resources.wording import capitalised, counted, numbered, verb
from widgets import figures
from widgets.column import Column


@dataclass(frozen=True, slots=True)
class TopicRow:
    name: str
    internal: bool
    partitions: int
    replication: int
    status: Status
    size_bytes: int | None
    """one copy: the logs of the leaders"""
    stored_bytes: int | None
    """all replicas together"""
    span: int | None
    """end minus start offsets"""
    rate: float | None
    groups: int
    worst_lag: int | None
    worst_group: str


def stored_bytes(partitions: Sequence[Partition]) -> int | None:
    """Bytes of all replicas, as far as known."""
    return sum_known(sum(p.replica_bytes.values()) if p.replica_bytes else None for p in partitions)


def readers(snapshot: ClusterSnapshot) -> dict[str, list[Group]]:
    """Topic -> groups with committed offsets in it, from the last sample."""
    found: dict[str, list[Group]] = defaultdict(list)
    for group in snapshot.groups.values():
        for topic in group.topics:
            found[topic].append(group)
    return found


def lag_in(group: Group, topic: str) -> int | None:
    return sum_known(lag.lag_records for lag in group.lags if lag.topic == topic)


def topic_row(topic: Topic, groups: Sequence[Group]) -> TopicRow:
    partitions = topic.partitions
    lags = [(lag, g.group_id) for g in groups if (lag := lag_in(g, topic.name)) is not None]
    worst_lag, worst_group = max(lags, default=(None, ""), key=lambda pair: pair[0] or 0)
    offline = sum(p.leader is None or p.leader < 0 for p in partitions)
    return TopicRow(
        name=topic.name,
        internal=topic.internal or topic.name.startswith("__"),
        partitions=len(partitions),
        replication=topic.replication_factor,
        status=replica_status(offline, sum(p.under_replicated for p in partitions), topic.error),
        size_bytes=sum_known(p.size_bytes for p in partitions),
        stored_bytes=stored_bytes(partitions),
        span=sum_known(p.offset_span for p in partitions),
        rate=sum_known(p.rate_records_per_s for p in partitions),
        groups=len(groups),
        worst_lag=worst_lag,
        worst_group=worst_group,
    )


def topic_rows(snapshot: ClusterSnapshot) -> list[TopicRow]:
    by_topic = readers(snapshot)
    return [topic_row(topic, by_topic.get(name, [])) for name, topic in snapshot.topics.items()]


def _lag_tip(row: TopicRow) -> str:
    if row.worst_group:
        return f"Largest lag of a group: {row.worst_group}"
    return "No group has committed offsets to this topic"


TOPIC_COLUMNS: list[Column[TopicRow]] = [
    Column("topic", "Topic", lambda r: r.name, width=240, stretch=True),
    status_column("health", "Replicas", lambda r: r.status, width=132),
    Column("partitions", "Partitions", lambda r: r.partitions, text=figures.count, numeric=True,
           width=84),
    Column("replication", "Replication", lambda r: r.replication, text=figures.count, numeric=True,
           width=92, help="Replication factor"),
    Column("rate", "Records/s", lambda r: r.rate, text=figures.rate, numeric=True, width=88,
           help="Growth of the end offsets between the last two samples"),
    Column("span", "Offset span", lambda r: r.span, text=figures.count, numeric=True, width=96,
           help="End minus start offsets. Not a count of records where a topic is compacted or has"
                " transactions"),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=80,
           help="One copy: the logs of the leaders"),
    Column("stored", "Stored", lambda r: r.stored_bytes, text=figures.size, numeric=True, width=80,
           help="All replicas together: the disk space that the topic takes"),
    Column("groups", "Groups", lambda r: r.groups, text=figures.count, numeric=True, width=72,
           help="Consumer groups with committed offsets"),
    Column("lag", "Worst lag", lambda r: r.worst_lag, text=figures.count, numeric=True,
           width=84, tip=_lag_tip),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartitionRow:
    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    """the first is the preferred leader"""
    isr: tuple[int, ...]
    offline: tuple[int, ...]
    """brokers whose replica is offline: down, fenced, or with a failed log directory"""
    epoch: int | None
    start: int | None
    high_watermark: int | None
    stable: int | None
    size_bytes: int | None
    rate: float | None
    share: float | None
    """part of the topic's bytes, or of its offset span while sizes are unknown; 0..1"""

    @property
    def out_of_sync(self) -> tuple[int, ...]:
        return tuple(r for r in self.replicas if r not in self.isr)

    @property
    def tone(self) -> str:
        return partition_tone(self.leader, len(self.replicas), len(self.isr))

    @property
    def has_leader(self) -> bool:
        return self.leader is not None and self.leader >= 0

    @property
    def led_by_preferred(self) -> bool:
        return bool(self.replicas) and self.leader == self.replicas[0]


def partition_rows(topic: Topic) -> list[PartitionRow]:
    weights = [
        p.size_bytes if p.size_bytes is not None else p.offset_span for p in topic.partitions
    ]
    whole = sum_known(weights)
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


def broker_ids(brokers: Sequence[int]) -> str:
    return ", ".join(map(str, brokers)) if brokers else "none"


def _isr_tip(row: PartitionRow) -> str:
    if not row.out_of_sync:
        return "Every replica is in sync"
    behind = [replica for replica in row.out_of_sync if replica not in row.offline]
    parts = [
        f"{capitalised(numbered('broker', ids))} {verb(len(ids))} {state}"
        for ids, state in ((row.offline, "offline"), (behind, "behind"))
        if ids
    ]
    in_sync = f"{len(row.isr)} of {counted(len(row.replicas), 'replica')} in sync"
    return "; ".join([*parts, in_sync])


def _offline_tip(row: PartitionRow) -> str:
    if not row.offline:
        return "No replica is offline"
    return (
        f"Offline on {numbered('broker', row.offline)}: a broker that is down or fenced, or whose"
        " log directory failed"
    )


def _leader(row: PartitionRow) -> str:
    if not row.has_leader:
        return "none"
    return f"broker {row.leader}" if row.led_by_preferred else f"broker {row.leader}, not preferred"


def _leader_tip(row: PartitionRow) -> str:
    if not row.has_leader:
        return "No in-sync replica is alive: the partition takes no reads and no writes"
    if row.led_by_preferred:
        return "The preferred leader"
    return f"The preferred leader is broker {row.replicas[0]}"


PARTITION_COLUMNS: list[Column[PartitionRow]] = [
    Column("partition", "Partition", lambda r: r.partition, text=str, numeric=True, width=80),
    Column("leader", "Leader", _leader, paint="status", tone=lambda r: r.tone, tip=_leader_tip,
           width=164),
    Column("replicas", "Replicas", lambda r: broker_ids(r.replicas), width=88,
           help="Brokers with a replica. The first is the preferred leader"),
    Column("isr", "In sync", lambda r: broker_ids(r.isr), tip=_isr_tip, width=88,
           tone=lambda r: "text" if r.tone == "ok" else r.tone, help="The in-sync replica set"),
    Column("offline", "Offline", lambda r: r.offline, text=lambda ids: broker_ids(ids) if ids else
           "–", width=76, tone=lambda r: BAD if r.offline else "text_faint", tip=_offline_tip,
           help="Brokers whose replica is offline: down, fenced, or with a failed log directory"),
    Column("epoch", "Leader epoch", lambda r: r.epoch, text=figures.count, numeric=True,
           help="Grows with each change of the leader"),
    Column("start", "Start", lambda r: r.start, text=figures.count, numeric=True,
           help="Log start offset: the first offset still stored"),
    Column("high_watermark", "High watermark", lambda r: r.high_watermark, text=figures.count,
           numeric=True,
           help="Offsets below it are on all in-sync replicas; consumers see no further"),
    Column("stable", "Last stable", lambda r: r.stable, text=figures.count, numeric=True,
           hidden=True,
           help="Last stable offset: read-committed consumers stop at the first open transaction"),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=92,
           help="The log of the leader"),
    Column("rate", "Records/s", lambda r: r.rate, text=figures.rate, numeric=True),
    Column("share", "Share of data", lambda r: r.share, text=figures.percent, paint="bar",
           width=120, stretch=True, help="Part of the topic's bytes in this partition"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReaderRow:
    group: str
    state: str
    members: int
    lag: int | None
    seconds: float | None


def reader_rows(snapshot: ClusterSnapshot, topic: str) -> list[ReaderRow]:
    return [_reader_row(group, topic) for group in readers(snapshot).get(topic, [])]


def _reader_row(group: Group, topic: str) -> ReaderRow:
    lags = [lag for lag in group.lags if lag.topic == topic]
    seconds = [lag.lag_seconds for lag in lags if lag.lag_seconds is not None]
    return ReaderRow(
        group=group.group_id,
        state=group.state,
        members=len({lag.member_id for lag in lags if lag.member_id}),
        lag=lag_in(group, topic),
        seconds=max(seconds, default=None),
    )


READER_COLUMNS: list[Column[ReaderRow]] = [
    Column("group", "Consumer group", lambda r: r.group, stretch=True, width=240),
    Column("state", "State", lambda r: r.state, width=120),
    Column("members", "Members reading", lambda r: r.members, text=figures.count, numeric=True,
           help="Members that have a partition of this topic assigned"),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True),
]  # fmt: skip
