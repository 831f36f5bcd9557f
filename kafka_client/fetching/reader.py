"""``FetchReader``: an ``api.RecordReader`` with Fetch requests of our own.

Each broker that leads some of the partitions has a *lane*, which sends it one Fetch at a time for
the partitions that want more. What arrives waits as it came, compressed, until ``next`` makes
records of it in a worker thread. Partitions follow their leaders; what cannot be read is passed
with a mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from kafka_client.errors import ClientError
from kafka_client.fetching.lane import Lane
from kafka_client.fetching.leaders import Leaders
from kafka_client.fetching.partition import PartitionRead, take_from
from kafka_client.fetching.sizes import Sizes, sizes
from kafka_client.fetching.state import Cluster, ReadState
from kafka_client.fetching.trouble import Troubles
from kafka_client.model import Record, TopicPartition
from kafka_client.wire.pool import ConnectionPool

BYTES_AT_ONCE = 16 << 20
"""Bytes of keys and values that one ``next`` returns; a larger record comes alone."""

InThread = Callable[[Callable[[], list[Record]]], Awaitable[list[Record]]]
"""Runs blocking work in a worker thread. Raises: ClientError."""


class FetchReader:
    """Used from one loop, ``seek`` first. After a ``next`` that was cancelled only ``seek`` or
    ``close`` may follow: what its worker took is gone."""

    def __init__(self, cluster: Cluster, pool: ConnectionPool, in_thread: InThread) -> None:
        """``pool`` belongs to the reader: a Fetch that waits for records holds up what comes after
        it on a connection."""
        self._state = ReadState(cluster, pool, sizes(1, 1, {}))
        self._troubles = Troubles(self._state)
        self._leaders = Leaders(self._state, self._open_lane)
        self._in_thread = in_thread
        self._taking = asyncio.Lock()

    async def seek(self, starts: Mapping[TopicPartition, int], chosen: Sizes) -> None:
        """Read from these offsets, and nothing else, over the connections that are open."""
        state = self._state
        async with self._taking:
            await state.stop()
            state.sizes, state.failure = chosen, None
            state.partitions = {tp: PartitionRead(tp, offset) for tp, offset in starts.items()}
            await self._leaders.ask()
            state.start(self._leaders.run(), "leaders of a reader")

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        """See ``api.RecordReader``."""
        state = self._state
        deadline_s = time.monotonic() + max_wait_s
        while True:
            state.arrived.clear()
            if state.failure is not None:
                raise state.failure.with_traceback(None)
            ready = [p for p in state.partitions.values() if p.segments and not p.paused]
            if ready:
                records, moved = await self._take(ready, max_records)
                if records or moved:
                    return records
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await state.arrived.wait()

    def positions(self) -> dict[TopicPartition, int]:
        return {tp: p.position for tp, p in self._state.partitions.items()}

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        for tp in partitions:
            self._state.partitions[tp].pause()

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        for tp in partitions:
            self._state.partitions[tp].paused = False
        self._state.wake()
        self._state.arrived.set()  # what was fetched before the pause

    async def park(self) -> None:
        """Do nothing until ``seek``, but keep the connections open."""
        async with self._taking:
            await self._state.stop()

    async def close(self) -> None:
        await self._state.stop()
        await self._state.pool.close()

    @property
    def problem(self) -> ClientError | None:
        """Why none of the partitions brings anything; None when one may."""
        problems = [p.problem for p in self._state.partitions.values()]
        return problems[0] if problems and all(problems) else None

    # ---- inside
    def _open_lane(self, leader: int) -> None:
        if leader not in self._state.wakes:
            lane = Lane(self._state, self._troubles, leader)
            self._state.start(lane.run(), f"fetches from broker {leader}")

    async def _take(
        self, ready: list[PartitionRead], max_records: int
    ) -> tuple[list[Record], bool]:
        """(records, whether any partition moved on)."""
        async with self._taking:
            before = [p.position for p in ready]
            records = await self._in_thread(partial(take_from, ready, max_records, BYTES_AT_ONCE))
            for p in ready:
                why = p.settle()
                if why:
                    self._troubles.skip(p, why)
        self._state.wake()
        return records, [p.position for p in ready] != before
