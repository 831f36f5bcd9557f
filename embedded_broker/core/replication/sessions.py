"""Fetch sessions of followers, on the leader's side (KIP-227).

A follower names a partition only when its own state of it changed; the response names
only partitions with something new. So a wake-up costs in proportion to what changed,
not to what is replicated. Each follower has one session. Its waiting request is
answered at the end of a tick when there are new records for it, or at its deadline, and
then also carries high watermarks and start offsets that moved.

A session partition with a newer leader epoch than this node knows is kept without an
answer until the metadata arrives: the follower learned of the epoch first. Clients get
no session (session id 0).
"""

from __future__ import annotations

from uuid import UUID

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
    PartitionData,
)

MAX_EPOCH = 0x7FFFFFFF
Key = tuple[UUID, int]
"""(topic id, partition index)"""


class SessionPartition:
    """The state of one partition that a follower last sent, and what it was last
    answered."""

    __slots__ = (
        "fetch_offset",
        "key",
        "last_fetched_epoch",
        "leader_epoch",
        "max_bytes",
        "partition",
        "reply",
        "sent_high_watermark",
        "sent_start_offset",
        "session",
        "start_offset",
        "unevaluated",
    )

    def __init__(self, session: FetchSession, key: Key) -> None:
        self.session = session
        self.key = key
        self.partition: Partition | None = None
        """None while this node has no replica of it."""
        self.fetch_offset = -1
        """End of the follower's log."""
        self.leader_epoch = -1
        """The leader epoch that the follower knows."""
        self.last_fetched_epoch = -1
        """The epoch of the follower's last record."""
        self.start_offset = -1
        """Start of the follower's log."""
        self.max_bytes = 0
        self.unevaluated = False
        """Whether the follower's newest state has not been compared with this log
        yet."""
        self.reply: PartitionData | None = None
        """An error or a divergence to answer with."""
        self.sent_high_watermark = -1
        self.sent_start_offset = -1

    def touch(self) -> None:
        """There is something new for the follower."""
        self.session.ready[self] = None
        self.session.wake()

    def watermarks_moved(self) -> None:
        """The high watermark or the start offset moved; tell the follower with the next
        response."""
        self.session.stale[self] = None

    def update(self, requested: FetchPartition) -> None:
        """Take the follower's newest state."""
        self.fetch_offset = requested.fetch_offset
        self.leader_epoch = requested.current_leader_epoch
        self.last_fetched_epoch = requested.last_fetched_epoch
        self.start_offset = requested.log_start_offset
        self.max_bytes = requested.partition_max_bytes
        self.unevaluated = True
        self.reply = None
        self.session.ready[self] = None


class FetchSession:
    """One follower's session; its request expires like any waiting request."""

    def __init__(self, sessions: FetchSessions, replica_id: int, session_id: int) -> None:
        self._sessions = sessions
        self.replica_id = replica_id
        self.session_id = session_id
        self.next_epoch = 1
        """The session epoch that the next request must carry."""
        self.broker_epoch = -1
        """The incarnation of the follower that sent the newest request."""
        self.partitions: dict[Key, SessionPartition] = {}
        self.ready: dict[SessionPartition, None] = {}
        """Partitions that may have something to answer."""
        self.stale: dict[SessionPartition, None] = {}
        """Partitions whose high watermark or start offset moved."""
        self.request: RequestReceived | None = None
        """The request that waits."""
        self.bucket = -1

    def wake(self) -> None:
        """Try to answer at the end of this tick."""
        if self.request is not None:
            self._sessions.woken[self] = None

    def expire(self, now_ms: int) -> None:
        """Answer with what there is."""
        if self.request is not None:
            self._sessions.complete(now_ms, self, always=True)


class FetchSessions:
    """The sessions of all followers."""

    def __init__(self, env: Environment, table: ReplicaTable) -> None:
        self._env = env
        self._outbox = env.outbox
        self._table = table
        self._by_replica: dict[int, FetchSession] = {}
        self._deadlines = Deadlines(env.outbox, "follower fetches", 20)
        self.woken: dict[FetchSession, None] = {}

    def fetch(
        self, now_ms: int, event: RequestReceived, replica_id: int, broker_epoch: int
    ) -> None:
        """Take a follower's Fetch; it is answered at the end of this tick or later."""
        request: FetchRequest = event.message
        session = self._by_replica.get(replica_id)
        if request.session_epoch <= 0:
            if session is not None:
                self._drop(session)
            session_id = self._env.rng.below(0x7FFFFFFE) + 1
            session = FetchSession(self, replica_id, session_id)
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
        # A second request follows the first when a partition was added: answer the
        # first now.
        if session.request is not None:
            self.complete(now_ms, session, always=True)
        session.broker_epoch = broker_epoch
        for forgotten in request.forgotten_topics_data:
            for index in forgotten.partitions:
                self._forget(session, (forgotten.topic_id, index))
        for topic in request.topics:
            for requested in topic.partitions:
                key = (topic.topic_id, requested.partition)
                entry = session.partitions.get(key)
                if entry is None:
                    entry = session.partitions[key] = SessionPartition(session, key)
                entry.update(requested)
                self._evaluate(now_ms, entry)
                partition = entry.partition
                caught_up = partition is not None and requested.fetch_offset == partition.end_offset
                if not entry.unevaluated and entry.reply is None and caught_up:
                    session.ready.pop(entry, None)
        session.request = event
        if request.max_wait_ms > 0:
            self._deadlines.add(session, now_ms + request.max_wait_ms)
        if session.ready or request.max_wait_ms <= 0:
            self.woken[session] = None

    def complete_woken(self, now_ms: int) -> None:
        """At the end of a tick, answer the followers that have something new."""
        if not self.woken:
            return
        woken, self.woken = self.woken, {}
        for session in woken:
            if session.request is not None:
                self.complete(now_ms, session, always=session.request.message.max_wait_ms <= 0)

    def partition_changed(self, partition: Partition) -> None:
        """The partition was added or removed, or has another role or epoch: evaluate it
        again for every follower that fetches it."""
        for session in self._by_replica.values():
            entry = session.partitions.get((partition.topic_id, partition.index))
            if entry is not None:
                entry.touch()

    def connection_closed(self, connection_id: int) -> None:
        """Drop the request of this connection; the session stays."""
        for session in self._by_replica.values():
            if (
                session.request is not None
                and session.request.caller.connection_id == connection_id
            ):
                session.request = None
                self._deadlines.withdraw(session)

    # ---- responses
    def complete(self, now_ms: int, session: FetchSession, always: bool) -> None:
        """Answer the waiting request if there is something new; with ``always`` in any
        case."""
        event = session.request
        assert event is not None
        request: FetchRequest = event.message
        topics: dict[UUID, FetchableTopicResponse] = {}
        room = request.max_bytes
        first = True
        for entry in list(session.ready):
            data = self._answer(now_ms, entry, room, first)
            if data is None:
                del session.ready[entry]
                continue
            size = 0 if data.records is None else len(data.records)
            # There are records, but no room for a whole batch: the next response takes
            # them.
            if not size and not data.error_code and data.diverging_epoch.epoch < 0:
                break
            del session.ready[entry]
            session.stale.pop(entry, None)
            _add(topics, entry.key[0], data)
            room -= size
            first = first and not size
            if room <= 0:
                break
        if not topics and not always:
            return
        for entry in session.stale:
            partition = entry.partition
            if (
                partition is not None
                and partition.is_leader
                and partition.leader_epoch == entry.leader_epoch
            ):
                now_at = (partition.high_watermark, partition.start_offset)
                sent = (entry.sent_high_watermark, entry.sent_start_offset)
                if now_at != sent and entry.reply is None:
                    _add(topics, entry.key[0], _empty(entry, partition))
        session.stale.clear()
        session.request = None
        self._deadlines.withdraw(session)
        self._outbox.respond(
            event, FetchResponse(session_id=session.session_id, responses=list(topics.values()))
        )

    def _answer(
        self, now_ms: int, entry: SessionPartition, room: int, first: bool
    ) -> PartitionData | None:
        """Return what is new of one partition: None for nothing, without records when
        there is no room for them."""
        if entry.unevaluated or entry.reply is not None or not self._is_current(entry):
            self._evaluate(now_ms, entry)
            if entry.reply is not None:
                reply, entry.reply = entry.reply, None
                return reply
            if entry.unevaluated:
                return None
        partition = entry.partition
        assert partition is not None
        end = partition.end_offset
        if entry.fetch_offset >= end:
            return None
        if entry.fetch_offset < partition.start_offset:
            return _error(entry, partition)
        data = _empty(entry, partition)
        try:
            data.records = partition.log.read(
                entry.fetch_offset, min(entry.max_bytes, room), end, first
            )  # type: ignore[assignment]
        except StorageFailed as e:
            partition.read_failed(now_ms, e)
            data.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return data

    def _is_current(self, entry: SessionPartition) -> bool:
        """Return whether the evaluation of the follower's state still holds: same
        leader, same epoch."""
        partition = entry.partition
        return (
            partition is not None
            and not partition.deleted
            and partition.is_leader
            and partition.leader_epoch == entry.leader_epoch
        )

    def _evaluate(self, now_ms: int, entry: SessionPartition) -> None:
        """Compare the follower's state with this log. ``entry.reply`` is set when the
        follower must learn of an error or a divergence; ``entry.unevaluated`` stays set
        while this node's metadata is too old to decide."""
        partition = entry.partition
        if partition is None or partition.deleted:
            self._detach(entry)
            partition = self._table.by_id.get(entry.key)
            if partition is None:
                entry.unevaluated = True
                return
            entry.partition = partition
            partition.subscribers.append(entry)
            entry.watermarks_moved()
        if entry.leader_epoch > partition.leader_epoch:
            entry.unevaluated = True
            return
        code = partition.fence(entry.leader_epoch)
        diverging: tuple[int, int] | None = None
        if code == ErrorCode.NONE:
            diverging = partition.divergence(entry.last_fetched_epoch, entry.fetch_offset)
            if diverging is None or diverging[0] < 0:
                if (
                    diverging is not None
                    or not partition.start_offset <= entry.fetch_offset <= partition.end_offset
                ):
                    code = ErrorCode.OFFSET_OUT_OF_RANGE
                else:
                    # The logs agree: only now does the fetch offset count.
                    code = partition.follower_fetched(
                        now_ms,
                        entry.session.replica_id,
                        entry.session.broker_epoch,
                        entry.fetch_offset,
                        entry.start_offset,
                    )
        entry.unevaluated = False
        if code != ErrorCode.NONE:
            entry.reply = _error(entry, partition, code)
        elif diverging is not None:
            entry.reply = _empty(entry, partition)
            entry.reply.diverging_epoch = EpochEndOffset(*diverging)

    # ---- bookkeeping
    def _drop(self, session: FetchSession) -> None:
        """The follower starts a new session."""
        for entry in session.partitions.values():
            self._detach(entry)
        if session.request is not None:
            self._outbox.respond(
                session.request, FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            )
            session.request = None
        self._deadlines.withdraw(session)
        self.woken.pop(session, None)
        del self._by_replica[session.replica_id]

    def _forget(self, session: FetchSession, key: Key) -> None:
        entry = session.partitions.pop(key, None)
        if entry is not None:
            self._detach(entry)
            session.ready.pop(entry, None)
            session.stale.pop(entry, None)

    def _detach(self, entry: SessionPartition) -> None:
        if entry.partition is not None:
            if entry in entry.partition.subscribers:
                entry.partition.subscribers.remove(entry)
            entry.partition = None


def _empty(entry: SessionPartition, partition: Partition) -> PartitionData:
    """A response without records; high watermark and start offset are one snapshot
    (KAFKA-7104)."""
    high = entry.sent_high_watermark = partition.high_watermark
    start = entry.sent_start_offset = partition.start_offset
    return PartitionData(entry.key[1], 0, high, high, start, records=b"")


def _error(
    entry: SessionPartition, partition: Partition, code: int = ErrorCode.OFFSET_OUT_OF_RANGE
) -> PartitionData:
    """An error, with the leader's start offset: where a follower whose log is too old
    restarts."""
    return PartitionData(
        entry.key[1], code, high_watermark=-1, log_start_offset=partition.start_offset, records=b""
    )


def _add(topics: dict[UUID, FetchableTopicResponse], topic_id: UUID, data: PartitionData) -> None:
    topic = topics.get(topic_id)
    if topic is None:
        topic = topics[topic_id] = FetchableTopicResponse(topic_id=topic_id)
    topic.partitions.append(data)
