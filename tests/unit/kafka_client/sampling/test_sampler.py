import asyncio
import random
import time
from dataclasses import replace

import numpy as np
import pytest

from kafka_client.api import EARLIEST
from kafka_client.changes import Change
from kafka_client.errors import Unreachable
from kafka_client.history import History
from kafka_client.model import ClusterSnapshot, Datum, FailedLogDir, GroupStatus
from kafka_client.sampling import (
    ConnectionKind,
    ConnectionState,
    Round,
    Sampler,
    Schedule,
    SeriesStore,
)
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeGroup

FAST = Schedule(
    metadata_s=0.02,
    offsets_visible_s=0.02,
    offsets_rest_s=0.05,
    groups_s=0.03,
    committed_visible_s=0.02,
    committed_rest_s=0.05,
    log_dirs_s=0.05,
    quorum_s=0.05,
    back_off_first_s=0.01,
    back_off_most_s=0.02,
    start_offsets_s=0.02,
)


class Watch:
    def __init__(self, client, schedule=FAST, **more):
        self.store = SeriesStore()
        self.states: list[ConnectionState] = []
        self.rounds: list[Round] = []
        self.events: list[Change] = []
        self.shown: list[ClusterSnapshot] = []
        self.sampler = Sampler(
            client,
            self.store,
            schedule,
            on_snapshot=self.on_snapshot,
            on_sampled=self.rounds.append,
            on_state=self.states.append,
            rng=random.Random(1),
            **more,
        )

    def on_snapshot(self, snapshot, changes):
        self.shown.append(snapshot)
        self.events += changes.events

    async def __aenter__(self):
        self.sampler.start()
        return self

    async def __aexit__(self, *_):
        await self.sampler.stop()

    async def until(self, condition, seconds=3.0):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)


async def test_that_a_snapshot_is_complete_after_one_round_of_each_kind():
    async with Watch(FakeClient(moving=False)) as watch:
        await watch.until(lambda: len(watch.sampler.snapshot.sampled) == len(Datum))
        await watch.until(lambda: watch.store.last(("lag", "sms-senders", "sms", 0)))
        await watch.until(lambda: watch.sampler.snapshot.groups["sms-senders"].lag_seconds)
    group = watch.sampler.snapshot.groups["sms-senders"]
    assert group.lag_records == sum(lag.lag_records for lag in group.lags) > 1000
    assert group.members and group.lags[0].host
    assert 100 < group.lag_seconds < 300
    assert watch.sampler.snapshot.groups["nightly-report"].status is GroupStatus.STOPPED
    assert watch.sampler.snapshot.topics["email"].partitions[0].size_bytes > 0
    assert watch.sampler.snapshot.quorum is not None
    assert [s.kind for s in watch.states] == [ConnectionKind.CONNECTING, ConnectionKind.CONNECTED]


async def test_that_failed_log_directories_are_asked_for_as_soon_as_a_replica_is_offline():
    """Not after the 30 s between two such rounds."""
    client = FakeClient(moving=False)
    slow = replace(FAST, log_dirs_s=1000.0)
    async with Watch(client, schedule=slow) as watch:
        await watch.until(lambda: Datum.LOG_DIRS in watch.sampler.snapshot.sampled)
        failed = (FailedLogDir("/d", "why"),)
        client.cluster.failed_dirs[2] = failed
        await watch.until(lambda: watch.sampler.snapshot.brokers[2].failed_dirs == failed)


async def test_that_a_failed_round_is_a_gap_and_keeps_what_was_known():
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.store.last(("lag",)))
        client.failing["committed"] = Unreachable("Nothing listens there.", next_step="Start it.")
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.DEGRADED)
        sampled = watch.sampler.snapshot.sampled[Datum.COMMITTED]
        assert (
            sampled.error == "Nothing listens there."
            and sampled.next_step == "Start it."
            and sampled.at_s
        )
        assert watch.sampler.snapshot.groups["sms-senders"].lag_records
        assert np.isnan(watch.store.window(("lag", "sms-senders"), 0, 1e12)[1][-1])
        del client.failing["committed"]
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)


async def test_that_a_lost_cluster_is_tried_again_and_comes_back():
    client = FakeClient(moving=False)
    client.failing["connect"] = Unreachable("Nobody there.")
    async with Watch(client) as watch:
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.LOST)
        assert watch.states[-1].retry_at_s is not None
        del client.failing["connect"]
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
        client.failing["metadata"] = Unreachable("Gone.")
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.LOST)
        assert watch.states[-1].sentence == "Gone."
        assert watch.sampler.snapshot.topics
        del client.failing["metadata"]
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)


async def test_that_a_broker_that_went_is_an_event_and_degrades_the_connection():
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
        client.cluster.killed.add(2)
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.DEGRADED)
        assert watch.sampler.snapshot.brokers[2].reachable is False
        await watch.until(lambda: "Broker 2 is down" in [event.text for event in watch.events])
        texts = [event.text for event in watch.events]
        assert "Leaders of 7 partitions moved away from broker 2" in texts
        client.cluster.killed.clear()
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
        assert watch.sampler.snapshot.brokers[2].reachable


async def test_that_a_pause_sends_nothing_and_resume_goes_on():
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.store.last(("lag",)))
        watch.sampler.pause()
        await asyncio.sleep(0.06)
        count = len(client.calls)
        await asyncio.sleep(0.06)
        assert len(client.calls) == count
        watch.sampler.resume()
        await watch.until(lambda: len(client.calls) > count)


async def test_that_only_what_is_in_focus_is_sampled_often_in_a_large_cluster():
    client = FakeClient(moving=False)
    client.cluster.create("many", 150, 1, rate_per_s=100.0)
    slow = Schedule(
        **{
            **{f: getattr(FAST, f) for f in FAST.__slots__},
            "offsets_rest_s": 60.0,
            "small_partitions": 50,
            "partition_series": 99,
        }
    )
    store = SeriesStore()
    sampler = Sampler(client, store, slow)
    sampler.start()
    try:
        await asyncio.sleep(0.1)
        sampler.focus(topics=["sms"])
        await asyncio.sleep(0.15)
    finally:
        await sampler.stop()
    assert len(store.window(("rate", "sms"), 0, 1e12)[0]) >= 2
    assert len(store.window(("rate", "many"), 0, 1e12)[0]) <= 1
    assert ("rate", "sms", 0) in store
    assert ("rate", "many", 0) not in store


async def test_that_what_is_sampled_and_what_happened_goes_into_the_history(tmp_path):
    client = FakeClient(moving=False)
    history = History(tmp_path / "h.sqlite")
    sampler = Sampler(client, SeriesStore(), FAST, history=history)
    sampler.start()
    try:
        async with asyncio.timeout(3):
            while not sampler.store.last(("lag",)):
                await asyncio.sleep(0.01)
            await client.delete_topics(["slack"])
            while "slack" in sampler.snapshot.topics:
                await asyncio.sleep(0.01)
            wanted = {("lag",), ("lag", "sms-senders"), ("rate", "email")}
            while not wanted <= sampler._history_until.keys():
                await asyncio.sleep(0.01)
    finally:
        await sampler.stop()
    history.flush()
    keys = history.keys()
    assert ("lag",) in keys and ("lag", "sms-senders") in keys and ("rate", "email") in keys
    assert all(len(key) <= 2 for key in keys)
    assert "Topic slack was deleted" in [event.text for event in history.events(0, 1e12)]
    history.close()


async def test_that_a_rate_is_a_gap_while_its_leader_does_not_answer():
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.store.last(("rate", "email")))
        client.cluster.killed.update((1, 2, 3))
        await watch.until(lambda: np.isnan(watch.store.window(("rate", "email"), 0, 1e12)[1][-1]))
        assert watch.sampler.snapshot.topics["email"].partitions[0].high_watermark


async def test_that_a_bug_ends_the_sampler_with_a_message_and_a_traceback_in_the_log(caplog):
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.store.last(("lag",)))
        client.failing["committed"] = KeyError("a bug")
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.LOST)
        state = watch.sampler.state
    assert state.sentence == "Sampling stopped. Internal error: KeyError."
    assert "log has the details" in state.next_step
    assert "KeyError" in caplog.text and "Traceback" in caplog.text


async def test_that_committed_offsets_wait_for_the_groups_and_not_for_their_own_interval():
    """The groups answer late; their first lags must not come a whole ``committed_rest_s`` later."""

    class SlowGroups(FakeClient):
        async def list_groups(self):
            await asyncio.sleep(0.05)
            return await super().list_groups()

    client = SlowGroups(moving=False)
    schedule = Schedule(small_partitions=1, committed_rest_s=1000.0, committed_visible_s=1000.0)
    sampler = Sampler(client, SeriesStore(), schedule)
    sampler.start()
    try:
        async with asyncio.timeout(5):
            while sampler.store.last(("lag",)) is None:
                await asyncio.sleep(0.01)
    finally:
        await sampler.stop()
    assert client.calls.count("committed") == 1
    assert client.calls.index("committed") > client.calls.index("describe_groups")


async def test_that_a_cluster_without_groups_is_never_asked_for_committed_offsets():
    client = FakeClient(moving=False)
    client.cluster.groups.clear()
    async with Watch(client) as watch:
        await watch.until(lambda: Datum.COMMITTED in watch.sampler.snapshot.sampled)
        await watch.until(lambda: client.calls.count("list_groups") >= 3)
        assert "committed" not in client.calls
        client.cluster.groups["new"] = FakeGroup("new", ("sms",), 1.0, 0.0, 1)
        await watch.until(lambda: watch.store.last(("lag", "new")))


async def test_that_an_answer_without_brokers_deletes_no_topic():
    """A restarted broker answers with an empty list before it has joined its cluster."""
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
        topics = set(watch.sampler.snapshot.topics)
        client.cluster.killed.update((1, 2, 3))
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.LOST)
        assert "has not joined" in watch.sampler.state.sentence
        assert set(watch.sampler.snapshot.topics) == topics
        assert not [e for e in watch.events if "deleted" in e.text]


async def test_that_failed_rounds_and_connection_changes_are_logged_once(caplog):
    caplog.set_level("INFO", "kafka_client.sampling.sampler")
    client = FakeClient(moving=False)
    async with Watch(client) as watch:
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
        client.failing["committed"] = Unreachable("Nothing listens there.")
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.DEGRADED)
        calls = client.calls.count("committed")
        await watch.until(lambda: client.calls.count("committed") > calls + 3)
        del client.failing["committed"]
        await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.CONNECTED)
    lines = [record.getMessage() for record in caplog.records]
    failed = "cluster: cannot read committed offsets: Nothing listens there."
    assert lines.count(failed) == 1
    assert "cluster: reading committed offsets again" in lines
    assert "cluster: connecting -> connected: All 3 brokers answer." in lines
    assert any(line.startswith("cluster: connected -> degraded: ") for line in lines)


async def test_that_stop_ends_a_sampler_that_was_woken_in_the_same_turn_of_the_loop():
    """asyncio.wait_for loses a cancellation that comes together with what it waits for."""
    client = FakeClient(moving=False)
    watch = Watch(client)
    watch.sampler.start()
    await watch.until(lambda: len(watch.sampler.snapshot.sampled) == len(Datum))
    for _ in range(10):
        await asyncio.sleep(0.001)
    for event in watch.sampler._wake.values():
        event.set()
    async with asyncio.timeout(3):
        await watch.sampler.stop()


class CountingClient(FakeClient):
    earliest = 0
    """Requests for start offsets."""

    async def offsets(self, partitions, isolation="read_uncommitted"):
        self.earliest += EARLIEST in partitions.values()
        return await super().offsets(partitions, isolation)


@pytest.mark.parametrize("leap_s", [3652 * 86_400.0, -3652 * 86_400.0])
async def test_that_a_leap_of_the_clock_stops_no_schedule_and_bends_no_figure(tmp_path, leap_s):
    offset_s = 0.0

    def clock():
        return time.time() + offset_s

    client = CountingClient()
    history = History(tmp_path / "h.sqlite", clock)
    async with Watch(client, clock=clock, history=history) as watch:
        group = "sms-senders"
        await watch.until(lambda: watch.store.last(("lag_s", group)))
        await watch.until(lambda: watch.store.last(("rate", "sms")))
        for leapt_s in (leap_s, 0.0):
            offset_s = leapt_s
            requests, now = client.earliest, clock()
            await watch.until(lambda seen=requests: client.earliest > seen + 1)
            for series in (("lag", group), ("lag_s", group), ("rate", "sms"), ("rate",)):
                await watch.until(lambda s=series, t=now: 0 <= watch.store.last(s)[0] - t < 60)
            lag_s = watch.sampler.snapshot.groups[group].lag_seconds
            assert lag_s is not None and 100 < lag_s < 300
            history.flush()
            assert len(history.window(("lag", group), now - 1, now + 60)[0])
        rates = watch.store.window(("rate", "sms"), 0, 1e12)[1]
    history.close()
    assert np.nanmin(rates) >= 0 and np.nanmax(rates) < 100 * (np.nanmedian(rates) + 1)
