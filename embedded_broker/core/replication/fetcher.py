"""Fetching as a follower: one fetch session with each broker that leads a partition
replicated here (KIP-227).

A lane has one Fetch waiting at its leader, which names only changed partitions; the
next one leaves at the end of the tick in which the response was applied. A partition
that is new in the lane need not wait until the leader answers: a second request follows
the first, and makes the leader answer the first at once. A follower truncates where the
response's diverging epoch says (KIP-595's addition to Fetch v12), never at its own high
watermark (KIP-101).

A response counts for a partition only if the partition is still as the request said:
same leader epoch, same end offset.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol
from uuid import UUID

from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.table import ReplicaTable
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
    ReplicaState,
)
from kafka_protocol.records.batch import CorruptBatch

FETCH_VERSION = 17
FIRST_BACKOFF_MS = 50
MAX_IN_FLIGHT = 2


class LaneOwner(Protocol):
    """Declares what a lane needs of its owner, ``Replicas``."""

    def lane_ready(self, lane: Lane) -> None:
        """Call ``lane.send`` at the end of this tick."""

    def needs_flush(self, partition: Partition) -> None:
        """Flush the partition's log at the end of this tick."""

    def storage_failed(self, now_ms: int, what: str, error: StorageFailed) -> None:
        """A write failed; ``what`` is a clause such as "cannot write orders-0"."""


class _Followed:
    """One partition in a lane, and its state in the leader's session."""

    __slots__ = (
        "delayed_until",
        "failures",
        "in_session",
        "lost",
        "partition",
        "request",
        "sent_end",
        "sent_epoch",
    )

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.in_session = False
        """Whether the leader's session has it."""
        self.sent_epoch = -1
        """The leader epoch in the newest request that named it."""
        self.sent_end = -1
        """Its end offset in that request."""
        self.request = 0
        """The number of that request; responses to earlier ones say nothing about
        it."""
        self.delayed_until = -1
        """It is not fetched before this time, after a failure; -1 when it may be."""
        self.failures = 0
        """In a row."""
        self.lost = False
        """Whether the leader is to learn that this copy is not whole: it is fetched from below
        the high watermark then, and what comes is dropped."""


class Lane:
    """The partitions that this node follows on one leader."""

    def __init__(
        self, env: Environment, table: ReplicaTable, owner: LaneOwner, leader_id: int
    ) -> None:
        self._env = env
        self._outbox = env.outbox
        self._table = table
        self._settings = table.settings
        self._owner = owner
        self.leader_id = leader_id
        self._followed: dict[Partition, _Followed] = {}
        self._changed: dict[_Followed, None] = {}
        """Partitions that the next request names."""
        self._forgotten: list[tuple[UUID, int]] = []
        """Partitions that the next request removes from the session."""
        self._session_id = 0
        self._session_epoch = 0
        """0 until the leader has answered the first request of the session."""
        self._in_flight: list[int] = []
        """Send ids, oldest first; the leader answers in this order."""
        self._requests = 0
        self._retry_at = -1
        """No request is sent before this time, after a failed one."""
        self._failures = 0
        self._urgent = False
        """Whether a partition was added or has changed that the waiting request does not name."""

    def __len__(self) -> int:
        return len(self._followed)

    # ---- what is followed
    def follow(self, partition: Partition) -> None:
        """Fetch the partition from now on, or with its new leader epoch."""
        followed = self._followed.get(partition)
        if followed is None:
            followed = self._followed[partition] = _Followed(partition)
        followed.delayed_until = -1
        followed.failures = 0
        followed.lost = False
        self._changed[followed] = None
        self._urgent = True

    def give_up(self, partition: Partition, gives_up: bool) -> None:
        """Tell the leader that this copy is not whole, by a fetch from below the high watermark;
        or fetch on at the end. Called again until the metadata has changed."""
        followed = self._followed.get(partition)
        if followed is None or not (gives_up or followed.lost):
            return
        self.follow(partition)
        followed.lost = gives_up
        self._owner.lane_ready(self)

    def flushed(self, partition: Partition) -> None:
        """The partition's log is on disk now, so a fetch may confirm it."""
        followed = self._followed.get(partition)
        if followed is not None and followed.delayed_until < 0:
            self._changed[followed] = None
            self._urgent = True
            self._owner.lane_ready(self)

    def leave(self, partition: Partition) -> None:
        """Stop fetching the partition here."""
        followed = self._followed.pop(partition, None)
        if followed is not None:
            self._changed.pop(followed, None)
            self._forget(followed)

    def close(self) -> None:
        """Ignore the responses in flight: the lane has no partitions any more."""
        for send_id in self._in_flight:
            self._outbox.forget(send_id)
        self._in_flight.clear()
        self._outbox.cancel(self._timer)

    def _forget(self, followed: _Followed) -> None:
        if followed.in_session:
            self._forgotten.append((followed.partition.topic_id, followed.partition.index))
            followed.in_session = False

    # ---- requests
    def send(self, now_ms: int) -> None:
        """At the end of a tick, send the next Fetch, unless the leader still has
        one."""
        waiting = len(self._in_flight)
        if waiting and not (
            self._urgent and self._changed and waiting < MAX_IN_FLIGHT and self._session_epoch > 0
        ):
            return
        if now_ms < self._retry_at:
            return
        if self._session_epoch == 0:
            self._forgotten.clear()
            requested = [f for f in self._followed.values() if f.delayed_until < 0]
        else:
            requested = list(self._changed)
        # The fetch offset confirms everything below it: where only flushed records
        # count, flush first. ``flushed`` puts the partition back.
        for followed in requested:
            if followed.partition.stable_offset < followed.partition.end_offset:
                self._owner.needs_flush(followed.partition)
        requested = [f for f in requested if f.partition.stable_offset == f.partition.end_offset]
        if not requested and self._session_epoch == 0:
            return
        self._urgent = False
        self._changed.clear()
        self._requests += 1
        settings = self._settings
        request = FetchRequest(
            replica_state=ReplicaState(self._env.node_id, self._table.broker_epoch),
            max_wait_ms=settings.fetch_wait_ms if self._session_epoch else 0,
            min_bytes=1,
            max_bytes=settings.fetch_response_max_bytes,
            session_id=self._session_id,
            session_epoch=self._session_epoch,
            topics=self._topics(requested),
            forgotten_topics_data=self._take_forgotten(),
        )
        if self._session_epoch > 0:
            self._session_epoch += 1
        number = self._requests
        # Well below the lag time, so that one lost connection does not cost the in-sync
        # set.
        timeout_ms = settings.fetch_wait_ms + max(
            1_000, min(settings.socket_timeout_ms, settings.lag_ms // 3)
        )
        send_id = self._outbox.send(
            self.leader_id,
            "fetch",
            request,
            FETCH_VERSION,
            timeout_ms,
            partial(self._on_response, number),
        )
        self._in_flight.append(send_id)

    def _topics(self, requested: list[_Followed]) -> list[FetchTopic]:
        topics: dict[UUID, FetchTopic] = {}
        for followed in requested:
            partition = followed.partition
            topic = topics.get(partition.topic_id)
            if topic is None:
                topic = topics[partition.topic_id] = FetchTopic(topic_id=partition.topic_id)
            followed.in_session = True
            followed.sent_epoch = partition.leader_epoch
            followed.sent_end = partition.end_offset
            followed.request = self._requests
            topic.partitions.append(
                FetchPartition(
                    partition.index,
                    partition.leader_epoch,
                    partition.high_watermark - 1 if followed.lost else partition.end_offset,
                    partition.epochs.latest,
                    partition.start_offset,
                    self._settings.fetch_max_bytes,
                )
            )
        return list(topics.values())

    def _take_forgotten(self) -> list[ForgottenTopic]:
        topics: dict[UUID, ForgottenTopic] = {}
        for topic_id, index in self._forgotten:
            topics.setdefault(topic_id, ForgottenTopic(topic_id=topic_id)).partitions.append(index)
        self._forgotten.clear()
        return list(topics.values())

    # ---- responses
    def _on_response(
        self, number: int, now_ms: int, response: FetchResponse | None, reason: str
    ) -> None:
        """Apply the response to request ``number``."""
        self._owner.lane_ready(self)
        if response is None or response.error_code != ErrorCode.NONE:
            self._start_over()
            # A leader that has dropped the session gets a new one at once.
            if response is None or response.error_code not in (
                ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
                ErrorCode.INVALID_FETCH_SESSION_EPOCH,
            ):
                self._failures += 1
                if self._failures == 1:
                    why = reason if response is None else f"error {response.error_code}"
                    self._env.note(
                        Level.WARNING, f"Fetching from broker {self.leader_id} failed: {why}"
                    )
                self._retry_at = now_ms + self._backoff(self._failures)
                self._outbox.timer(self._timer, self._retry_at, self._wake)
            return
        self._failures = 0
        del self._in_flight[0]
        self._session_id = response.session_id
        if self._session_epoch == 0:
            self._session_epoch = 1
        for topic in response.responses:
            for data in topic.partitions:
                partition = self._table.by_id.get((topic.topic_id, data.partition_index))
                followed = None if partition is None else self._followed.get(partition)
                if followed is not None and followed.in_session and followed.request <= number:
                    self._apply(now_ms, followed, data)
        if self._in_flight and self._changed:
            # The other request, which waits at the leader, does not confirm what this one brought.
            self._urgent = True

    def _start_over(self) -> None:
        """The session is lost: the next request starts a new one and names every
        partition."""
        for send_id in self._in_flight:
            self._outbox.forget(send_id)
        self._in_flight.clear()
        self._session_id = self._session_epoch = 0
        self._forgotten.clear()
        for followed in self._followed.values():
            followed.in_session = False

    def _apply(self, now_ms: int, followed: _Followed, data: PartitionData) -> None:
        partition = followed.partition
        if followed.lost:
            # Out of the session, or the leader would send the same records again and again.
            if followed not in self._changed:
                self._forget(followed)
            return
        # The partition has changed since the request: the response is about another
        # state.
        if (followed.sent_epoch, followed.sent_end) != (
            partition.leader_epoch,
            partition.end_offset,
        ):
            self._changed[followed] = None
            return
        try:
            if data.error_code != ErrorCode.NONE:
                self._refused(now_ms, followed, data)
            elif data.diverging_epoch.epoch >= 0:
                partition.truncate_to_divergence(
                    data.diverging_epoch.epoch, data.diverging_epoch.end_offset
                )
                self._changed[followed] = None
            else:
                self._append(followed, data)
        except StorageFailed as e:
            self._owner.storage_failed(now_ms, f"cannot replicate {partition}", e)
            self._delay(now_ms, followed, f"the disk failed: {e}", Level.ERROR)
        except CorruptBatch as e:
            self._delay(
                now_ms,
                followed,
                f"broker {self.leader_id} sent corrupt records: {e}",
                Level.ERROR,
            )

    def _append(self, followed: _Followed, data: PartitionData) -> None:
        partition = followed.partition
        records: Any = data.records
        if records is not None and len(records):
            if not isinstance(records, bytes | bytearray | memoryview):
                records = records.tobytes()
            partition.append_fetched(records, self._env.clock.wall_ms(), data.log_start_offset)
            self._changed[followed] = None
        start = partition.start_offset
        partition.leader_is_at(data.high_watermark, data.log_start_offset)
        if partition.start_offset != start:
            self._changed[followed] = None
        followed.failures = 0

    def _refused(self, now_ms: int, followed: _Followed, data: PartitionData) -> None:
        partition = followed.partition
        if data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE and data.log_start_offset >= 0:
            # The leader's log starts after this one ends, or this one is empty: restart
            # there.
            empty = partition.start_offset == partition.end_offset
            if data.log_start_offset > partition.end_offset or (
                empty and data.log_start_offset != partition.end_offset
            ):
                partition.restart_at(data.log_start_offset)
                self._changed[followed] = None
                return
        self._delay(
            now_ms,
            followed,
            f"broker {self.leader_id} answered with error {data.error_code}",
            Level.DEBUG,
        )

    def _delay(self, now_ms: int, followed: _Followed, why: str, level: Level) -> None:
        followed.failures += 1
        followed.delayed_until = now_ms + self._backoff(followed.failures)
        self._env.note(level, f"{followed.partition}: fetching again later, {why}")
        self._changed.pop(followed, None)
        self._forget(followed)
        if not self._outbox.has_timer(self._timer):
            self._outbox.timer(self._timer, followed.delayed_until, self._wake)

    def _backoff(self, failures: int) -> int:
        return int(min(FIRST_BACKOFF_MS << min(failures - 1, 10), self._settings.fetch_backoff_ms))

    @property
    def _timer(self) -> str:
        return f"fetch from {self.leader_id}"

    def _wake(self, now_ms: int) -> None:
        """Fetch the partitions again whose delay is over; set the timer for the
        others."""
        later = -1
        for followed in self._followed.values():
            if followed.delayed_until < 0:
                continue
            if followed.delayed_until <= now_ms:
                followed.delayed_until = -1
                self._changed[followed] = None
                self._urgent = True
            elif later < 0 or followed.delayed_until < later:
                later = followed.delayed_until
        if self._retry_at > now_ms and (later < 0 or self._retry_at < later):
            later = self._retry_at
        if later >= 0:
            self._outbox.timer(self._timer, later, self._wake)
        self._owner.lane_ready(self)
