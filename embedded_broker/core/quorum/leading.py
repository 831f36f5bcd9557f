"""The leader's side: append, serve the voters' fetches, and move the high watermark.

The high watermark is the offset that a majority has flushed, once it lies past the start of this
leader's epoch. A leader that hears no majority resigns after one and a half fetch timeouts (check
quorum): the others have elected another by then, or nobody can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.records import LeaderChangeMessage, Voter
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.log import METADATA_TOPIC, METADATA_TOPIC_ID
from kafka_protocol.codec import encode
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Buffer
from kafka_protocol.messages.k01_fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchResponse,
    LeaderIdAndEpoch,
    PartitionData,
)
from kafka_protocol.messages.k53_begin_quorum_epoch import BeginQuorumEpochRequest
from kafka_protocol.messages.k53_begin_quorum_epoch import PartitionData as BeginPartition
from kafka_protocol.messages.k53_begin_quorum_epoch import TopicData as BeginTopic
from kafka_protocol.messages.k54_end_quorum_epoch import EndQuorumEpochRequest, ReplicaInfo
from kafka_protocol.messages.k54_end_quorum_epoch import PartitionData as EndPartition
from kafka_protocol.messages.k54_end_quorum_epoch import TopicData as EndTopic

if TYPE_CHECKING:
    from embedded_broker.core.quorum.quorum import Quorum

BEGIN_TIMER = "quorum.begin"
BEGIN_VERSION = 1
END_VERSION = 1


@dataclass(slots=True)
class Progress:
    """How far a replica of the metadata log is, as its fetches say."""

    end_offset: int = -1
    """On its disk; -1 before its first fetch in this epoch."""
    high_watermark: int = -1
    """Up to where it has applied what is committed."""
    fetched_ms: int = 0
    """Monotonic time of its last fetch, or of the start of this epoch."""
    fetched_wall_ms: int = -1
    caught_up_wall_ms: int = -1
    leader_end_at_fetch: int = -1


class Leading:
    """This node's leadership in one epoch."""

    def __init__(self, quorum: Quorum, now_ms: int) -> None:
        self._quorum = quorum
        self._open = True
        self._flushing = False
        self._waiting: dict[int, tuple[RequestReceived, FetchPartition]] = {}
        self.epoch_start_offset = quorum.log.end_offset
        self.voters: dict[int, Progress] = {
            v: Progress(fetched_ms=now_ms) for v in quorum.voters if v != quorum.node_id
        }
        self.observers: dict[int, Progress] = {}

    def start(self, now_ms: int) -> None:
        q = self._quorum
        q.broker.outbox.note(Level.INFO, f"Leads the metadata quorum in epoch {q.epoch}.")
        everyone = [Voter(v) for v in q.voters]
        message = LeaderChangeMessage(
            leader_id=q.node_id, voters=everyone, granting_voters=[Voter(q.node_id)]
        )
        try:
            q.remember()
            q.log.append_leader_change(encode(message, 0), q.epoch, q.broker.clock.wall_ms())
        except StorageFailed as e:
            q.storage_failed(now_ms, e)
            return
        self._flush()
        self._begin(now_ms)
        self._check(now_ms)

    def close(self, now_ms: int) -> None:
        self._open = False
        self._quorum.broker.outbox.cancel(BEGIN_TIMER)
        for replica in sorted(self._waiting):
            event, _ = self._waiting[replica]
            self._quorum.broker.outbox.cancel(f"quorum.fetch.{replica}")
            self._quorum.broker.outbox.respond(
                event, self._answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            )
        self._waiting.clear()

    # ---- appends
    def append(self, now_ms: int, values: Sequence[Buffer]) -> int:
        """Metadata records as one atomic batch; returns the end offset after it.

        Raises:
            StorageFailed: nothing was appended.
        """
        q = self._quorum
        end_offset = q.log.append_as_leader(values, q.epoch, q.broker.clock.wall_ms())
        self._flush()
        self._serve_waiting(now_ms)
        return end_offset

    def _flush(self) -> None:
        """One flush at a time takes along all that was appended meanwhile."""
        if not self._flushing:
            self._flushing = True
            self._quorum.flush(self._flushed)

    def _flushed(self, now_ms: int) -> None:
        self._flushing = False
        if not self._open:
            return
        if self._quorum.log.flushed_offset < self._quorum.log.end_offset:
            self._flush()
        self._advance(now_ms)

    def _advance(self, now_ms: int) -> None:
        q = self._quorum
        ends = sorted(
            [q.log.flushed_offset, *(p.end_offset for p in self.voters.values())], reverse=True
        )
        agreed = ends[q.majority - 1]
        if agreed > self.epoch_start_offset and agreed > q.high_watermark:
            q.advance(now_ms, agreed)
            if self._open:
                self._serve_waiting(now_ms)

    # ---- fetches
    def fetch(
        self, now_ms: int, event: RequestReceived, replica_id: int, asked: FetchPartition
    ) -> None:
        """A replica asks for what follows its flushed end; its epoch is this leader's."""
        q = self._quorum
        epoch, end_offset = q.log.end_offset_for(asked.last_fetched_epoch)
        if (
            asked.fetch_offset < 0
            or epoch != asked.last_fetched_epoch
            or end_offset < asked.fetch_offset
        ):
            answer = self._answer(ErrorCode.NONE)
            answer.responses[0].partitions[0].diverging_epoch = EpochEndOffset(epoch, end_offset)
            self._note_contact(now_ms, replica_id)
            q.broker.outbox.respond(event, answer)
            return
        self._note_progress(now_ms, replica_id, asked)
        old = self._waiting.pop(replica_id, None)
        if old is not None:
            q.broker.outbox.respond(old[0], self._answer(ErrorCode.NONE))
        self._advance(now_ms)
        if not self._open:
            q.broker.outbox.respond(event, self._answer(ErrorCode.NOT_LEADER_OR_FOLLOWER))
            return
        if asked.fetch_offset < q.log.end_offset or asked.high_watermark < q.high_watermark:
            self._serve(now_ms, event, asked)
            return
        self._waiting[replica_id] = (event, asked)
        deadline_ms = now_ms + event.message.max_wait_ms
        q.broker.outbox.timer(
            f"quorum.fetch.{replica_id}", deadline_ms, lambda now: self._expire(now, replica_id)
        )

    def _serve(self, now_ms: int, event: RequestReceived, asked: FetchPartition) -> None:
        answer = self._answer(ErrorCode.NONE)
        if asked.fetch_offset < self._quorum.log.end_offset:
            limit = max(1, min(event.message.max_bytes, asked.partition_max_bytes))
            data: Any = answer.responses[0].partitions[0]
            data.records = self._quorum.log.read(asked.fetch_offset, limit)
        self._quorum.broker.outbox.respond(event, answer)

    def _serve_waiting(self, now_ms: int) -> None:
        waiting, self._waiting = self._waiting, {}
        for replica in sorted(waiting):
            self._quorum.broker.outbox.cancel(f"quorum.fetch.{replica}")
            self._serve(now_ms, *waiting[replica])

    def _expire(self, now_ms: int, replica_id: int) -> None:
        found = self._waiting.pop(replica_id, None)
        if found is not None:
            self._serve(now_ms, *found)

    def _answer(self, error: ErrorCode) -> FetchResponse:
        q = self._quorum
        data = PartitionData(
            error_code=error,
            high_watermark=q.high_watermark,
            last_stable_offset=q.high_watermark,
            log_start_offset=q.log.log.log_start_offset,
            current_leader=LeaderIdAndEpoch(q.leader_id, q.epoch),
            aborted_transactions=None,
        )
        return FetchResponse(
            responses=[
                FetchableTopicResponse(
                    topic=METADATA_TOPIC, topic_id=METADATA_TOPIC_ID, partitions=[data]
                )
            ]
        )

    def _note_contact(self, now_ms: int, replica_id: int) -> Progress:
        progress = self.voters.get(replica_id)
        if progress is None:
            progress = self.observers.setdefault(replica_id, Progress())
        progress.fetched_ms = now_ms
        return progress

    def _note_progress(self, now_ms: int, replica_id: int, asked: FetchPartition) -> None:
        q = self._quorum
        end_offset = asked.fetch_offset
        p = self._note_contact(now_ms, replica_id)
        wall_ms = q.broker.clock.wall_ms()
        if end_offset >= q.log.end_offset:
            p.caught_up_wall_ms = wall_ms
        elif 0 <= p.leader_end_at_fetch <= end_offset:
            p.caught_up_wall_ms = p.fetched_wall_ms
        p.end_offset = end_offset
        p.high_watermark = asked.high_watermark
        p.fetched_wall_ms = wall_ms
        p.leader_end_at_fetch = q.log.end_offset

    # ---- the voters
    def _check(self, now_ms: int) -> None:
        """Resign when no majority has fetched lately."""
        q = self._quorum
        limit_ms = q.fetch_timeout_ms * 3 // 2
        fetched = sorted([now_ms, *(p.fetched_ms for p in self.voters.values())], reverse=True)
        lapse_ms = fetched[q.majority - 1] + limit_ms
        if lapse_ms <= now_ms:
            q.broker.outbox.note(
                Level.WARNING, f"No majority of voters fetched for {limit_ms} ms; resigns."
            )
            q.resign(now_ms)
        elif q.majority > 1:
            q.expect_within(now_ms, lapse_ms - now_ms, self._check)

    def _begin(self, now_ms: int) -> None:
        """Tell those who do not fetch yet who leads."""
        q = self._quorum
        patience_ms = max(50, q.fetch_timeout_ms // 4)
        for voter in sorted(self.voters):
            progress = self.voters[voter]
            if progress.end_offset < 0 or now_ms - progress.fetched_ms > 3 * patience_ms:
                partition = BeginPartition(leader_id=q.node_id, leader_epoch=q.epoch)
                request = BeginQuorumEpochRequest(
                    q.cluster_id, voter, [BeginTopic(METADATA_TOPIC, [partition])]
                )
                q.broker.outbox.send(
                    voter, "quorum", request, BEGIN_VERSION, patience_ms, self._began
                )
        if self.voters:
            q.broker.outbox.timer(BEGIN_TIMER, now_ms + patience_ms, self._begin)

    def _began(self, now_ms: int, response: Any, reason: str) -> None:
        if (
            response is None
            or not self._open
            or not response.topics
            or not response.topics[0].partitions
        ):
            return
        answer = response.topics[0].partitions[0]
        try:
            self._quorum.heard_of(now_ms, answer.leader_epoch, answer.leader_id)
        except StorageFailed as e:
            self._quorum.storage_failed(now_ms, e)

    def say_goodbye(self) -> None:
        """Name the voters that have most of the log first, so that one of them campaigns at
        once."""
        q = self._quorum
        order = sorted(self.voters, key=lambda v: (-self.voters[v].end_offset, v))
        partition = EndPartition(
            leader_id=q.node_id,
            leader_epoch=q.epoch,
            preferred_successors=order,
            preferred_candidates=[ReplicaInfo(v) for v in order],
        )
        for voter in order:
            request = EndQuorumEpochRequest(q.cluster_id, [EndTopic(METADATA_TOPIC, [partition])])
            q.broker.outbox.send(
                voter, "quorum", request, END_VERSION, q.request_timeout_ms, lambda *_: None
            )
