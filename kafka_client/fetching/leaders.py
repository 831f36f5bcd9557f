"""Which broker leads each partition of a reader: asked when it begins, and again whenever a lane
has reason to doubt it, more and more slowly while that brings nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from kafka_client import backoff
from kafka_client.errors import ClientError
from kafka_client.fetching.requests import topics_of
from kafka_client.fetching.state import ReadState
from kafka_client.model import ClusterSnapshot

FIRST_S, MOST_S = 0.1, 2.0
CALM_S = 5.0
"""After so long without a question the next one is asked at once."""
UNKNOWN_MOST = 5
"""Answers in a row that do not have a topic before it counts as deleted."""


class Leaders:
    def __init__(self, state: ReadState, on_leader: Callable[[int], None]) -> None:
        """``on_leader`` is called with every leader that is learned."""
        self._state, self._on_leader = state, on_leader
        self._asked_s = 0.0
        self._in_a_row = 0
        self._unknown: dict[str, int] = {}
        """Answers in a row without the topic."""
        self._rng = random.Random()

    async def run(self) -> None:
        """Ask whenever ``stale`` is set."""
        stale = self._state.stale
        while True:
            await stale.wait()
            calm = time.monotonic() - self._asked_s > CALM_S
            self._in_a_row = 0 if calm else self._in_a_row + 1
            if self._in_a_row:
                tries = self._in_a_row - 1
                await asyncio.sleep(backoff.wait_s(tries, FIRST_S, MOST_S, self._rng))
            stale.clear()
            await self.ask()

    async def ask(self) -> None:
        """Ask once; set ``stale`` again when a leader is missing."""
        state = self._state
        self._asked_s = time.monotonic()
        try:
            snapshot = await state.cluster.metadata(topics_of(state.partitions))
        except ClientError as error:
            for p in state.partitions.values():
                p.problem = error
            if not error.retriable:
                state.fail(error)
            state.stale.set()
            return
        brokers = {b.broker_id: (b.host, b.port) for b in snapshot.brokers.values()}
        if brokers:
            state.pool.update_brokers(brokers)
        self._take(snapshot)
        state.wake()

    def _take(self, snapshot: ClusterSnapshot) -> None:
        leaders = {
            (topic.name, p.partition): p.leader
            for topic in snapshot.topics.values()
            for p in topic.partitions
        }
        for p in self._state.partitions.values():
            p.leader = leaders.get(p.tp)
            if p.leader is not None:
                self._on_leader(p.leader)
            else:
                self._state.stale.set()
                name, number = p.tp
                p.problem = p.problem or ClientError(f"{name}-{number} has no leader now.")
        for name in topics_of(self._state.partitions):
            self._note_unknown(name, snapshot)

    def _note_unknown(self, name: str, snapshot: ClusterSnapshot) -> None:
        topic = snapshot.topics.get(name)
        if topic is not None and topic.partitions:
            self._unknown.pop(name, None)
            return
        self._unknown[name] = self._unknown.get(name, 0) + 1
        if self._unknown[name] >= UNKNOWN_MOST:
            why = (topic.error if topic else "") or "The cluster does not list it any more."
            self._state.fail(ClientError(f"Cannot read {name}: {why}", subject=name))
