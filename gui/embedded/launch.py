"""The bridge to ``embedded_broker.LocalCluster``: how one is made from a template, and how its
processes are. All of it runs on the worker thread of ``gui.embedded.cluster``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gui.embedded.cluster import BrokerProcess, BrokerState
from gui.embedded.stored import Template

if TYPE_CHECKING:
    from embedded_broker import LocalCluster

STATES = {
    "serving": BrokerState.UP,
    "frozen": BrokerState.FROZEN,
    "stopped": BrokerState.STOPPED,
    "stopping": BrokerState.STOPPING,
    "starting": BrokerState.STARTING,
    "died": BrokerState.DIED,
}


def maker(template: Template, directory: Path) -> Callable[[], LocalCluster]:
    """Makes a cluster in ``directory/cluster`` on the ports it had, or the template's, or any
    when those are taken."""

    def make() -> LocalCluster:
        from embedded_broker import ClusterRefused, ClusterSpec, LocalCluster

        home = directory / "cluster"
        port = _ports_before(home) or template.base_port

        def spec(first_port: int) -> ClusterSpec:
            return ClusterSpec(home, template.brokers, first_port, settings=dict(template.settings))

        if not _free(port, template.brokers):
            port = 0
        cluster = LocalCluster(spec(port))
        try:
            cluster.start()
        except ClusterRefused as error:
            if port == 0 or "port" not in str(error):
                raise
            cluster = LocalCluster(spec(0))
            cluster.start()
        return cluster

    return make


def _ports_before(home: Path) -> int:
    try:
        return int(json.loads((home / "cluster.json").read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _free(port: int, count: int) -> bool:
    import socket

    for number in range(port, port + count):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                return False
    return True


class Looker:
    """Remembers processor time between two looks."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float, float]] = {}
        """pid -> (first seen, seen at, processor seconds)"""

    def __call__(self, cluster: LocalCluster) -> dict[int, BrokerProcess]:
        now = time.time()
        found = {}
        for status in cluster.statuses():
            usage = cluster.usage(status.broker_id) if status.pid else None
            share = started = None
            if usage is not None:
                first, seen, cpu_s = self._before.get(status.pid, (now, now, usage.cpu_s))
                share = (usage.cpu_s - cpu_s) / (now - seen) if now > seen else 0.0
                started = first
                self._before[status.pid] = (first, now, usage.cpu_s)
            found[status.broker_id] = BrokerProcess(
                status.broker_id,
                STATES[status.state.value],
                status.pid or None,
                started,
                usage.rss_bytes if usage is not None else None,
                share,
                str(cluster.broker_directory(status.broker_id)),
                status.port,
                status.reason,
            )
        return found


def strangers(brokers: Iterable[BrokerProcess], own_pids: set[int]) -> set[int]:
    """Ports of connections to these brokers from programs that are neither this one nor its
    helpers. The processes are looked at one after another, so a connection that opens meanwhile
    may be taken for a stranger's: look twice."""
    import psutil

    ours = own_pids | {b.pid for b in brokers if b.pid}
    ports = {b.port for b in brokers}
    own_ends: set[int] = set()
    found: set[int] = set()
    for pid in ours:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except psutil.Error:
            continue
        for connection in connections:
            if connection.status != psutil.CONN_ESTABLISHED:
                continue
            if connection.laddr.port in ports:
                found.add(connection.raddr.port)
            else:
                own_ends.add(connection.laddr.port)
    return found - own_ends
