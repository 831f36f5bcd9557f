"""What the parts of a reader share: its partitions, and the events that wake them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol

from kafka_client.errors import ClientError
from kafka_client.fetching.partition import PartitionRead
from kafka_client.fetching.sizes import Sizes
from kafka_client.model import ClusterSnapshot, TopicPartition
from kafka_client.wire.pool import ConnectionPool


class Cluster(Protocol):
    """What a reader asks beside its own connections; see ``api.ClusterReader``."""

    async def metadata(self, topics: Iterable[str] | None = None) -> ClusterSnapshot: ...

    async def offsets(
        self, partitions: Mapping[TopicPartition, int], isolation: str = "read_uncommitted"
    ) -> tuple[dict[TopicPartition, int], dict[str, str]]: ...


class ReadState:
    """Used from one loop."""

    def __init__(self, cluster: Cluster, pool: ConnectionPool, sizes: Sizes) -> None:
        self.cluster, self.pool, self.sizes = cluster, pool, sizes
        self.partitions: dict[TopicPartition, PartitionRead] = {}
        self.failure: ClientError | None = None
        """Why nothing can be read any more."""
        self.arrived = asyncio.Event()
        """Set when there is something for ``next``: records, or a failure."""
        self.stale = asyncio.Event()
        """Set when the leaders are to be asked for again."""
        self.wakes: dict[int, asyncio.Event] = {}
        """By leader: set when its lane is to look again at what it fetches."""
        self.large = asyncio.Lock()
        """Taken by the lane that reads a very large response: one at a time."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def kept_bytes(self) -> int:
        """Bytes that were fetched in advance."""
        return sum(p.kept_bytes for p in self.partitions.values())

    def of_leader(self, leader: int) -> list[PartitionRead]:
        return [p for p in self.partitions.values() if p.leader == leader]

    def is_current(self, p: PartitionRead) -> bool:
        """Return whether this is still read, and not from another offset since a ``seek``."""
        return self.partitions.get(p.tp) is p

    def wake(self) -> None:
        for event in self.wakes.values():
            event.set()

    def fail(self, error: ClientError) -> None:
        self.failure = error
        self.arrived.set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run work until it ends or ``stop``. What it raises fails the reader."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End all work, and forget the partitions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.wakes.clear()
        self.partitions = {}

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, ClientError):
            self.fail(error)
        else:
            # A fault of this program: the one who waits gets it, not the log alone.
            self.fail(ClientError("Reading failed by a fault of Kafkarium.", detail=repr(error)))
            raise error
