"""Scans over a fake cluster, and over a reader that misbehaves as real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from kafka_client.api import ClusterClient
from kafka_client.errors import ClientError, TimedOut
from kafka_client.model import Record, TopicPartition, Unreadable
from kafka_client.reading import scan as scanning
from kafka_client.reading.filters import Contains
from kafka_client.reading.plan import Order, Range, ScanPlan, ScanRequest, Start, Until, plan_scan
from kafka_client.reading.scan import Ended, Progress, ScanResult, run_scan
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster

NOW_S = 1_700_000_000.0


def client() -> FakeClient:
    return FakeClient(FakeCluster(lambda: NOW_S, moving=False).populate())


async def read(
    fake: ClusterClient, request: ScanRequest
) -> tuple[list[Record], ScanResult, list[Progress]]:
    records: list[Record] = []
    reports: list[Progress] = []

    async def emit(batch: Sequence[Record]) -> None:
        records.extend(batch)

    result = await run_scan(fake, request, await plan_scan(fake, request), emit, reports.append)
    return records, result, reports


def everything(fake: FakeClient, topic: str) -> list[Record]:
    return [
        log.record(o)
        for log in fake.cluster.logs[topic]
        for o in range(log.start_offset, log.end_offset(NOW_S))
    ]


async def test_that_all_of_a_topic_comes_in_the_order_of_time() -> None:
    fake = client()
    records, result, reports = await read(fake, ScanRequest("email", (0, 1, 2), Start.EARLIEST))
    assert len(records) == len(everything(fake, "email")) == result.progress.scanned
    assert records == sorted(records, key=lambda r: (r.timestamp_ms, r.partition, r.offset))
    assert result.ended is Ended.ALL
    assert reports[-1].fraction == 1.0


async def test_that_partition_order_brings_one_after_another() -> None:
    fake = client()
    records, _, _ = await read(
        fake, ScanRequest("email", (0, 2), Start.EARLIEST, order=Order.PARTITION)
    )
    assert [(r.partition, r.offset) for r in records] == sorted(
        (r.partition, r.offset) for r in records
    )
    assert {r.partition for r in records} == {0, 2}


@pytest.mark.parametrize("wanted", [1, 7, 500, 5000, 100_000])
async def test_that_the_latest_are_the_latest_over_all_partitions(wanted: int) -> None:
    fake = client()
    records, result, _ = await read(fake, ScanRequest("email", (0, 1, 2), Start.LATEST, wanted))
    newest = sorted((r.timestamp_ms for r in everything(fake, "email")), reverse=True)[:wanted]
    assert [r.timestamp_ms for r in records] == newest
    if wanted < 1000:
        assert result.progress.scanned <= 3 * wanted + 600


async def test_that_the_latest_that_match_are_looked_for_far_back() -> None:
    fake = client()
    needle = fake.cluster.logs["email"][1].record(5).value
    assert needle is not None
    wanted = ScanRequest("email", (0, 1, 2), Start.LATEST, 10, contains=Contains(needle.decode()))
    records, result, _ = await read(fake, wanted)
    assert [(r.partition, r.offset) for r in records] == [(1, 5)]
    assert result.progress.scanned == len(everything(fake, "email"))


async def test_that_a_quiet_partition_does_not_hide_its_newer_records() -> None:
    """Partition 0 has few and new records, partition 1 many: windows must not stop too early at
    either."""
    fake = FakeClient(FakeCluster(lambda: NOW_S, moving=False))
    fake.cluster.create("t", 2, 1)
    for n in range(5000):
        fake.cluster.logs["t"][1].sent[n] = Record("t", 1, n, n * 10, "create", None, b"b")
    for n in range(3000):
        fake.cluster.logs["t"][0].sent[n] = Record("t", 0, n, 20_000 + n * 10, "create", None, b"a")
    records, _, _ = await read(fake, ScanRequest("t", (0, 1), Start.LATEST, 3000))
    times = sorted(
        [n * 10 for n in range(5000)] + [20_000 + n * 10 for n in range(3000)], reverse=True
    )
    assert [r.timestamp_ms for r in records] == times[:3000]


async def test_that_ranges_by_offset_and_time_hold() -> None:
    fake = client()
    request = ScanRequest("email", (1,), Start.OFFSET, 100, Until.OFFSET, 119)
    records, _, _ = await read(fake, request)
    assert [r.offset for r in records] == list(range(100, 120))
    low, high = records[3].timestamp_ms, records[9].timestamp_ms
    records, _, _ = await read(
        fake, ScanRequest("email", (1,), Start.TIMESTAMP, low, Until.TIMESTAMP, high)
    )
    assert [r.offset for r in records] == list(range(103, 109))


async def test_that_a_count_of_matches_ends_it() -> None:
    records, result, _ = await read(
        client(),
        ScanRequest(
            "email", (0, 1, 2), Start.EARLIEST, 0, Until.COUNT, 5, contains=Contains("invoice")
        ),
    )
    assert len(records) == 5 and result.ended is Ended.COUNT
    assert all(b"invoice" in (r.value or b"") for r in records)


async def test_that_it_stops_at_what_is_kept_at_most() -> None:
    records, result, _ = await read(
        client(), ScanRequest("email", (0, 1, 2), Start.EARLIEST, keep_records=50)
    )
    assert len(records) == 50 and result.ended is Ended.KEPT
    records, result, _ = await read(
        client(), ScanRequest("email", (0, 1, 2), Start.EARLIEST, keep_bytes=10_000)
    )
    assert 50 < len(records) < 120 and result.ended is Ended.KEPT


async def test_that_a_plan_notes_offsets_outside_the_log() -> None:
    fake = client()
    fake.cluster.logs["email"][0].start_offset = 50
    plan = await plan_scan(fake, ScanRequest("email", (0,), Start.OFFSET, 3))
    assert plan.ranges["email", 0].start == 50 and "deleted" in plan.notes[0]
    plan = await plan_scan(fake, ScanRequest("email", (0,), Start.OFFSET, 10**15))
    assert plan.total == 0 and "not written yet" in plan.notes[0]


async def test_that_a_partition_without_leader_is_named_and_the_others_are_read() -> None:
    fake = client()
    fake.cluster.create("one", 3, 1, rate_per_s=30)
    lonely = fake.cluster.logs["one"][0].replicas[0]
    fake.cluster.killed.add(lonely)
    plan = await plan_scan(fake, ScanRequest("one", (0, 1, 2)))
    assert set(plan.ranges) == {("one", 1), ("one", 2)} and "one-0" in plan.errors
    with pytest.raises(ClientError, match="No partition of one can be read"):
        await plan_scan(fake, ScanRequest("one", (0,)))


async def test_that_nothing_is_created_or_joined_by_reading() -> None:
    fake = client()
    await read(fake, ScanRequest("email", (0, 1, 2)))
    assert set(fake.calls) <= {"offsets", "open_reader", "read"}


async def test_that_a_live_scan_goes_on_until_it_is_cancelled() -> None:
    now = [NOW_S]
    fake = FakeClient(FakeCluster(lambda: now[0], moving=False).populate())
    records: list[Record] = []

    async def emit(batch: Sequence[Record]) -> None:
        records.extend(batch)

    request = ScanRequest("email", (0, 1, 2), Start.LIVE)
    task = asyncio.create_task(
        run_scan(fake, request, await plan_scan(fake, request), emit, lambda _: None)
    )
    await asyncio.sleep(0.05)
    assert records == []
    now[0] += 10
    await asyncio.sleep(0.4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(records) == 120


class Holes:
    """A reader over a log with holes: only even offsets hold records, and the last ones are
    control records. One of its partitions may fall silent."""

    def __init__(self, starts: Mapping[TopicPartition, int], end: int, silent: set[int]) -> None:
        self.at, self.end, self.silent = dict(starts), end, silent
        self.paused: set[TopicPartition] = set()
        self.closed = False

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        await asyncio.sleep(0.001)
        records = []
        for (t, p), at in self.at.items():
            if (t, p) in self.paused or p in self.silent or at >= self.end:
                continue
            stop = min(at + 100, self.end)
            records += [
                Record(t, p, o, o, "create", None, b"x")
                for o in range(at, stop)
                if not o % 2 and o < 180
            ]
            self.at[t, p] = stop
        return records

    def positions(self) -> Mapping[TopicPartition, int]:
        return dict(self.at)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.difference_update(partitions)

    async def close(self) -> None:
        self.closed = True


class HolesClient:
    def __init__(self, end: int, silent: set[int]) -> None:
        self.end, self.silent = end, silent
        self.readers: list[Holes] = []
        self.kind = Holes

    async def open_reader(self, starts: Mapping[TopicPartition, int], read_ahead: int = 0) -> Holes:
        self.readers.append(self.kind(starts, self.end, self.silent))
        return self.readers[-1]


async def read_holes(fake: HolesClient, request: ScanRequest) -> tuple[list[Record], ScanResult]:
    records: list[Record] = []

    async def emit(batch: Sequence[Record]) -> None:
        records.extend(batch)

    plan = ScanPlan({("t", p): Range(0, fake.end) for p in request.partitions})
    result = await run_scan(cast(Any, fake), request, plan, emit, lambda _: None)
    assert all(reader.closed for reader in fake.readers)
    return records, result


@pytest.mark.parametrize("start", [Start.EARLIEST, Start.LATEST])
async def test_that_a_range_ends_by_position_where_the_last_offsets_hold_no_records(
    start: Start,
) -> None:
    records, result = await asyncio.wait_for(
        read_holes(HolesClient(300, set()), ScanRequest("t", (0, 1), start, 1000)), 5
    )
    assert len(records) == 180 and result.progress.fraction == 1.0


class Unreadables(Holes):
    """A reader over a log of which nothing from offset 100 on can be read."""

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        records = await super().next(max_records, max_wait_s)
        whole = [r for r in records if r.offset < 100]
        marks = {
            (r.topic, r.partition): Record(
                r.topic, r.partition, 100, -1, "none", None, None, unreadable=Unreadable(999, "rot")
            )
            for r in records
            if r.offset == 100
        }
        for tp in marks:
            self.at[tp] = self.end
        return [*whole, *marks.values()]


@pytest.mark.parametrize("start", [Start.EARLIEST, Start.LATEST])
async def test_that_what_cannot_be_read_counts_within_the_range_alone(start: Start) -> None:
    """A mark may reach beyond: the rest of the log was deleted, or is damaged."""
    fake = HolesClient(130, set())
    fake.kind = Unreadables
    records, result = await asyncio.wait_for(
        read_holes(fake, ScanRequest("t", (0,), start, 1000)), 5
    )
    (mark,) = [r for r in records if r.unreadable]
    assert mark.unreadable == Unreadable(129, "rot")
    assert (result.progress.unreadable, result.progress.scanned) == (30, 50)


async def test_that_a_silent_partition_does_not_hold_the_others_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "STALLED_S", 0.05)
    monkeypatch.setattr(scanning, "SILENT_S", 0.2)
    records, result = await read_holes(
        HolesClient(300, {1}), ScanRequest("t", (0, 1), Start.EARLIEST)
    )
    assert len(records) == 90 and result.missed == (1,)


async def test_that_silence_everywhere_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "STALLED_S", 0.05)
    monkeypatch.setattr(scanning, "SILENT_S", 0.2)
    with pytest.raises(TimedOut, match="did not answer"):
        await read_holes(HolesClient(300, {0, 1}), ScanRequest("t", (0, 1), Start.EARLIEST))
