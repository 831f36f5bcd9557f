"""Simulated consumers: the fetch loop, and a reader that follows partitions from their start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from embedded_broker.simulator.batches import records
from embedded_broker.simulator.checkers import Checks
from embedded_broker.simulator.client import SimClient, TopicPartition
from embedded_broker.simulator.world import WALL_START_MS
from kafka_protocol.constants import OffsetTimestamp
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.records.batch import batches

LATEST, EARLIEST = OffsetTimestamp.LATEST, OffsetTimestamp.EARLIEST


class Fetcher:
    """Fetches the records after each of ``positions`` from their leaders, one request in flight
    per leader, while ``running``."""

    def __init__(self, client: SimClient, checks: Checks) -> None:
        self.client, self.checks = client, checks
        self.positions: dict[TopicPartition, int] = {}
        self.on_out_of_range: Callable[[TopicPartition, int], None] | None = None
        """Called with a partition and the position that its leader does not have, instead of the
        check that this never happens."""
        self.running = False
        self.version = client.rng.choice([11, 12, 13, 16])
        self.max_wait_ms = client.rng.choice([50, 300, 500])
        self.max_bytes = client.rng.choice([300, 2_000, 1 << 20])
        self.generation = 0
        """Incremented when positions are replaced: responses to older fetches are dropped."""
        self._busy: set[int] = set()
        """Leaders with a fetch in flight."""
        self.epochs: dict[TopicPartition, int] = {}
        """The leader epoch of the last batch before each position, as far as known."""
        self._loop = 0

    def follow(self, positions: dict[TopicPartition, int]) -> None:
        """Fetch from these positions on, and from no other."""
        self.generation += 1
        self.positions = dict(positions)
        self._busy.clear()
        self.epochs.clear()
        self.client.topics |= {topic for topic, _ in positions}
        self.running = bool(positions)
        self._loop += 1
        self._round(self._loop)

    def halt(self) -> None:
        """Stop fetching, and drop what is in flight."""
        self.running = False
        self.generation += 1

    def _round(self, loop: int) -> None:
        """Send a fetch to each leader without one in flight, and schedule the next round."""
        if not self.running or loop != self._loop:
            return
        by_leader: dict[int, list[TopicPartition]] = {}
        for key in sorted(self.positions):
            leader = self.client.leader(key)
            if leader is None:
                self.client.refresh()
            else:
                by_leader.setdefault(leader.broker_id, []).append(key)
        for broker_id, keys in sorted(by_leader.items()):
            if broker_id not in self._busy:
                self._fetch(broker_id, keys)
        self.client.later(self.client.rng.randint(20, 120), self._round, loop)

    def _fetch(self, broker_id: int, keys: Sequence[TopicPartition]) -> None:
        self._busy.add(broker_id)
        request = FetchRequest(
            max_wait_ms=self.max_wait_ms, min_bytes=1, max_bytes=1 << 20, topics=[]
        )
        topics: dict[str, FetchTopic] = {}
        for topic, partition in keys:
            entry = topics.get(topic)
            if entry is None:
                entry = topics[topic] = FetchTopic()
                if self.version < 13:
                    entry.topic = topic
                else:
                    entry.topic_id = self.client.topic_ids[topic]
                request.topics.append(entry)
            key = (topic, partition)
            entry.partitions.append(
                FetchPartition(
                    partition=partition,
                    current_leader_epoch=self.client.leaders[key].epoch,
                    fetch_offset=self.positions[key],
                    last_fetched_epoch=self.epochs.get(key, -1) if self.version >= 12 else -1,
                    partition_max_bytes=self.max_bytes,
                )
            )
        requested = {key: (self.positions[key], self.client.leaders[key].epoch) for key in keys}
        generation, names = self.generation, {self.client.topic_ids[t]: t for t, _ in keys}

        def done(response: Any, reason: str) -> None:
            if self.client.stopped or generation != self.generation:
                return
            self._busy.discard(broker_id)
            if response is None or response.error_code:
                self.client.refresh()
            else:
                self._take(response, requested, names)

        self.client.call(broker_id, request, self.version, self.max_wait_ms + 1_500, done)

    def _take(
        self,
        response: FetchResponse,
        requested: dict[TopicPartition, tuple[int, int]],
        names: dict[Any, str],
    ) -> None:
        """Take a response to fetches from these (position, leader epoch)."""
        for topic in response.responses:
            name = topic.topic if self.version < 13 else names.get(topic.topic_id, "")
            for part in topic.partitions:
                key = (name, part.partition_index)
                if key not in requested or self.positions.get(key) != requested[key][0]:
                    continue
                position, epoch = requested[key]
                code = part.error_code
                if code == ErrorCode.OFFSET_OUT_OF_RANGE and self.on_out_of_range:
                    self.on_out_of_range(key, position)
                elif code == ErrorCode.OFFSET_OUT_OF_RANGE:
                    self.checks.out_of_range(
                        self.client.name, key, position, epoch, self.epochs.get(key, -1)
                    )
                if code or part.diverging_epoch.end_offset >= 0:
                    if part.diverging_epoch.end_offset >= 0:
                        self.checks.diverged(self.client.name, key, position, part.diverging_epoch)
                    self.client.refresh()
                    continue
                self._consume(key, position, part)

    def _consume(self, key: TopicPartition, position: int, part: Any) -> None:
        """Check the records of a partition and advance its position."""
        data = b"" if part.records is None else bytes(part.records)
        headers = list(batches(data))
        found = [(r.offset, r.value) for r in records(data) if r.offset >= position]
        self.checks.polled(
            self.client.name,
            key,
            self.client.topic_ids[key[0]],
            position,
            part.high_watermark,
            found,
        )
        if not headers:
            return
        self.positions[key] = headers[-1].next_offset
        self.epochs[key] = headers[-1].leader_epoch
        if found:
            self.client.log(
                "ok", "poll", [*key, found[0][0], [v.decode() for _, v in found if v is not None]]
            )


class Reader:
    """Follows partitions from offset 0 on, and lists their end offsets now and then."""

    def __init__(
        self, client: SimClient, checks: Checks, partitions: Sequence[TopicPartition]
    ) -> None:
        self.client, self.checks = client, checks
        self.partitions = list(partitions)
        self.fetcher = Fetcher(client, checks)
        client.topics |= {topic for topic, _ in partitions}

    def start(self) -> None:
        """Begin to fetch and to list offsets."""
        self.client.refresh(lambda: self.fetcher.follow(dict.fromkeys(self.partitions, 0)))
        self._list_offset()

    def _list_offset(self) -> None:
        key = self.client.rng.choice(self.partitions)
        leader = self.client.leader(key)
        if leader is not None:
            rng = self.client.rng
            which = rng.choice([LATEST, LATEST, EARLIEST, WALL_START_MS])
            if which == WALL_START_MS:
                which += rng.randint(0, self.client.world.now_ms)
            part = ListOffsetsPartition(key[1], leader.epoch, which)
            request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(key[0], [part])])
            # KIP-207: the end offset never falls below what was read before, also after an
            # election, when the new leader's high watermark is behind for a while.
            floor = self.fetcher.positions.get(key, 0)

            def done(response: Any, reason: str) -> None:
                if response is None:
                    return
                part = response.topics[0].partitions[0]
                if part.error_code != ErrorCode.NONE:
                    return
                if which == LATEST:
                    self.checks.end_listed(self.client.name, key, part.offset, floor)
                elif which >= WALL_START_MS:
                    self.checks.time_looked_up(self.client.name, key, which, part, floor)

            self.client.call(leader.broker_id, request, 6, 1_000, done)
        self.client.later(self.client.rng.randint(300, 1_200), self._list_offset)
