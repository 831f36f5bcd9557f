"""Fetch requests of consumers: read up to the high watermark, or wait for more.

All are evaluated at the end of the tick in which they came, and again at the end of
each tick in which something happened to their partitions. A request waits until
``min_bytes`` are available, a partition has an error, or ``max_wait_ms`` is over.
"""

from __future__ import annotations

from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.purgatory import Deadlines
from embedded_broker.core.replication.table import ReplicaTable
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

TOPIC_ID_SINCE = 13
HINTS_SINCE = 16


class ClientFetch:
    """One consumer's request while it waits."""

    __slots__ = ("bucket", "event", "owner", "partitions")

    def __init__(self, owner: ClientFetches, event: RequestReceived) -> None:
        self.owner = owner
        self.event = event
        self.partitions: list[Partition] = []
        """The partitions that have it in ``waiting_fetches``."""
        self.bucket = -1

    def wake(self) -> None:
        """Evaluate it at the end of this tick."""
        self.owner.ready[self] = None

    def expire(self, now_ms: int) -> None:
        """Answer with what there is."""
        self.owner.complete(now_ms, self, always=True)


class ClientFetches:
    """The waiting fetches of all consumers."""

    def __init__(self, env: Environment, table: ReplicaTable) -> None:
        self._env = env
        self._outbox = env.outbox
        self._image = env.image
        self._table = table
        self._partitions = table.partitions
        self._by_id = table.by_id
        self._settings = table.settings
        self._deadlines = Deadlines(env.outbox, "client fetches", 10)
        self._new: list[ClientFetch] = []
        self._by_connection: dict[int, dict[ClientFetch, None]] = {}
        self.ready: dict[ClientFetch, None] = {}
        """To be evaluated again at the end of this tick."""

    def fetch(self, event: RequestReceived) -> None:
        """Take a consumer's Fetch; it is evaluated at the end of this tick."""
        fetch = ClientFetch(self, event)
        self._by_connection.setdefault(event.caller.connection_id, {})[fetch] = None
        self._new.append(fetch)

    def complete_ready(self, now_ms: int) -> None:
        """At the end of a tick, answer the requests that can be."""
        if self.ready:
            ready, self.ready = self.ready, {}
            for fetch in ready:
                self.complete(now_ms, fetch, always=False)
        if self._new:
            new, self._new = self._new, []
            for fetch in new:
                request: FetchRequest = fetch.event.message
                if not self.complete(now_ms, fetch, always=request.max_wait_ms <= 0):
                    self._wait(now_ms, fetch)

    def connection_closed(self, connection_id: int) -> None:
        """Drop the requests of this connection."""
        for fetch in self._by_connection.pop(connection_id, {}):
            self._withdraw(fetch)
        if self._new:
            self._new = [f for f in self._new if f.event.caller.connection_id != connection_id]

    def _wait(self, now_ms: int, fetch: ClientFetch) -> None:
        request: FetchRequest = fetch.event.message
        for topic in request.topics:
            for requested in topic.partitions:
                partition = self._find(fetch.event.version, topic, requested.partition)
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

    # ---- responses
    def complete(self, now_ms: int, fetch: ClientFetch, always: bool) -> bool:
        """Answer if there is enough data, an error, or ``always``; return whether it
        was answered."""
        event = fetch.event
        request: FetchRequest = event.message
        room = max(0, min(request.max_bytes, self._settings.client_fetch_max_bytes))
        size = 0
        at_once = not request.topics
        response = FetchResponse()
        leaders: set[int] = set()
        for topic in request.topics:
            topic_response = FetchableTopicResponse(topic.topic, topic.topic_id)
            response.responses.append(topic_response)
            for requested in topic.partitions:
                partition = self._find(event.version, topic, requested.partition)
                if isinstance(partition, Partition):
                    # KIP-74: the first batch of the response is whole, whatever its
                    # size.
                    data = self._read(now_ms, partition, requested, room - size, size == 0)
                    size += 0 if data.records is None else len(data.records)
                else:
                    data = PartitionData(
                        requested.partition, partition, high_watermark=-1, records=b""
                    )
                if data.error_code or data.diverging_epoch.epoch >= 0:
                    at_once = True
                    if data.error_code in (
                        ErrorCode.NOT_LEADER_OR_FOLLOWER,
                        ErrorCode.FENCED_LEADER_EPOCH,
                    ):
                        self._hint(data, topic, leaders)
                topic_response.partitions.append(data)
        if not (always or at_once or size >= request.min_bytes):
            return False
        if leaders and event.version >= HINTS_SINCE:
            for endpoint in self._image.endpoints(event.caller.listener, sorted(leaders)):
                response.node_endpoints.append(NodeEndpoint(*endpoint))
        self._withdraw(fetch)
        of_connection = self._by_connection.get(event.caller.connection_id)
        if of_connection is not None:
            of_connection.pop(fetch, None)
            if not of_connection:
                del self._by_connection[event.caller.connection_id]
        self._outbox.respond(event, response)
        return True

    def _find(self, version: int, topic: FetchTopic, index: int) -> Partition | int:
        """Return the partition, or the error code that says why it cannot be read
        here."""
        if version < TOPIC_ID_SINCE:
            partition = self._partitions.get((topic.topic, index))
            return self._table.missing(topic.topic, index) if partition is None else partition
        partition = self._by_id.get((topic.topic_id, index))
        if partition is not None:
            return partition
        name = self._image.topic_names.get(topic.topic_id)
        return ErrorCode.UNKNOWN_TOPIC_ID if name is None else self._table.missing(name, index)

    def _read(
        self,
        now_ms: int,
        partition: Partition,
        requested: FetchPartition,
        room: int,
        first: bool,
    ) -> PartitionData:
        """Read at most ``room`` bytes below the high watermark; with ``first`` at least
        one batch."""
        code = partition.fence(requested.current_leader_epoch)
        offset = requested.fetch_offset
        # One snapshot of both for the whole response (KAFKA-7104).
        high = partition.high_watermark
        start = partition.start_offset
        if code == ErrorCode.NONE:
            diverging = partition.divergence(requested.last_fetched_epoch, offset)
            if diverging is not None and diverging[0] >= 0:
                data = PartitionData(
                    requested.partition,
                    0,
                    high,
                    high,
                    start,
                    aborted_transactions=None,
                    records=b"",
                )
                data.diverging_epoch = EpochEndOffset(*diverging)
                return data
            if diverging is not None or not start <= offset <= partition.end_offset:
                code = ErrorCode.OFFSET_OUT_OF_RANGE
        if code != ErrorCode.NONE:
            return PartitionData(
                requested.partition, code, high_watermark=-1, aborted_transactions=None, records=b""
            )
        data = PartitionData(
            requested.partition, 0, high, high, start, aborted_transactions=None, records=b""
        )
        if offset < high and (room > 0 or first):
            try:
                most = max(0, min(requested.partition_max_bytes, room))
                records = partition.log.read(offset, most, high, first)
                data.records = records  # type: ignore[assignment]
            except StorageFailed as e:
                partition.read_failed(now_ms, e)
                data.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return data

    def _hint(self, data: PartitionData, topic: FetchTopic, leaders: set[int]) -> None:
        """Name the current leader, so that the client need not ask for metadata
        (KIP-951)."""
        name = self._image.topic_names.get(topic.topic_id, topic.topic)
        known = self._table.led_elsewhere(name, data.partition_index)
        if known is not None:
            data.current_leader = LeaderIdAndEpoch(known.leader, known.leader_epoch)
            leaders.add(known.leader)
