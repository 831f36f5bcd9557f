"""The reader of records against fake brokers, sound and otherwise."""

from __future__ import annotations

import asyncio
import struct

import pytest

from kafka_client.errors import ClientError, Denied, Rejected, Unreachable
from kafka_client.fetching import lane, sizes
from kafka_client.model import Record, Unreadable
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import Codec
from tests.unit.kafka_client.fetching.logs import TOPIC, Log, Logs, batch, numbered
from tests.unit.kafka_client.fetching.test_segment import brief, why


def by_partition(found):
    return {p: brief([r for r in found if r.partition == p]) for p in {r.partition for r in found}}


async def test_that_all_records_come_once_and_in_order_from_several_leaders():
    async with Logs([Log(numbered(30 + 7 * p)) for p in range(5)], brokers=3) as cluster:
        found = await cluster.read_all()
        assert by_partition(found) == {p: list(range(30 + 7 * p)) for p in range(5)}
        assert {broker for broker, _ in cluster.requests} == {1, 2, 3}


async def test_that_only_committed_records_are_asked_for_and_aborted_ones_left_out():
    log = Log(numbered(3))
    async with Logs([log]) as cluster:
        await cluster.read_all()
        _, request = cluster.requests[0]
        assert (request.isolation_level, request.replica_id, request.session_id) == (1, -1, 0)


async def test_that_a_batch_larger_than_its_share_comes_at_last():
    """The first partition of a request gets a whole batch, the others what their share allows."""
    large = batch(0, [bytes(300_000)])
    logs = [Log([large, *numbered(3, first=1)]) for _ in range(3)]
    async with Logs(logs) as cluster:
        found = await cluster.read_all()
        assert by_partition(found) == {p: [0, 1, 2, 3] for p in range(3)}


async def test_that_a_partition_follows_its_leader():
    async with Logs([Log(numbered(5))], brokers=2) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        assert brief(await reader.next(100, 5.0)) == [0, 1, 2, 3, 4]
        cluster.lead([2])
        cluster.logs[0].batches += numbered(2, first=5)
        assert brief(await reader.next(100, 10.0)) == [5, 6]
        assert cluster.requests[-1][0] == 2
        await reader.close()


async def test_that_a_partition_follows_its_leader_when_the_old_one_died():
    async with Logs([Log(numbered(5))], brokers=2) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        cluster.lead([2])
        await reader.next(100, 5.0)
        await cluster.cluster.brokers[0].stop()
        cluster.logs[0].batches += numbered(1, first=5)
        found: list[Record] = []
        async with asyncio.timeout(20):
            while not found:
                found = await reader.next(100, 1.0)
        assert brief(found) == [5]
        await reader.close()


async def test_that_a_partition_leaves_a_frozen_leader_whenever_another_leads(monkeypatch):
    """The election may come long after the first doubt."""
    monkeypatch.setattr(lane, "SLOW_S", 0.1)
    async with Logs([Log(numbered(5))], brokers=2) as cluster:
        cluster.cluster.brokers[0].topics = cluster.cluster.brokers[1].topics
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        await reader.next(100, 5.0)
        frozen = cluster.cluster.brokers[0]
        held = asyncio.Event()
        frozen.holding[ApiKey.FETCH] = held
        asked = [broker.received.count(ApiKey.METADATA) for broker in cluster.cluster.brokers]
        async with asyncio.timeout(10):
            while sum(b.received.count(ApiKey.METADATA) for b in cluster.cluster.brokers) < (
                sum(asked) + 3
            ):
                await asyncio.sleep(0.01)
        cluster.logs[0].batches += numbered(1, first=5)
        cluster.lead([2])
        assert brief(await reader.next(100, 10.0)) == [5]
        held.set()
        await reader.close()


async def test_that_a_partition_is_tried_again_while_another_of_its_leader_waits_to_be_read():
    """What is full needs no try, what failed needs one when its time has come."""
    failing, full = Log(numbered(3)), Log([batch(o, [bytes(60_000)]) for o in range(40)])
    failing.refused = {0: ErrorCode.CORRUPT_MESSAGE}
    async with Logs([failing, full]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0, (TOPIC, 1): 0}, 1)
        async with asyncio.timeout(5):  # nobody takes what has arrived
            while (
                sum(
                    p.partition == 0
                    for _, request in cluster.requests
                    for topic in request.topics
                    for p in topic.partitions
                )
                < 3
            ):
                await asyncio.sleep(0.01)
        await reader.close()


async def test_that_what_the_leader_cannot_read_is_passed_with_a_mark():
    log = Log(numbered(40))
    log.refused = dict.fromkeys(range(7, 19), ErrorCode.CORRUPT_MESSAGE)
    async with Logs([log]) as cluster:
        found = await cluster.read_all()
        assert brief(found) == [*range(7), (7, 18), *range(19, 40)]
        assert found[7].unreadable == Unreadable(18, "The broker cannot read it: CORRUPT_MESSAGE.")


async def test_that_damage_up_to_the_end_is_passed_too():
    log = Log(numbered(10))
    log.refused = dict.fromkeys(range(4, 10), ErrorCode.UNKNOWN_SERVER_ERROR)
    async with Logs([log]) as cluster:
        assert brief(await cluster.read_all()) == [0, 1, 2, 3, (4, 9)]


async def test_that_a_leader_which_refuses_for_a_moment_loses_no_record():
    log = Log(numbered(4))
    log.refused = {2: ErrorCode.CORRUPT_MESSAGE}
    log.batches, later = log.batches[:2], log.batches[2:]
    async with Logs([log]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        found = await reader.next(100, 5.0)
        asked = len(cluster.requests)
        while len(cluster.requests) < asked + 1:
            await asyncio.sleep(0.01)
        log.refused, log.batches = {}, [*log.batches, *later]
        found += await reader.next(100, 5.0)
        assert brief(found) == [0, 1, 2, 3]
        await reader.close()


async def test_that_a_length_which_cannot_be_is_passed_with_a_mark():
    batches = numbered(20)
    damaged = bytearray(batches[6])
    struct.pack_into(">i", damaged, 8, -7)
    log = Log(batches)

    class Scanning(Log):
        """As Kafka, it scans from an entry of its index, of which every fifth batch has one."""

        def read(self, offset, most_bytes, whole_first):
            if offset - offset % 5 <= 6 <= offset:
                return bytes(damaged)
            return b"".join(bytes(damaged) if o == 6 else batches[o] for o in range(offset, 20))

    async with Logs([Scanning(log.batches)]) as cluster:
        found = await cluster.read_all()
        assert brief(found) == [0, 1, 2, 3, 4, 5, (6, 9), *range(10, 20)]


async def test_that_records_which_were_deleted_meanwhile_are_a_mark():
    log = Log(numbered(10))
    async with Logs([log]) as cluster:
        log.start, log.batches = 6, log.batches[6:]
        found = await cluster.read_all({0: 2})
        assert brief(found) == [(2, 5), 6, 7, 8, 9]
        assert why(found) == "Deleted before they were read."


async def test_that_an_offset_behind_the_end_fails_the_reader():
    async with Logs([Log(numbered(3))]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 9}, 1000)
        with pytest.raises(Rejected, match="the offset is outside the log") as failed:
            await reader.next(100, 10.0)
        assert failed.value.code == ErrorCode.OFFSET_OUT_OF_RANGE
        await reader.close()


async def test_that_a_missing_permission_fails_the_reader_at_once():
    log = Log(numbered(3))
    log.refused = {0: ErrorCode.TOPIC_AUTHORIZATION_FAILED}
    async with Logs([log]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        with pytest.raises(Denied):
            await reader.next(100, 10.0)
        await reader.close()


async def test_that_a_topic_which_was_deleted_fails_the_reader():
    async with Logs([Log(numbered(3))]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1000)
        await reader.next(100, 5.0)
        cluster.logs[0].refused = {3: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        for broker in cluster.cluster.brokers:
            broker.topics = []
        with pytest.raises(ClientError):
            await reader.next(100, 15.0)
        await reader.close()


async def test_that_a_batch_larger_than_any_frame_is_passed_and_a_smaller_one_read(monkeypatch):
    """Small limits, so that the test is."""
    monkeypatch.setattr(lane, "FRAME_MAX_BYTES", 3000)
    monkeypatch.setattr(lane, "LARGE_FRAME_BYTES", 20_000)
    monkeypatch.setattr("kafka_client.wire.endpoint.FRAME_MAX_BYTES", 3000)
    batches = [batch(0, [b"a"]), batch(1, [bytes(10_000)]), batch(2, [bytes(50_000)])]
    async with Logs([Log([*batches, batch(3, [b"d"])])]) as cluster:
        found = await cluster.read_all()
        assert brief(found) == [0, 1, (2, 2), 3]
        assert why(found).startswith("Its batch takes over ")


async def test_that_a_paused_partition_brings_nothing_and_keeps_its_place():
    logs = [Log([batch(0, [bytes(1000)] * 4000, Codec.ZSTD)]), Log(numbered(3))]
    async with Logs(logs) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0, (TOPIC, 1): 0}, 1000)
        found: list[Record] = []
        while not any(r.partition == 0 for r in found):
            found += await reader.next(10, 5.0)
        reader.pause([(TOPIC, 0)])
        while reader.positions()[TOPIC, 1] < 3:
            found += await reader.next(10, 5.0)
        before = reader.positions()[TOPIC, 0]
        assert await reader.next(10, 0.05) == []
        reader.resume([(TOPIC, 0)])
        found = await reader.next(10, 5.0)
        assert found[0].offset == before
        await reader.close()


async def test_that_reading_ahead_stops_when_enough_waits():
    log = Log([batch(o * 10, [bytes(10_000)] * 10) for o in range(200)])
    async with Logs([log]) as cluster:
        reader = await cluster.readers.open({(TOPIC, 0): 0}, 1)
        await reader.next(1, 5.0)
        asked = 0
        while asked != len(cluster.requests):
            asked = len(cluster.requests)
            await asyncio.sleep(0.05)
        waiting = sum(len(log.batches[0]) for _ in range(asked))
        assert waiting < 4 * sizes.KEPT_LEAST
        await reader.close()


async def test_that_one_read_leaves_a_reader_that_the_next_uses_again():
    async with Logs([Log(numbered(50))]) as cluster:
        for offset in (3, 40, 7):
            (found,) = await cluster.readers.read({(TOPIC, 0): offset}, 1, 5.0)
            assert (found.offset, found.value) == (offset, b"%04d" % offset)
        assert len(cluster.cluster.brokers[0]._open) == 2  # the client's and the reader's
        assert len(cluster.requests) == 3  # nothing in advance


async def test_that_a_reader_whose_call_was_cancelled_is_not_used_again():
    async with Logs([Log([])]) as cluster:
        reading = asyncio.create_task(cluster.readers.read({(TOPIC, 0): 0}, 1, 60.0))
        while not cluster.requests:
            await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        cluster.logs[0].batches = numbered(2)
        found = await cluster.readers.read({(TOPIC, 0): 1}, 1, 5.0)
        assert brief(found) == [1]


async def test_that_a_read_from_a_broker_that_is_dead_says_so():
    """None to read, and not answered, are two things."""
    async with Logs([Log(numbered(2)), Log(numbered(2))], brokers=2) as cluster:
        assert await cluster.readers.read({(TOPIC, 1): 2}, 1, 0.3) == []
        await cluster.cluster.brokers[1].stop()
        with pytest.raises(Unreachable):
            await cluster.readers.read({(TOPIC, 1): 0}, 1, 1.0)


async def test_that_closing_ends_a_reader_that_is_in_use():
    async with Logs([Log(numbered(2))]) as cluster:
        await cluster.readers.open({(TOPIC, 0): 0}, 1)
        await cluster.readers.close()
        assert not [t for t in asyncio.all_tasks() if "broker 1" in t.get_name()]


def test_that_the_profiles_properties_of_fetching_win():
    chosen = sizes.sizes(
        20_000,
        3,
        {
            "fetch.max.bytes": "5000000",
            "fetch.message.max.bytes": "70000",
            "fetch.wait.max.ms": "17",
            "fetch.min.bytes": "9",
        },
    )
    assert (chosen.response, chosen.partition, chosen.wait_ms, chosen.least) == (
        5_000_000,
        70_000,
        17,
        9,
    )
