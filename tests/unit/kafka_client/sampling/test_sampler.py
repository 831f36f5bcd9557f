import asyncio
import random

import numpy as np

from kafka_client.errors import Unreachable
from kafka_client.history import History
from kafka_client.model import Datum, GroupStatus
from kafka_client.sampling import ConnectionKind, Sampler, Schedule, SeriesStore
from tests.fakes.client import FakeClient

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
    def __init__(self, client, **changes):
        self.store = SeriesStore()
        self.states, self.rounds, self.events, self.shown = [], [], [], []
        self.sampler = Sampler(
            client,
            self.store,
            FAST,
            on_snapshot=self.on_snapshot,
            on_sampled=self.rounds.append,
            on_state=self.states.append,
            dice=random.Random(1),
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


async def test_that_a_first_picture_is_complete_after_one_round_of_each_kind():
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
        assert any("moved from broker 2" in event.text for event in watch.events)
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


async def test_that_a_bug_ends_the_sampler_with_a_sentence_and_not_in_silence():
    client = FakeClient(moving=False)
    told = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: told.append(context["message"])
    )
    try:
        async with Watch(client) as watch:
            await watch.until(lambda: watch.store.last(("lag",)))
            client.failing["committed"] = KeyError("a bug")
            await watch.until(lambda: watch.sampler.state.kind is ConnectionKind.LOST)
            assert "error in this program" in watch.sampler.state.sentence
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert told == ["the sampler ended with an error"]
