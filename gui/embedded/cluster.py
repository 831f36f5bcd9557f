"""One embedded cluster while it runs: its brokers, and what can be done to them.

``embedded_broker.LocalCluster`` blocks, so each of its calls runs on one worker thread, one after
another. States of the cluster: new -> starting -> running -> stopping -> stopped, and starting ->
failed. A broker is up, frozen, stopped or died; a died one may be started again.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from gui.client_bridge import ClientBridge
from gui.embedded.errors import EmbeddedError
from gui.embedded.processes import (
    BrokerProcess,
    ProcessMonitor,
    external_ports,
    tail_of,
)
from gui.embedded.states import BrokerState, ClusterState
from gui.tasks import TaskScope, after
from kafka_client.errors import ClientError

if TYPE_CHECKING:
    from embedded_broker import LocalCluster
    from gui.embedded.demo_traffic import DemoTraffic

POLL_MS = 1000
SECOND_READING_MS = 300


class EmbeddedCluster(QObject):
    """``start`` and ``stop`` are awaited once each; everything else works while it runs."""

    brokers_changed = Signal()

    def __init__(
        self,
        name: str,
        bridge: ClientBridge,
        launch: Callable[[], LocalCluster],
        monitor: ProcessMonitor | None = None,
        parent: QObject | None = None,
    ) -> None:
        """``launch`` runs on the worker thread and returns when every broker serves. Raises:
        EmbeddedError."""
        super().__init__(parent)
        self.name = name
        self.state = ClusterState.NEW
        self.bootstrap_servers = ""
        self.brokers: dict[int, BrokerProcess] = {}
        self.traffic: DemoTraffic | None = None
        self._bridge = bridge
        self._launch = launch
        self._monitor = monitor or ProcessMonitor()
        self._launched: concurrent.futures.Future[LocalCluster] | None = None
        self._cluster: LocalCluster | None = None
        self._tasks = TaskScope(self)
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="embedded")
        self._reading = False
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(lambda: self._tasks.start(self._read_processes()))

    # ---- the whole cluster

    async def start(self) -> None:
        """Start every broker and wait until all of them serve. Raises: EmbeddedError."""
        assert self.state is ClusterState.NEW
        self.state = ClusterState.STARTING
        self._launched = self._worker.submit(self._launch)
        try:
            cluster = await self._bridge.result_of(self._launched)
        except ClientError:
            self.state = ClusterState.FAILED
            self._worker.shutdown(wait=False)
            raise
        if self.state is not ClusterState.STARTING:
            raise EmbeddedError(f"{self.name} was stopped while it started.")
        self._cluster = cluster
        self.bootstrap_servers = cluster.bootstrap_servers
        self.state = ClusterState.RUNNING
        self._poll.start()
        self._tasks.start(self._read_processes())

    async def stop(self) -> None:
        """Stop the traffic, then every broker in order: each hands over its partitions first. A
        cluster that is starting is stopped as soon as it has started."""
        launched = self._launched
        if launched is None or self.state not in (ClusterState.STARTING, ClusterState.RUNNING):
            return
        self.state = ClusterState.STOPPING
        self._poll.stop()
        self._tasks.close()
        if self.traffic is not None:
            await self.traffic.stop()
        try:
            await self._bridge.run_in(self._worker, _stop, launched)
        finally:
            self._stopped()

    def _stopped(self) -> None:
        self.state = ClusterState.STOPPED
        self.brokers = {
            i: BrokerProcess(i, BrokerState.STOPPED, directory=b.directory)
            for i, b in self.brokers.items()
        }
        self._worker.shutdown(wait=False)
        self.brokers_changed.emit()

    # ---- one broker; all of them raise EmbeddedError

    async def kill(self, broker_id: int) -> None:
        """SIGKILL: the broker has no time to hand over its partitions."""
        await self._act("kill", broker_id, self._running_cluster().kill)

    async def freeze(self, broker_id: int) -> None:
        """SIGSTOP: the broker keeps its connections and answers no request."""
        await self._act("freeze", broker_id, self._running_cluster().freeze)

    async def thaw(self, broker_id: int) -> None:
        await self._act("thaw", broker_id, self._running_cluster().thaw)

    async def stop_broker(self, broker_id: int) -> None:
        await self._act("stop", broker_id, self._running_cluster().stop_broker)

    async def start_broker(self, broker_id: int) -> None:
        process = self.brokers.get(broker_id)
        if process is not None:
            self.brokers[broker_id] = replace(process, state=BrokerState.STARTING)
            self.brokers_changed.emit()
        await self._act("start", broker_id, self._running_cluster().start_broker)

    async def _act(self, verb: str, broker_id: int, act: Callable[[int], None]) -> None:
        def call() -> None:
            try:
                act(broker_id)
            except OSError as error:
                raise EmbeddedError(f"Could not {verb} broker {broker_id}: {error}") from error

        await self._bridge.run_in(self._worker, call)
        await self._read_processes()

    def _running_cluster(self) -> LocalCluster:
        if self._cluster is None or self.state is not ClusterState.RUNNING:
            raise EmbeddedError(f"{self.name} is not running.")
        return self._cluster

    async def log_tail(self, broker_id: int) -> str:
        """The last lines of a broker's log; "" before there is one. Raises: EmbeddedError."""
        broker = self.brokers.get(broker_id)
        if broker is None or not broker.directory or self.state is not ClusterState.RUNNING:
            return ""

        def read() -> str:
            try:
                return tail_of(Path(broker.directory, "broker.log"))
            except OSError as error:
                reason = error.strerror or error
                raise EmbeddedError(
                    f"The log of broker {broker_id} cannot be read: {reason}"
                ) from error

        return await self._bridge.run_in(self._worker, read)

    async def external_connections(self) -> int:
        """Count the connections of other programs to the brokers of this cluster."""
        if self.state is not ClusterState.RUNNING:
            return 0
        own_pids = {os.getpid()} | ({self.traffic.pid} if self.traffic is not None else set())
        read = partial(external_ports, list(self.brokers.values()), own_pids)
        first = await self._bridge.run_in(self._worker, read)
        if not first:
            return 0
        await after(SECOND_READING_MS)
        return len(first & await self._bridge.run_in(self._worker, read))

    async def _read_processes(self) -> None:
        cluster = self._cluster
        if cluster is None or self._reading or self.state is not ClusterState.RUNNING:
            return
        self._reading = True
        try:
            brokers = await self._bridge.run_in(self._worker, self._monitor.read, cluster)
        finally:
            self._reading = False
        if self.state is ClusterState.RUNNING and brokers != self.brokers:
            self.brokers = brokers
            self.brokers_changed.emit()


def _stop(launched: concurrent.futures.Future[LocalCluster]) -> None:
    """On the worker thread, which has finished the launch: jobs run one after another."""
    if not launched.cancelled() and launched.exception() is None:
        launched.result().stop()
