"""A follower of the quorum's leader: fetch, append, flush, fetch again from the flushed
end.

When the logs diverge, the leader answers with its end of the last epoch that both may
share, and the follower truncates to there (KIP-595, in the manner of KIP-101).
"""

from __future__ import annotations

from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.topics import METADATA_TOPIC_ID
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.voter import Voter
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
    ReplicaState,
)
from kafka_protocol.records.batch import CorruptBatch

FETCH_VERSION = 18
"""The first version that reports the follower's high watermark (KIP-1166): the leader
then answers at once when the follower lacks a newer one."""
MAX_BYTES = 8 << 20
MAX_WAIT_MS = 500
RETRY_TIMER = "quorum.fetch"
RETRY_MS = 20
RETRY_MAX_MS = 200
DISK_RETRY_MS = 500
FAILURES_TO_CAMPAIGN = 3


class Following:
    """One leader followed in one epoch; at most one fetch in flight."""

    def __init__(self, voter: Voter) -> None:
        self._voter = voter
        self._outbox = voter.env.outbox
        self._send_id = 0
        self._failures = 0
        """Failed fetches since the last good response."""
        self._open = True

    def start(self, now_ms: int) -> None:
        """Fetch until the role changes."""
        self._note_contact(now_ms)
        self._fetch(now_ms)

    def close(self, now_ms: int) -> None:
        """Ignore the response in flight."""
        self._open = False
        self._outbox.forget(self._send_id)
        self._outbox.cancel(RETRY_TIMER)

    def in_touch(self, now_ms: int) -> bool:
        """Return whether the leader has answered within the fetch timeout; if so,
        pre-votes against it are refused."""
        return (
            self._failures == 0
            and now_ms - self._voter.last_leader_contact_ms < self._voter.fetch_timeout_ms
        )

    def _note_contact(self, now_ms: int) -> None:
        v = self._voter
        v.last_leader_id, v.last_leader_contact_ms = v.leader_id, now_ms
        v.last_leader_unreachable = False
        self._failures = 0
        # Campaign when the leader is silent; randomised, so that one follower is first.
        v.set_role_timer(
            now_ms, v.fetch_timeout_ms + v.env.rng.below(v.fetch_timeout_ms // 8 + 1), v.campaign
        )

    def _fetch(self, now_ms: int) -> None:
        if not self._open:
            return
        v = self._voter
        # The fetch offset confirms everything below it to the leader: flush first.
        if v.log.flushed_offset < v.log.end_offset:
            v.flush(self._fetch)
            return
        request = FetchRequest(
            cluster_id=v.cluster_id,
            replica_state=ReplicaState(v.node_id, -1),
            max_wait_ms=min(MAX_WAIT_MS, v.fetch_timeout_ms // 4),
            max_bytes=MAX_BYTES,
            topics=[
                FetchTopic(
                    topic_id=METADATA_TOPIC_ID,
                    partitions=[
                        FetchPartition(
                            current_leader_epoch=v.epoch,
                            fetch_offset=v.log.end_offset,
                            last_fetched_epoch=v.log.last_epoch,
                            log_start_offset=0,
                            partition_max_bytes=MAX_BYTES,
                            replica_directory_id=v.env.disk.directory_id,
                            # What it has applied: a broker that shuts down waits for
                            # that, so that its leaderships have moved.
                            high_watermark=v.applied_offset,
                        )
                    ],
                )
            ],
        )
        self._send_id = self._outbox.send(
            v.leader_id, "metadata", request, FETCH_VERSION, v.fetch_timeout_ms, self._on_response
        )

    def _fetch_after(self, now_ms: int, delay_ms: int) -> None:
        self._outbox.timer(RETRY_TIMER, now_ms + delay_ms, self._fetch)

    def _failed(self, now_ms: int) -> None:
        """Handle a missing or useless response: retry, or campaign after several.

        A leader whose process died refuses connections, which is noticed here long
        before the fetch timeout. The pre-vote keeps this from disturbing a leader that
        the other voters still hear.
        """
        v = self._voter
        self._failures += 1
        if (
            self._failures >= FAILURES_TO_CAMPAIGN
            and now_ms - v.last_leader_contact_ms >= v.fetch_timeout_ms // 8
        ):
            v.last_leader_unreachable = True
            v.campaign(now_ms)
        else:
            self._fetch_after(now_ms, min(RETRY_MAX_MS, RETRY_MS << min(self._failures, 8)))

    def _on_response(self, now_ms: int, response: FetchResponse | None, reason: str) -> None:
        if not self._open:
            return
        v = self._voter
        if response is None:
            self._failed(now_ms)
            return
        # No retry can help, and records of another cluster must never be applied.
        if response.error_code == ErrorCode.INCONSISTENT_CLUSTER_ID:
            self._outbox.stop(
                2, f"Broker {v.leader_id} does not belong to this cluster ({v.cluster_id})."
            )
            return
        if response.error_code or not response.responses or not response.responses[0].partitions:
            self._failed(now_ms)
            return
        data: PartitionData = response.responses[0].partitions[0]
        try:
            # The epoch before the records: those of a replaced leader must not reach
            # the log. A newer epoch ends this role, and with it this fetching.
            leader = data.current_leader
            if v.learn_epoch(now_ms, leader.leader_epoch, leader.leader_id):
                return
            if data.error_code != ErrorCode.NONE:
                self._failed(now_ms)
                return
            # Only a response without an error shows that the leader leads; an error
            # must not delay the campaign.
            self._note_contact(now_ms)
            self._apply(now_ms, data)
            v.falls_behind = False
        except StorageFailed as e:
            v.falls_behind = v.falls_behind or data.high_watermark > v.high_watermark
            self._outbox.note(Level.ERROR, f"Cannot write the metadata log: {e}")
            self._fetch_after(now_ms, DISK_RETRY_MS)
        except CorruptBatch as e:
            self._outbox.note(
                Level.WARNING, f"Broker {v.leader_id} sent corrupt metadata records: {e}"
            )
            self._fetch_after(now_ms, RETRY_MAX_MS)

    def _apply(self, now_ms: int, data: PartitionData) -> None:
        """Truncate or append as the response says, follow the high watermark, fetch
        again.

        Raises:
            StorageFailed
            CorruptBatch
        """
        v = self._voter
        before = v.log.end_offset
        if data.diverging_epoch.epoch >= 0:
            _, own_end = v.log.end_offset_for(data.diverging_epoch.epoch)
            cut = min(own_end, data.diverging_epoch.end_offset)
            # The leader was elected by a majority, so its log has everything that is
            # committed.
            assert cut >= v.high_watermark, (
                f"the leader wants the metadata log truncated to {cut}, below the high watermark"
                f" {v.high_watermark}"
            )
            self._outbox.note(Level.INFO, f"Truncating the metadata log from {before} to {cut}.")
            v.log.truncate(cut)
        elif data.records:
            v.log.append_as_follower(data.records, v.env.clock.wall_ms())
        if v.votes_conditionally and self._has_all_committed(data.high_watermark):
            v.vote_unconditionally()
        high_watermark = min(data.high_watermark, v.log.end_offset)
        if high_watermark > v.high_watermark:
            v.advance(now_ms, high_watermark)
        self._fetch(now_ms)

    def _has_all_committed(self, high_watermark: int) -> bool:
        """Return whether this log has every committed record on disk. The leader's high
        watermark covers them all only once it lies past the first record of the
        leader's own epoch."""
        v = self._voter
        if not v.log.epochs or v.log.last_epoch != v.epoch:
            return False
        return v.log.epochs[-1][1] < high_watermark <= v.log.flushed_offset
