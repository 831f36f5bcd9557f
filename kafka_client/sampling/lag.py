"""Lag in records and in seconds: how far a group is behind the end of a partition.

Lag in seconds is the age of the first record that the group has not consumed. It is computed from
the sampled end offsets of the partition: the time at which the end passed the committed offset is
interpolated between two samples. Nothing is known about offsets before the first sample; one read
of that record's timestamp (an *anchor*) extends the history so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kafka_client.model import GroupStatus

FIRST_POINTS = 32
MOST_POINTS = 512

Progress = tuple[float, int, int]
"""(time, committed, end offset) of one group in one partition."""


class OffsetHistory:
    """The end offsets of one partition over time: points (time, end offset), both ascending, 16
    bytes each, at most MOST_POINTS.

    A new offset adds a point, and before it one with the last time at which the old offset was
    seen, so that a pause of the producers is not smeared into the next record. When full, every
    second point of the older half is dropped: the recent past stays fine, the distant one gets
    coarse.
    """

    __slots__ = ("_count", "_last_seen", "_offsets", "_times")

    def __init__(self) -> None:
        self._times = np.empty(FIRST_POINTS)
        self._offsets = np.empty(FIRST_POINTS)
        self._count = 0
        self._last_seen = 0.0

    def add(self, t: float, end_offset: int) -> None:
        """Add a sample. An end that went back (the topic was created again) starts over."""
        if self._count and end_offset < self._offsets[self._count - 1]:
            self._count = 0
        if self._count and t <= self._last_seen:
            return
        if not self._count:
            self._push(t, end_offset)
        elif end_offset > (last := int(self._offsets[self._count - 1])):
            if self._last_seen > self._times[self._count - 1]:
                self._push(self._last_seen, last)
            self._push(t, end_offset)
        self._last_seen = t

    def anchor(self, offset: int, t: float) -> None:
        """Add the timestamp ``t`` of the record at ``offset`` as the first point; ignored when it
        is not older than the first point."""
        if self._count and (offset >= self._offsets[0] or t >= self._times[0]):
            return
        if not self._count:
            self._last_seen = t
        self._make_room()
        self._times[1 : self._count + 1] = self._times[: self._count]
        self._offsets[1 : self._count + 1] = self._offsets[: self._count]
        self._times[0], self._offsets[0] = t, offset
        self._count += 1

    def time_of(self, offset: int) -> float | None:
        """When the record at this offset was written, interpolated; None when it is older than the
        first point or not written yet."""
        count = self._count
        if not count or offset < self._offsets[0] or offset >= self._offsets[count - 1]:
            return None
        after = int(np.searchsorted(self._offsets[:count], offset, side="right"))
        t0, t1 = float(self._times[after - 1]), float(self._times[after])
        o0, o1 = float(self._offsets[after - 1]), float(self._offsets[after])
        return t0 + (t1 - t0) * (offset - o0) / (o1 - o0)

    def _push(self, t: float, offset: int) -> None:
        self._make_room()
        self._times[self._count], self._offsets[self._count] = t, offset
        self._count += 1

    def _make_room(self) -> None:
        if self._count < len(self._times):
            return
        if self._count < MOST_POINTS:
            self._times = np.concatenate((self._times, np.empty(self._count)))
            self._offsets = np.concatenate((self._offsets, np.empty(self._count)))
            return
        half = self._count // 2
        keep = np.concatenate((np.arange(0, half, 2), np.arange(half, self._count)))
        self._times[: len(keep)] = self._times[keep]
        self._offsets[: len(keep)] = self._offsets[keep]
        self._count = len(keep)


def lag_records(committed: int | None, end_offset: int | None) -> int | None:
    """End minus committed, None when either is not known. At least 0: the two were not read at one
    moment."""
    if committed is None or end_offset is None:
        return None
    return max(0, end_offset - committed)


def lag_seconds(
    now: float, committed: int, end_offset: int, history: OffsetHistory | None
) -> float | None:
    """The age of the record at the committed offset in seconds, 0 when all is consumed; None when
    the history does not reach back to it."""
    if committed >= end_offset:
        return 0.0
    written = history.time_of(committed) if history else None
    return None if written is None else max(0.0, now - written)


def catch_up_s(lag: int | None, rate_in: float | None, rate_out: float | None) -> float | None:
    """Seconds until the lag is 0 at the present rates (records/s); None when it does not shrink."""
    if lag is None or rate_in is None or rate_out is None:
        return None
    if lag == 0:
        return 0.0
    return lag / (rate_out - rate_in) if rate_out > rate_in else None


def partition_status(samples: Sequence[Progress], has_members: bool) -> GroupStatus:
    """The status of one group in one partition, from its samples (oldest first).

    Rewound: the committed offset went back. Ok: it reached the end at least once. Stopped: it
    lags and has no members. Stalled: it lags, has members and committed nothing in the whole
    window. Behind: the lag grows.
    """
    if not samples:
        return GroupStatus.UNKNOWN
    if any(b[1] < a[1] for a, b in pairwise(samples)):
        return GroupStatus.REWOUND
    lags = [max(0, end - committed) for _, committed, end in samples]
    if lags[-1] == 0:
        return GroupStatus.OK
    if not has_members:
        return GroupStatus.STOPPED
    if len(samples) < 6:
        return GroupStatus.OK if 0 in lags else GroupStatus.UNKNOWN
    if 0 in lags:
        return GroupStatus.OK
    first, last = samples[0], samples[-1]
    if last[1] == first[1]:
        return GroupStatus.STALLED
    # Consumers commit every few seconds, so the lag is a saw-tooth. Its lower edge counts: it must
    # rise from third to third of the window, by more than what arrives between two samples.
    third = len(lags) // 3
    low = (min(lags[:third]), min(lags[third:-third]), min(lags[-third:]))
    per_step = (last[2] - first[2]) / (len(samples) - 1)
    if low[0] < low[1] < low[2] and low[2] - low[0] > per_step:
        return GroupStatus.BEHIND
    return GroupStatus.OK


_WORST_FIRST = (
    GroupStatus.STOPPED,
    GroupStatus.STALLED,
    GroupStatus.BEHIND,
    GroupStatus.LATE,
    GroupStatus.REWOUND,
    GroupStatus.OK,
    GroupStatus.UNKNOWN,
)


def group_status(partitions: Sequence[GroupStatus]) -> GroupStatus:
    """The worst status of a group's partitions."""
    return next((s for s in _WORST_FIRST if s in partitions), GroupStatus.UNKNOWN)
