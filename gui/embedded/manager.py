"""The embedded clusters of this window: starts them from templates or from stored data, with
their traffic, and stops them in order at the end. It knows neither the window nor its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from gui.client_bridge import ClientBridge
from gui.embedded import stored
from gui.embedded.errors import EmbeddedError
from gui.embedded.states import ClusterState
from gui.embedded.stored import StoredCluster
from gui.embedded.templates import TEMPLATES, Template

if TYPE_CHECKING:  # what starts a cluster is imported with the first one
    from gui.embedded.cluster import EmbeddedCluster


class EmbeddedClusters(QObject):
    changed = Signal()  # a cluster was started or stopped, or stored data came or went

    def __init__(self, bridge: ClientBridge, root: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._root = root
        self._earlier_roots: tuple[Path, ...] = ()
        self._open: dict[Path, EmbeddedCluster] = {}
        self._files = ThreadPoolExecutor(1, thread_name_prefix="stored clusters")

    @property
    def stored(self) -> list[StoredCluster]:
        """Those that this window has not open, last used first."""
        roots = dict.fromkeys((self._root, *self._earlier_roots))
        clusters = [cluster for root in roots for cluster in stored.stored_clusters(root)]
        clusters.sort(key=lambda cluster: -cluster.used_s)
        return [cluster for cluster in clusters if cluster.directory not in self._open]

    @property
    def root(self) -> Path:
        """The folder in which new clusters get theirs."""
        return self._root

    def use_root(self, root: Path, earlier: Iterable[Path]) -> None:
        """Make new clusters in ``root``; go on listing those in ``earlier``."""
        self._root, self._earlier_roots = root, tuple(earlier)
        self.changed.emit()

    def newest(self, template: str) -> StoredCluster | None:
        """The cluster of that template that was used last and can be started."""
        for cluster in self.stored:
            if cluster.template == template and not cluster.in_use:
                return cluster
        return None

    def directory_of(self, cluster: EmbeddedCluster) -> Path:
        return next(path for path, running in self._open.items() if running is cluster)

    # ---- starting; both raise EmbeddedError

    async def start_new(self, template: Template) -> EmbeddedCluster:
        try:
            directory, title = stored.new_directory(self._root, template)
        except OSError as error:
            reason = error.strerror or error
            raise EmbeddedError(
                f"No folder for its data could be made in {self._root}: {reason}.",
                next_step="Choose another folder in the preferences.",
            ) from error
        return await self._start(template, directory, title)

    async def start_stored(self, cluster: StoredCluster) -> EmbeddedCluster:
        template = TEMPLATES.get(cluster.template)
        if template is None:
            raise EmbeddedError(f"This version has no template “{cluster.template}”.")
        stored.touch(cluster.directory)
        return await self._start(template, cluster.directory, cluster.title)

    async def _start(self, template: Template, directory: Path, title: str) -> EmbeddedCluster:
        from gui.embedded.cluster import EmbeddedCluster
        from gui.embedded.demo_traffic import DemoTraffic
        from gui.embedded.launch import launch

        launched = partial(launch, template, directory)
        cluster = EmbeddedCluster(title, self._bridge, launched, parent=self)
        self._open[directory] = cluster
        self.changed.emit()
        try:
            await cluster.start()
        except BaseException:
            del self._open[directory]
            self.changed.emit()
            raise
        if template.scenario:
            cluster.traffic = DemoTraffic(cluster.bootstrap_servers, template.scenario, cluster)
            cluster.traffic.start()
        return cluster

    # ---- stopping

    async def stop(self, cluster: EmbeddedCluster) -> None:
        await cluster.stop()
        self._open = {path: other for path, other in self._open.items() if other is not cluster}
        self.changed.emit()

    @property
    def running(self) -> list[EmbeddedCluster]:
        """Those with broker processes: starting, running or stopping."""
        states = (ClusterState.STARTING, ClusterState.RUNNING, ClusterState.STOPPING)
        return [cluster for cluster in self._open.values() if cluster.state in states]

    async def stop_all(self) -> None:
        """Stop the traffic and every cluster in order, all clusters at the same time."""
        await asyncio.gather(*(self.stop(cluster) for cluster in self.running))

    async def external_connections(self) -> int:
        """Count the connections of other programs to the clusters of this window."""
        counts = (cluster.external_connections() for cluster in self.running)
        return sum(await asyncio.gather(*counts))

    async def size_of(self, cluster: StoredCluster) -> int:
        """Return the size of a stored cluster's data in bytes."""
        return await self._bridge.run_in(self._files, stored.size_of, cluster.directory)

    async def remove(self, cluster: StoredCluster) -> None:
        """Delete the data of a stored cluster. Raises: EmbeddedError."""
        if cluster.directory in self._open:
            raise EmbeddedError(
                f"{cluster.title} is running; its data was not removed.",
                next_step="Close it first.",
            )
        try:
            await self._bridge.run_in(self._files, stored.remove, cluster.directory)
        finally:
            self.changed.emit()
