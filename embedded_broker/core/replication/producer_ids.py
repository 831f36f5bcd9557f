"""Producer ids for InitProducerId, requested from the controller a block at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import ControllerCalls
from embedded_broker.core.replication.table import ReplicaTable
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k67_allocate_producer_ids import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
)

Done = Callable[[int, int], None]
"""(producer id or -1, error code)"""
TIMEOUT_MS = 5_000


class ProducerIds:
    """Hands out the ids of this broker's current block."""

    def __init__(self, env: Environment, calls: ControllerCalls, table: ReplicaTable) -> None:
        self._env = env
        self._calls = calls
        self._table = table
        self._next = self._end = 0
        """The ids left in the block: [_next, _end)."""
        self._waiting: deque[Done] = deque()
        self._in_flight = False

    def draw(self, now_ms: int, done: Done) -> None:
        """Pass an id that no other producer has to ``done``, perhaps at once."""
        if self._next < self._end:
            self._next += 1
            done(self._next - 1, ErrorCode.NONE)
            return
        self._waiting.append(done)
        if not self._in_flight:
            self._in_flight = True
            request = AllocateProducerIdsRequest(self._env.node_id, self._table.broker_epoch)
            self._calls.call(now_ms, request, 0, TIMEOUT_MS, self._allocated)

    def _allocated(
        self, now_ms: int, response: AllocateProducerIdsResponse | None, reason: str
    ) -> None:
        self._in_flight = False
        waiting, self._waiting = self._waiting, deque()
        if (
            response is None
            or response.error_code != ErrorCode.NONE
            or response.producer_id_len <= 0
        ):
            # A retriable error: clients ask again.
            for done in waiting:
                done(-1, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
            return
        self._next = response.producer_id_start
        self._end = response.producer_id_start + response.producer_id_len
        for done in waiting:
            self.draw(now_ms, done)
