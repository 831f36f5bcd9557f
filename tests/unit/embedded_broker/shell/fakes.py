"""A broker's shell around a minimal core, run in a thread, and a client on a bare socket."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from embedded_broker.core.effects import Effect, Level, NoResponse, Respond, SetTimer, Stop
from embedded_broker.core.events import Event, RequestReceived, StopRequested, TickEnded, TimerFired
from embedded_broker.shell.broker_log import BrokerLog
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.runner import Runner
from embedded_broker.shell.server import Limits, bind
from embedded_broker.shell.storage.disk import LogDirectory
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.framing import decode_response, encode_request
from kafka_protocol.messages.k00_produce import (
    PartitionProduceResponse,
    ProduceResponse,
    TopicProduceResponse,
)
from kafka_protocol.messages.k01_fetch import FetchableTopicResponse, FetchResponse, PartitionData
from kafka_protocol.messages.k03_metadata import MetadataResponse, MetadataResponseTopic
from kafka_protocol.messages.k18_api_versions import ApiVersionsResponse
from kafka_protocol.records.batch import batches, place

SECRET = b"s" * 32


class FakeNode:
    """Produce appends to one log, Fetch reads it, Metadata waits ``delay_ms`` for a timer and
    answers with the topics asked for.

    ``events`` and ``callers`` record what it was given; ``changed`` is notified after each event.
    """

    def __init__(self, disk: LogDirectory) -> None:
        self.disk = disk
        self.delay_ms = 0
        self.cluster_id = "now"
        self.events: list[Event] = []
        self.callers: list[Any] = []
        self.requests: list[RequestReceived] = []
        self.changed = threading.Condition()
        self._delayed: dict[str, int] = {}
        self.log = disk.create_log("t", UUID(int=5), 0)

    def start(self, now_ms: int) -> list[Effect]:
        return []

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        with self.changed:
            self.changed.notify_all()
            if not isinstance(event, RequestReceived | TickEnded):
                self.events.append(event)
            match event:
                case RequestReceived():
                    self.callers.append(event.caller)
                    self.requests.append(event)
                    return self._request(now_ms, event)
                case TimerFired(key=key):
                    return [Respond(self._delayed.pop(key), MetadataResponse(cluster_id=key))]
                case StopRequested():
                    return [Stop(0, "requested")]
            return []

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait until the condition holds; it is checked after each event."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s)

    def _request(self, now_ms: int, event: RequestReceived) -> list[Effect]:
        match event.message.API_KEY:
            case ApiKey.PRODUCE:
                return self._produce(event)
            case ApiKey.FETCH:
                records = self.log.read(
                    event.message.topics[0].partitions[0].fetch_offset, 50_000_000, 1 << 60, True
                )
                data = PartitionData(0, 0, self.log.log_end_offset)
                data.records = records  # type: ignore[assignment]
                return [
                    Respond(
                        event.request_id,
                        FetchResponse(responses=[FetchableTopicResponse("t", partitions=[data])]),
                    )
                ]
            case ApiKey.API_VERSIONS:
                return [Respond(event.request_id, ApiVersionsResponse())]
        if not self.delay_ms:
            asked = event.message.topics if event.message.API_KEY == ApiKey.METADATA else None
            topics = [MetadataResponseTopic(name=topic.name) for topic in asked or ()]
            return [
                Respond(
                    event.request_id, MetadataResponse(cluster_id=self.cluster_id, topics=topics)
                )
            ]
        key = f"delayed {event.request_id}"
        self._delayed[key] = event.request_id
        return [SetTimer(key, 1, now_ms + self.delay_ms)]

    def _produce(self, event: RequestReceived) -> list[Effect]:
        answers = []
        for topic in event.message.topic_data:
            for p in topic.partition_data:
                base = self.log.log_end_offset
                headers = list(batches(p.records))
                place(p.records, 0, base, 0)
                headers[0] = headers[0]._replace(
                    base_offset=base, last_offset=base + headers[0].record_count - 1
                )
                self.log.append(p.records, headers, 0)
                answers.append(PartitionProduceResponse(p.index, 0, base))
        if event.message.acks == 0:
            return [NoResponse(event.request_id)]
        return [
            Respond(
                event.request_id,
                ProduceResponse([TopicProduceResponse("t", partition_responses=answers)]),
            )
        ]


class RecordingLog(BrokerLog):
    """A broker's log that a test can wait for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.text = ""
        self.changed = threading.Condition()

    def write(self, level: Level, text: str) -> None:
        super().write(level, text)
        with self.changed:
            self.text += f"{text}\n"
            self.changed.notify_all()

    def wait_for(self, word: str, timeout_s: float = 5.0) -> None:
        """Wait for a line with this word: a connection closes a moment before the line on it."""
        with self.changed:
            assert self.changed.wait_for(lambda: word in self.text, timeout_s), self.text


class Served:
    """A running broker's parts."""

    def __init__(self, runner: Runner, node: FakeNode, log: RecordingLog, port: int) -> None:
        self.runner, self.node, self.log, self.port = runner, node, log, port
        self.code: int | None = None

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=10))

    def inside(self, function: Callable[[], Any]) -> Any:
        """Call it in the loop's thread."""
        done = threading.Event()
        box: list[Any] = []

        def call() -> None:
            box.append(function())
            done.set()

        self.runner.loop.post(call)
        assert done.wait(10)
        return box[0]


@contextmanager
def served(folder: Path, limits: Limits | None = None) -> Iterator[Served]:
    disk = LogDirectory(folder / "data", 1, "cluster-a")
    log = RecordingLog(folder / "log")
    runner = Runner(Loop(), disk, log, 1, SECRET, limits or Limits())
    node = FakeNode(disk)
    sock = bind("127.0.0.1", 0)
    runner.server.listen(sock, "PLAINTEXT")
    found = Served(runner, node, log, sock.getsockname()[1])
    thread = threading.Thread(target=lambda: setattr(found, "code", runner.run(node)))
    thread.start()
    try:
        yield found
    finally:
        runner.loop.post(runner.request_stop)
        thread.join(10)
        log.close()
        assert not thread.is_alive()


class Client:
    """Sends requests and reads answers one by one; ``None`` for a connection that was closed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.correlation_id = 0
        self.file: io.BufferedReader = sock.makefile("rb")

    def send(self, message: Any, version: int, client_id: bytes = b"test") -> int:
        self.correlation_id += 1
        self.sock.sendall(encode_request(message, version, self.correlation_id, client_id))
        return self.correlation_id

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def frame(self) -> bytes | None:
        try:
            head = self.file.read(4)
            if len(head) < 4:
                return None
            return self.file.read(struct.unpack(">i", head)[0])
        except ConnectionError:
            return None

    def answer(self, api_key: int, version: int) -> tuple[int, Any] | None:
        frame = self.frame()
        if frame is None:
            return None
        return struct.unpack_from(">i", frame)[0], decode_response(api_key, version, frame)

    def answered(self, api_key: int, version: int) -> tuple[int, Any]:
        """(correlation id, response) of the next response; the connection must be open."""
        answer = self.answer(api_key, version)
        assert answer is not None, "the connection was closed"
        return answer

    def ask(self, message: Any, version: int) -> Any:
        sent = self.send(message, version)
        correlation_id, response = self.answered(message.API_KEY, version)
        assert correlation_id == sent
        return response

    def is_closed(self) -> bool:
        return self.frame() is None

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def header(api_key: int, version: int, correlation_id: int = 1, client_id: bytes = b"x") -> bytes:
    return struct.pack(">hhih", api_key, version, correlation_id, len(client_id)) + client_id


def framed(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
