"""Probes: what clients and brokers may do at a bad moment, and what must never come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import Violation, World
from kafka_protocol.errors import ErrorCode

FETCH_TIMEOUT = "controller.quorum.fetch.timeout.ms"
OVERDUE_MS = 2_000


class StaleQuorumLeaders:
    """C4: a leader of the quorum that no majority fetches from resigns after one and a half fetch
    timeouts (KIP-595)."""

    def __init__(self, world: World, nodes: Mapping[int, Node]) -> None:
        self._world, self._nodes = world, nodes
        self._since_ms: dict[int, int] = {}
        """By node that leads an old epoch: since when it runs and does so."""

    def check(self) -> None:
        """Called periodically. Raises: Violation."""
        now_ms = self._world.now_ms
        running = [n for n in self._nodes.values() if n.running]
        newest = max((n.broker.quorum.epoch for n in running), default=0)
        for node in self._nodes.values():
            if (
                not node.running
                or node.paused_until_ms > now_ms
                or not node.broker.quorum.is_leader
                or node.broker.quorum.epoch == newest
            ):
                self._since_ms.pop(node.node_id, None)
                continue
            since_ms = self._since_ms.setdefault(node.node_id, now_ms)
            limit_ms = int(node.settings[FETCH_TIMEOUT] * 1.5) + OVERDUE_MS
            if now_ms - since_ms > limit_ms:
                raise Violation(
                    "C4",
                    f"broker {node.node_id} still leads the quorum's epoch "
                    f"{node.broker.quorum.epoch} {now_ms - since_ms} ms after epoch {newest} began",
                )


def check_repeated(name: str, partition: tuple[str, int], old_offset: int, answer: Any) -> None:
    """C8: one of a producer's last five batches, sent again, is answered with its old offset, or
    with an error that says nothing about it.

    Raises:
        Violation
    """
    if answer.error_code == ErrorCode.NONE and answer.base_offset != old_offset:
        raise Violation(
            "C8",
            f"{name} sent a batch of {partition} again, acknowledged at {old_offset}: now it is at "
            f"{answer.base_offset}",
        )
    if answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
        raise Violation(
            "C8",
            f"{name} sent a batch of {partition} again, acknowledged at {old_offset}, one of its "
            f"last five: it is out of order",
        )


def check_old_commit(group: str, generation: int, codes: Mapping[Any, int]) -> None:
    """C9: a member of a generation cannot commit in the one before. Raises: Violation."""
    if ErrorCode.NONE in codes.values():
        raise Violation(
            "C9", f"{group}: a member of generation {generation} committed in the one before"
        )
