"""Lags, rates and status of consumer groups, computed from committed offsets and what was sampled
before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from kafka_client.model import Group, GroupStatus, Member, PartitionLag, TopicPartition
from kafka_client.sampling.lag import (
    OffsetHistory,
    Progress,
    catch_up_s,
    group_status,
    lag_records,
    lag_seconds,
    partition_status,
)
from kafka_client.sampling.rates import RateMeter, sum_known
from kafka_client.sampling.store import Series, SeriesStore

STATUS_WINDOW_S = 60.0
"""How far back the progress reaches from which a status is judged."""
PROGRESS_MOST = 90
COMMIT_WINDOW_S = 10.0
MEASURES = ("lag", "lag_s", "committed_rate", "end_rate")
"""The measures of which each group has series."""

Committed = Mapping[TopicPartition, tuple[int, str]]
"""(committed offset, metadata) by partition."""
Rates = Mapping[TopicPartition, float | None]
"""Records per second by partition."""


class _Consumption:
    """One group in one partition: its recent progress and the rate of its commits."""

    __slots__ = ("meter", "progress")

    def __init__(self) -> None:
        self.progress: deque[Progress] = deque(maxlen=PROGRESS_MOST)
        self.meter = RateMeter(COMMIT_WINDOW_S)

    def add(self, t: float, committed: int, end_offset: int) -> None:
        self.progress.append((t, committed, end_offset))
        while self.progress[0][0] < t - STATUS_WINDOW_S:
            self.progress.popleft()
        self.meter.add(t, committed)

    @property
    def moved(self) -> bool:
        """Return whether the committed offset grew within the status window."""
        return bool(self.progress) and self.progress[-1][1] > self.progress[0][1]


class GroupTracker:
    """Turns committed offsets into lags. Lives on the client thread, with one ``Sampler``."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._consumptions: dict[tuple[str, TopicPartition], _Consumption] = {}
        self._partitions_of: dict[str, set[TopicPartition]] = {}
        self.histories: dict[TopicPartition, OffsetHistory] = {}
        """End offsets over time, of the partitions that some group reads."""

    def add_end(self, t: float, tp: TopicPartition, end_offset: int) -> None:
        """Add an end offset that was sampled at the steady time ``t``; ignored for a partition that
        no group reads."""
        history = self.histories.get(tp)
        if history is not None:
            history.add(t, end_offset)

    def update(
        self,
        group: Group,
        committed: Committed,
        ends: Mapping[TopicPartition, tuple[float, int]],
        end_rates: Rates,
        t: float,
        steady: float,
        per_partition: bool,
    ) -> Group:
        """Return the group with lags, rates and status, and append its samples to the store.

        ``ends``: (steady time of the sample, end offset) of each partition. ``t`` is the wall time
        of the samples that are appended, ``steady`` the time by which lags and rates are computed.
        ``per_partition``: append series of single partitions too.
        """
        owners = _owners(group.members)
        partitions = sorted({*committed, *owners})
        self._forget_missing(group.group_id, set(partitions))
        lags: list[PartitionLag] = []
        statuses: dict[TopicPartition, GroupStatus] = {}
        rates: dict[TopicPartition, float | None] = {}
        for tp in partitions:
            lag = self._lag(tp, committed.get(tp), ends.get(tp), owners.get(tp), steady)
            lags.append(lag)
            consumption = self._consumptions.setdefault((group.group_id, tp), _Consumption())
            if lag.committed is not None and lag.end_offset is not None:
                # The two were not read at one moment: the end may be the older one.
                consumption.add(steady, lag.committed, max(lag.end_offset, lag.committed))
                statuses[tp] = partition_status(consumption.progress, bool(group.members))
            rates[tp] = consumption.meter.per_s()
        self._partitions_of[group.group_id] = set(partitions)
        self._append(group.group_id, lags, rates, end_rates, t, per_partition)
        total = sum_known(lag.lag_records for lag in lags)
        status = group_status(self._excuse_busy_members(group.group_id, statuses, owners))
        seconds = _worst_seconds(lags)
        if status is GroupStatus.OK and seconds is not None and seconds > STATUS_WINDOW_S:
            # It keeps its distance, or comes nearer: but it has read nothing of this window yet.
            status = GroupStatus.LATE
        rate_in = sum_known(end_rates.get(tp) for tp in partitions)
        rate_out = sum_known(rates.values())
        return replace(
            group,
            lags=tuple(lags),
            status=status,
            lag_records=total,
            lag_seconds=seconds,
            rate_in_per_s=rate_in,
            rate_out_per_s=rate_out,
            catch_up_s=catch_up_s(total, rate_in, rate_out),
        )

    def forget_group(self, group_id: str) -> None:
        """Drop everything about a group that was deleted, its series too."""
        for tp in self._partitions_of.pop(group_id, set()):
            self._consumptions.pop((group_id, tp), None)
        for measure in MEASURES:
            self._store.forget(measure, group_id)

    def lags_of_unknown_age(self, lags: Iterable[PartitionLag]) -> list[tuple[TopicPartition, int]]:
        """(partition, committed offset) of each lag whose age is not known, because the offset is
        older than the sampled history; the timestamp of that record would tell it."""
        return [
            ((lag.topic, lag.partition), lag.committed)
            for lag in lags
            if lag.committed is not None and lag.lag_records and lag.lag_seconds is None
        ]

    def _excuse_busy_members(
        self,
        group_id: str,
        statuses: Mapping[TopicPartition, GroupStatus],
        owners: Mapping[TopicPartition, Member],
    ) -> list[GroupStatus]:
        """The statuses, with BEHIND for STALLED where the member makes progress elsewhere: one
        consumer may leave some of its partitions waiting while it works through another."""
        busy: set[str] = set()
        for tp, member in owners.items():
            consumption = self._consumptions.get((group_id, tp))
            if consumption is not None and consumption.moved:
                busy.add(member.member_id)
        return [
            GroupStatus.BEHIND
            if status is GroupStatus.STALLED and tp in owners and owners[tp].member_id in busy
            else status
            for tp, status in statuses.items()
        ]

    def _lag(
        self,
        tp: TopicPartition,
        committed: tuple[int, str] | None,
        end: tuple[float, int] | None,
        owner: Member | None,
        t: float,
    ) -> PartitionLag:
        history = self.histories.get(tp)
        if history is None:
            history = self.histories[tp] = OffsetHistory()
            if end is not None:
                history.add(*end)
        offset, text = committed if committed is not None else (None, "")
        end_offset = end[1] if end else None
        seconds = (
            lag_seconds(t, offset, end_offset, history)
            if offset is not None and end_offset is not None
            else None
        )
        return PartitionLag(
            tp[0],
            tp[1],
            offset,
            end_offset,
            lag_records(offset, end_offset),
            seconds,
            text,
            owner.member_id if owner else None,
            owner.client_id if owner else None,
            owner.host if owner else None,
        )

    def _append(
        self,
        group_id: str,
        lags: Sequence[PartitionLag],
        rates: Rates,
        end_rates: Rates,
        t: float,
        per_partition: bool,
    ) -> None:
        """Append the samples of the group, of each of its topics, and of single partitions."""
        by_topic: dict[str, list[PartitionLag]] = {}
        for lag in lags:
            by_topic.setdefault(lag.topic, []).append(lag)
        self._append_sums((group_id,), lags, rates, end_rates, t)
        for topic, part in by_topic.items():
            self._append_sums((group_id, topic), part, rates, end_rates, t)
            if per_partition:
                for lag in part:
                    self._append_sums((group_id, topic, lag.partition), [lag], rates, end_rates, t)

    def _append_sums(
        self, key: Series, lags: Sequence[PartitionLag], rates: Rates, end_rates: Rates, t: float
    ) -> None:
        for measure, lag in (
            ("lag", sum_known(lag.lag_records for lag in lags)),
            ("lag_s", _worst_seconds(lags)),
        ):
            if lag is None:
                self._store.gap((measure, *key), t)
            else:
                self._store.append((measure, *key), t, float(lag))
        partitions = [(lag.topic, lag.partition) for lag in lags]
        for measure, values in (("committed_rate", rates), ("end_rate", end_rates)):
            rate = sum_known(values.get(tp) for tp in partitions)
            if rate is not None:
                self._store.append((measure, *key), t, rate)

    def _forget_missing(self, group_id: str, partitions: set[TopicPartition]) -> None:
        """Drop the partitions that the group neither reads nor has offsets in any more."""
        for tp in self._partitions_of.get(group_id, set()) - partitions:
            self._consumptions.pop((group_id, tp), None)
            for measure in MEASURES:
                self._store.forget(measure, group_id, *tp)


def _owners(members: Iterable[Member]) -> dict[TopicPartition, Member]:
    return {tp: member for member in members for tp in member.assignment}


def _worst_seconds(lags: Iterable[PartitionLag]) -> float | None:
    """The age of the oldest record that is not consumed; None when the age of any partition that
    lags is not known, for it may be the oldest."""
    worst: float | None = None
    for lag in lags:
        if lag.lag_seconds is not None:
            worst = max(worst or 0.0, lag.lag_seconds)
        elif lag.lag_records:
            return None
    return worst
