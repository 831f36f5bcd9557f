"""A leader's view of one follower."""

from __future__ import annotations

LONG_AGO = -(1 << 60)


class FollowerState:
    """Holds what the leader knows of one other replica from its fetches in the current
    leader epoch."""

    __slots__ = (
        "broker_epoch",
        "broker_id",
        "caught_up_ms",
        "end_offset",
        "fetch_end_offset",
        "fetch_ms",
        "start_offset",
    )

    def __init__(self, broker_id: int, caught_up_ms: int) -> None:
        self.broker_id = broker_id
        self.end_offset = -1
        """End of its log, equal to this log up to there; -1 before its first fetch."""
        self.start_offset = -1
        self.caught_up_ms = caught_up_ms
        """The last time at which it had everything that the leader had."""
        self.fetch_ms = LONG_AGO
        """The time of its last fetch."""
        self.fetch_end_offset = 0
        """The leader's end offset at ``fetch_ms``."""
        self.broker_epoch = -1
        """The incarnation that fetched; a fetch of an older one is refused."""
