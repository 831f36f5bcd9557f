"""The common part of the simulated clients: connections, metadata, coordinators, retries.

They behave as careful real clients do. In particular they ignore a leader of an older epoch than
one that they already know (KIP-320).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from embedded_broker.simulator.history import History
from embedded_broker.simulator.network import Connection, Host, Network, OnResponse
from embedded_broker.simulator.world import World
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest

TopicPartition = tuple[str, int]
REFRESH_BACKOFF_MS = 100


@dataclass(slots=True)
class Leader:
    """The leader of a partition, as far as a client knows; ``broker_id`` is -1 while unknown."""

    broker_id: int
    epoch: int


class SimClient:
    """A client process on a machine of its own. It never crashes; ``stopped`` ends its loops."""

    def __init__(
        self,
        world: World,
        network: Network,
        hosts: Mapping[int, Host],
        name: str,
        host_id: int,
        history: History,
    ) -> None:
        self.world, self.network, self.hosts = world, network, hosts
        self.name, self.host_id, self.history = name, host_id, history
        self.rng: random.Random = world.rng(f"workload {name}")
        self.topics: set[str] = set()
        self.leaders: dict[TopicPartition, Leader] = {}
        self.topic_ids: dict[str, UUID] = {}
        self.coordinators: dict[str, int] = {}
        self.stopped = False
        self._connections: dict[int, Connection] = {}
        self._refreshing = False
        self._waiting: list[Callable[[], None]] = []

    def later(self, delay_ms: int, call: Callable[..., None], *args: Any) -> None:
        """Schedule a call, which does not happen once the client is stopped."""
        self.world.after(delay_ms, self._unless_stopped, call, args)

    def _unless_stopped(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.stopped:
            call(*args)

    def log(self, type_: str, function: str, value: Any) -> None:
        """Add an operation to the history."""
        self.history.add(type_, self.name, function, value, self.world.now_ms)

    def call(
        self, broker_id: int, message: Any, version: int, timeout_ms: int, done: OnResponse
    ) -> None:
        """Send a request on the connection to this broker; ``done`` gets the response or None."""
        connection = self._connections.get(broker_id)
        if connection is None or connection.client_gone:
            connection = self.network.connect(self.host_id, self.hosts[broker_id], -1, self.name)
            self._connections[broker_id] = connection
        connection.call(message, version, timeout_ms, done)

    def stop(self) -> None:
        """End the loops of the client and close its connections."""
        self.stopped = True
        for connection in self._connections.values():
            connection.close("client stopped")

    def any_broker(self) -> int:
        """A random broker."""
        return self.rng.choice(sorted(self.hosts))

    # ---- metadata
    def refresh(self, then: Callable[[], None] | None = None) -> None:
        """Request the metadata of ``topics`` from some broker, one such request at a time, then
        call ``then``."""
        if then is not None:
            self._waiting.append(then)
        if not self._refreshing:
            self._refreshing = True
            names = [MetadataRequestTopic(name=name) for name in sorted(self.topics)]
            request = MetadataRequest(topics=names, allow_auto_topic_creation=False)
            self.call(self.any_broker(), request, 12, 1_000, self._refreshed)

    def _refreshed(self, response: Any, reason: str) -> None:
        self._refreshing = False
        if response is not None:
            self._update(response)
            waiting, self._waiting = self._waiting, []
            for then in waiting:
                then()
        elif not self.stopped:
            self.later(REFRESH_BACKOFF_MS, self.refresh)

    def _update(self, response: MetadataResponse) -> None:
        for topic in response.topics:
            if topic.error_code or topic.name is None:
                continue
            # Another topic id: the topic was deleted and created again, and its epochs restarted.
            if topic.topic_id != ZERO_UUID and self.topic_ids.get(topic.name) not in (
                None,
                topic.topic_id,
            ):
                for key in [k for k in self.leaders if k[0] == topic.name]:
                    del self.leaders[key]
            self.topic_ids[topic.name] = topic.topic_id
            for p in topic.partitions:
                key = (topic.name, p.partition_index)
                known = self.leaders.get(key)
                if known is None or p.leader_epoch >= known.epoch:
                    self.leaders[key] = Leader(p.leader_id, p.leader_epoch)

    def require_epoch(self, key: TopicPartition, epoch: int) -> None:
        """Forget a leader older than ``epoch``, to which a committed offset belongs (KIP-320)."""
        known = self.leaders.get(key)
        if known is not None and known.epoch < epoch:
            self.leaders[key] = Leader(-1, epoch)

    def leader(self, key: TopicPartition) -> Leader | None:
        """Return the partition's leader, or None while unknown."""
        found = self.leaders.get(key)
        return None if found is None or found.broker_id < 0 else found

    # ---- coordinators
    def find_coordinator(self, group: str, then: Callable[[], None]) -> None:
        """Request the coordinator of a group until there is one, then call ``then``."""

        def done(response: Any, reason: str) -> None:
            if self.stopped:
                return
            found = (
                response.coordinators[0] if response is not None and response.coordinators else None
            )
            if found is None or found.error_code:
                self.later(self.rng.randint(50, 250), self.find_coordinator, group, then)
            else:
                self.coordinators[group] = found.node_id
                then()

        request = FindCoordinatorRequest(coordinator_keys=[group])
        self.call(self.any_broker(), request, 4, 1_000, done)
