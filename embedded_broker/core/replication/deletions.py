"""DeleteRecords requests that wait until every live replica has moved the start of its
log (KIP-107)."""

from __future__ import annotations

from collections.abc import Callable

from embedded_broker.core.environment import Environment
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.purgatory import Deadlines
from kafka_protocol.errors import ErrorCode

Done = Callable[[int, int], None]
"""(error code, low watermark)"""


class _Deletion:
    """One partition of a DeleteRecords request."""

    def __init__(self, owner: Deletions, partition: Partition, offset: int, done: Done) -> None:
        self._owner = owner
        self.partition = partition
        self.offset = offset
        self.done = done
        self.bucket = -1

    def expire(self, now_ms: int) -> None:
        self._owner.expired(self)


class Deletions:
    """Usually few; those of a partition are checked whenever a follower reports a new start of its
    log."""

    def __init__(self, env: Environment) -> None:
        self._image = env.image
        self._waiting: dict[Partition, dict[_Deletion, None]] = {}
        self._deadlines = Deadlines(env.outbox, "deletions", 100)

    def wait(
        self, now_ms: int, partition: Partition, offset: int, timeout_ms: int, done: Done
    ) -> None:
        """Call ``done`` when all live replicas start at or after ``offset``, or with an
        error."""
        deletion = _Deletion(self, partition, offset, done)
        self._waiting.setdefault(partition, {})[deletion] = None
        self._deadlines.add(deletion, now_ms + max(0, timeout_ms))
        self.check(partition)

    def check(self, partition: Partition) -> None:
        """Finish the deletions of ``partition`` that are done, or that this node no
        longer leads."""
        if partition not in self._waiting:
            return
        low = self.low_watermark(partition)
        for deletion in list(self._waiting[partition]):
            if not partition.is_leader:
                self._finish(deletion, ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)
            elif low >= deletion.offset:
                self._finish(deletion, ErrorCode.NONE, low)

    def low_watermark(self, partition: Partition) -> int:
        """The least start offset of the live replicas."""
        followers = [
            f.start_offset for f in partition.followers.values() if self._image.alive(f.broker_id)
        ]
        return min([partition.start_offset, *followers])

    def expired(self, deletion: _Deletion) -> None:
        """The deadline of a deletion has passed."""
        self._finish(deletion, ErrorCode.REQUEST_TIMED_OUT, self.low_watermark(deletion.partition))

    def _finish(self, deletion: _Deletion, code: int, low_watermark: int) -> None:
        waiting = self._waiting.get(deletion.partition, {})
        if deletion in waiting:
            del waiting[deletion]
            if not waiting:
                del self._waiting[deletion.partition]
            self._deadlines.withdraw(deletion)
            deletion.done(code, low_watermark)
