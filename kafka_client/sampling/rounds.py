"""One round of each kind of datum: what is asked, and how the answer gets into the snapshot and
the store.

``Rounds`` holds what is known between rounds. It knows no schedule; ``sampler`` decides when a
round runs. Every method returns an ``Answer``; failure of the whole is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from kafka_client import snapshot as snapshots
from kafka_client.api import EARLIEST, LATEST, ClusterClient
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, Group, TopicPartition
from kafka_client.sampling.groups import MEASURES, GroupTracker
from kafka_client.sampling.rates import RateMeter, add_known
from kafka_client.sampling.state import Schedule
from kafka_client.sampling.store import SeriesStore

END_WINDOW_S = 4.0
ANCHORS_A_ROUND = 8
DESCRIBE_REST_S = 15.0

Errors = dict[str, str]
Answer = tuple[Errors, bool]
"""Errors by subject; whether everything was asked, or only what is in sight."""


class Rounds:
    """Client thread only."""

    def __init__(
        self,
        client: ClusterClient,
        store: SeriesStore,
        schedule: Schedule,
        clock: Callable[[], float],
    ) -> None:
        self.snapshot = ClusterSnapshot()
        self.focus_topics: frozenset[str] = frozenset()
        self.focus_groups: frozenset[str] = frozenset()
        self._client = client
        self._store = store
        self._schedule = schedule
        self._clock = clock
        self._tracker = GroupTracker(store)
        self._ends: dict[TopicPartition, tuple[float, int]] = {}
        self._meters: dict[TopicPartition, RateMeter] = {}
        self._topic_ids: dict[str, str] = {}
        self._starts_at: dict[str, float] = {}
        self._rest_offsets_at = 0.0
        self._rest_committed_at = 0.0
        self._described_at: dict[str, float] = {}
        self._anchored: dict[tuple[str, TopicPartition], int] = {}
        self._anchoring: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._anchoring is not None:
            self._anchoring.cancel()
            await asyncio.gather(self._anchoring, return_exceptions=True)

    @property
    def small(self) -> bool:
        return snapshots.partition_count(self.snapshot) <= self._schedule.small_partitions

    # ---- metadata, quorum, sizes
    async def metadata(self) -> Answer:
        fresh = await self._client.metadata()
        self.snapshot = snapshots.with_metadata(
            self.snapshot, replace(fresh, taken_s=self._clock())
        )
        self._forget_topics()
        t = self.snapshot.taken_s
        self._store.append(
            ("under_replicated",), t, float(len(snapshots.under_replicated(self.snapshot)))
        )
        for broker_id, ms in self._client.round_trips().items():
            self._store.append(("broker_rtt", broker_id), t, ms)
        self.snapshot = snapshots.with_brokers(
            self.snapshot,
            {b: {"round_trip_ms": ms} for b, ms in self._client.round_trips().items()},
            t,
        )
        return {
            f"topic {topic.name}": topic.error
            for topic in self.snapshot.topics.values()
            if topic.error
        }, True

    async def quorum(self) -> Answer:
        quorum = await self._client.quorum()
        self.snapshot = snapshots.with_quorum(self.snapshot, quorum, self._clock())
        return {}, True

    async def log_dirs(self) -> Answer:
        wanted = sorted(b for b, broker in self.snapshot.brokers.items() if broker.in_cluster)
        sizes, volumes, errors = await self._client.log_dirs(wanted)
        t = self._clock()
        replicas: dict[TopicPartition, dict[int, int]] = {}
        brokers: dict[int, dict[str, object]] = {}
        for broker_id, logs in sizes.items():
            brokers[broker_id] = {"size_bytes": sum(logs.values())}
            for tp, size in logs.items():
                replicas.setdefault(tp, {})[broker_id] = size
        for broker_id, (total, free) in volumes.items():
            brokers.setdefault(broker_id, {}).update(disk_total_bytes=total, disk_free_bytes=free)
        fields: dict[TopicPartition, dict[str, object]] = {}
        for topic in self.snapshot.topics.values():
            for p in topic.partitions:
                by_broker = replicas.get((p.topic, p.partition))
                if by_broker:
                    size_of = (
                        by_broker.get(p.leader, max(by_broker.values()))
                        if p.leader is not None
                        else None
                    )
                    fields[p.topic, p.partition] = {
                        "replica_bytes": by_broker,
                        "size_bytes": size_of,
                    }
        self.snapshot = snapshots.with_partitions(self.snapshot, fields, t)
        self.snapshot = snapshots.with_brokers(self.snapshot, brokers, t)
        return errors, True

    # ---- offsets
    async def offsets(self) -> Answer:
        now = self._clock()
        everything = self.small or now - self._rest_offsets_at >= self._schedule.offsets_rest_s
        if everything:
            self._rest_offsets_at = now
            topics = sorted(self.snapshot.topics)
        else:
            topics = sorted(name for name in self._visible_topics() if name in self.snapshot.topics)
        wanted = snapshots.all_partitions(self.snapshot, topics)
        if not wanted:
            return {}, everything
        ends, errors = await self._client.offsets(dict.fromkeys(wanted, LATEST))
        t = self._clock()
        fields: dict[TopicPartition, dict[str, object]] = {
            tp: {"rate_records_per_s": None, "rate_bytes_per_s": None}
            for tp in wanted
            if tp not in ends
        }
        for tp, end in ends.items():
            self._end_seen(t, tp, end)
            fields[tp] = {"high_watermark": end, "rate_records_per_s": self._rate(tp)}
        errors.update(await self._start_offsets(topics, fields, now))
        self._add_bytes_rates(fields)
        self.snapshot = snapshots.with_partitions(self.snapshot, fields, t)
        self._append_rates(topics, t, everything)
        return errors, everything

    async def _start_offsets(
        self, topics: list[str], fields: dict[TopicPartition, dict[str, object]], now: float
    ) -> Errors:
        """Log start, and for topics in focus the last stable offset: they move seldom."""
        due = [
            n for n in topics if now - self._starts_at.get(n, 0.0) >= self._schedule.start_offsets_s
        ]
        wanted = snapshots.all_partitions(self.snapshot, due)
        if not wanted:
            return {}
        starts, errors = await self._client.offsets(dict.fromkeys(wanted, EARLIEST))
        for tp, start in starts.items():
            fields.setdefault(tp, {})["start_offset"] = start
        visible = snapshots.all_partitions(self.snapshot, self._visible_topics() & set(due))
        if visible:
            stable, _ = await self._client.offsets(dict.fromkeys(visible, LATEST), "read_committed")
            for tp, offset in stable.items():
                fields.setdefault(tp, {})["last_stable_offset"] = offset
        self._starts_at.update(dict.fromkeys(due, now))
        return errors

    def _end_seen(self, t: float, tp: TopicPartition, end: int) -> None:
        self._ends[tp] = (t, end)
        self._tracker.end_seen(t, tp, end)
        meter = self._meters.get(tp)
        if meter is None:
            meter = self._meters[tp] = RateMeter(END_WINDOW_S)
        meter.add(t, float(end))

    def _rate(self, tp: TopicPartition) -> float | None:
        meter = self._meters.get(tp)
        return meter.per_s() if meter else None

    def _add_bytes_rates(self, fields: dict[TopicPartition, dict[str, object]]) -> None:
        """Estimated: the record rate times the mean stored size of the partition's records."""
        for name in {topic for topic, _ in fields}:
            for p in self.snapshot.topics[name].partitions if name in self.snapshot.topics else ():
                values = fields.get((p.topic, p.partition))
                rate = values.get("rate_records_per_s") if values else None
                if (
                    values is not None
                    and isinstance(rate, float)
                    and p.size_bytes is not None
                    and p.offset_span
                ):
                    values["rate_bytes_per_s"] = rate * p.size_bytes / p.offset_span

    def _append_rates(self, topics: Iterable[str], t: float, everything: bool) -> None:
        many = snapshots.partition_count(self.snapshot) > self._schedule.partition_series
        for name in topics:
            topic = self.snapshot.topics.get(name)
            if topic is None:
                continue
            self._append_sum(("rate", name), t, [p.rate_records_per_s for p in topic.partitions])
            self._append_sum(("bytes", name), t, [p.rate_bytes_per_s for p in topic.partitions])
            if not many or name in self.focus_topics:
                for p in topic.partitions:
                    self._append_sum(("rate", name, p.partition), t, [p.rate_records_per_s])
        if everything:
            partitions = [p for topic in self.snapshot.topics.values() for p in topic.partitions]
            self._append_sum(("rate",), t, [p.rate_records_per_s for p in partitions])
            self._append_sum(("bytes",), t, [p.rate_bytes_per_s for p in partitions])

    def _append_sum(
        self, series: tuple[str | int, ...], t: float, values: list[float | None]
    ) -> None:
        total = add_known(values)
        if total is None:
            self._store.gap(series, t)
        else:
            self._store.append(series, t, total)

    # ---- groups
    async def groups(self) -> Answer:
        listed, errors = await self._client.list_groups()
        now = self._clock()
        old = self.snapshot.groups
        due = [
            group_id
            for group_id, group in listed.items()
            if group_id not in old
            or old[group_id].state != group.state
            or group_id in self._visible_groups()
            or now - self._described_at.get(group_id, 0.0) >= DESCRIBE_REST_S
        ]
        described, failed = await self._client.describe_groups(due) if due else ({}, {})
        groups: dict[str, Group] = {}
        for group_id, group in listed.items():
            before = old.get(group_id, group)
            if group_id in described:
                groups[group_id] = _keep_lags(before, described[group_id])
                self._described_at[group_id] = now
            else:
                problem = failed.get(f"group {group_id}", "")
                groups[group_id] = replace(before, state=group.state, error=problem or before.error)
        if errors:
            groups.update({g: group for g, group in old.items() if g not in groups})
        for group_id in set(old) - set(groups):
            self._tracker.forget_group(group_id)
            self._described_at.pop(group_id, None)
        self.snapshot = snapshots.with_groups(self.snapshot, groups, self._clock())
        return {**errors, **failed}, True

    async def committed(self) -> Answer:
        now = self._clock()
        everything = self.small or now - self._rest_committed_at >= self._schedule.committed_rest_s
        chosen = sorted(self.snapshot.groups) if everything else sorted(self._visible_groups())
        if everything:
            self._rest_committed_at = now
        chosen = [
            g
            for g in chosen
            if g in self.snapshot.groups and self.snapshot.groups[g].kind != "share"
        ]
        if not chosen:
            return {}, everything
        found, errors = await self._client.committed(chosen)
        t = self._clock()
        many = snapshots.partition_count(self.snapshot) > self._schedule.partition_series
        groups = dict(self.snapshot.groups)
        rates = {tp: self._rate(tp) for offsets in found.values() for tp in offsets}
        for group_id, offsets in found.items():
            if group_id in groups:
                detail = not many or group_id in self.focus_groups
                groups[group_id] = self._tracker.update(
                    groups[group_id], offsets, self._ends, rates, t, detail
                )
        for group_id in set(chosen) - set(found):
            for measure in MEASURES:
                for series in self._store.keys(measure, group_id):
                    self._store.gap(series, t)
        self.snapshot = snapshots.with_groups(self.snapshot, groups, t)
        if everything:
            lags = [float(g.lag_records) for g in groups.values() if g.lag_records is not None]
            if lags:
                self._store.append(("lag",), t, sum(lags))
        self._anchor_soon(groups)
        return errors, everything

    def _anchor_soon(self, groups: Mapping[str, Group]) -> None:
        """Ask once for the age of records that lie before the history: a few at a time, beside
        the rounds."""
        if self._anchoring is not None and not self._anchoring.done():
            return
        wanted: list[tuple[str, TopicPartition, int]] = []
        for group_id in sorted(self._visible_groups()):
            if group_id not in groups:
                continue
            for tp, offset in self._tracker.unknown_since(groups[group_id].lags):
                if self._anchored.get((group_id, tp)) != offset:
                    wanted.append((group_id, tp, offset))
        if wanted:
            self._anchoring = asyncio.create_task(self._anchor(wanted[:ANCHORS_A_ROUND]))

    async def _anchor(self, wanted: list[tuple[str, TopicPartition, int]]) -> None:
        for group_id, tp, offset in wanted:
            self._anchored[group_id, tp] = offset
            try:
                records = await self._client.read({tp: offset}, 1, 2.0)
            except ClientError:
                continue
            history = self._tracker.histories.get(tp)
            if records and history is not None and records[0].timestamp_ms > 0:
                history.anchor(offset, records[0].timestamp_ms / 1000)

    # ---- what is in sight
    def _visible_topics(self) -> frozenset[str]:
        if self.small:
            return frozenset(self.snapshot.topics)
        of_groups = {
            t
            for g in self.focus_groups
            if g in self.snapshot.groups
            for t in self.snapshot.groups[g].topics
        }
        return self.focus_topics | of_groups

    def _visible_groups(self) -> frozenset[str]:
        return frozenset(self.snapshot.groups) if self.small else self.focus_groups

    def _forget_topics(self) -> None:
        """Drop what is remembered of topics that are gone or were made anew."""
        now = {name: topic.topic_id for name, topic in self.snapshot.topics.items()}
        gone = {name for name, topic_id in self._topic_ids.items() if now.get(name) != topic_id}
        self._topic_ids = now
        if not gone:
            return
        for kept in (self._ends, self._meters, self._tracker.histories):
            for tp in [tp for tp in kept if tp[0] in gone]:
                del kept[tp]
        for name in gone:
            self._starts_at.pop(name, None)
            self._store.forget("rate", name)
            self._store.forget("bytes", name)


def _keep_lags(before: Group, fresh: Group) -> Group:
    """A fresh description with the lags that were computed last."""
    return replace(
        fresh,
        lags=before.lags,
        status=before.status,
        lag_records=before.lag_records,
        lag_seconds=before.lag_seconds,
        rate_in_per_s=before.rate_in_per_s,
        rate_out_per_s=before.rate_out_per_s,
        catch_up_s=before.catch_up_s,
    )
