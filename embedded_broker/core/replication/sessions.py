"""Fetch sessions with followers, on the leader's side (KIP-227).

A follower names a partition only when its own state of it has changed; the answer names only
partitions with something new. So a wake-up costs what changed, not what is replicated. One
session a follower; its waiting request is completed at the end of a tick, when data has come for
it, or at its deadline, and then also carries high watermarks and start offsets that have moved.

A session partition whose leader epoch is newer than this node knows of is kept, silently, until
the metadata arrives: the follower was told first. Clients get no session (session id 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

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
    PartitionData,
)

if TYPE_CHECKING:
    from embedded_broker.core.replication.replicas import Replicas

MAX_EPOCH = 0x7FFFFFFF
Key = tuple[UUID, int]


class SessionPartition:
    """What a follower last said of one partition, and what it was last told."""

    __slots__ = (
        "fetch_offset", "fresh", "key", "last_fetched_epoch", "leader_epoch", "max_bytes", "partition", "reply",
        "sent_high_watermark", "sent_start_offset", "session", "start_offset",
    )  # fmt: skip

    def __init__(self, session: FetchSession, key: Key) -> None:
        self.session = session
        self.key = key
        self.partition: Partition | None = None
        self.fetch_offset = -1
        self.leader_epoch = -1
        self.last_fetched_epoch = -1
        self.start_offset = -1
        self.max_bytes = 0
        self.fresh = False
        """The follower's words have not been taken in yet."""
        self.reply: PartitionData | None = None
        """An error or a divergence to answer with."""
        self.sent_high_watermark = -1
        self.sent_start_offset = -1

    def touch(self) -> None:
        """There is something new for the follower."""
        self.session.ready[self] = None
        self.session.wake()

    def watermarks_moved(self) -> None:
        self.session.stale[self] = None

    def say(self, told: FetchPartition) -> None:
        self.fetch_offset = told.fetch_offset
        self.leader_epoch = told.current_leader_epoch
        self.last_fetched_epoch = told.last_fetched_epoch
        self.start_offset = told.log_start_offset
        self.max_bytes = told.partition_max_bytes
        self.fresh = True
        self.reply = None
        self.session.ready[self] = None


class FetchSession:
    """One follower's session; a waiter with a deadline while its request waits."""

    def __init__(self, sessions: FetchSessions, replica_id: int, session_id: int) -> None:
        self._sessions = sessions
        self.replica_id = replica_id
        self.session_id = session_id
        self.next_epoch = 1
        self.broker_epoch = -1
        self.partitions: dict[Key, SessionPartition] = {}
        self.ready: dict[SessionPartition, None] = {}
        self.stale: dict[SessionPartition, None] = {}
        self.request: RequestReceived | None = None
        self.bucket = -1

    def wake(self) -> None:
        if self.request is not None:
            self._sessions.woken[self] = None

    def expire(self, now_ms: int) -> None:
        if self.request is not None:
            self._sessions.complete(now_ms, self, always=True)


class FetchSessions:
    """All followers' sessions with this node."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._outbox = replicas.outbox
        self._by_replica: dict[int, FetchSession] = {}
        self._deadlines = Deadlines(replicas.outbox, "follower fetches", 20)
        self.woken: dict[FetchSession, None] = {}

    def fetch(
        self, now_ms: int, event: RequestReceived, replica_id: int, broker_epoch: int
    ) -> None:
        """A follower's Fetch; it is answered at the end of this tick or later."""
        request: FetchRequest = event.message
        session = self._by_replica.get(replica_id)
        if request.session_epoch <= 0:
            if session is not None:
                self._drop(session)
            session = FetchSession(self, replica_id, self._replicas.new_session_id())
            self._by_replica[replica_id] = session
        elif session is None or session.session_id != request.session_id:
            self._outbox.respond(
                event, FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            )
            return
        elif session.next_epoch != request.session_epoch:
            self._outbox.respond(
                event, FetchResponse(error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
            )
            return
        else:
            session.next_epoch = 1 if session.next_epoch == MAX_EPOCH else session.next_epoch + 1
        if session.request is not None:
            self.complete(now_ms, session, always=True)
        session.broker_epoch = broker_epoch
        for gone in request.forgotten_topics_data:
            for index in gone.partitions:
                self._forget(session, (gone.topic_id, index))
        for topic in request.topics:
            for told in topic.partitions:
                key = (topic.topic_id, told.partition)
                held = session.partitions.get(key)
                if held is None:
                    held = session.partitions[key] = SessionPartition(session, key)
                held.say(told)
                self._take_in(now_ms, held)
                partition = held.partition
                caught_up = partition is not None and told.fetch_offset == partition.end_offset
                if not held.fresh and held.reply is None and caught_up:
                    session.ready.pop(held, None)
        session.request = event
        if request.max_wait_ms > 0:
            self._deadlines.add(session, now_ms + request.max_wait_ms)
        if session.ready or request.max_wait_ms <= 0:
            self.woken[session] = None

    def complete_woken(self, now_ms: int) -> None:
        """At the end of a tick: answer the followers for whom something has come."""
        if not self.woken:
            return
        woken, self.woken = self.woken, {}
        for session in woken:
            if session.request is not None:
                self.complete(now_ms, session, always=session.request.message.max_wait_ms <= 0)

    def partition_changed(self, partition: Partition) -> None:
        """It came, went, or has another role or epoch: look at it again for every follower that
        asks for it."""
        for session in self._by_replica.values():
            held = session.partitions.get((partition.topic_id, partition.index))
            if held is not None:
                held.touch()

    def connection_closed(self, connection_id: int) -> None:
        for session in self._by_replica.values():
            if (
                session.request is not None
                and session.request.caller.connection_id == connection_id
            ):
                session.request = None
                self._deadlines.withdraw(session)

    # ---- answers
    def complete(self, now_ms: int, session: FetchSession, always: bool) -> None:
        """Answer the waiting request if there is something to say; ``always``: say so too if
        there is nothing."""
        event = session.request
        assert event is not None
        request: FetchRequest = event.message
        topics: dict[UUID, FetchableTopicResponse] = {}
        room = request.max_bytes
        first = True
        for held in list(session.ready):
            data = self._answer(now_ms, held, room, first)
            if data is None:
                del session.ready[held]
                continue
            size = 0 if data.records is None else len(data.records)
            if not size and not data.error_code and data.diverging_epoch.epoch < 0:
                break
            del session.ready[held]
            session.stale.pop(held, None)
            _add(topics, held.key[0], data)
            room -= size
            first = first and not size
            if room <= 0:
                break
        if not topics and not always:
            return
        for held in session.stale:
            partition = held.partition
            if (
                partition is not None
                and partition.is_leader
                and partition.leader_epoch == held.leader_epoch
            ):
                moved = (partition.high_watermark, partition.start_offset)
                if (
                    moved != (held.sent_high_watermark, held.sent_start_offset)
                    and held.reply is None
                ):
                    _add(topics, held.key[0], _empty(held, partition))
        session.stale.clear()
        session.request = None
        self._deadlines.withdraw(session)
        self._outbox.respond(
            event, FetchResponse(session_id=session.session_id, responses=list(topics.values()))
        )

    def _answer(
        self, now_ms: int, held: SessionPartition, room: int, first: bool
    ) -> PartitionData | None:
        """What to say of one partition: None for nothing, without records when there is no room
        for them."""
        if held.fresh or held.reply is not None or not self._agrees(held):
            self._take_in(now_ms, held)
            if held.reply is not None:
                reply, held.reply = held.reply, None
                return reply
            if held.fresh:
                return None
        partition = held.partition
        assert partition is not None
        end = partition.end_offset
        if held.fetch_offset >= end:
            return None
        if held.fetch_offset < partition.start_offset:
            return _error(held, partition)
        data = _empty(held, partition)
        try:
            data.records = partition.log.read(
                held.fetch_offset, min(held.max_bytes, room), end, first
            )  # type: ignore[assignment]
        except StorageFailed as e:
            self._replicas.note(Level.ERROR, f"{partition} cannot be read: {e}")
            data.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return data

    def _agrees(self, held: SessionPartition) -> bool:
        """Whether the follower's words, taken in before, are still those of the leader's epoch."""
        partition = held.partition
        return (
            partition is not None
            and not partition.deleted
            and partition.is_leader
            and partition.leader_epoch == held.leader_epoch
        )

    def _take_in(self, now_ms: int, held: SessionPartition) -> None:
        """Judge what the follower said: ``held.reply`` is set when it must hear of an error or a
        divergence; ``held.fresh`` stays set while this node does not know enough to judge."""
        partition = held.partition
        if partition is None or partition.deleted:
            self._detach(held)
            partition = self._replicas.by_id.get(held.key)
            if partition is None:
                held.fresh = True
                return
            held.partition = partition
            partition.sessions.append(held)
            held.watermarks_moved()
        if held.leader_epoch > partition.leader_epoch:
            held.fresh = True
            return
        code = partition.fence(held.leader_epoch)
        diverging: tuple[int, int] | None = None
        if code == ErrorCode.NONE:
            diverging = partition.divergence(held.last_fetched_epoch, held.fetch_offset)
            if diverging is None or diverging[0] < 0:
                if (
                    diverging is not None
                    or not partition.start_offset <= held.fetch_offset <= partition.end_offset
                ):
                    code = ErrorCode.OFFSET_OUT_OF_RANGE
                else:
                    code = partition.follower_fetched(
                        now_ms,
                        held.session.replica_id,
                        held.session.broker_epoch,
                        held.fetch_offset,
                        held.start_offset,
                    )
        held.fresh = False
        if code != ErrorCode.NONE:
            held.reply = _error(held, partition, code)
        elif diverging is not None:
            held.reply = _empty(held, partition)
            held.reply.diverging_epoch = EpochEndOffset(*diverging)

    # ---- bookkeeping
    def _drop(self, session: FetchSession) -> None:
        for held in session.partitions.values():
            self._detach(held)
        if session.request is not None:
            self._outbox.respond(
                session.request, FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            )
            session.request = None
        self._deadlines.withdraw(session)
        self.woken.pop(session, None)
        del self._by_replica[session.replica_id]

    def _forget(self, session: FetchSession, key: Key) -> None:
        held = session.partitions.pop(key, None)
        if held is not None:
            self._detach(held)
            session.ready.pop(held, None)
            session.stale.pop(held, None)

    def _detach(self, held: SessionPartition) -> None:
        if held.partition is not None:
            if held in held.partition.sessions:
                held.partition.sessions.remove(held)
            held.partition = None


def _empty(held: SessionPartition, partition: Partition) -> PartitionData:
    """High watermark and start offset as of now, together (KAFKA-7104)."""
    high = held.sent_high_watermark = partition.high_watermark
    start = held.sent_start_offset = partition.start_offset
    return PartitionData(held.key[1], 0, high, high, start, records=b"")


def _error(
    held: SessionPartition, partition: Partition, code: int = ErrorCode.OFFSET_OUT_OF_RANGE
) -> PartitionData:
    """An error; with the leader's start offset, which tells a follower where to begin again."""
    return PartitionData(
        held.key[1], code, high_watermark=-1, log_start_offset=partition.start_offset, records=b""
    )


def _add(topics: dict[UUID, FetchableTopicResponse], topic_id: UUID, data: PartitionData) -> None:
    topic = topics.get(topic_id)
    if topic is None:
        topic = topics[topic_id] = FetchableTopicResponse(topic_id=topic_id)
    topic.partitions.append(data)
