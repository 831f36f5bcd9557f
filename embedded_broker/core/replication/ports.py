"""What replication asks of, and reports to, its neighbours on the node.

Requests to the controller go through ``core.ports.ControllerCalls``.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class Registration(Protocol):
    """This broker process as the controller will know it; ``controller.lifecycle`` implements
    it."""

    @property
    def incarnation_id(self) -> UUID: ...


class OffsetsListener(Protocol):
    """Learns which partitions of ``__consumer_offsets`` this node leads; ``Broker`` passes the
    calls to the group coordinator."""

    def on_offsets_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        """This node leads the partition from this epoch on."""

    def on_offsets_resign(self, now_ms: int, partition: int) -> None:
        """This node no longer leads the partition."""
