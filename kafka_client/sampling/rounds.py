"""One round of each kind of datum: the requests, and how their answers get into the snapshot and
the store.

``Rounds`` keeps what one round needs of the rounds before. It knows no schedule: ``sampler``
decides when a round runs. Every round returns a ``RoundResult`` and raises ``ClientError`` when
it failed as a whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf
from typing import NamedTuple

from kafka_client.api import EARLIEST, LATEST, ClusterReader, Errors
from kafka_client.errors import ClientError, Unreachable
from kafka_client.model import ClusterSnapshot, Datum, Group, LogDirs, TopicPartition
from kafka_client.sampling.groups import MEASURES, GroupTracker
from kafka_client.sampling.rates import RateMeter, sum_known
from kafka_client.sampling.state import Schedule
from kafka_client.sampling.store import Series, SeriesStore
from kafka_client.snapshot import (
    all_partitions,
    partition_count,
    under_replicated,
    with_brokers,
    with_groups,
    with_metadata,
    with_partitions,
    with_quorum,
)

logger = logging.getLogger(__name__)

END_WINDOW_S = 4.0
"""The window over which a partition's record rate is computed."""
ANCHORS_A_ROUND = 8
DESCRIBE_REST_S = 15.0
"""How often a group that is not visible is described."""
ANCHOR_WAIT_S = 2.0

PartitionFields = dict[TopicPartition, dict[str, object]]
"""New values of fields of ``model.Partition``, by partition."""


class RoundResult(NamedTuple):
    """Reports the outcome of a round that did not fail as a whole."""

    errors: Errors
    complete: bool = True
    """False when only the topics or groups in focus were sampled."""
    hasten: tuple[Datum, ...] = ()
    """What is worth sampling at once, after what this round saw."""


class Rounds:
    """The rounds of one cluster and their memory. Client thread only."""

    def __init__(
        self,
        client: ClusterReader,
        store: SeriesStore,
        schedule: Schedule,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        """``clock`` returns the wall time, for what is shown; ``steady`` a time without steps, for
        intervals, rates and ages."""
        self.snapshot = ClusterSnapshot()
        self.focus_topics: frozenset[str] = frozenset()
        self.focus_groups: frozenset[str] = frozenset()
        self._client = client
        self._store = store
        self._schedule = schedule
        self._clock, self._steady = clock, steady
        self._tracker = GroupTracker(store)
        self._ends: dict[TopicPartition, tuple[float, int]] = {}
        """(steady time of the sample, end offset)."""
        self._meters: dict[TopicPartition, RateMeter] = {}
        self._topic_ids: dict[str, str] = {}
        # Steady times of the last request: start offsets of each topic, all end offsets, all
        # committed offsets, members of each group.
        self._starts_at: dict[str, float] = {}
        self._rest_offsets_at = -inf
        self._rest_committed_at = -inf
        self._described_at: dict[str, float] = {}
        self._anchored: dict[tuple[str, TopicPartition], int] = {}
        """The committed offset whose record was read last, whether or not that succeeded."""
        self._anchoring: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the task beside the rounds."""
        if self._anchoring is not None:
            self._anchoring.cancel()
            await asyncio.gather(self._anchoring, return_exceptions=True)

    # ---- metadata, quorum, sizes
    async def metadata(self) -> RoundResult:
        """Brokers, topics, round trips. Raises: Unreachable also for an answer without brokers: a
        broker that has not joined the cluster yet knows no topic, and none was deleted."""
        fresh = await self._client.metadata()
        if not fresh.brokers:
            raise Unreachable(
                "The broker that answered has not joined its cluster yet.",
                next_step="Wait until more brokers are up.",
            )
        before = self._out_of_service(self.snapshot)
        self.snapshot = with_metadata(self.snapshot, replace(fresh, taken_s=self._clock()))
        # A disk may be the reason: ask at once.
        hasten = (Datum.LOG_DIRS,) if self._out_of_service(self.snapshot) != before else ()
        self._forget_deleted_topics()
        t = self.snapshot.taken_s
        lacking = len(under_replicated(self.snapshot))
        self._store.append(("under_replicated",), t, float(lacking))
        round_trips = self._client.round_trips()
        for broker_id, round_trip_ms in round_trips.items():
            self._store.append(("broker_rtt", broker_id), t, round_trip_ms)
        fields = {b: {"round_trip_ms": round_trip_ms} for b, round_trip_ms in round_trips.items()}
        self.snapshot = with_brokers(self.snapshot, fields, t)
        topics = self.snapshot.topics.values()
        return RoundResult({f"topic {t.name}": t.error for t in topics if t.error}, hasten=hasten)

    @staticmethod
    def _out_of_service(snapshot: ClusterSnapshot) -> tuple[set[int], set[int]]:
        """Brokers that are fenced, and those with replicas that are offline."""
        partitions = (p for topic in snapshot.topics.values() for p in topic.partitions)
        fenced = {broker_id for broker_id, broker in snapshot.brokers.items() if broker.fenced}
        return fenced, {broker_id for p in partitions for broker_id in p.offline}

    async def quorum(self) -> RoundResult:
        """The metadata quorum. Raises: Unsupported on a cluster without KRaft."""
        quorum = await self._client.quorum()
        self.snapshot = with_quorum(self.snapshot, quorum, self._clock())
        return RoundResult({})

    async def log_dirs(self) -> RoundResult:
        """Sizes of replicas and disks, and failed directories, from every broker that the cluster
        lists or has fenced."""
        listed = sorted(
            broker_id
            for broker_id, broker in self.snapshot.brokers.items()
            if broker.in_cluster or broker.fenced
        )
        found, errors = await self._client.log_dirs(listed)
        t = self._clock()
        brokers: dict[int, dict[str, object]] = {}
        for broker_id, dirs in found.items():
            fields = brokers[broker_id] = {
                "size_bytes": sum(dirs.sizes.values()),
                "failed_dirs": dirs.failed,
            }
            if dirs.volume is not None:
                fields["disk_total_bytes"], fields["disk_free_bytes"] = dirs.volume
        self.snapshot = with_partitions(self.snapshot, self._size_fields(found), t)
        self.snapshot = with_brokers(self.snapshot, brokers, t)
        return RoundResult(errors)

    def _size_fields(self, found: Mapping[int, LogDirs]) -> PartitionFields:
        replicas: dict[TopicPartition, dict[int, int]] = {}
        for broker_id, dirs in found.items():
            for tp, size in dirs.sizes.items():
                replicas.setdefault(tp, {})[broker_id] = size
        fields: PartitionFields = {}
        for topic in self.snapshot.topics.values():
            for p in topic.partitions:
                by_broker = replicas.get((p.topic, p.partition))
                if not by_broker:
                    continue
                size_bytes: int | None = None
                if p.leader is not None:
                    # The leader may not have answered: its largest replica is the nearest guess.
                    size_bytes = by_broker.get(p.leader, max(by_broker.values()))
                fields[p.topic, p.partition] = {
                    "replica_bytes": by_broker,
                    "size_bytes": size_bytes,
                }
        return fields

    # ---- offsets
    async def offsets(self) -> RoundResult:
        """End offsets and rates; start offsets of the topics whose turn it is."""
        now = self._steady()
        complete = self.small or now - self._rest_offsets_at >= self._schedule.offsets_rest_s
        if complete:
            self._rest_offsets_at = now
            topics = sorted(self.snapshot.topics)
        else:
            topics = sorted(name for name in self._visible_topics() if name in self.snapshot.topics)
        partitions = all_partitions(self.snapshot, topics)
        if not partitions:
            return RoundResult({}, complete)
        ends, errors = await self._client.offsets(dict.fromkeys(partitions, LATEST))
        t, steady = self._clock(), self._steady()
        fields: PartitionFields = {
            tp: {"rate_records_per_s": None, "rate_bytes_per_s": None}
            for tp in partitions
            if tp not in ends
        }
        for tp, end in ends.items():
            self._add_end(steady, tp, end)
            fields[tp] = {"high_watermark": end, "rate_records_per_s": self._rate(tp)}
        errors.update(await self._start_offsets(topics, fields, now))
        self._add_bytes_rates(fields)
        self.snapshot = with_partitions(self.snapshot, fields, t)
        self._append_rates(topics, t, complete)
        return RoundResult(errors, complete)

    async def _start_offsets(
        self, topics: list[str], fields: PartitionFields, now: float
    ) -> Errors:
        """Add the start offsets to ``fields``, and the last stable offsets of topics in focus.
        They change seldom, so each topic is asked for every ``start_offsets_s`` only."""
        rest_s = self._schedule.start_offsets_s
        due = [name for name in topics if now - self._starts_at.get(name, -inf) >= rest_s]
        partitions = all_partitions(self.snapshot, due)
        if not partitions:
            return {}
        starts, errors = await self._client.offsets(dict.fromkeys(partitions, EARLIEST))
        for tp, start in starts.items():
            fields.setdefault(tp, {})["start_offset"] = start
        visible = all_partitions(self.snapshot, self._visible_topics() & set(due))
        if visible:
            stable, _ = await self._client.offsets(dict.fromkeys(visible, LATEST), "read_committed")
            for tp, offset in stable.items():
                fields.setdefault(tp, {})["last_stable_offset"] = offset
        self._starts_at.update(dict.fromkeys(due, now))
        return errors

    def _add_end(self, t: float, tp: TopicPartition, end: int) -> None:
        self._ends[tp] = (t, end)
        self._tracker.add_end(t, tp, end)
        meter = self._meters.get(tp)
        if meter is None:
            meter = self._meters[tp] = RateMeter(END_WINDOW_S)
        meter.add(t, float(end))

    def _rate(self, tp: TopicPartition) -> float | None:
        meter = self._meters.get(tp)
        return meter.per_s() if meter else None

    def _add_bytes_rates(self, fields: PartitionFields) -> None:
        """Add estimates: the record rate times the mean stored size of the partition's records."""
        for name in {topic for topic, _ in fields}:
            for p in self.snapshot.topics[name].partitions if name in self.snapshot.topics else ():
                values = fields.get((p.topic, p.partition), {})
                rate = values.get("rate_records_per_s")
                if isinstance(rate, float) and p.size_bytes is not None and p.offset_span:
                    values["rate_bytes_per_s"] = rate * p.size_bytes / p.offset_span

    def _append_rates(self, topics: Iterable[str], t: float, complete: bool) -> None:
        for name in topics:
            topic = self.snapshot.topics.get(name)
            if topic is None:
                continue
            self._append_sum(("rate", name), t, [p.rate_records_per_s for p in topic.partitions])
            self._append_sum(("bytes", name), t, [p.rate_bytes_per_s for p in topic.partitions])
            if self._series_of_partitions or name in self.focus_topics:
                for p in topic.partitions:
                    self._append_sum(("rate", name, p.partition), t, [p.rate_records_per_s])
        if complete:
            partitions = [p for topic in self.snapshot.topics.values() for p in topic.partitions]
            self._append_sum(("rate",), t, [p.rate_records_per_s for p in partitions])
            self._append_sum(("bytes",), t, [p.rate_bytes_per_s for p in partitions])

    def _append_sum(self, series: Series, t: float, values: Iterable[float | None]) -> None:
        total = sum_known(values)
        if total is None:
            self._store.gap(series, t)
        else:
            self._store.append(series, t, total)

    # ---- groups
    async def groups(self) -> RoundResult:
        """All groups with their states; members of those that are new, visible, in another state,
        or not described for ``DESCRIBE_REST_S``."""
        listed, errors = await self._client.list_groups()
        now = self._steady()
        old = self.snapshot.groups
        visible = self._visible_groups()
        due = [
            group_id
            for group_id, group in listed.items()
            if group_id not in old
            or old[group_id].state != group.state
            or group_id in visible
            or now - self._described_at.get(group_id, -inf) >= DESCRIBE_REST_S
        ]
        described, failed = await self._client.describe_groups(due) if due else ({}, {})
        groups: dict[str, Group] = {}
        for group_id, group in listed.items():
            before = old.get(group_id, group)
            if group_id in described:
                groups[group_id] = _with_lags_of(before, described[group_id])
                self._described_at[group_id] = now
            else:
                error = failed.get(f"group {group_id}", "") or before.error
                groups[group_id] = replace(before, state=group.state, error=error)
        if errors:
            # A broker did not answer: the groups that it coordinates are not gone.
            groups.update({g: group for g, group in old.items() if g not in groups})
        for group_id in set(old) - set(groups):
            self._tracker.forget_group(group_id)
            self._described_at.pop(group_id, None)
        self.snapshot = with_groups(self.snapshot, groups, self._clock())
        return RoundResult({**errors, **failed})

    async def committed(self) -> RoundResult:
        """Committed offsets and lags. Before any group is known the round asks nothing and does
        not count, so that the first groups do not wait for ``committed_rest_s``."""
        groups = dict(self.snapshot.groups)
        if not groups:
            return RoundResult({})
        now = self._steady()
        complete = self.small or now - self._rest_committed_at >= self._schedule.committed_rest_s
        if complete:
            self._rest_committed_at = now
        chosen = sorted(groups if complete else self._visible_groups())
        # Share groups (KIP-932) have no committed offsets.
        chosen = [g for g in chosen if g in groups and groups[g].kind != "share"]
        if not chosen:
            return RoundResult({}, complete)
        committed, errors = await self._client.committed(chosen)
        t, steady = self._clock(), self._steady()
        groups = dict(self.snapshot.groups)  # the groups round may have run meanwhile
        rates = {tp: self._rate(tp) for offsets in committed.values() for tp in offsets}
        for group_id, offsets in committed.items():
            if group_id in groups:
                per_partition = self._series_of_partitions or group_id in self.focus_groups
                groups[group_id] = self._tracker.update(
                    groups[group_id], offsets, self._ends, rates, t, steady, per_partition
                )
        for group_id in set(chosen) - set(committed):
            for measure in MEASURES:
                self._store.mark_gaps(t, measure, group_id)
        self.snapshot = with_groups(self.snapshot, groups, t)
        if complete:
            total = sum_known(group.lag_records for group in groups.values())
            if total is not None:
                self._store.append(("lag",), t, float(total))
        self._start_anchoring(groups)
        return RoundResult(errors, complete)

    def _start_anchoring(self, groups: Mapping[str, Group]) -> None:
        """Read the timestamps of records that are older than the sampled history: each once, a few
        at a time, in a task beside the rounds."""
        if self._anchoring is not None and not self._anchoring.done():
            return
        wanted: list[tuple[str, TopicPartition, int]] = []
        for group_id in sorted(self._visible_groups()):
            if group_id not in groups:
                continue
            for tp, offset in self._tracker.lags_of_unknown_age(groups[group_id].lags):
                if self._anchored.get((group_id, tp)) != offset:
                    wanted.append((group_id, tp, offset))
        if wanted:
            self._anchoring = asyncio.create_task(self._anchor(wanted[:ANCHORS_A_ROUND]))

    async def _anchor(self, wanted: list[tuple[str, TopicPartition, int]]) -> None:
        for group_id, tp, offset in wanted:
            self._anchored[group_id, tp] = offset
            try:
                records = await self._client.read({tp: offset}, 1, ANCHOR_WAIT_S)
            except ClientError as error:
                logger.info("cannot read %s-%d to date a lag: %s", *tp, error)
                continue
            history = self._tracker.histories.get(tp)
            if records and history is not None and records[0].timestamp_ms > 0:
                age_s = self._clock() - records[0].timestamp_ms / 1000
                history.anchor(offset, self._steady() - age_s)

    # ---- what is visible
    @property
    def small(self) -> bool:
        """Return whether every topic and group counts as visible."""
        return partition_count(self.snapshot) <= self._schedule.small_partitions

    @property
    def _series_of_partitions(self) -> bool:
        """Return whether every partition gets series, not only those in focus."""
        return partition_count(self.snapshot) <= self._schedule.partition_series

    def _visible_topics(self) -> frozenset[str]:
        if self.small:
            return frozenset(self.snapshot.topics)
        groups = [self.snapshot.groups[g] for g in self.focus_groups if g in self.snapshot.groups]
        return self.focus_topics | {topic for group in groups for topic in group.topics}

    def _visible_groups(self) -> frozenset[str]:
        return frozenset(self.snapshot.groups) if self.small else self.focus_groups

    def _forget_deleted_topics(self) -> None:
        """Drop the samples of topics that were deleted, or deleted and created again."""
        current = {name: topic.topic_id for name, topic in self.snapshot.topics.items()}
        gone = {name for name, topic_id in self._topic_ids.items() if current.get(name) != topic_id}
        self._topic_ids = current
        if not gone:
            return
        for by_partition in (self._ends, self._meters, self._tracker.histories):
            for tp in [tp for tp in by_partition if tp[0] in gone]:
                del by_partition[tp]
        for name in gone:
            self._starts_at.pop(name, None)
            self._store.forget("rate", name)
            self._store.forget("bytes", name)


def _with_lags_of(before: Group, fresh: Group) -> Group:
    """The fresh description of a group with the lags that were computed last."""
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
