"""What is kept about groups between two rounds, and the ``Group`` values with lags, rates and
status that come of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
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
from kafka_client.sampling.rates import RateMeter, add_known
from kafka_client.sampling.store import SeriesStore

STATUS_WINDOW_S = 60.0
MOST_SAMPLES = 90
COMMIT_WINDOW_S = 10.0
MEASURES = ("lag", "lag_s", "committed_rate", "end_rate")

Committed = Mapping[TopicPartition, tuple[int, str]]


class _Place:
    """One group in one partition: its recent progress and speed."""

    __slots__ = ("meter", "progress")

    def __init__(self) -> None:
        self.progress: deque[Progress] = deque(maxlen=MOST_SAMPLES)
        self.meter = RateMeter(COMMIT_WINDOW_S)

    def add(self, t: float, committed: int, end_offset: int) -> None:
        self.progress.append((t, committed, end_offset))
        while self.progress[0][0] < t - STATUS_WINDOW_S:
            self.progress.popleft()
        self.meter.add(t, committed)


class GroupTracker:
    """Turns committed offsets into lags. Lives on the client thread, with one ``Sampler``."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._places: dict[tuple[str, TopicPartition], _Place] = {}
        self._of_group: dict[str, set[TopicPartition]] = {}
        self.histories: dict[TopicPartition, OffsetHistory] = {}

    def end_seen(self, t: float, tp: TopicPartition, end_offset: int) -> None:
        """A new end offset; kept only for partitions that some group reads."""
        history = self.histories.get(tp)
        if history is not None:
            history.add(t, end_offset)

    def update(
        self,
        group: Group,
        committed: Committed,
        ends: Mapping[TopicPartition, tuple[float, int]],
        end_rates: Mapping[TopicPartition, float | None],
        t: float,
        per_partition: bool,
    ) -> Group:
        """The group with lags, rates and status; its samples are appended to the store."""
        owners = _owners(group.members)
        wanted = sorted({*committed, *owners})
        self._drop_gone(group.group_id, set(wanted))
        lags: list[PartitionLag] = []
        statuses: dict[TopicPartition, GroupStatus] = {}
        rates: dict[TopicPartition, float | None] = {}
        for tp in wanted:
            offset, text = committed.get(tp, (None, ""))
            lag = self._one(tp, offset, text, ends.get(tp), owners.get(tp), t)
            lags.append(lag)
            place = self._places.setdefault((group.group_id, tp), _Place())
            if lag.committed is not None and lag.end_offset is not None:
                place.add(t, lag.committed, max(lag.end_offset, lag.committed))
                statuses[tp] = partition_status(place.progress, bool(group.members))
            rates[tp] = place.meter.per_s()
        self._of_group[group.group_id] = set(wanted)
        rate_in = add_known([end_rates.get(tp) for tp in wanted])
        rate_out = add_known([rates[tp] for tp in wanted])
        known = [lag.lag_records for lag in lags if lag.lag_records is not None]
        total = sum(known) if known else None
        seconds = _worst_seconds(lags)
        self._append(group.group_id, lags, rates, end_rates, t, per_partition)
        return replace(
            group,
            lags=tuple(lags),
            status=group_status(self._fair(group.group_id, statuses, owners)),
            lag_records=total,
            lag_seconds=seconds,
            rate_in_per_s=rate_in,
            rate_out_per_s=rate_out,
            catch_up_s=catch_up_s(total, rate_in, rate_out),
        )

    def forget_group(self, group_id: str) -> None:
        for tp in self._of_group.pop(group_id, set()):
            self._places.pop((group_id, tp), None)
        for measure in MEASURES:
            self._store.forget(measure, group_id)

    def unknown_since(self, lags: Iterable[PartitionLag]) -> list[tuple[TopicPartition, int]]:
        """Places whose age is not known because the history begins later: what an anchor would
        answer."""
        return [
            ((lag.topic, lag.partition), lag.committed)
            for lag in lags
            if lag.committed is not None and lag.lag_records and lag.lag_seconds is None
        ]

    def _fair(
        self,
        group_id: str,
        statuses: Mapping[TopicPartition, GroupStatus],
        owners: Mapping[TopicPartition, Member],
    ) -> list[GroupStatus]:
        """A member that is busy with one partition may leave its others waiting for a while:
        those are behind, not stalled."""
        busy = set()
        for tp, member in owners.items():
            place = self._places.get((group_id, tp))
            if (
                place is not None
                and place.progress
                and place.progress[-1][1] > place.progress[0][1]
            ):
                busy.add(member.member_id)
        return [
            GroupStatus.BEHIND
            if status is GroupStatus.STALLED and tp in owners and owners[tp].member_id in busy
            else status
            for tp, status in statuses.items()
        ]

    def _one(
        self,
        tp: TopicPartition,
        offset: int | None,
        text: str,
        end: tuple[float, int] | None,
        owner: Member | None,
        t: float,
    ) -> PartitionLag:
        history = self.histories.get(tp)
        if history is None:
            history = self.histories[tp] = OffsetHistory()
            if end is not None:
                history.add(*end)
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
        lags: list[PartitionLag],
        rates: Mapping[TopicPartition, float | None],
        end_rates: Mapping[TopicPartition, float | None],
        t: float,
        per_partition: bool,
    ) -> None:
        by_topic: dict[str, list[PartitionLag]] = {}
        for lag in lags:
            by_topic.setdefault(lag.topic, []).append(lag)
        self._append_sum((group_id,), lags, rates, end_rates, t)
        for topic, part in by_topic.items():
            self._append_sum((group_id, topic), part, rates, end_rates, t)
            if per_partition:
                for lag in part:
                    self._append_sum((group_id, topic, lag.partition), [lag], rates, end_rates, t)

    def _append_sum(
        self,
        key: tuple[str | int, ...],
        lags: list[PartitionLag],
        rates: Mapping[TopicPartition, float | None],
        end_rates: Mapping[TopicPartition, float | None],
        t: float,
    ) -> None:
        known = [lag.lag_records for lag in lags if lag.lag_records is not None]
        if known:
            self._store.append(("lag", *key), t, float(sum(known)))
        else:
            self._store.gap(("lag", *key), t)
        seconds = _worst_seconds(lags)
        if seconds is not None:
            self._store.append(("lag_s", *key), t, seconds)
        else:
            self._store.gap(("lag_s", *key), t)
        tps = [(lag.topic, lag.partition) for lag in lags]
        for measure, values in (("committed_rate", rates), ("end_rate", end_rates)):
            speed = add_known([values.get(tp) for tp in tps])
            if speed is not None:
                self._store.append((measure, *key), t, speed)

    def _drop_gone(self, group_id: str, wanted: set[TopicPartition]) -> None:
        for tp in self._of_group.get(group_id, set()) - wanted:
            self._places.pop((group_id, tp), None)
            for measure in MEASURES:
                self._store.forget(measure, group_id, *tp)


def _owners(members: Iterable[Member]) -> dict[TopicPartition, Member]:
    return {tp: member for member in members for tp in member.assignment}


def _worst_seconds(lags: Iterable[PartitionLag]) -> float | None:
    """The oldest record not consumed. None when the age of a partition that lags is not known."""
    worst = 0.0
    seen = False
    for lag in lags:
        if lag.lag_seconds is not None:
            worst, seen = max(worst, lag.lag_seconds), True
        elif lag.lag_records:
            return None
    return worst if seen else None
