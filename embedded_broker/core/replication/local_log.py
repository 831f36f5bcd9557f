"""The partitions that this node leads, for the group coordinator (coordinator.ports.LocalLog)."""

from __future__ import annotations

from collections.abc import Callable

from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.purgatory import AppendWait
from embedded_broker.core.replication.table import ReplicaTable
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import batches


class PartitionsLedHere:
    """Appends to their logs and reads them without a request."""

    def __init__(
        self,
        env: Environment,
        table: ReplicaTable,
        storage_failed: Callable[[int, str, StorageFailed], None],
    ) -> None:
        self._env = env
        self._table = table
        self._storage_failed = storage_failed
        self._unreadable: dict[Partition, StorageFailed] = {}
        """Partitions that could not be read in this tick."""

    def tick_ended(self, now_ms: int) -> None:
        """Report what could not be read: now, and not in the middle of the coordinator's work."""
        while self._unreadable:
            unreadable, error = self._unreadable.popitem()
            unreadable.read_failed(now_ms, error)

    def append_local(
        self,
        now_ms: int,
        topic: str,
        partition: int,
        records: bytearray,
        done: Callable[[int, int, int], None],
    ) -> None:
        """Append as leader with acks=all; call ``done(now_ms, error code, base
        offset)`` once, perhaps at once.

        There is no timeout: ``done`` reports the final outcome, commitment or the loss
        of leadership.
        """
        replica = self._table.partitions.get((topic, partition))
        if replica is None:
            done(now_ms, self._table.missing(topic, partition), -1)
            return
        if not replica.is_leader:
            done(now_ms, ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)
            return
        if replica.under_min_isr:
            done(now_ms, ErrorCode.NOT_ENOUGH_REPLICAS, -1)
            return
        try:
            headers = list(batches(records, check_crc=False))
            base = replica.append(now_ms, records, headers, self._env.clock.wall_ms())
        except StorageFailed as e:
            self._storage_failed(now_ms, f"cannot write {replica}", e)
            done(now_ms, ErrorCode.KAFKA_STORAGE_ERROR, -1)
            return
        replica.when_committed(
            now_ms, AppendWait(replica.end_offset, lambda then_ms, code: done(then_ms, code, base))
        )

    def read_local(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
        """Return whole batches from ``offset`` up to the high watermark; empty at its
        end, or when the partition is not here. Raises: StorageFailed."""
        replica = self._table.partitions.get((topic, partition))
        if replica is None or not replica.start_offset <= offset < replica.high_watermark:
            return b""
        try:
            return replica.log.read(offset, max_bytes, replica.high_watermark, True).tobytes()
        except StorageFailed as e:
            self._unreadable[replica] = e
            raise

    def local_offsets(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        """Return (log start, high watermark, log end) of a partition led here, else None."""
        replica = self._table.partitions.get((topic, partition))
        if replica is None or not replica.is_leader:
            return None
        return replica.start_offset, replica.high_watermark, replica.end_offset

    def delete_before(self, now_ms: int, topic: str, partition: int, offset: int) -> None:
        """As leader, move the start of a log, at most to its high watermark; followers too."""
        replica = self._table.partitions.get((topic, partition))
        if replica is None or not replica.is_leader:
            return
        try:
            replica.delete_before(min(offset, replica.high_watermark))
        except StorageFailed as e:
            self._storage_failed(now_ms, f"cannot delete records of {replica}", e)
