"""A healthy client beside the attacker: produces and consumes all the time, and is timed."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from embedded_broker.shell import admin
from kafka_protocol.codec import ProtocolError
from kafka_protocol.errors import ErrorCode
from kafka_protocol.framing import decode_response, encode_request
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.record import all_records

TOPIC = "healthy"
PERIOD_S = 0.02
CALL_S = 20.0
PRODUCE_VERSION, FETCH_VERSION = 9, 11
MOVED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE)
"""A valid request of the attacker may elect another leader."""


@dataclass
class Seen:
    """What the healthy client saw; read it when its threads have ended."""

    acknowledged: dict[int, bytes] = field(default_factory=dict)
    """The value by offset."""
    consumed: dict[int, bytes] = field(default_factory=dict)
    position: int = 0
    """The offset to fetch next."""
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    calls: int = 0


class Leader:
    """A connection to the leader of the healthy topic's one partition."""

    def __init__(self, bootstrap: list[tuple[str, int]], seen: Seen) -> None:
        self._bootstrap = bootstrap
        self._seen = seen
        self._sock: socket.socket | None = None

    def call(self, message: Any, version: int) -> Any:
        """Return the response, and time the call. Raises: OSError, ProtocolError."""
        if self._sock is None:
            self._sock = socket.create_connection(self._address(), timeout=CALL_S)
        began = time.monotonic()
        self._sock.sendall(encode_request(message, version, 1, b"healthy"))
        with self._sock.makefile("rb") as stream:
            size = int.from_bytes(stream.read(4), "big")
            frame = stream.read(size)
        self._seen.slowest_s = max(self._seen.slowest_s, time.monotonic() - began)
        self._seen.calls += 1
        return decode_response(message.API_KEY, version, frame)

    def _address(self) -> tuple[str, int]:
        request = MetadataRequest([MetadataRequestTopic(name=TOPIC)])
        found = admin.request(self._bootstrap[0], request, admin.METADATA_VERSION, CALL_S)
        leader = found.topics[0].partitions[0].leader_id
        return next((b.host, b.port) for b in found.brokers if b.node_id == leader)

    def moved(self) -> None:
        """Look for the leader again before the next call."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None


class Healthy:
    """A producer and a consumer, each in a thread, from ``__init__`` to ``finish``."""

    def __init__(self, bootstrap: list[tuple[str, int]]) -> None:
        self.produced, self.fetched = Seen(), Seen()
        self._bootstrap = bootstrap
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(self._produce, self.produced)),
            threading.Thread(target=self._run, args=(self._fetch, self.fetched)),
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop producing, and read to the end of what was acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * CALL_S)
        leader = Leader(self._bootstrap, self.fetched)
        seen = self.fetched
        last = max(self.produced.acknowledged, default=-1)
        while not seen.failures and seen.position <= last:
            before = seen.position
            self._step(self._fetch, leader, seen)
            if seen.position == before:
                seen.failures.append(f"the log ends before offset {last}")
        leader.moved()

    def findings(self, slowest_s: float) -> list[str]:
        """Return what was not as promised; no call may take longer than ``slowest_s``."""
        failures = self.produced.failures + self.fetched.failures
        found = [f"the healthy client failed: {text}" for text in failures]
        kept = self.fetched.consumed
        wrong = [o for o, value in self.produced.acknowledged.items() if kept.get(o) != value]
        if wrong:
            found.append(f"acknowledged records are missing or differ: {sorted(wrong)[:10]}")
        slow = max(self.produced.slowest_s, self.fetched.slowest_s)
        if slow > slowest_s:
            found.append(f"the healthy client waited {slow:.2f} s, allowed are {slowest_s:.2f} s")
        return found

    def _run(self, work: Any, seen: Seen) -> None:
        leader = Leader(self._bootstrap, seen)
        while not self._stop.wait(PERIOD_S) and not seen.failures:
            self._step(work, leader, seen)
        leader.moved()

    def _step(self, work: Any, leader: Leader, seen: Seen) -> None:
        try:
            code = work(leader, seen)
        except (OSError, ProtocolError) as e:
            seen.failures.append(repr(e))
            return
        if code in MOVED:
            leader.moved()
        elif code:
            seen.failures.append(ErrorCode(code).name)

    def _produce(self, leader: Leader, seen: Seen) -> int:
        value = b"%012d" % seen.calls
        data = build([NewRecord(None, value, time.time_ns() // 1_000_000)])
        topic = TopicProduceData(TOPIC, partition_data=[PartitionProduceData(0, data)])
        answer = leader.call(ProduceRequest(None, -1, 10_000, [topic]), PRODUCE_VERSION)
        part = answer.responses[0].partition_responses[0]
        if not part.error_code:
            seen.acknowledged[part.base_offset] = value
        return int(part.error_code)

    def _fetch(self, leader: Leader, seen: Seen) -> int:
        part = FetchPartition(0, fetch_offset=seen.position, partition_max_bytes=1 << 20)
        request = FetchRequest(max_wait_ms=50, min_bytes=1)
        request.topics = [FetchTopic(TOPIC, partitions=[part])]
        answer = leader.call(request, FETCH_VERSION)
        found = answer.responses[0].partitions[0]
        for record in all_records(found.records or b""):
            seen.consumed[record.offset] = record.value or b""
            seen.position = record.offset + 1
        return int(found.error_code)
