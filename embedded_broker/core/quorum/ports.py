"""What the quorum reports to, and asks of, the rest of the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID


class QuorumListener(Protocol):
    """Implemented by ``Broker``, which passes the calls to the machines above the quorum."""

    def on_leadership(self, now_ms: int) -> None:
        """The epoch, its known leader, or whether this node leads has changed."""

    def on_committed(self, now_ms: int, records: Sequence[Any], end_offset: int) -> None:
        """These metadata records are committed; ``end_offset`` is the offset after the last."""

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> None:
        """The metadata log is committed up to here; ``on_committed`` has been called for it."""

    def is_impostor(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        """Whether a live broker has this id and a different log directory: then the caller's
        fetches must not count as that broker's."""
