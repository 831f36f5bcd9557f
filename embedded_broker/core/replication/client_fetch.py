"""Fetches of consumers: read up to the high watermark, or wait for more.

All are looked at once at the end of the tick in which they came, and again at the end of each
tick in which something came for them. A request waits until ``min_bytes`` are there, something is
wrong, or ``max_wait_ms`` is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.purgatory import Deadlines
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)

if TYPE_CHECKING:
    from embedded_broker.core.replication.replicas import Replicas

TOPIC_ID_SINCE = 13
HINTS_SINCE = 16


class ClientFetch:
    """One consumer's request while it waits."""

    __slots__ = ("bucket", "event", "owner", "partitions")

    def __init__(self, owner: ClientFetches, event: RequestReceived) -> None:
        self.owner = owner
        self.event = event
        self.partitions: list[Partition] = []
        """Where it is registered as waiting."""
        self.bucket = -1

    def expire(self, now_ms: int) -> None:
        self.owner.complete(self, always=True)


class ClientFetches:
    """All waiting fetches of consumers."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._deadlines = Deadlines(replicas.outbox, "client fetches", 10)
        self._new: list[ClientFetch] = []
        self._by_connection: dict[int, dict[ClientFetch, None]] = {}
        self.ready: dict[ClientFetch, None] = {}

    def fetch(self, event: RequestReceived) -> None:
        """A consumer's Fetch; it is looked at when this tick ends."""
        fetch = ClientFetch(self, event)
        self._by_connection.setdefault(event.caller.connection_id, {})[fetch] = None
        self._new.append(fetch)

    def complete_ready(self, now_ms: int) -> None:
        """At the end of a tick."""
        if self.ready:
            ready, self.ready = self.ready, {}
            for fetch in ready:
                self.complete(fetch, always=False)
        if self._new:
            new, self._new = self._new, []
            for fetch in new:
                request: FetchRequest = fetch.event.message
                if not self.complete(fetch, always=request.max_wait_ms <= 0):
                    self._wait(now_ms, fetch)

    def connection_closed(self, connection_id: int) -> None:
        for fetch in self._by_connection.pop(connection_id, {}):
            self._withdraw(fetch)
        if self._new:
            self._new = [f for f in self._new if f.event.caller.connection_id != connection_id]

    def _wait(self, now_ms: int, fetch: ClientFetch) -> None:
        request: FetchRequest = fetch.event.message
        for topic in request.topics:
            for asked in topic.partitions:
                partition = self._find(fetch.event.version, topic, asked.partition)
                if isinstance(partition, Partition):
                    partition.waiting_fetches[fetch] = None
                    fetch.partitions.append(partition)
        self._deadlines.add(fetch, now_ms + request.max_wait_ms)

    def _withdraw(self, fetch: ClientFetch) -> None:
        for partition in fetch.partitions:
            partition.waiting_fetches.pop(fetch, None)
        fetch.partitions.clear()
        self._deadlines.withdraw(fetch)
        self.ready.pop(fetch, None)

    # ---- answers
    def complete(self, fetch: ClientFetch, always: bool) -> bool:
        """Answer, if there is enough to say or ``always``; whether it was answered."""
        event = fetch.event
        request: FetchRequest = event.message
        room = max(0, min(request.max_bytes, self._replicas.client_fetch_max_bytes))
        size = 0
        at_once = not request.topics
        response = FetchResponse()
        leaders: set[int] = set()
        for topic in request.topics:
            answers = FetchableTopicResponse(topic.topic, topic.topic_id)
            response.responses.append(answers)
            for asked in topic.partitions:
                partition = self._find(event.version, topic, asked.partition)
                if isinstance(partition, Partition):
                    data = self._read(partition, asked, room - size, size == 0)
                    size += 0 if data.records is None else len(data.records)
                else:
                    data = PartitionData(asked.partition, partition, high_watermark=-1, records=b"")
                if data.error_code or data.diverging_epoch.epoch >= 0:
                    at_once = True
                    if data.error_code in (
                        ErrorCode.NOT_LEADER_OR_FOLLOWER,
                        ErrorCode.FENCED_LEADER_EPOCH,
                    ):
                        self._hint(data, topic, leaders)
                answers.partitions.append(data)
        if not (always or at_once or size >= request.min_bytes):
            return False
        if leaders and event.version >= HINTS_SINCE:
            for node_id, host, port, rack in self._replicas.endpoints(
                event.caller.listener, sorted(leaders)
            ):
                response.node_endpoints.append(NodeEndpoint(node_id, host, port, rack))
        self._withdraw(fetch)
        of_connection = self._by_connection.get(event.caller.connection_id)
        if of_connection is not None:
            of_connection.pop(fetch, None)
            if not of_connection:
                del self._by_connection[event.caller.connection_id]
        self._replicas.outbox.respond(event, response)
        return True

    def _find(self, version: int, topic: FetchTopic, index: int) -> Partition | int:
        """The partition, or the error code why it cannot be read here."""
        replicas = self._replicas
        if version < TOPIC_ID_SINCE:
            return replicas.partitions.get((topic.topic, index)) or replicas.missing(
                topic.topic, index
            )
        found = replicas.by_id.get((topic.topic_id, index))
        if found is not None:
            return found
        name = replicas.image.topic_names.get(topic.topic_id)
        return ErrorCode.UNKNOWN_TOPIC_ID if name is None else replicas.missing(name, index)

    def _read(
        self, partition: Partition, asked: FetchPartition, room: int, first: bool
    ) -> PartitionData:
        code = partition.fence(asked.current_leader_epoch)
        offset = asked.fetch_offset
        high = partition.high_watermark
        start = partition.start_offset
        if code == ErrorCode.NONE:
            diverging = partition.divergence(asked.last_fetched_epoch, offset)
            if diverging is not None and diverging[0] >= 0:
                data = PartitionData(
                    asked.partition, 0, high, high, start, aborted_transactions=None, records=b""
                )
                data.diverging_epoch = EpochEndOffset(*diverging)
                return data
            if diverging is not None or not start <= offset <= partition.end_offset:
                code = ErrorCode.OFFSET_OUT_OF_RANGE
        if code != ErrorCode.NONE:
            return PartitionData(
                asked.partition, code, high_watermark=-1, aborted_transactions=None, records=b""
            )
        data = PartitionData(
            asked.partition, 0, high, high, start, aborted_transactions=None, records=b""
        )
        if offset < high and (room > 0 or first):
            try:
                most = max(0, min(asked.partition_max_bytes, room))
                data.records = partition.log.read(offset, most, high, first)  # type: ignore[assignment]
            except StorageFailed as e:
                self._replicas.note(Level.ERROR, f"{partition} cannot be read: {e}")
                data.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return data

    def _hint(self, data: PartitionData, topic: FetchTopic, leaders: set[int]) -> None:
        """KIP-951: who leads now, so that the client need not ask."""
        image = self._replicas.image
        name = image.topic_names.get(topic.topic_id, topic.topic)
        found = image.partition(name, data.partition_index)
        if found is not None and found.leader >= 0:
            data.current_leader = LeaderIdAndEpoch(found.leader, found.leader_epoch)
            leaders.add(found.leader)
