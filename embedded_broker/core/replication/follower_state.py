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

    def fetched(self, now_ms: int, offset: int, leader_end: int, broker_epoch: int) -> bool:
        """Note a fetch from ``offset``, while the leader's log ended at ``leader_end``; return
        whether the follower has moved."""
        if offset >= leader_end:
            self.caught_up_ms = max(self.caught_up_ms, now_ms)
        elif offset >= self.fetch_end_offset:
            # It has what the leader had at its previous fetch: it was caught up then. A
            # follower of a busy leader is never at the very end, but always in sync by
            # this rule.
            self.caught_up_ms = max(self.caught_up_ms, self.fetch_ms)
        self.fetch_end_offset = leader_end
        self.fetch_ms = now_ms
        self.broker_epoch = broker_epoch
        moved = offset != self.end_offset
        self.end_offset = offset
        return moved

    def caught_up(self, now_ms: int, leader_end: int, lag_ms: int) -> bool:
        """Return whether it lacks nothing, or lacked nothing within the last ``lag_ms``."""
        return self.end_offset == leader_end or now_ms - self.caught_up_ms <= lag_ms
