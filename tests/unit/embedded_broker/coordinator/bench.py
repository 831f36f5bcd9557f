"""One node's coordinator, with a log that a test holds back or breaks; messages go through the
codec, time by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from embedded_broker.core.api.k08_offset_commit import offset_commit
from embedded_broker.core.api.k09_offset_fetch import offset_fetch
from embedded_broker.core.api.k10_find_coordinator import find_coordinator
from embedded_broker.core.api.k11_join_group import join_group
from embedded_broker.core.api.k12_heartbeat import heartbeat
from embedded_broker.core.api.k13_leave_group import leave_group
from embedded_broker.core.api.k14_sync_group import sync_group
from embedded_broker.core.api.k15_describe_groups import describe_groups
from embedded_broker.core.api.k16_list_groups import list_groups
from embedded_broker.core.api.k42_delete_groups import delete_groups
from embedded_broker.core.api.k47_offset_delete import offset_delete
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.effects import Drop, Respond, SetTimer
from embedded_broker.core.events import Caller, RequestReceived, TimerFired
from embedded_broker.core.metadata.image import (
    BrokerImage,
    Endpoint,
    MetadataDelta,
    PartitionImage,
    TopicImage,
)
from embedded_broker.core.metadata.topics import OFFSETS_TOPIC
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import decode, encode
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kafka_protocol.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from kafka_protocol.records.batch import place, read_header
from tests.unit.embedded_broker.fakes import WALL_MS, FakeCalls, environment


class Log:
    """Implements ``LocalLog`` for the one partition of ``__consumer_offsets``. While ``hold`` is
    set the high watermark stays; ``refuse`` is the error of every append."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []
        self.end = self.start = self.high_watermark = 0
        self.hold = False
        self.refuse = 0
        self._waiting: list[tuple[int, int, Callable[[int, int, int], None]]] = []

    def append_local(
        self,
        now_ms: int,
        topic: str,
        partition: int,
        records: bytearray,
        done: Callable[[int, int, int], None],
    ) -> None:
        assert (topic, partition) == (OFFSETS_TOPIC, 0)
        if self.refuse:
            done(now_ms, self.refuse, -1)
            return
        place(records, 0, self.end, 3)
        base, self.end = self.end, read_header(records).next_offset
        self.batches.append((base, bytes(records)))
        self._waiting.append((base, self.end, done))
        if not self.hold:
            self.commit(now_ms)

    def commit(self, now_ms: int, error_code: int = 0) -> None:
        if not error_code or error_code == ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
            self.high_watermark = self.end
        waiting, self._waiting = self._waiting, []
        for base, _, done in waiting:
            done(now_ms, error_code, base)

    def local_offsets(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        return self.start, self.high_watermark, self.end

    def read_local(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
        found = b""
        for _, data in self.batches:
            header = read_header(data)
            if header.last_offset >= offset and header.next_offset <= self.high_watermark:
                if found and len(found) + len(data) > max_bytes:
                    break
                found += data
        return found

    def delete_before(self, now_ms: int, topic: str, partition: int, offset: int) -> None:
        assert offset <= self.high_watermark
        self.start = offset
        self.batches = [
            (base, data) for base, data in self.batches if read_header(data).last_offset >= offset
        ]

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in self.batches)


class Bench:
    def __init__(self, log: Log | None = None, **settings: str) -> None:
        texts = {"node.id": "1", "group.initial.rebalance.delay.ms": "0"}
        texts.update({name.replace("_", "."): text for name, text in settings.items()})
        self.now_ms = 1_000
        self.wall_offset_ms = WALL_MS
        self.log = log or Log()
        self.calls = FakeCalls()
        self.env = environment(
            "".join(f"{name}={text}\n" for name, text in texts.items()),
            wall_ms=lambda: self.wall_offset_ms + self.now_ms,
        )
        self.image = self.env.image
        self.answers: dict[int, Any] = {}
        self.between: Callable[[], object] = lambda: None
        """Called between the steps of a request."""
        self._requests = 0
        self._timers: dict[str, tuple[int, int]] = {}
        self._versions: dict[int, int] = {}
        self.add_topic(OFFSETS_TOPIC, 1)
        self.add_topic("events", 3)
        self.image.brokers[1] = BrokerImage(
            1, 5, UUID(int=1), (Endpoint("PLAINTEXT", "127.0.0.1", 19_091),), None, False
        )
        groups = self.groups = Groups(self.env, self.calls, self.log)
        self._handlers: dict[int, Callable[..., Any]] = {
            ApiKey.OFFSET_COMMIT: partial(offset_commit, groups),
            ApiKey.OFFSET_FETCH: partial(offset_fetch, groups, lambda now_ms: True),
            ApiKey.FIND_COORDINATOR: partial(find_coordinator, groups),
            ApiKey.JOIN_GROUP: partial(join_group, groups),
            ApiKey.HEARTBEAT: partial(heartbeat, groups),
            ApiKey.LEAVE_GROUP: partial(leave_group, groups),
            ApiKey.SYNC_GROUP: partial(sync_group, groups),
            ApiKey.DESCRIBE_GROUPS: partial(describe_groups, groups),
            ApiKey.LIST_GROUPS: partial(list_groups, groups),
            ApiKey.DELETE_GROUPS: partial(delete_groups, groups),
            ApiKey.OFFSET_DELETE: partial(offset_delete, groups),
        }
        groups.start(self.now_ms)
        self._take()

    def add_topic(self, name: str, partitions: int, topic_id: int = 0) -> UUID:
        id_ = UUID(int=topic_id or 1_000 + len(self.image.topics))
        image = TopicImage(id_, name)
        for p in range(partitions):
            image.partitions[p] = PartitionImage(id_, name, p, (1,), (1,), 1, 3, 0)
        self.image.topics[name] = image
        self.image.topic_names[id_] = name
        return id_

    def remove_topic(self, name: str) -> None:
        gone = self.image.topics.pop(name)
        self.image.version += 1
        del self.image.topic_names[gone.topic_id]
        self.groups.on_metadata(self.now_ms, MetadataDelta(deleted_topics=[gone]))
        self._take()

    def lead(self) -> Bench:
        self.groups.on_become_leader(self.now_ms, 0, 3)
        self._take()
        self.run(50)
        return self

    def resign(self) -> None:
        self.groups.on_resign(self.now_ms, 0)
        self._take()

    def successor(self) -> Bench:
        """The next coordinator, on the same log."""
        self.resign()
        after = Bench(self.log)
        after.now_ms = 1_000
        after.wall_offset_ms = self.wall_offset_ms + self.now_ms
        after.image.topics, after.image.topic_names = self.image.topics, self.image.topic_names
        return after.lead()

    def send(self, message: Any, version: int, client: str = "c", host: str = "10.0.0.9") -> int:
        """Hand in a request; the number finds its answer in ``answers``."""
        self._requests += 1
        self._versions[self._requests] = version
        message = decode(type(message), version, encode(message, version))
        event = RequestReceived(
            self._requests, version, message, Caller(1, host, "PLAINTEXT", client)
        )
        for _items in self._handlers[message.API_KEY](self.now_ms, event) or ():
            self.between()
        self._take()
        return event.request_id

    def ask(self, message: Any, version: int, client: str = "c") -> Any:
        number = self.send(message, version, client)
        assert number in self.answers, "the answer waits"
        return self.answers[number]

    def run(self, ms: int) -> None:
        """Let time pass; timers fire in order."""
        end = self.now_ms + ms
        while self._timers:
            key = min(self._timers, key=lambda k: (self._timers[k][1], self._timers[k][0]))
            token, at_ms = self._timers[key]
            if at_ms > end:
                break
            del self._timers[key]
            self.now_ms = max(self.now_ms, at_ms)
            self.env.outbox.complete(self.now_ms, TimerFired(key, token))
            self._take()
        self.now_ms = end

    def commit(self, error_code: int = 0) -> None:
        self.log.commit(self.now_ms, error_code)
        self._take()

    def _take(self) -> None:
        for effect in self.env.outbox.take():
            match effect:
                case Respond():
                    assert effect.request_id not in self.answers, "answered twice"
                    version = self._versions[effect.request_id]
                    bytes_ = encode(effect.message, version)
                    self.answers[effect.request_id] = decode(type(effect.message), version, bytes_)
                case Drop():
                    raise AssertionError(effect.reason)
                case SetTimer():
                    self._timers[effect.key] = (effect.token, effect.at_ms)

    # ---- the usual calls
    def join_message(
        self, member: str = "", instance: str | None = None, **more: Any
    ) -> JoinGroupRequest:
        names = more.pop("protocols", ["range"])
        return JoinGroupRequest(
            group_id=more.pop("group", "g"),
            session_timeout_ms=more.pop("session", 10_000),
            rebalance_timeout_ms=more.pop("rebalance", 20_000),
            member_id=member,
            group_instance_id=instance,
            protocol_type=more.pop("kind", "consumer"),
            protocols=[JoinGroupRequestProtocol(n, more.get("metadata", b"m")) for n in names],
        )

    def join(
        self, member: str = "", instance: str | None = None, version: int = 9, **more: Any
    ) -> int:
        """Join; a new dynamic member joins again with the id that it is given."""
        number = self.send(self.join_message(member, instance, **more), version)
        answer = self.answers.get(number)
        if answer is not None and answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            number = self.send(self.join_message(answer.member_id, instance, **more), version)
        return number

    def sync(
        self, member: str, generation: int, assign: dict[str, bytes] | None = None, **more: Any
    ) -> int:
        assignments = [SyncGroupRequestAssignment(m, a) for m, a in (assign or {}).items()]
        message = SyncGroupRequest(
            more.pop("group", "g"),
            generation,
            member,
            more.pop("instance", None),
            "consumer",
            "range",
            assignments,
        )
        return self.send(message, more.pop("version", 5))

    def stable(self, count: int = 1, **more: Any) -> list[str]:
        """A stable group of so many members; the first leads."""
        first = self.join(**more)
        ids = [self.answers[first].member_id]
        for _ in range(count - 1):
            number = self.join(**more)
            ids.append("")
            again = [self.send(self.join_message(m, **more), 9) for m in ids[:-1]]
            ids[-1] = self.answers[number].member_id
            assert all(self.answers[a].error_code == 0 for a in again)
            first = again[0]
        generation = self.answers[first].generation_id
        waiting = [self.sync(m, generation) for m in ids[1:]]
        waiting.append(self.sync(ids[0], generation, {m: b"a" + m.encode() for m in ids}))
        assert all(self.answers[w].error_code == 0 for w in waiting)
        return ids
