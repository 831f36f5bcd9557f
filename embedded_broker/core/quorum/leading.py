"""The leader's part of the quorum: append, serve the voters' fetches, move the high
watermark.

The high watermark is the offset that a majority has flushed, once it lies past the
start of this leader's epoch. A leader that no majority has fetched from for one and a
half fetch timeouts resigns (check quorum): by then the others have elected another
leader, or none can be elected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.records import LeaderChangeMessage
from embedded_broker.core.metadata.records import Voter as VoterRecord
from embedded_broker.core.metadata.topics import METADATA_TOPIC, METADATA_TOPIC_ID
from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.core.quorum.voter import Voter
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
from kafka_protocol.messages.k53_begin_quorum_epoch import (
    BeginQuorumEpochRequest,
    BeginQuorumEpochResponse,
)
from kafka_protocol.messages.k53_begin_quorum_epoch import PartitionData as BeginPartition
from kafka_protocol.messages.k53_begin_quorum_epoch import TopicData as BeginTopic
from kafka_protocol.messages.k54_end_quorum_epoch import EndQuorumEpochRequest, ReplicaInfo
from kafka_protocol.messages.k54_end_quorum_epoch import PartitionData as EndPartition
from kafka_protocol.messages.k54_end_quorum_epoch import TopicData as EndTopic

BEGIN_TIMER = "quorum.begin"
BEGIN_VERSION = 1
END_VERSION = 1


@dataclass(slots=True)
class Progress:
    """Records how far a replica of the metadata log is, by its fetches."""

    end_offset: int = -1
    """End of the log on its disk; -1 before its first fetch in this epoch."""
    high_watermark: int = -1
    """It has applied the committed records up to here."""
    fetched_ms: int = 0
    """Monotonic time of its last fetch, or of the start of this epoch."""
    fetched_wall_ms: int = -1
    caught_up_wall_ms: int = -1
    """Wall time at which it last had everything that the leader had."""
    leader_end_at_fetch: int = -1
    """The leader's end offset at the replica's last fetch."""


class Leading:
    """This node's leadership in one epoch."""

    def __init__(self, voter: Voter, now_ms: int) -> None:
        self._voter = voter
        self._outbox = voter.env.outbox
        self._open = True
        self._flushing = False
        self._waiting: dict[int, tuple[RequestReceived, FetchPartition]] = {}
        """Replica id -> its fetch that has nothing to return yet."""
        self.epoch_start_offset = voter.log.end_offset
        self.voters: dict[int, Progress] = {
            v: Progress(fetched_ms=now_ms) for v in voter.voters if v != voter.node_id
        }
        """All voters but this one."""
        self.observers: dict[int, Progress] = {}
        """Replicas that fetch and do not vote."""

    def start(self, now_ms: int) -> None:
        """Append the LeaderChange record, which lets this epoch commit, and announce
        this leader to the voters."""
        v = self._voter
        self._outbox.note(Level.INFO, f"Became the metadata quorum's leader in epoch {v.epoch}.")
        everyone = [VoterRecord(voter) for voter in v.voters]
        message = LeaderChangeMessage(
            leader_id=v.node_id, voters=everyone, granting_voters=[VoterRecord(v.node_id)]
        )
        try:
            v.vote_unconditionally()
            v.log.append_leader_change(encode(message, 0), v.epoch, v.env.clock.wall_ms())
        except StorageFailed as e:
            v.storage_failed(now_ms, e)
            return
        self._flush()
        self._announce(now_ms)
        self._check_quorum(now_ms)

    def close(self, now_ms: int) -> None:
        """Refuse the waiting fetches: this node leads no more."""
        self._open = False
        self._outbox.cancel(BEGIN_TIMER)
        for replica in sorted(self._waiting):
            event, _ = self._waiting[replica]
            self._outbox.cancel(f"quorum.fetch.{replica}")
            self._outbox.respond(event, self._response(ErrorCode.NOT_LEADER_OR_FOLLOWER))
        self._waiting.clear()

    # ---- appends
    def append(self, now_ms: int, values: Sequence[Buffer]) -> int:
        """Append metadata records as one atomic batch; return the end offset after it.

        Raises:
            StorageFailed: nothing was appended.
        """
        v = self._voter
        v.env.outbox.logs_changed = True
        end_offset = v.log.append_as_leader(values, v.epoch, v.env.clock.wall_ms())
        self._flush()
        self._serve_waiting(now_ms)
        return end_offset

    def _flush(self) -> None:
        """Keep one flush in flight; the next one covers everything appended
        meanwhile."""
        if not self._flushing:
            self._flushing = True
            self._voter.flush(self._flushed)

    def _flushed(self, now_ms: int) -> None:
        self._flushing = False
        if not self._open:
            return
        if self._voter.log.flushed_offset < self._voter.log.end_offset:
            self._flush()
        self._advance(now_ms)

    def _advance(self, now_ms: int) -> None:
        """Move the high watermark to the highest offset that a majority has on disk."""
        v = self._voter
        ends = sorted(
            [v.log.flushed_offset, *(p.end_offset for p in self.voters.values())], reverse=True
        )
        agreed = ends[v.majority - 1]
        # Records of older epochs alone do not count, however many voters have them: a
        # leader with a later epoch in its log could still overwrite them. One record of
        # this epoch commits all.
        if agreed > self.epoch_start_offset and agreed > v.high_watermark:
            v.advance(now_ms, agreed)
            # Applying the records may have ended this leadership.
            if self._open:
                self._serve_waiting(now_ms)

    # ---- fetches
    def fetch(
        self, now_ms: int, event: RequestReceived, replica_id: int, requested: FetchPartition
    ) -> None:
        """A replica fetches from its flushed end; its epoch is this leader's."""
        v = self._voter
        epoch, end_offset = v.log.end_offset_for(requested.last_fetched_epoch)
        # The replica's log agrees with this one if its last epoch is here and did not
        # end earlier.
        if (
            requested.fetch_offset < 0
            or epoch != requested.last_fetched_epoch
            or end_offset < requested.fetch_offset
        ):
            response = self._response(ErrorCode.NONE)
            response.responses[0].partitions[0].diverging_epoch = EpochEndOffset(epoch, end_offset)
            self._note_contact(now_ms, replica_id)
            self._outbox.respond(event, response)
            return
        self._note_progress(now_ms, replica_id, requested)
        old = self._waiting.pop(replica_id, None)
        if old is not None:
            self._outbox.respond(old[0], self._response(ErrorCode.NONE))
        self._advance(now_ms)
        if not self._open:
            self._outbox.respond(event, self._response(ErrorCode.NOT_LEADER_OR_FOLLOWER))
            return
        if requested.fetch_offset < v.log.end_offset or requested.high_watermark < v.high_watermark:
            self._serve(now_ms, event, requested)
            return
        self._waiting[replica_id] = (event, requested)
        deadline_ms = now_ms + event.message.max_wait_ms
        self._outbox.timer(
            f"quorum.fetch.{replica_id}", deadline_ms, lambda now: self._expire(now, replica_id)
        )

    def _serve(self, now_ms: int, event: RequestReceived, requested: FetchPartition) -> None:
        response = self._response(ErrorCode.NONE)
        if requested.fetch_offset < self._voter.log.end_offset:
            limit = max(1, min(event.message.max_bytes, requested.partition_max_bytes))
            # A RecordSlice stands where the class declares bytes; the shell sends it.
            data: Any = response.responses[0].partitions[0]
            try:
                data.records = self._voter.log.read(requested.fetch_offset, limit)
            except LogDamaged as e:
                self._voter.log_damaged(e)
                return
        self._outbox.respond(event, response)

    def _serve_waiting(self, now_ms: int) -> None:
        waiting, self._waiting = self._waiting, {}
        for replica in sorted(waiting):
            self._outbox.cancel(f"quorum.fetch.{replica}")
            self._serve(now_ms, *waiting[replica])

    def _expire(self, now_ms: int, replica_id: int) -> None:
        waiting = self._waiting.pop(replica_id, None)
        if waiting is not None:
            self._serve(now_ms, *waiting)

    def _response(self, error: ErrorCode) -> FetchResponse:
        """A Fetch response without records."""
        v = self._voter
        data = PartitionData(
            error_code=error,
            high_watermark=v.high_watermark,
            last_stable_offset=v.high_watermark,
            log_start_offset=v.log.log.log_start_offset,
            current_leader=LeaderIdAndEpoch(v.leader_id, v.epoch),
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

    def _note_progress(self, now_ms: int, replica_id: int, requested: FetchPartition) -> None:
        v = self._voter
        end_offset = requested.fetch_offset
        p = self._note_contact(now_ms, replica_id)
        wall_ms = v.env.clock.wall_ms()
        if end_offset >= v.log.end_offset:
            p.caught_up_wall_ms = wall_ms
        # It has what this log had at its last fetch: it was caught up then.
        elif 0 <= p.leader_end_at_fetch <= end_offset:
            p.caught_up_wall_ms = p.fetched_wall_ms
        p.end_offset = end_offset
        p.high_watermark = requested.high_watermark
        p.fetched_wall_ms = wall_ms
        p.leader_end_at_fetch = v.log.end_offset

    # ---- the voters
    def majority_contact_ms(self, now_ms: int) -> int:
        """Return since when no majority (this node included) has fetched: before, no other node
        can have been elected."""
        fetched = sorted([now_ms, *(p.fetched_ms for p in self.voters.values())], reverse=True)
        return fetched[self._voter.majority - 1]

    def _check_quorum(self, now_ms: int) -> None:
        """Resign when no majority (this node included) has fetched for one and a half
        fetch timeouts."""
        v = self._voter
        limit_ms = v.fetch_timeout_ms * 3 // 2
        lapse_ms = self.majority_contact_ms(now_ms) + limit_ms
        if lapse_ms <= now_ms:
            self._outbox.note(
                Level.WARNING,
                f"Resigning as quorum leader: no majority of voters fetched for {limit_ms} ms.",
            )
            v.resign(now_ms)
        elif v.majority > 1:
            v.set_role_timer(now_ms, lapse_ms - now_ms, self._check_quorum)

    def _announce(self, now_ms: int) -> None:
        """Send BeginQuorumEpoch to the voters that do not fetch yet, or no longer
        do."""
        v = self._voter
        interval_ms = max(50, v.fetch_timeout_ms // 4)
        for voter in sorted(self.voters):
            progress = self.voters[voter]
            if progress.end_offset < 0 or now_ms - progress.fetched_ms > 3 * interval_ms:
                partition = BeginPartition(leader_id=v.node_id, leader_epoch=v.epoch)
                request = BeginQuorumEpochRequest(
                    v.cluster_id, voter, [BeginTopic(METADATA_TOPIC, [partition])]
                )
                self._outbox.send(
                    voter, "quorum", request, BEGIN_VERSION, interval_ms, self._announced
                )
        if self.voters:
            self._outbox.timer(BEGIN_TIMER, now_ms + interval_ms, self._announce)

    def _announced(
        self, now_ms: int, response: BeginQuorumEpochResponse | None, reason: str
    ) -> None:
        if (
            response is None
            or not self._open
            or not response.topics
            or not response.topics[0].partitions
        ):
            return
        partition = response.topics[0].partitions[0]
        try:
            self._voter.learn_epoch(now_ms, partition.leader_epoch, partition.leader_id)
        except StorageFailed as e:
            self._voter.storage_failed(now_ms, e)

    def announce_end(self) -> None:
        """Send EndQuorumEpoch: name the voters with the most complete logs first, so
        that one of them campaigns at once."""
        v = self._voter
        order = sorted(self.voters, key=lambda voter: (-self.voters[voter].end_offset, voter))
        partition = EndPartition(
            leader_id=v.node_id,
            leader_epoch=v.epoch,
            preferred_successors=order,
            preferred_candidates=[ReplicaInfo(voter) for voter in order],
        )
        for voter in order:
            request = EndQuorumEpochRequest(v.cluster_id, [EndTopic(METADATA_TOPIC, [partition])])
            self._outbox.send(
                voter, "quorum", request, END_VERSION, v.request_timeout_ms, lambda *_: None
            )
