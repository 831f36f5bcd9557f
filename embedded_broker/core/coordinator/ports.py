"""Declare what the group coordinator needs of replication: the log of ``__consumer_offsets``.

Requests to the controller go through ``core.ports.ControllerCalls``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

AppendDone = Callable[[int, int, int], None]
"""(now_ms, error code, base offset)"""


class LocalLog(Protocol):
    """Partitions that this node leads; ``replication.local_log`` implements it."""

    def append_local(
        self, now_ms: int, topic: str, partition: int, records: bytearray, done: AppendDone
    ) -> None:
        """Append with acks=all; call ``done`` once, perhaps at once. There is no
        timeout."""

    def read_local(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
        """Return whole batches from ``offset`` up to the high watermark; empty at its
        end."""

    def local_offsets(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        """Return (log start, high watermark, log end), or None when not led here."""

    def delete_before(self, now_ms: int, topic: str, partition: int, offset: int) -> None:
        """Move the start of the log forward."""
