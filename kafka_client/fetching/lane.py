"""The Fetch requests of a reader to one broker, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from kafka_client.error_map import from_code
from kafka_client.errors import ClientError, TooLarge
from kafka_client.fetching.partition import PartitionRead
from kafka_client.fetching.requests import aborted_of, committed_end, fetch_request, partitions_of
from kafka_client.fetching.segment import Segment
from kafka_client.fetching.sizes import LARGE_FRAME_BYTES
from kafka_client.fetching.state import ReadState
from kafka_client.fetching.trouble import Troubles
from kafka_client.model import TopicPartition
from kafka_client.wire.connection import FRAME_MAX_BYTES
from kafka_protocol.messages.k01_fetch import FetchResponse, PartitionData

FETCH_TIMEOUT_S = 30.0
SLOW_S = 3.0
"""A broker that has not answered for so long may not lead the partitions any more."""
FIRST_BYTES, LEAST_BYTES = 1 << 20, 64 << 10
"""Of a response; twice as many after each that comes within QUICK_S, half as many after SLOW_S."""
QUICK_S = 0.5


class Lane:
    def __init__(self, state: ReadState, troubles: Troubles, leader: int) -> None:
        self._state, self._troubles, self._leader = state, troubles, leader
        self._wake = state.wakes[leader] = asyncio.Event()
        self._bytes = FIRST_BYTES
        self._turn = 0

    async def run(self) -> None:
        while True:
            self._wake.clear()
            chosen = self._wanted()
            if chosen:
                await self._fetch_or_wait(chosen)
            else:
                await self._idle()

    # ---- what to fetch
    def _wanted(self) -> list[PartitionRead]:
        """The partitions of this leader that want more, those first that got nothing the last
        time, the others in turn: a broker fills its response in their order."""
        now, sizes = time.monotonic(), self._state.sizes
        has_room = self._state.kept_bytes < sizes.kept
        wanted = [
            p
            for p in self._state.of_leader(self._leader)
            if not (p.paused or p.busy or p.not_before > now)
            and (not p.segments or (has_room and p.kept_bytes < sizes.partition))
        ]
        self._turn = (self._turn + 1) % max(1, len(wanted))
        wanted = wanted[self._turn :] + wanted[: self._turn]
        return sorted(wanted, key=lambda p: not p.starving)

    async def _idle(self) -> None:
        """Wait for a change, or for the next try of a partition."""
        now = time.monotonic()
        tries = [p.not_before - now for p in self._state.of_leader(self._leader) if not p.paused]
        left_s = min((left_s for left_s in tries if left_s > 0), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._wake.wait()

    # ---- fetching
    async def _fetch_or_wait(self, chosen: list[PartitionRead]) -> None:
        try:
            await self._fetch(chosen, min(self._bytes, self._state.sizes.response))
        except TooLarge:
            await self._fetch_large(chosen)
        except ClientError as error:
            for p in chosen:
                self._troubles.unanswered(p, error)

    async def _fetch_large(self, chosen: list[PartitionRead]) -> None:
        """One batch at a time, of one partition, in one lane of all: a response may take
        LARGE_FRAME_BYTES now."""
        pool = self._state.pool
        async with self._state.large:
            for p in chosen:
                try:
                    pool.limit_frames(self._leader, LARGE_FRAME_BYTES)
                    await self._fetch([p], 1)
                except TooLarge:
                    self._troubles.skip(p, f"Its batch takes over {LARGE_FRAME_BYTES >> 20} MiB.")
                except ClientError as error:
                    self._troubles.unanswered(p, error)
            with contextlib.suppress(ClientError):
                pool.limit_frames(self._leader, FRAME_MAX_BYTES)

    async def _fetch(self, chosen: list[PartitionRead], response_bytes: int) -> None:
        """Raises: ClientError."""
        sizes = self._state.sizes
        asked = {p.tp: p.fetch_at for p in chosen}
        by_place = {p.tp: p for p in chosen}
        partition_bytes = min(sizes.partition, response_bytes)
        request = fetch_request(asked, response_bytes, partition_bytes, sizes.wait_ms, sizes.least)
        began_s = time.monotonic()
        requesting = asyncio.ensure_future(
            self._state.pool.request(self._leader, request, FETCH_TIMEOUT_S)
        )
        try:
            slow_s = SLOW_S + sizes.wait_ms / 1000
            while not (await asyncio.wait({requesting}, timeout=slow_s))[0]:
                self._state.stale.set()
            response: FetchResponse = await requesting
        finally:
            requesting.cancel()
        if response.error_code:
            raise from_code(response.error_code, "read records")
        self._adapt(time.monotonic() - began_s)
        self._take(response, by_place, asked)

    def _adapt(self, took_s: float) -> None:
        if took_s > SLOW_S:
            self._bytes = max(LEAST_BYTES, self._bytes // 2)
        elif took_s < QUICK_S:
            self._bytes = min(self._state.sizes.response, self._bytes * 2)

    def _take(
        self,
        response: FetchResponse,
        by_place: Mapping[TopicPartition, PartitionRead],
        asked: Mapping[TopicPartition, int],
    ) -> None:
        for tp, data in partitions_of(response):
            p = by_place.get(tp)
            if p is None or not self._state.is_current(p) or p.fetch_at != asked[tp]:
                continue  # another offset is read meanwhile
            if data.error_code:
                self._troubles.refused(p, data.error_code)
            else:
                self._take_records(p, data)

    def _take_records(self, p: PartitionRead, data: PartitionData) -> None:
        p.failures, p.problem, p.not_before = 0, None, 0.0
        p.log_end = committed_end(data)
        if not data.records:
            return
        segment = Segment(p.tp, p.fetch_at, data.records, aborted_of(data))
        if segment.end > p.fetch_at or not segment.cut_off:
            p.add(segment)
            self._state.arrived.set()
        else:
            p.starving = True
