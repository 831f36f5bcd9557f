"""What the Brokers page shows of each broker: counted from the snapshot and from the embedded
processes."""

from __future__ import annotations

from dataclasses import dataclass

from gui.embedded.cluster import BrokerProcess, BrokerState, uptime_s
from kafka_client.model import ClusterSnapshot, Partition

_TONES = {
    BrokerState.FROZEN: "warn",
    BrokerState.STARTING: "warn",
    BrokerState.STOPPING: "warn",
    BrokerState.STOPPED: "text_faint",
    BrokerState.DIED: "bad",
}


@dataclass(frozen=True, slots=True)
class BrokerRow:
    """``skew`` is how many more leaders it has than an even share, as a share of that; None
    without partitions."""

    broker_id: int
    address: str
    rack: str | None
    controller: bool
    state: str
    tone: str
    reason: str
    leaders: int
    replicas: int
    out_of_sync: int
    skew: float | None
    size_bytes: int | None
    disk_used: float | None
    rate_in: float | None
    round_trip_ms: float | None
    pid: int | None = None
    cpu_share: float | None = None
    rss_bytes: int | None = None
    uptime_s: float | None = None


@dataclass(slots=True)
class _Counts:
    leaders: int = 0
    replicas: int = 0
    out_of_sync: int = 0
    rate: float = 0.0
    rated: bool = False


def rows(snapshot: ClusterSnapshot, processes: dict[int, BrokerProcess]) -> list[BrokerRow]:
    counts = {broker_id: _Counts() for broker_id in snapshot.brokers}
    for topic in snapshot.topics.values():
        for partition in topic.partitions:
            _count(partition, counts)
    total = sum(c.leaders for c in counts.values())
    even = total / len(counts) if counts else 0
    controller = (
        snapshot.quorum.leader_id if snapshot.quorum is not None else snapshot.controller_id
    )
    found = []
    for broker_id, broker in snapshot.brokers.items():
        held, process = counts[broker_id], processes.get(broker_id)
        state, tone, reason = _state(broker.in_cluster, broker.reachable, broker.error, process)
        disk = None
        if broker.disk_total_bytes and broker.disk_free_bytes is not None:
            disk = 1 - broker.disk_free_bytes / broker.disk_total_bytes
        found.append(
            BrokerRow(
                broker_id,
                f"{broker.host}:{broker.port}",
                broker.rack,
                broker_id == controller,
                state,
                tone,
                reason,
                held.leaders,
                held.replicas,
                held.out_of_sync,
                (held.leaders - even) / even if even else None,
                broker.size_bytes,
                disk,
                held.rate if held.rated else None,
                broker.round_trip_ms,
                process.pid if process else None,
                process.cpu_share if process else None,
                process.rss_bytes if process else None,
                uptime_s(process) if process else None,
            )
        )
    return found


def _count(partition: Partition, counts: dict[int, _Counts]) -> None:
    for replica in partition.replicas:
        held = counts.get(replica)
        if held is not None:
            held.replicas += 1
            held.out_of_sync += replica not in partition.isr
    leading = counts.get(partition.leader) if partition.leader is not None else None
    if leading is not None:
        leading.leaders += 1
        if partition.rate_records_per_s is not None:
            leading.rate += partition.rate_records_per_s
            leading.rated = True


def _state(
    in_cluster: bool, reachable: bool | None, error: str, process: BrokerProcess | None
) -> tuple[str, str, str]:
    if process is not None and process.state is not BrokerState.UP:
        return process.state.value, _TONES[process.state], process.reason or error
    if not in_cluster:
        return "away", "bad", error or "The cluster no longer lists it; replicas are placed on it."
    if reachable is False:
        return "no answer", "bad", error
    return ("up", "ok", "") if reachable else ("listed", "text_faint", "Not asked yet.")


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """One replica that a broker holds."""

    topic: str
    partition: int
    role: str
    in_sync: bool
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    size_bytes: int | None
    rate: float | None


def replicas_on(snapshot: ClusterSnapshot, broker_id: int) -> tuple[int, list[ReplicaRow]]:
    """The broker asked about, and what it holds."""
    found = []
    for topic in snapshot.topics.values():
        for p in topic.partitions:
            if broker_id in p.replicas:
                role = "leader" if p.leader == broker_id else "follower"
                size = p.replica_bytes.get(broker_id)
                found.append(
                    ReplicaRow(
                        p.topic,
                        p.partition,
                        role,
                        broker_id in p.isr,
                        p.leader,
                        p.replicas,
                        p.isr,
                        size if size is not None or role != "leader" else p.size_bytes,
                        p.rate_records_per_s,
                    )
                )
    return broker_id, found
