"""Fake brokers that hold logs and answer Fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from kafka_client.fetching.readers import Readers
from kafka_client.model import Record
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import OffsetTimestamp
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from kafka_protocol.records.batch import read_header
from kafka_protocol.records.build import NewRecord, build
from tests.unit.kafka_client.wire.broker import topic
from tests.unit.kafka_client.wire.cluster import Cluster

TOPIC = "t"
BASE_MS = 1_700_000_000_000


def batch(base: int, values: Sequence[bytes], codec: int = 0) -> bytes:
    new = [NewRecord(b"k", value, BASE_MS + base + i) for i, value in enumerate(values)]
    return bytes(build(new, base_offset=base, compression=codec))


def numbered(count: int, first: int = 0, size: int = 4) -> list[bytes]:
    """``count`` batches of one record each."""
    return [batch(o, [b"%0*d" % (size, o)]) for o in range(first, first + count)]


class Log:
    """One partition: whole batches in order, and what its leader does instead of sending them."""

    def __init__(self, batches: Sequence[bytes], start: int = 0) -> None:
        self.batches = list(batches)
        self.start = start
        self.refused: dict[int, int] = {}
        """Offset -> the error code that a Fetch from there gets."""
        self.aborted: list[AbortedTransaction] = []
        self.stable: int | None = None

    @property
    def end(self) -> int:
        return max((read_header(b).next_offset for b in self.batches), default=self.start)

    def read(self, offset: int, most_bytes: int, whole_first: bool) -> bytes:
        """From the batch with this offset, up to one that is refused; the last one may be cut
        off."""
        sent = [b for b in self.batches if read_header(b).next_offset > offset]
        refused = (i for i, b in enumerate(sent) if read_header(b).base_offset in self.refused)
        data = b"".join(sent[: next(refused, None)])
        if not data:
            return b""
        least = read_header(data).size if whole_first else 0
        return data[: max(most_bytes, least)]


class Logs:
    """A cluster whose brokers lead partitions of TOPIC in turn, and the readers of its client."""

    def __init__(self, logs: Sequence[Log], brokers: int = 1) -> None:
        self.logs = list(logs)
        self.cluster = Cluster(brokers)
        self.leaders = [1 + p % brokers for p in range(len(logs))]
        self.requests: list[tuple[int, FetchRequest]] = []
        """(broker, request)."""

    async def __aenter__(self) -> Logs:
        await self.cluster.__aenter__()
        for broker in self.cluster.brokers:
            broker.answers[ApiKey.FETCH] = self._answer_of(broker.node_id)
            broker.answers[ApiKey.LIST_OFFSETS] = self._offsets
        self.lead(self.leaders)
        self.readers = Readers(
            self.cluster.client, self._pool, lambda work: asyncio.to_thread(work), {}
        )
        await self.cluster.client.metadata([TOPIC])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.readers.close()
        await self.cluster.__aexit__()

    def lead(self, leaders: Sequence[int]) -> None:
        """Let these brokers lead the partitions, and everybody know it."""
        self.leaders = list(leaders)
        described = topic(TOPIC, 1, len(self.logs))
        for p, leader in zip(described.partitions, leaders, strict=True):
            p.leader_id = leader
        for broker in self.cluster.brokers:
            broker.topics = [described]

    async def read_all(self, starts: dict[int, int] | None = None) -> list[Record]:
        """Everything from these offsets of partitions to their ends."""
        from_ = starts if starts is not None else {p: log.start for p, log in enumerate(self.logs)}
        reader = await self.readers.open({(TOPIC, p): o for p, o in from_.items()}, 1000)
        found: list[Record] = []
        async with asyncio.timeout(20):
            while any(reader.positions()[TOPIC, p] < self.logs[p].end for p in from_):
                found += await reader.next(100, 5.0)
        await reader.close()
        return found

    def _pool(self):
        from kafka_client.profile import quick
        from tests.unit.kafka_client.wire.cluster import pool_to

        return pool_to(quick(f"127.0.0.1:{self.cluster.brokers[0].port}"))

    def _answer_of(self, broker_id: int) -> Callable[[FetchRequest], FetchResponse]:
        def answer(request: FetchRequest) -> FetchResponse:
            self.requests.append((broker_id, request))
            topics, sent = [], 0
            for wanted in request.topics:
                parts = []
                for p in wanted.partitions:
                    data = self._partition(broker_id, p, request.max_bytes - sent, sent == 0)
                    sent += len(data.records or b"")
                    parts.append(data)
                topics.append(FetchableTopicResponse(wanted.topic, partitions=parts))
            return FetchResponse(responses=topics)

        return answer

    def _partition(self, broker_id, wanted, room, whole_first) -> PartitionData:
        number, offset = wanted.partition, wanted.fetch_offset
        log = self.logs[number]
        code = log.refused.get(offset, ErrorCode.NONE)
        if self.leaders[number] != broker_id:
            code = ErrorCode.NOT_LEADER_OR_FOLLOWER
        elif not log.start <= offset <= log.end:
            code = ErrorCode.OFFSET_OUT_OF_RANGE
        if code:
            return PartitionData(number, code, -1)
        most = max(0, min(room, wanted.partition_max_bytes))
        stable = log.end if log.stable is None else log.stable
        return PartitionData(
            number,
            high_watermark=log.end,
            last_stable_offset=stable,
            log_start_offset=log.start,
            aborted_transactions=log.aborted,
            records=log.read(offset, most, whole_first),
        )

    def _offsets(self, request: ListOffsetsRequest) -> ListOffsetsResponse:
        return ListOffsetsResponse(
            topics=[
                ListOffsetsTopicResponse(
                    t.name,
                    [
                        ListOffsetsPartitionResponse(
                            p.partition_index,
                            offset=self.logs[p.partition_index].start
                            if p.timestamp == OffsetTimestamp.EARLIEST
                            else self.logs[p.partition_index].end,
                        )
                        for p in t.partitions
                    ],
                )
                for t in request.topics
            ]
        )
