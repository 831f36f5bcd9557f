"""A few nodes with real replication and a controller that a test plays: messages go through the
codec, time by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from embedded_broker.core.api.handlers import Machines
from embedded_broker.core.api.router import Router
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import (
    Drop,
    Flush,
    NoResponse,
    Note,
    Respond,
    Send,
    SetTimer,
    Stop,
)
from embedded_broker.core.events import (
    Caller,
    ConnectionClosed,
    Event,
    Flushed,
    RequestReceived,
    ResponseReceived,
    SendFailed,
    TickEnded,
    TimerFired,
)
from embedded_broker.core.metadata.image import (
    TOPIC,
    BrokerImage,
    Endpoint,
    MetadataDelta,
    MetadataImage,
    PartitionImage,
    TopicImage,
)
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.replicas import Replicas
from embedded_broker.simulator import batches
from embedded_broker.simulator.disk import Platter, SimDisk
from kafka_protocol.codec import decode, encode
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    PartitionData,
)
from kafka_protocol.messages.k56_alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    ResponsePartitionData,
    ResponseTopicData,
)
from tests.unit.embedded_broker.fakes import (
    WALL_MS,
    ControllerCall,
    FakeCalls,
    environment,
)

T = "events"
TOPIC_ID = UUID(int=77)
SETTINGS = (
    "node.id={id}\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://127.0.0.1:1909{id}\n"
    "controller.quorum.voters=1@127.0.0.1:19091,2@127.0.0.1:19092,3@127.0.0.1:19093\ncluster.id=bench\n"
)


class LeaderInfo:
    """The quorum, for the handlers that name the controller."""

    falls_behind = False

    leader_id = 1
    epoch = 1


class InactiveController:
    """This node is not the controller: the router forwards what is for it."""

    is_active = False


class Registration:
    """Implements the port of the same name."""

    def __init__(self, incarnation_id: UUID) -> None:
        self.incarnation_id = incarnation_id


class OffsetsLeadership:
    """Implements ``OffsetsListener``: keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_offsets_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        self.calls.append(("lead", partition, leader_epoch))

    def on_offsets_resign(self, now_ms: int, partition: int) -> None:
        self.calls.append(("resign", partition))


ABSENT: Any = None
"""A machine that these nodes do not have; using it fails the test."""


class DiskWatch:
    """Counts how often the disk failed; the test fences the broker."""

    def __init__(self) -> None:
        self.failures = 0
        self.replicas: Replicas

    def on_disk_failed(self, now_ms: int) -> None:
        self.failures += 1

    def on_disk_fenced(self, now_ms: int) -> None:
        self.replicas.on_disk_fenced(now_ms)

    def on_disk_recovered(self, now_ms: int) -> None:
        self.replicas.on_disk_recovered(now_ms)


class Node:
    """The replication of one broker process, on a disk that outlives it."""

    def __init__(self, bench: Bench, node_id: int, platter: Platter, extra: str) -> None:
        self.bench = bench
        self.node_id = node_id
        self.platter = platter
        self.running = True
        self.answers: dict[int, Any] = {}
        self.timers: dict[str, tuple[int, int]] = {}
        self.notes: list[str] = []
        self.callbacks: dict[int, Callable[[Any], None]] = {}
        self.flushes: list[Flush] = []
        self.env = environment(
            SETTINGS.format(id=node_id) + extra,
            SimDisk(platter),
            wall_ms=lambda: WALL_MS + bench.now_ms + bench.leap_ms,
        )
        self.registration = Registration(UUID(int=1000 * bench.incarnations + node_id))
        self.offsets = OffsetsLeadership()
        calls = FakeCalls(bench.controller_calls)
        self.disk = DiskWatch()
        health = DiskHealth(self.env, self.disk)
        self.replicas = Replicas(self.env, calls, self.registration, self.offsets, health)
        self.disk.replicas = self.replicas
        self.router = Router(
            Machines(
                self.env,
                cast(Quorum, LeaderInfo()),
                cast(Controller, InactiveController()),
                calls,
                lambda now_ms: True,
                self.replicas,
                groups=ABSENT,
            )
        )
        self.replicas.start(bench.now_ms)
        self.perform()

    def handle(self, event: Event) -> None:
        now_ms = self.bench.now_ms
        match event:
            case RequestReceived():
                self.router.receive(now_ms, event)
            case TickEnded():
                self.replicas.tick_ended(now_ms)
            case ConnectionClosed():
                self.replicas.connection_closed(now_ms, event.connection_id)
                self.router.connection_closed(event.connection_id)
            case ResponseReceived() | SendFailed() | TimerFired() | Flushed():
                self.env.outbox.complete(now_ms, event)
        self.perform()

    def perform(self) -> None:
        """Carry out the effects since the last call."""
        for effect in self.env.outbox.take():
            match effect:
                case Respond() | NoResponse() | Drop():
                    message = getattr(effect, "message", effect)
                    callback = self.callbacks.pop(effect.request_id, None)
                    if callback is None:
                        self.answers[effect.request_id] = message
                    else:
                        callback(message)
                case Send():
                    self.bench.carry(self, effect)
                case SetTimer():
                    self.timers[effect.key] = (effect.token, effect.at_ms)
                case Flush():
                    self.flushes.append(effect)
                case Note():
                    self.notes.append(effect.text)
                case Stop():
                    self.notes.append(effect.reason)

    def partition(self, index: int = 0, topic: str = T) -> Partition:
        return self.replicas.partitions[topic, index]

    def ask(self, message: Any, version: int, broker_id: int = -1) -> int:
        """Hand a client's request in, through the codec; returns its id, under which the answer
        will be."""
        request_id = self.bench.next_id()
        message = decode(type(message), version, encode(message, version))
        self.handle(
            RequestReceived(
                request_id, version, message, Caller(1, "h", "PLAINTEXT", broker_id=broker_id)
            )
        )
        return request_id

    def produce(
        self, records: bytes | bytearray, acks: int = -1, index: int = 0, version: int = 9
    ) -> int:
        topic = TopicProduceData(T, TOPIC_ID, [PartitionProduceData(index, bytes(records))])
        return self.ask(ProduceRequest(None, acks, 30_000, [topic]), version)

    def produced(self, request_id: int) -> PartitionProduceResponse:
        answer: PartitionProduceResponse = (
            self.answers[request_id].responses[0].partition_responses[0]
        )
        return answer

    def fetch(self, offset: int, index: int = 0, version: int = 12, **more: Any) -> int:
        requested = FetchPartition(
            index, more.pop("epoch", -1), offset, more.pop("last_epoch", -1), -1, 1 << 20
        )
        request = FetchRequest(topics=[FetchTopic(T, TOPIC_ID, [requested])], min_bytes=1, **more)
        return self.ask(request, version)

    def fetched(self, request_id: int) -> PartitionData:
        data: PartitionData = self.answers[request_id].responses[0].partitions[0]
        return data


class Bench:
    """Nodes 1 to ``count``; the test moves time and plays the controller."""

    def __init__(self, count: int = 3, extra: str = "") -> None:
        self.now_ms = 1_000
        self.leap_ms = 0
        """How far the wall clocks are ahead."""
        self.incarnations = 0
        self._ids = 0
        self.extra = extra
        self.cut: set[tuple[int, int]] = set()
        self.controller_calls: list[ControllerCall] = []
        self.auto_isr = True
        self.forge: Callable[[Any], None] = lambda response: None
        """Called with each response between nodes, to change it."""
        self._mail: deque[Callable[[], None]] = deque()
        self.image = MetadataImage(cluster_id="bench")
        self.nodes: dict[int, Node] = {}
        for node_id in range(1, count + 1):
            self.boot(node_id)

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    # ---- nodes
    def boot(self, node_id: int) -> Node:
        """Start a node's process; the metadata has its registration."""
        self.incarnations += 1
        old = self.nodes.get(node_id)
        if old is not None:
            old.running = False
        platter = old.platter if old is not None else Platter(UUID(int=node_id))
        self.image.brokers[node_id] = BrokerImage(
            node_id,
            100 * self.incarnations,
            UUID(int=1000 * self.incarnations + node_id),
            (Endpoint("PLAINTEXT", "127.0.0.1", 19090 + node_id),),
            fenced=False,
        )
        node = self.nodes[node_id] = Node(self, node_id, platter, self.extra)
        self.publish(MetadataDelta(brokers={node_id}))
        return node

    def kill(self, node_id: int) -> None:
        self.image.brokers[node_id] = replace(self.image.brokers[node_id], fenced=True)
        self.nodes[node_id].running = False

    def lose_leader(self, *texts: str) -> None:
        """Node 1 writes one record of each text that no follower gets, and ends; node 2 leads."""
        self.cut = {(2, 1), (3, 1)}
        self.run(600)
        for text in texts:
            self.nodes[1].produce(batch(text), acks=1)
        self.settle()
        self.kill(1)
        self.change(leader=2, isr=(2, 3))
        self.cut = set()
        self.run(2_000)

    def alive(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.running]

    def carry(self, sender: Node, send: Send) -> None:
        peer = self.nodes[send.peer_id]
        if not peer.running or (sender.node_id, send.peer_id) in self.cut:
            self._mail.append(
                lambda: self._reply(sender, SendFailed(send.send_id, send.peer_id, "cut"))
            )
            return
        data = encode(send.message, send.version)
        request_id = self.next_id()

        def answered(message: Any) -> None:
            back = decode(type(message), send.version, encode(message, send.version))
            self.forge(back)
            self._mail.append(
                lambda: self._reply(sender, ResponseReceived(send.send_id, send.peer_id, back))
            )

        def arrive() -> None:
            if not peer.running:
                self._reply(sender, SendFailed(send.send_id, send.peer_id, "gone"))
                return
            peer.callbacks[request_id] = answered
            caller = Caller(100 + sender.node_id, "h", "PLAINTEXT", broker_id=sender.node_id)
            peer.handle(
                RequestReceived(
                    request_id, send.version, decode(type(send.message), send.version, data), caller
                )
            )

        self._mail.append(arrive)

    def _reply(self, node: Node, event: Event) -> None:
        if node.running:
            node.handle(event)

    # ---- time
    def settle(self) -> None:
        """Carry messages and end ticks until nothing moves."""
        for _ in range(1000):
            moved = bool(self._mail)
            while self._mail:
                self._mail.popleft()()
            for node in self.alive():
                node.handle(TickEnded())
                flushes, node.flushes = node.flushes, []
                for flush in flushes:
                    moved = True
                    node.handle(Flushed(flush.flush_id))
            if self.auto_isr and self.controller_calls:
                moved = True
                self.answer_controller()
            if not moved and not self._mail:
                return
        raise AssertionError("does not settle")

    def run(self, duration_ms: int) -> None:
        """Let time pass, timers fire."""
        end = self.now_ms + duration_ms
        self.settle()
        while True:
            due = [
                (at, node.node_id, key, token)
                for node in self.alive()
                for key, (token, at) in node.timers.items()
                if at <= end
            ]
            if not due:
                break
            at, node_id, key, token = min(due)
            self.now_ms = max(self.now_ms, at)
            del self.nodes[node_id].timers[key]
            self.nodes[node_id].handle(TimerFired(key, token))
            self.settle()
        self.now_ms = end

    # ---- metadata
    def publish(self, delta: MetadataDelta, to: list[int] | None = None) -> None:
        self.image.version += 1
        for node in self.alive():
            if to is not None and node.node_id not in to:
                continue
            for field in ("version", "brokers", "topics", "topic_names", "configs"):
                value = getattr(self.image, field)
                setattr(node.env.image, field, dict(value) if isinstance(value, dict) else value)
            node.replicas.on_metadata(self.now_ms, delta)
            node.perform()

    def create(
        self, replicas: tuple[int, ...] = (1, 2, 3), partitions: int = 1, **configs: str
    ) -> None:
        self.image.topic_names[TOPIC_ID] = T
        self.image.configs[TOPIC, T] = {k.replace("_", "."): v for k, v in configs.items()}
        found = {
            i: PartitionImage(TOPIC_ID, T, i, replicas, replicas, replicas[0], 0, 0)
            for i in range(partitions)
        }
        self.image.topics[T] = TopicImage(TOPIC_ID, T, found)
        self.publish(MetadataDelta(partitions={(T, i) for i in range(partitions)}))
        self.settle()

    def delete(self) -> None:
        """Delete the topic."""
        gone = self.image.topics.pop(T)
        del self.image.topic_names[TOPIC_ID]
        self.publish(MetadataDelta(deleted_topics=[gone]))

    def change(self, index: int = 0, to: list[int] | None = None, **values: Any) -> PartitionImage:
        """A PartitionChange record: a leader change raises the leader epoch, any change the
        partition epoch."""
        old = self.image.topics[T].partitions[index]
        if "leader" in values:
            values.setdefault("leader_epoch", old.leader_epoch + 1)
        new = old._replace(partition_epoch=old.partition_epoch + 1, **values)
        self.image.topics[T] = TopicImage(
            TOPIC_ID, T, {**self.image.topics[T].partitions, index: new}
        )
        self.publish(MetadataDelta(partitions={(T, index)}), to)
        return new

    def answer_controller(self, code: int = ErrorCode.NONE) -> AlterPartitionRequest:
        """Carry out the oldest AlterPartition, answer it, publish it."""
        call = self.controller_calls.pop(0)
        message = call.message
        assert isinstance(message, AlterPartitionRequest)
        response = AlterPartitionResponse()
        touched = []
        for topic in message.topics:
            answers = ResponseTopicData(topic.topic_id)
            response.topics.append(answers)
            for data in topic.partitions:
                image = self.image.topics[T].partitions[data.partition_index]
                answer = ResponsePartitionData(data.partition_index, code)
                answers.partitions.append(answer)
                if code == ErrorCode.NONE and data.leader_epoch != image.leader_epoch:
                    answer.error_code = ErrorCode.FENCED_LEADER_EPOCH
                elif code == ErrorCode.NONE and data.partition_epoch != image.partition_epoch:
                    answer.error_code = ErrorCode.INVALID_UPDATE_VERSION
                elif code == ErrorCode.NONE:
                    isr = tuple(sorted(s.broker_id for s in data.new_isr_with_epochs))
                    new = image._replace(
                        isr=isr, partition_epoch=image.partition_epoch + 1, recovering=False
                    )
                    partitions = {**self.image.topics[T].partitions, data.partition_index: new}
                    self.image.topics[T] = TopicImage(TOPIC_ID, T, partitions)
                    answer.leader_id, answer.leader_epoch = new.leader, new.leader_epoch
                    answer.isr, answer.partition_epoch = list(isr), new.partition_epoch
                    touched.append(data.partition_index)
        call.answer(self.now_ms, response)
        for node in self.alive():
            node.perform()
        if touched:
            self.publish(MetadataDelta(partitions={(T, i) for i in touched}))
        return message


def batch(
    *values: str, producer: tuple[int, int, int] = (-1, -1, -1), timestamp: int = WALL_MS
) -> bytearray:
    """A batch of records without keys; ``producer`` is (id, epoch, first sequence)."""
    return batches.build([(None, value.encode()) for value in values], timestamp, *producer)


def values(records: Any) -> list[str]:
    """The values in what a Fetch answered."""
    data = records if isinstance(records, bytes | bytearray | memoryview) else records.tobytes()
    return [
        record.value.decode() for record in batches.records(bytes(data)) if record.value is not None
    ]
