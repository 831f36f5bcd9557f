"""Loading the state of producers, in slices: a log may have a million batches."""

from __future__ import annotations

from embedded_broker.core.outbox import Outbox
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition

HEADERS_AT_ONCE = 500
"""Headers between two pauses of a millisecond: some four milliseconds."""
TIMER = "loading producers"


class ProducerLoads:
    """The partitions of one node whose producers are being loaded, one after the other."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._line: dict[Partition, None] = {}

    def add(self, now_ms: int, partition: Partition) -> None:
        """Load the producers of ``partition`` after those that wait."""
        if not partition.producers.loaded:
            self._line[partition] = None
            self._arm(now_ms)

    def hurry(self, now_ms: int, partition: Partition) -> None:
        """Load them first: a client waits."""
        self._line = {partition: None, **self._line}
        self._arm(now_ms)

    def _arm(self, now_ms: int) -> None:
        if self._line and not self._outbox.has_timer(TIMER):
            self._outbox.timer(TIMER, now_ms + 1, self._go_on)

    def _go_on(self, now_ms: int) -> None:
        partition = next(iter(self._line))
        try:
            done = partition.deleted or partition.producers.load(HEADERS_AT_ONCE)
        except StorageFailed as e:
            partition.read_failed(now_ms, e)
            done = True
        if done:
            del self._line[partition]
        self._arm(now_ms)
