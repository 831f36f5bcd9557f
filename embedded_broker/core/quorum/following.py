"""A follower of the quorum's leader: fetch, append, flush, fetch again from what is flushed.

When the logs part, the leader answers with its end of the last epoch that both may share, and the
follower cuts off what is past it (KIP-595, in the manner of KIP-101).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.effects import Level
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.log import METADATA_TOPIC_ID
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    PartitionData,
    ReplicaState,
)
from kafka_protocol.records.batch import CorruptBatch

if TYPE_CHECKING:
    from embedded_broker.core.quorum.quorum import Quorum

FETCH_VERSION = 18
"""The first that tells the leader the follower's high watermark (KIP-1166), so that a new one is
not waited for."""
MAX_BYTES = 8 << 20
MAX_WAIT_MS = 500
RETRY_TIMER = "quorum.fetch"
RETRY_MS = 20
RETRY_MAX_MS = 200
DISK_RETRY_MS = 500
FAILURES_TO_CAMPAIGN = 3


class Following:
    """One leader followed in one epoch; one fetch in flight at most."""

    def __init__(self, quorum: Quorum, now_ms: int) -> None:
        self._quorum = quorum
        self._send_id = 0
        self._failures = 0
        self._open = True

    def start(self, now_ms: int) -> None:
        self._heard(now_ms)
        self._fetch(now_ms)

    def close(self, now_ms: int) -> None:
        self._open = False
        self._quorum.broker.outbox.forget(self._send_id)
        self._quorum.broker.outbox.cancel(RETRY_TIMER)

    def in_touch(self, now_ms: int) -> bool:
        """Whether the leader has been heard lately; then another's wish to replace it is
        refused."""
        return (
            self._failures == 0
            and now_ms - self._quorum.leader_heard_ms < self._quorum.fetch_timeout_ms
        )

    def _heard(self, now_ms: int) -> None:
        q = self._quorum
        q.heard_leader_id, q.leader_heard_ms, q.leader_hung_up = q.leader_id, now_ms, False
        self._failures = 0
        q.expect_within(
            now_ms,
            q.fetch_timeout_ms + q.broker.rng.below(q.fetch_timeout_ms // 8 + 1),
            q.campaign,
        )

    def _fetch(self, now_ms: int) -> None:
        if not self._open:
            return
        q = self._quorum
        if q.log.flushed_offset < q.log.end_offset:
            q.flush(self._fetch)
            return
        request = FetchRequest(
            cluster_id=q.cluster_id,
            replica_state=ReplicaState(q.node_id, -1),
            max_wait_ms=min(MAX_WAIT_MS, q.fetch_timeout_ms // 4),
            max_bytes=MAX_BYTES,
            topics=[
                FetchTopic(
                    topic_id=METADATA_TOPIC_ID,
                    partitions=[
                        FetchPartition(
                            current_leader_epoch=q.epoch,
                            fetch_offset=q.log.end_offset,
                            last_fetched_epoch=q.log.last_epoch,
                            log_start_offset=0,
                            partition_max_bytes=MAX_BYTES,
                            replica_directory_id=q.broker.disk.directory_id,
                            high_watermark=q.high_watermark,
                        )
                    ],
                )
            ],
        )
        self._send_id = q.broker.outbox.send(
            q.leader_id, "metadata", request, FETCH_VERSION, q.fetch_timeout_ms, self._answered
        )

    def _again(self, now_ms: int, delay_ms: int) -> None:
        self._quorum.broker.outbox.timer(RETRY_TIMER, now_ms + delay_ms, self._fetch)

    def _failed(self, now_ms: int) -> None:
        """No answer, or one of no use. A leader whose process has gone is noticed here long
        before the timeout; the pre-vote keeps this from disturbing a leader that the others still
        hear."""
        q = self._quorum
        self._failures += 1
        if (
            self._failures >= FAILURES_TO_CAMPAIGN
            and now_ms - q.leader_heard_ms >= q.fetch_timeout_ms // 8
        ):
            q.leader_hung_up = True
            q.campaign(now_ms)
        else:
            self._again(now_ms, min(RETRY_MAX_MS, RETRY_MS << min(self._failures, 8)))

    def _answered(self, now_ms: int, response: Any, reason: str) -> None:
        if not self._open:
            return
        q = self._quorum
        if response is None:
            self._failed(now_ms)
            return
        if response.error_code == ErrorCode.INCONSISTENT_CLUSTER_ID:
            q.broker.outbox.stop(
                2, f"Broker {q.leader_id} belongs to another cluster than {q.cluster_id}."
            )
            return
        if response.error_code or not response.responses or not response.responses[0].partitions:
            self._failed(now_ms)
            return
        data: PartitionData = response.responses[0].partitions[0]
        try:
            if q.heard_of(now_ms, data.current_leader.leader_epoch, data.current_leader.leader_id):
                return
            if data.error_code != ErrorCode.NONE:
                self._failed(now_ms)
                return
            self._heard(now_ms)
            self._take(now_ms, data)
        except StorageFailed as e:
            q.broker.outbox.note(Level.ERROR, f"The metadata log cannot be written: {e}")
            self._again(now_ms, DISK_RETRY_MS)
        except CorruptBatch as e:
            q.broker.outbox.note(
                Level.WARNING, f"Damaged metadata records from broker {q.leader_id}: {e}"
            )
            self._again(now_ms, RETRY_MAX_MS)

    def _take(self, now_ms: int, data: PartitionData) -> None:
        """A good answer: cut or append, follow the high watermark, and go on when that is flushed.

        Raises: StorageFailed, CorruptBatch.
        """
        q = self._quorum
        before = q.log.end_offset
        if data.diverging_epoch.epoch >= 0:
            _, own_end = q.log.end_offset_for(data.diverging_epoch.epoch)
            cut = min(own_end, data.diverging_epoch.end_offset)
            assert cut >= q.high_watermark, (
                f"told to cut the metadata log at {cut}, below {q.high_watermark}"
            )
            q.broker.outbox.note(Level.INFO, f"The metadata log is cut from {before} to {cut}.")
            q.log.truncate(cut)
        elif data.records:
            q.log.append_as_follower(data.records, q.broker.clock.wall_ms())
        if q.forgetful and self._has_all_committed(data.high_watermark):
            q.remember()
        high_watermark = min(data.high_watermark, q.log.end_offset)
        if high_watermark > q.high_watermark:
            q.advance(now_ms, high_watermark)
        self._fetch(now_ms)

    def _has_all_committed(self, high_watermark: int) -> bool:
        """Whether this log holds, on disk, what is committed: a leader knows that only from the
        first record of its own epoch on."""
        q = self._quorum
        if not q.log.epochs or q.log.last_epoch != q.epoch:
            return False
        return q.log.epochs[-1][1] < high_watermark <= q.log.flushed_offset
