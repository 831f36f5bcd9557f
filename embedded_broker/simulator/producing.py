"""Simulated producers: batches per partition, several in flight, the same bytes retried until a
deadline.

A value names its producer, session and number, and belongs to one batch only, so that a checker
recognizes duplicates and disorder. An idempotent producer that gives a batch up begins a new
session with a new producer id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from embedded_broker.simulator.batches import build
from embedded_broker.simulator.checkers import Checks, Sent
from embedded_broker.simulator.client import SimClient, TopicPartition
from embedded_broker.simulator.probes import check_repeated
from embedded_broker.simulator.world import WALL_START_MS
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k22_init_producer_id import InitProducerIdRequest

NEW_SESSION = {
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.UNKNOWN_PRODUCER_ID,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
}

KEPT_BATCHES = 5
"""How many batches of a producer a broker recognizes (KIP-98)."""
REPEATS = 0.1
"""How often an idle idempotent producer sends an acknowledged batch again instead of a new one."""


@dataclass(slots=True)
class Batch:
    """A batch that is not acknowledged yet."""

    sent: Sent
    data: bytes
    deadline_ms: int
    in_flight: bool = False
    not_before_ms: int = 0
    session: int = 0


@dataclass(slots=True)
class Lane:
    """One partition's batches, oldest first, and its next sequence number."""

    queue: deque[Batch] = field(default_factory=deque)
    next_sequence: int = 0
    recent: list[tuple[int, bytes]] = field(default_factory=list)
    """(offset, bytes) of the last batches of the session that were acknowledged."""
    repeats: bool = False
    """Whether one of ``recent`` is being sent again; no new batch follows meanwhile."""


class Producer:
    """Sends a few records about every ``period_ms``; see the module."""

    def __init__(
        self,
        client: SimClient,
        checks: Checks,
        partitions: Sequence[TopicPartition],
        *,
        acks: int = -1,
        idempotent: bool = False,
        period_ms: int = 100,
    ) -> None:
        self.client, self.checks = client, checks
        self.partitions = list(partitions)
        self.acks, self.idempotent, self.period_ms = acks, idempotent, period_ms
        self.session = 0
        self.producer_id, self.producer_epoch = -1, -1
        self.lanes = {key: Lane() for key in self.partitions}
        self.numbers = 0
        self.version = client.rng.choice([9, 11, 12, 13])
        self.in_flight_max = client.rng.choice([1, 2, 5])
        self.delivery_timeout_ms = client.rng.choice([4_000, 8_000, 20_000])
        self.request_timeout_ms = client.rng.choice([500, 1_500, 4_000])
        self.paused = False
        client.topics |= {topic for topic, _ in partitions}

    def start(self) -> None:
        """Begin to produce."""
        self.client.refresh(self._begin_session)

    @property
    def idle(self) -> bool:
        """Return whether every batch is acknowledged or given up."""
        return not any(lane.queue for lane in self.lanes.values())

    # ---- sessions
    def _begin_session(self) -> None:
        self.session += 1
        for lane in self.lanes.values():
            lane.next_sequence = 0
            lane.recent.clear()
        if not self.idempotent:
            self._tick()
            return
        self.producer_id = -1
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        self.client.call(self.client.any_broker(), request, 4, 2_000, self._session_begun)

    def _session_begun(self, response: Any, reason: str) -> None:
        if self.client.stopped:
            return
        if response is None or response.error_code:
            self.client.later(200, self._begin_session)
            return
        self.checks.producer_id_given(response.producer_id, self.client.name)
        self.producer_id, self.producer_epoch = response.producer_id, response.producer_epoch
        self._tick()

    def _end_session(self) -> None:
        """Give up all batches, whose outcome stays unknown, and begin a new session."""
        for lane in self.lanes.values():
            for batch in lane.queue:
                self._give_up(batch)
            lane.queue.clear()
        self.producer_id = -1
        self.client.later(50, self._begin_session)

    # ---- sending
    def _tick(self) -> None:
        if self.idempotent and self.producer_id < 0:
            return
        session = self.session
        if not self.paused:
            lane_key = self.client.rng.choice(self.partitions)
            lane = self.lanes[lane_key]
            if lane.recent and not lane.queue and self.client.rng.random() < REPEATS:
                self._repeat(lane_key, lane)
            elif len(lane.queue) < 20 and not lane.repeats:
                self._new_batch(lane_key)
        for key in self.partitions:
            self._send_ready(key)
            # Sending may have ended the session, and the new one has a tick of its own.
            if self.session != session or (self.idempotent and self.producer_id < 0):
                return
        self.client.later(self.client.rng.randint(1, 2 * self.period_ms), self._tick_of, session)

    def _tick_of(self, session: int) -> None:
        if session == self.session:
            self._tick()

    def _new_batch(self, key: TopicPartition) -> None:
        count = self.client.rng.choice([1, 1, 1, 2, 3])
        values = []
        for _ in range(count):
            self.numbers += 1
            values.append(f"{self.client.name}/{self.session}/{self.numbers}".encode())
        lane = self.lanes[key]
        sequence = lane.next_sequence if self.idempotent else -1
        lane.next_sequence += count
        stamp = WALL_START_MS + self.client.world.now_ms
        data = build(
            [(None, v) for v in values], stamp, self.producer_id, self.producer_epoch, sequence
        )
        sent = self.checks.sending(
            self.client.name, self.session, key, tuple(values), self.acks, self.idempotent
        )
        self.client.log("invoke", "send", [*key, [v.decode() for v in values]])
        deadline = self.client.world.now_ms + self.delivery_timeout_ms
        lane.queue.append(Batch(sent, bytes(data), deadline, session=self.session))

    def _repeat(self, key: TopicPartition, lane: Lane) -> None:
        """Send one of the last five batches again, while no other is on its way."""
        leader = self.client.leader(key)
        if leader is None or lane.repeats:
            return
        lane.repeats = True
        offset, data = self.client.rng.choice(lane.recent)
        session = self.session

        def done(response: Any, reason: str) -> None:
            lane.repeats = False
            # A new session may have raised the producer's epoch meanwhile.
            if response is not None and session == self.session and self.checks.strict:
                part = response.responses[0].partition_responses[0]
                check_repeated(self.client.name, key, offset, part)

        request = self._request(key, data)
        timeout_ms = self.request_timeout_ms + 500
        self.client.call(leader.broker_id, request, self.version, timeout_ms, done)

    def _send_ready(self, key: TopicPartition) -> None:
        """Give up batches past their deadline, then send what may be sent."""
        now_ms = self.client.world.now_ms
        lane = self.lanes[key]
        while lane.queue and not lane.queue[0].in_flight and lane.queue[0].deadline_ms <= now_ms:
            if self.idempotent:
                self._end_session()
                return
            self._give_up(lane.queue.popleft())
        leader = self.client.leader(key)
        if leader is None:
            self.client.refresh()
            return
        for batch in list(lane.queue)[: self.in_flight_max]:
            if batch.in_flight:
                continue
            if batch.not_before_ms > now_ms:
                break  # a later batch must not overtake one that backs off
            self._send(key, batch, leader.broker_id)

    def _send(self, key: TopicPartition, batch: Batch, broker_id: int) -> None:
        batch.in_flight = True
        request = self._request(key, batch.data)

        def done(response: Any, reason: str) -> None:
            batch.in_flight = False
            if not self.client.stopped and batch in self.lanes[key].queue:
                self._responded(key, batch, response)

        self.client.call(broker_id, request, self.version, self.request_timeout_ms + 500, done)

    def _request(self, key: TopicPartition, batch: bytes) -> ProduceRequest:
        topic, partition = key
        data = PartitionProduceData(index=partition, records=bytearray(batch))
        topic_data = TopicProduceData(topic, self.client.topic_ids[topic], [data])
        if self.version < 13:
            topic_data.topic_id = TopicProduceData().topic_id
        else:
            topic_data.name = ""
        return ProduceRequest(
            acks=self.acks, timeout_ms=self.request_timeout_ms, topic_data=[topic_data]
        )

    def _responded(self, key: TopicPartition, batch: Batch, response: Any) -> None:
        now_ms = self.client.world.now_ms
        part = None if response is None else response.responses[0].partition_responses[0]
        code = ErrorCode.NETWORK_EXCEPTION if part is None else part.error_code
        if part is not None and code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            self.lanes[key].queue.remove(batch)
            offset = part.base_offset if code == ErrorCode.NONE else -1
            self.checks.acked(batch.sent, offset)
            if self.idempotent and offset >= 0 and batch.session == self.session:
                # A batch that was sent again is acknowledged after later ones: the last are those
                # with the highest offsets.
                recent = self.lanes[key].recent
                recent[:] = sorted([*recent, (offset, batch.data)])[-KEPT_BATCHES:]
            self.client.log("ok", "send", [*key, offset, [v.decode() for v in batch.sent.values]])
            self._send_ready(key)
            return
        self.checks.refused(batch.sent, code)
        if code in NEW_SESSION and self.idempotent:
            self._end_session()
            return
        batch.not_before_ms = now_ms + self.client.rng.randint(20, 150)
        self.client.refresh()

    def _give_up(self, batch: Batch) -> None:
        self.client.log(
            "info", "send", [*batch.sent.partition, [v.decode() for v in batch.sent.values]]
        )
        self.checks.given_up(batch.sent)
