"""Producer ids that this broker may give away: a block at a time from the controller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsRequest

if TYPE_CHECKING:
    from embedded_broker.core.replication.replicas import Replicas

Done = Callable[[int, int], None]
"""(producer id or -1, error code)"""
TIMEOUT_MS = 5_000


class ProducerIds:
    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._next = self._end = 0
        self._waiting: deque[Done] = deque()
        self._asking = False

    def draw(self, now_ms: int, done: Done) -> None:
        """An id that nobody else gets; ``done`` may be called at once."""
        if self._next < self._end:
            self._next += 1
            done(self._next - 1, ErrorCode.NONE)
            return
        self._waiting.append(done)
        if not self._asking:
            self._asking = True
            request = AllocateProducerIdsRequest(
                self._replicas.node_id, self._replicas.broker_epoch
            )
            self._replicas.channel.call(now_ms, request, 0, TIMEOUT_MS, self._allocated)

    def _allocated(self, now_ms: int, response: Any, reason: str) -> None:
        self._asking = False
        waiting, self._waiting = self._waiting, deque()
        if (
            response is None
            or response.error_code != ErrorCode.NONE
            or response.producer_id_len <= 0
        ):
            for done in waiting:
                done(-1, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
            return
        self._next = response.producer_id_start
        self._end = response.producer_id_start + response.producer_id_len
        for done in waiting:
            self.draw(now_ms, done)
