"""DeleteRecords that wait until every living replica has moved the start of its log (KIP-107)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from embedded_broker.core.replication.purgatory import Deadlines
from kafka_protocol.errors import ErrorCode

if TYPE_CHECKING:
    from embedded_broker.core.replication.partition import Partition
    from embedded_broker.core.replication.replicas import Replicas

Done = Callable[[int, int], None]
"""(error code, low watermark)"""


class _Deletion:
    def __init__(self, owner: Deletions, partition: Partition, offset: int, done: Done) -> None:
        self._owner = owner
        self.partition = partition
        self.offset = offset
        self.done = done
        self.bucket = -1

    def expire(self, now_ms: int) -> None:
        self._owner.timed_out(self)


class Deletions:
    """Few at a time, looked at whenever a follower has said where its log starts."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._waiting: dict[_Deletion, None] = {}
        self._deadlines = Deadlines(replicas.outbox, "deletions", 100)

    def wait(
        self, now_ms: int, partition: Partition, offset: int, timeout_ms: int, done: Done
    ) -> None:
        deletion = _Deletion(self, partition, offset, done)
        self._waiting[deletion] = None
        self._deadlines.add(deletion, now_ms + max(0, timeout_ms))
        self.look(partition)

    def look(self, partition: Partition) -> None:
        if not self._waiting:
            return
        for deletion in [d for d in self._waiting if d.partition is partition]:
            if not partition.is_leader:
                self._finish(deletion, ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)
            elif (low := self.low_watermark(partition)) >= deletion.offset:
                self._finish(deletion, ErrorCode.NONE, low)

    def low_watermark(self, partition: Partition) -> int:
        """The least start offset over the living replicas."""
        image = self._replicas.image
        followers = [
            f.start_offset for f in partition.followers.values() if image.alive(f.broker_id)
        ]
        return min([partition.start_offset, *followers])

    def timed_out(self, deletion: _Deletion) -> None:
        self._finish(deletion, ErrorCode.REQUEST_TIMED_OUT, self.low_watermark(deletion.partition))

    def _finish(self, deletion: _Deletion, code: int, low_watermark: int) -> None:
        if deletion in self._waiting:
            del self._waiting[deletion]
            self._deadlines.withdraw(deletion)
            deletion.done(code, low_watermark)
