"""A simulated administrator who deletes records from the front of a topic (KIP-107), and a reader
of it whom the deletions overtake."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from embedded_broker.simulator.checkers import Checks
from embedded_broker.simulator.client import SimClient, TopicPartition
from embedded_broker.simulator.consuming import Fetcher
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.producing import Producer
from embedded_broker.simulator.world import Violation
from kafka_protocol.constants import OffsetTimestamp
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k21_delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)

TRIMMED = ("trimmed", 0)
TRIMMED_CONFIGS = {"retention.bytes": "3000", "segment.bytes": "500"}
HIGH_WATERMARK = -1


class Trimmer:
    """Deletes from TRIMMED, to which a producer of its own writes. That one is not idempotent:
    with its records the brokers forget a producer."""

    def __init__(self, client: SimClient, checks: Checks) -> None:
        self.client, self.checks = client, checks
        self.producer = Producer(client, checks, [TRIMMED], period_ms=60)
        self.deleted = 0
        """Up to where an acknowledged request has deleted."""
        self.deleted_in = -1
        """The partition's newest epoch then."""
        self.holders: set[int] = set()
        """The replicas whose logs began there at that time."""
        self.reader = TrimmedReader(client, checks)

    def start(self) -> None:
        """Begin to produce, to read and to delete."""
        self.producer.start()
        self.reader.start()
        self._delete()

    def _delete(self) -> None:
        if self.producer.paused:
            return
        rng = self.client.rng
        leader = self.client.leader(TRIMMED)
        if leader is not None:
            end = self.checks.client_view(TRIMMED).end
            offset = rng.choice([HIGH_WATERMARK, rng.randint(0, end), rng.randint(end // 2, end)])
            topic, index = TRIMMED
            parts = [DeleteRecordsPartition(index, offset)]
            request = DeleteRecordsRequest([DeleteRecordsTopic(topic, parts)], timeout_ms=1_500)
            self.client.call(leader.broker_id, request, 2, 2_500, partial(self._done, offset))
        self.client.later(rng.randint(200, 900), self._delete)

    def _done(self, offset: int, response: Any, reason: str) -> None:
        if response is None:
            return
        part = response.topics[0].partitions[0]
        if part.error_code == ErrorCode.NONE:
            if part.low_watermark < offset:
                raise Violation(
                    "C7", f"{TRIMMED} starts at {part.low_watermark}, deleted up to {offset}"
                )
            if part.low_watermark > self.deleted:
                self._deleted(part.low_watermark)

    def _deleted(self, offset: int) -> None:
        self.deleted = offset
        self.deleted_in = max(self.checks.leaders(TRIMMED), default=-1)
        self.holders = {
            node.node_id
            for node in self.checks.nodes.values()
            if node.running
            and (replica := node.broker.replicas.partitions.get(TRIMMED)) is not None
            and replica.start_offset >= offset
        }

    @property
    def read_to_the_end(self) -> bool:
        """Return whether the reader has reached the end of what is committed."""
        return self.reader.position >= self.checks.client_view(TRIMMED).end

    def check(self, nodes: Iterable[Node]) -> None:
        """C7 of the healed cluster: no replica's log starts before its leader's, or before what an
        acknowledged request has deleted. As in Kafka, that may come back with a power cut, because
        where a log starts is not flushed, and with a leader that was down when the others deleted
        and is eligible all the same (KIP-966)."""
        running = [n for n in nodes if n.running]
        found = [n.broker.replicas.partitions.get(TRIMMED) for n in running]
        replicas = [p for p in found if p is not None]
        starts = [p.start_offset for p in replicas if p.is_leader]
        if not starts:
            return
        leaders = self.checks.leaders(TRIMMED)
        later = {node for epoch, node in leaders.items() if epoch > self.deleted_in}
        is_back = later - self.holders or any(n.power_cuts for n in running)
        deleted = 0 if is_back else self.deleted
        least = max([deleted, *starts])
        for replica in replicas:
            if replica.start_offset < least:
                raise Violation(
                    "C7",
                    f"{replica} starts at {replica.start_offset} on a replica of epoch "
                    f"{replica.leader_epoch}; up to {least} it is deleted",
                )


class TrimmedReader:
    """Follows TRIMMED from its first record on, and begins at the first one again when what it
    wants next is deleted, as auto.offset.reset=earliest does."""

    def __init__(self, client: SimClient, checks: Checks) -> None:
        self.client = client
        self.fetcher = Fetcher(client, checks)
        self.fetcher.on_out_of_range = self._reset

    @property
    def position(self) -> int:
        """The offset that it reads next."""
        return self.fetcher.positions.get(TRIMMED, 0)

    def start(self) -> None:
        """Begin to read."""
        self.client.refresh(lambda: self.fetcher.follow({TRIMMED: 0}))

    def _reset(self, partition: TopicPartition, position: int) -> None:
        leader = self.client.leader(partition)
        if leader is None:
            return
        part = ListOffsetsPartition(partition[1], leader.epoch, OffsetTimestamp.EARLIEST)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(partition[0], [part])])

        def done(response: Any, reason: str) -> None:
            part = None if response is None else response.topics[0].partitions[0]
            if part is None or part.error_code != ErrorCode.NONE or self.position != position:
                return  # the next fetch is out of range again
            if part.offset <= position:
                return  # a new leader has not learned of the deletion: the position is valid again
            self.fetcher.follow({partition: part.offset})

        self.client.call(leader.broker_id, request, 6, 1_000, done)
