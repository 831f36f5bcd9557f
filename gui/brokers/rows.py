"""Computes the rows of the Brokers page: one for each broker, and one for each of its replicas.

They come from the snapshot and from the processes of an embedded cluster. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gui.embedded.processes import BrokerProcess, uptime_s
from gui.page_kit.columns import status_column
from gui.status import BAD, OK, WARN, Status, broker_status, failed_disks_sentence
from kafka_client.model import Broker, ClusterSnapshot, Partition
from widgets import figures
from widgets.column import Column

SKEW_WARN = 0.3
"""share of the even number of leaders"""
DISK_WARN, DISK_BAD = 0.8, 0.9
"""used share of a disk"""


@dataclass(frozen=True, slots=True)
class BrokerRow:
    broker_id: int
    address: str
    rack: str | None
    controller: bool
    status: Status
    reason: str
    """why it is not up, empty otherwise"""
    disks: str
    """which log directories failed and what to do, empty otherwise"""
    leaders: int
    replicas: int
    out_of_sync: int
    skew: float | None
    """leaders above an even share, as a part of that share; None without partitions"""
    size_bytes: int | None
    disk_used: float | None
    """0..1"""
    rate_in: float | None
    round_trip_ms: float | None
    """None while the broker does not answer: an old figure would look like a present one"""
    pid: int | None = None
    cpu_share: float | None = None
    """of one core"""
    rss_bytes: int | None = None
    uptime_s: float | None = None


@dataclass(slots=True)
class _Counts:
    leaders: int = 0
    replicas: int = 0
    out_of_sync: int = 0
    rate: float | None = None


def broker_rows(
    snapshot: ClusterSnapshot, processes: Mapping[int, BrokerProcess]
) -> list[BrokerRow]:
    counts = {broker_id: _Counts() for broker_id in snapshot.brokers}
    for topic in snapshot.topics.values():
        for partition in topic.partitions:
            _count(partition, counts)
    leaders = sum(c.leaders for c in counts.values())
    even = leaders / len(counts) if counts else 0.0
    quorum = snapshot.quorum
    controller = quorum.leader_id if quorum is not None else snapshot.controller_id
    rows = []
    for broker_id, broker in snapshot.brokers.items():
        row = _broker_row(broker, counts[broker_id], even, broker_id == controller)
        process = processes.get(broker_id)
        rows.append(row if process is None else _with_process(row, broker, process))
    return rows


def _count(partition: Partition, counts: Mapping[int, _Counts]) -> None:
    for replica in partition.replicas:
        of_replica = counts.get(replica)
        if of_replica is not None:
            of_replica.replicas += 1
            of_replica.out_of_sync += replica not in partition.isr
    of_leader = counts.get(partition.leader) if partition.leader is not None else None
    if of_leader is not None:
        of_leader.leaders += 1
        if partition.rate_records_per_s is not None:
            of_leader.rate = (of_leader.rate or 0.0) + partition.rate_records_per_s


def _broker_row(broker: Broker, counts: _Counts, even: float, controller: bool) -> BrokerRow:
    disk_used = None
    if broker.disk_total_bytes and broker.disk_free_bytes is not None:
        disk_used = 1 - broker.disk_free_bytes / broker.disk_total_bytes
    status = broker_status(broker)
    return BrokerRow(
        broker_id=broker.broker_id,
        address=f"{broker.host}:{broker.port}",
        rack=broker.rack,
        controller=controller,
        status=status,
        reason="" if status.tone == OK else broker.error,
        disks=failed_disks_sentence(broker, embedded=False),
        leaders=counts.leaders,
        replicas=counts.replicas,
        out_of_sync=counts.out_of_sync,
        skew=(counts.leaders - even) / even if even else None,
        size_bytes=broker.size_bytes,
        disk_used=disk_used,
        rate_in=counts.rate,
        round_trip_ms=broker.round_trip_ms if status.tone == OK else None,
    )


def _with_process(row: BrokerRow, broker: Broker, process: BrokerProcess) -> BrokerRow:
    status = broker_status(broker, process.state)
    return replace(
        row,
        status=status,
        reason="" if status.tone == OK else process.reason or broker.error,
        disks=failed_disks_sentence(broker, embedded=True),
        round_trip_ms=row.round_trip_ms if status.tone == OK else None,
        pid=process.pid,
        cpu_share=process.cpu_share,
        rss_bytes=process.rss_bytes,
        uptime_s=uptime_s(process),
    )


def _skew(value: float | None) -> str:
    if value is None:
        return figures.UNKNOWN
    return f"{value * 100:+.0f} %" if round(value * 100) else "even"


def _disk_tone(row: BrokerRow) -> str:
    used = row.disk_used or 0.0
    return BAD if used > DISK_BAD else WARN if used > DISK_WARN else "accent"


def _skew_tone(row: BrokerRow) -> str:
    return WARN if row.skew is not None and abs(row.skew) > SKEW_WARN else "text_muted"


def _round_trip(value: float | None) -> str:
    return figures.UNKNOWN if value is None else f"{value:.1f} ms"


BROKER_COLUMNS: tuple[Column[BrokerRow], ...] = (
    Column("broker", "Broker", lambda r: r.broker_id, text=lambda v: f"Broker {v}", width=80),
    status_column("state", "Status", lambda r: r.status, width=124,
                  tip=lambda r: r.disks or r.reason or r.status.meaning),
    Column("role", "Role", lambda r: "controller" if r.controller else "", paint="badge",
           tone=lambda r: "accent", width=96,
           help="The active controller leads the metadata quorum"),
    Column("address", "Address", lambda r: r.address, width=120, stretch=True),
    Column("rack", "Rack", lambda r: r.rack, hidden=True),
    Column("leaders", "Leaders", lambda r: r.leaders, text=figures.count, numeric=True, width=68,
           help="Partitions that this broker leads"),
    Column("replicas", "Replicas", lambda r: r.replicas, text=figures.count, numeric=True,
           width=72),
    Column("out_of_sync", "Out of sync", lambda r: r.out_of_sync, text=figures.count, numeric=True,
           width=88, tone=lambda r: WARN if r.out_of_sync else "text_muted",
           help="Replicas of this broker that are missing from their in-sync sets"),
    Column("skew", "Leader skew", lambda r: r.skew, text=_skew, numeric=True, width=100,
           tone=_skew_tone, hidden=True, help="Leaders above or below an even share"),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=76,
           help="All replicas of this broker"),
    Column("disk", "Disk used", lambda r: r.disk_used, text=figures.percent, paint="bar", width=104,
           tone=_disk_tone),
    Column("rate_in", "Records in", lambda r: r.rate_in, text=figures.rate, numeric=True, width=84,
           help="Records per second into the partitions that this broker leads"),
    Column("round_trip", "Round trip", lambda r: r.round_trip_ms, text=_round_trip, numeric=True,
           width=80, help="Time that the last request took"),
)  # fmt: skip

HIDDEN_BESIDE_PROCESSES = ("disk", "rack")
"""hidden at first in an embedded cluster, where the process columns need the room"""

PROCESS_COLUMNS: tuple[Column[BrokerRow], ...] = (
    Column("pid", "Process", lambda r: r.pid, numeric=True, width=72, hidden=True,
           help="Process id"),
    Column("cpu", "CPU", lambda r: r.cpu_share, text=figures.percent, numeric=True, width=52,
           help="Share of one core"),
    Column("memory", "Memory", lambda r: r.rss_bytes, text=figures.size, numeric=True, width=80,
           help="Resident memory"),
    Column("uptime", "Up for", lambda r: r.uptime_s, text=figures.duration, numeric=True, width=92,
           hidden=True),
)  # fmt: skip


def columns_for(embedded: bool) -> tuple[Column[BrokerRow], ...]:
    if not embedded:
        return BROKER_COLUMNS
    shortened = tuple(
        replace(c, hidden=c.hidden or c.name in HIDDEN_BESIDE_PROCESSES) for c in BROKER_COLUMNS
    )
    return shortened + PROCESS_COLUMNS


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """One replica on a broker."""

    topic: str
    partition: int
    role: str
    """leader or follower"""
    in_sync: bool
    offline: bool
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    size_bytes: int | None
    rate: float | None


def replicas_on(snapshot: ClusterSnapshot, broker_id: int) -> tuple[int, list[ReplicaRow]]:
    """The broker's id, and one row for each of its replicas."""
    return broker_id, [
        _replica_row(partition, broker_id)
        for topic in snapshot.topics.values()
        for partition in topic.partitions
        if broker_id in partition.replicas
    ]


def _replica_row(partition: Partition, broker_id: int) -> ReplicaRow:
    leads = partition.leader == broker_id
    size = partition.replica_bytes.get(broker_id)
    return ReplicaRow(
        topic=partition.topic,
        partition=partition.partition,
        role="leader" if leads else "follower",
        in_sync=broker_id in partition.isr,
        offline=broker_id in partition.offline,
        leader=partition.leader,
        replicas=partition.replicas,
        isr=partition.isr,
        size_bytes=partition.size_bytes if size is None and leads else size,
        rate=partition.rate_records_per_s,
    )


def _in_sync(row: ReplicaRow) -> str:
    return "offline" if row.offline else "yes" if row.in_sync else "no"


def _ids(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids)) or figures.UNKNOWN


REPLICA_COLUMNS: tuple[Column[ReplicaRow], ...] = (
    Column("topic", "Topic", lambda r: r.topic, stretch=True, icon=lambda r: "topics"),
    Column("partition", "Partition", lambda r: r.partition, numeric=True, width=88),
    Column("role", "Role", lambda r: r.role, paint="badge", width=96,
           tone=lambda r: "accent" if r.role == "leader" else ""),
    Column("in_sync", "In sync", _in_sync, paint="status", width=88,
           tone=lambda r: BAD if r.offline else OK if r.in_sync else WARN,
           tip=lambda r: "Offline: the broker is down or fenced, or the log directory failed"
           if r.offline else ""),
    Column("leader", "Leader", lambda r: r.leader, numeric=True, width=72),
    Column("replicas", "Replicas", lambda r: r.replicas, text=_ids, width=104,
           help="Brokers with a replica. The first is the preferred leader"),
    Column("isr", "In-sync set", lambda r: r.isr, text=_ids, width=104),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=96),
    Column("rate", "Records/s", lambda r: r.rate, text=figures.rate, numeric=True, width=88,
           help="Records per second into the partition"),
)  # fmt: skip
