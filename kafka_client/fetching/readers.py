"""The readers of one client. One that was closed in good order is kept, with its connections, for
the next who asks: to read one record, as sampling does, is then two round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from kafka_client.errors import ClientError
from kafka_client.fetching.reader import FetchReader, InThread
from kafka_client.fetching.sizes import sizes
from kafka_client.fetching.state import Cluster
from kafka_client.model import Record, TopicPartition
from kafka_client.wire.pool import ConnectionPool

KEPT_MOST = 2


class Readers:
    """Used from one loop."""

    def __init__(
        self,
        cluster: Cluster,
        make_pool: Callable[[], ConnectionPool],
        in_thread: InThread,
        properties: Mapping[str, str],
    ) -> None:
        """``properties`` are those of the profile, in librdkafka's names."""
        self._cluster, self._make_pool, self._in_thread = cluster, make_pool, in_thread
        self._properties = properties
        self._kept: list[FetchReader] = []
        self._given: set[FetchReader] = set()
        self._closed = False

    async def open(self, starts: Mapping[TopicPartition, int], read_ahead: int) -> KeptReader:
        """A reader from these offsets on. Raises: ClientError."""
        reader = self._kept.pop() if self._kept else None
        if reader is None:
            reader = FetchReader(self._cluster, self._make_pool(), self._in_thread)
        self._given.add(reader)
        try:
            await reader.seek(starts, sizes(read_ahead, len(starts), self._properties))
        except BaseException:
            await self.end(reader)
            raise
        return KeptReader(self, reader)

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float
    ) -> list[Record]:
        """See ``api.ClusterReader``."""
        deadline_s = time.monotonic() + max_wait_s
        reader = await self.open(starts, 0)
        try:
            while True:
                left_s = max(0.0, deadline_s - time.monotonic())
                records = await reader.next(max_records, left_s)
                if records:
                    return records
                if time.monotonic() >= deadline_s:
                    if reader.problem is not None:
                        raise reader.problem
                    return []
        finally:
            await reader.close()

    async def give_back(self, reader: FetchReader) -> None:
        """Keep it for the next, parked."""
        if self._closed or len(self._kept) >= KEPT_MOST:
            await self.end(reader)
            return
        await reader.park()
        self._given.discard(reader)
        self._kept.append(reader)

    async def end(self, reader: FetchReader) -> None:
        self._given.discard(reader)
        await reader.close()

    async def close(self) -> None:
        """End all readers, also those that are in use."""
        self._closed = True
        ending, self._kept = [*self._kept, *self._given], []
        await asyncio.gather(*(self.end(reader) for reader in ending))


class KeptReader:
    """``api.RecordReader``: goes back to ``Readers`` when it is closed, unless a call failed or was
    cancelled."""

    def __init__(self, readers: Readers, reader: FetchReader) -> None:
        self._readers, self._reader = readers, reader
        self._sound = True
        self.positions = reader.positions
        self.pause = reader.pause
        self.resume = reader.resume

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        self._sound = False
        records = await self._reader.next(max_records, max_wait_s)
        self._sound = True
        return records

    @property
    def problem(self) -> ClientError | None:
        """Why it brings nothing; None when it may."""
        return self._reader.problem

    async def close(self) -> None:
        if self._sound:
            self._sound = False  # a second close closes nothing that another has
            await self._readers.give_back(self._reader)
        else:
            await self._readers.end(self._reader)
