"""The processes of an embedded cluster's brokers: state, memory, processor time, and the
connections that other programs hold to them. All of it blocks: call it on the worker thread of
``gui.embedded.cluster``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gui.embedded.states import BrokerState

if TYPE_CHECKING:
    from embedded_broker import LocalCluster

TAIL_BYTES = 64 * 1024


_STATES = {
    "serving": BrokerState.UP,
    "frozen": BrokerState.FROZEN,
    "stopped": BrokerState.STOPPED,
    "stopping": BrokerState.STOPPING,
    "starting": BrokerState.STARTING,
    "died": BrokerState.DIED,
}


@dataclass(frozen=True, slots=True)
class BrokerProcess:
    """``cpu_share`` is of one core, since the last reading; None while the broker does not run.
    ``reason`` says why the process ended."""

    broker_id: int
    state: BrokerState
    pid: int | None = None
    started_s: float | None = None
    rss_bytes: int | None = None
    cpu_share: float | None = None
    directory: str = ""
    port: int = 0
    reason: str = ""


def uptime_s(broker: BrokerProcess) -> float | None:
    return None if broker.started_s is None else time.monotonic() - broker.started_s


@dataclass(frozen=True, slots=True)
class _Reading:
    """Processor time of a process at one moment, and when the process was first seen."""

    first_s: float
    at_s: float
    cpu_s: float


class ProcessMonitor:
    """Reads the processes; remembers the last reading of each to compute its share of a core."""

    def __init__(self) -> None:
        self._last: dict[int, _Reading] = {}  # by process id

    def read(self, cluster: LocalCluster) -> dict[int, BrokerProcess]:
        now_s = time.monotonic()
        processes = {}
        for status in cluster.statuses():
            usage = cluster.usage(status.broker_id) if status.pid else None
            share = started_s = None
            if usage is not None:
                last = self._last.get(status.pid, _Reading(now_s, now_s, usage.cpu_s))
                passed_s = now_s - last.at_s
                share = (usage.cpu_s - last.cpu_s) / passed_s if passed_s > 0 else 0.0
                started_s = last.first_s
                self._last[status.pid] = _Reading(last.first_s, now_s, usage.cpu_s)
            processes[status.broker_id] = BrokerProcess(
                status.broker_id,
                _STATES[status.state.value],
                status.pid or None,
                started_s,
                usage.rss_bytes if usage is not None else None,
                share,
                str(cluster.broker_directory(status.broker_id)),
                status.port,
                status.reason,
            )
        return processes


def external_ports(brokers: Iterable[BrokerProcess], own_pids: set[int]) -> set[int]:
    """Remote ports of the connections to these brokers that belong neither to them nor to the
    processes of ``own_pids``.

    The processes are read one after another, so a connection that opens meanwhile may be counted
    as another program's: read twice and take what both readings hold.
    """
    import psutil

    brokers = list(brokers)
    pids = own_pids | {b.pid for b in brokers if b.pid}
    ports = {b.port for b in brokers}
    own_ports: set[int] = set()
    remote_ports: set[int] = set()
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except psutil.Error:
            continue
        for connection in connections:
            if connection.status != psutil.CONN_ESTABLISHED:
                continue
            if connection.laddr.port in ports:
                remote_ports.add(connection.raddr.port)
            else:
                own_ports.add(connection.laddr.port)
    return remote_ports - own_ports


def tail_of(path: Path, most_bytes: int = TAIL_BYTES) -> str:
    """The end of a text file, from the beginning of a line. Raises: OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most_bytes))
        text = file.read().decode("utf-8", "replace")
    return text if size <= most_bytes else text.partition("\n")[2]
