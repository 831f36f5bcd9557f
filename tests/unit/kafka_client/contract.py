"""Check what every ``ClusterClient`` must do: run against the fake in tests/unit and
real clusters in tests/integration. A class that derives from this gives a fixture ``client``,
connected, to a cluster of three brokers."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest

from kafka_client.api import EARLIEST, LATEST, MAX_TIMESTAMP
from kafka_client.errors import ClientError, Rejected
from kafka_client.model import (
    ConfigChange,
    ConfigResource,
    ConfigSource,
    Header,
    NewRecord,
    NewTopic,
    Record,
)
from kafka_protocol.errors import ErrorCode


async def eventually(question, holds, seconds=15.0):
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = await question()
            if holds(answer):
                return answer
        except ClientError as error:
            answer = error
        assert time.monotonic() < deadline, f"still {answer!r}"
        await asyncio.sleep(0.05)


async def make_topic(client, partitions=3, factor=3, **configs):
    name = f"contract-{uuid.uuid4().hex[:10]}"
    await client.create_topics(
        [NewTopic(name, partitions, factor, {k.replace("_", "."): v for k, v in configs.items()})]
    )

    def complete(snapshot):
        topic = snapshot.topics.get(name)
        return (
            topic
            and len(topic.partitions) == partitions
            and all(p.leader is not None for p in topic.partitions)
        )

    await eventually(client.metadata, complete)
    return name


async def open_a_reader(client):
    """Have the client keep a reader with a connection to each broker, as the next ones use it."""
    name = await make_topic(client)
    await client.produce([record(name, b"v", partition=p) for p in range(3)])
    reader = await client.open_reader({(name, p): 0 for p in range(3)})
    await eventually(
        lambda: reader.next(10, 1.0), lambda _: all(at == 1 for at in reader.positions().values())
    )
    await reader.close()


def record(topic, value, key=None, **more):
    return NewRecord(topic, key, value, **more)


class ClusterContract:
    async def test_that_metadata_names_brokers_and_topics_with_leaders_and_replicas(self, client):
        name = await make_topic(client)
        snapshot = await client.metadata()
        assert len(snapshot.brokers) == 3 and snapshot.cluster_id
        topic = snapshot.topics[name]
        assert [p.partition for p in topic.partitions] == [0, 1, 2]
        assert topic.topic_id and topic.replication_factor == 3
        for p in topic.partitions:
            assert (
                p.leader in p.replicas
                and set(p.isr) <= set(p.replicas)
                and p.leader_epoch is not None
            )
        assert {p.leader for p in topic.partitions} == set(snapshot.brokers)

    async def test_that_looking_for_an_unknown_topic_does_not_create_it(self, client):
        name = f"nobody-{uuid.uuid4().hex[:8]}"
        await client.metadata([name])
        with pytest.raises(Rejected) as caught:
            await client.produce([record(name, b"x")])
        assert caught.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert name not in (await client.metadata()).topics

    async def test_that_the_quorum_names_its_leader(self, client):
        quorum = await client.quorum()
        assert quorum.leader_id in quorum.voters and quorum.leader_epoch >= 0

    async def test_that_records_come_back_as_they_were_sent(self, client):
        name = await make_topic(client)
        stamp = int(time.time() * 1000) - 5000
        sent = [
            record(
                name,
                b"plain",
                b"k",
                partition=1,
                timestamp_ms=stamp,
                headers=(Header("h", b"1"), Header("n", None)),
            ),
            record(name, None, b"k", partition=1),
            record(name, b"", None, partition=1),
        ]
        placed = await client.produce(sent)
        assert placed == [(1, 0), (1, 1), (1, 2)]
        read = await eventually(
            lambda: client.read({(name, 1): 0}, 10, 2.0), lambda found: len(found) == 3
        )
        assert [r.value for r in read] == [b"plain", None, b""]
        assert [r.key for r in read] == [b"k", b"k", None]
        assert read[0].headers == (Header("h", b"1"), Header("n", None))
        assert (read[0].timestamp_ms, read[0].timestamp_type) == (stamp, "create")
        assert [r.offset for r in read] == [0, 1, 2]

    async def test_that_offsets_are_found_by_end_and_by_time(self, client):
        name = await make_topic(client)
        await client.produce(
            [record(name, b"v", partition=0, timestamp_ms=1000 * (i + 1)) for i in range(5)]
        )
        first, second = (name, 0), (name, 1)
        for wanted, expected in (
            (EARLIEST, 0),
            (LATEST, 5),
            (2500, 2),
            (MAX_TIMESTAMP, 4),
            (99_000, -1),
        ):
            found, errors = await client.offsets({first: wanted})
            assert (found, errors) == ({first: expected}, {}), wanted
        found, _ = await client.offsets({first: LATEST, second: LATEST})
        assert found == {first: 5, second: 0}

    async def test_that_an_unknown_partition_is_an_error_under_its_name(self, client):
        name = await make_topic(client, 1, 1)
        wanted = {(name, 0): LATEST, (name, 7): LATEST}
        # A leader that was just elected may not know it yet.
        found, errors = await eventually(
            lambda: client.offsets(wanted), lambda answer: (name, 0) in answer[0]
        )
        assert found == {(name, 0): 0}
        assert list(errors) == [f"{name}-7"]

    async def test_that_a_reader_goes_on_pauses_and_knows_its_position(self, client):
        name = await make_topic(client, 2, 1)
        await client.produce([record(name, b"a%d" % i, partition=i % 2) for i in range(10)])
        reader = await client.open_reader({(name, 0): 1, (name, 1): 0})
        try:
            got: list[Record] = []
            reader.pause([(name, 1)])
            await eventually(lambda: self._more(reader, got), lambda all_: len(all_) >= 4)
            assert {r.partition for r in got} == {0} and [r.offset for r in got] == [1, 2, 3, 4]
            reader.resume([(name, 1)])
            await eventually(lambda: self._more(reader, got), lambda all_: len(all_) == 9)
            assert dict(reader.positions()) == {(name, 0): 5, (name, 1): 5}
        finally:
            await reader.close()

    async def _more(self, reader, got):
        got += await reader.next(100, 0.3)
        return got

    async def test_that_log_directories_give_sizes_and_the_disk(self, client):
        name = await make_topic(client)
        await client.produce([record(name, b"x" * 1000, partition=0)])
        ids = sorted((await client.metadata()).brokers)
        found, errors = await client.log_dirs([*ids, 99])
        assert sorted(found) == ids and list(errors) == ["broker 99"]
        for dirs in found.values():
            total, free = dirs.volume
            assert total >= free > 0 and not dirs.failed
        assert any(found[b].sizes.get((name, 0), 0) > 0 for b in ids)

    async def test_that_topics_are_checked_created_grown_and_deleted(self, client):
        name = f"contract-{uuid.uuid4().hex[:10]}"
        await client.create_topics([NewTopic(name, 1, 1)], validate_only=True)
        assert name not in (await client.metadata()).topics
        for bad, code in (
            (NewTopic("no/slash", 1, 1), 17),
            (NewTopic(name, 1, 9), 38),
            (NewTopic(name, 0, 1), 37),
        ):
            with pytest.raises(ClientError) as caught:
                await client.create_topics([bad])
            assert getattr(caught.value, "code", code) == code
            assert str(caught.value).startswith("Cannot create topic")
        await client.create_topics([NewTopic(name, 1, 1)])
        with pytest.raises(Rejected) as caught:
            await client.create_topics([NewTopic(name, 1, 1)])
        assert caught.value.name == "TOPIC_ALREADY_EXISTS"
        await client.create_partitions(name, 3)
        await eventually(
            client.metadata, lambda s: name in s.topics and len(s.topics[name].partitions) == 3
        )
        with pytest.raises(Rejected) as caught:
            await client.create_partitions(name, 2)
        assert caught.value.code == ErrorCode.INVALID_PARTITIONS
        await client.delete_topics([name])
        await eventually(client.metadata, lambda s: name not in s.topics)
        with pytest.raises(Rejected) as caught:
            await client.delete_topics([name])
        assert caught.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    async def test_that_records_are_deleted_up_to_an_offset(self, client):
        name = await make_topic(client, 1, 3)
        await client.produce([record(name, b"v", partition=0) for _ in range(5)])
        assert await client.delete_records({(name, 0): 3}) == {(name, 0): 3}
        found, _ = await client.offsets({(name, 0): EARLIEST})
        assert found == {(name, 0): 3}
        assert [r.offset for r in await client.read({(name, 0): 0}, 10, 2.0)] == [3, 4]
        with pytest.raises(Rejected) as caught:
            await client.delete_records({(name, 0): 50})
        assert caught.value.code == ErrorCode.OFFSET_OUT_OF_RANGE

    async def test_that_settings_are_changed_checked_and_reset(self, client):
        name = await make_topic(client, retention_ms="60000")
        resource = ConfigResource("topic", name)

        async def retention():
            entries = {e.name: e for e in (await client.configs([resource]))[resource]}
            return entries["retention.ms"]

        entry = await retention()
        assert (entry.value, entry.source) == ("60000", ConfigSource.TOPIC)
        await client.alter_configs(
            [ConfigChange(resource, "retention.ms", "70000")], validate_only=True
        )
        assert (await retention()).value == "60000"
        await client.alter_configs([ConfigChange(resource, "retention.ms", "70000")])
        await eventually(retention, lambda e: e.value == "70000")
        with pytest.raises(ClientError):
            await client.alter_configs([ConfigChange(resource, "retention.ms", "soon")])
        await client.alter_configs([ConfigChange(resource, "retention.ms", None)])
        entry = await eventually(retention, lambda e: e.source is not ConfigSource.TOPIC)
        assert entry.value == "604800000" and entry.default == "604800000"

    async def test_that_brokers_and_the_cluster_have_settings(self, client):
        broker = sorted((await client.metadata()).brokers)[0]
        own, everyone = ConfigResource("broker", str(broker)), ConfigResource("broker", "")
        found = await client.configs([own, everyone])
        entries = {e.name: e for e in found[own]}
        assert entries["log.dirs"].read_only or entries["log.dir"].read_only
        assert any(e.text for e in entries.values())
        await client.alter_configs([ConfigChange(everyone, "message.max.bytes", "2000000")])

        async def seen():
            return {e.name: e for e in (await client.configs([own]))[own]}["message.max.bytes"]

        await eventually(seen, lambda e: (e.value, e.source) == ("2000000", ConfigSource.CLUSTER))
        await client.alter_configs([ConfigChange(everyone, "message.max.bytes", None)])
        await eventually(seen, lambda e: e.source is ConfigSource.DEFAULT)

    async def test_that_offsets_of_a_group_are_set_read_and_deleted_with_it(self, client):
        name = await make_topic(client)
        await client.produce([record(name, b"v", partition=i % 3) for i in range(9)])
        group = f"contract-{uuid.uuid4().hex[:8]}"
        places = {(name, 0): 1, (name, 1): 2, (name, 2): 3}
        await eventually(lambda: self._set(client, group, places), bool)
        found, errors = await client.committed([group])
        assert {tp: offset for tp, (offset, _) in found[group].items()} == places and not errors
        listed, _ = await client.list_groups()
        assert listed[group].state == "Empty" and listed[group].kind == "classic"
        described, _ = await client.describe_groups([group])
        assert (
            described[group].members == ()
            and described[group].coordinator in (await client.metadata()).brokers
        )
        await client.delete_groups([group])

        async def names():
            return (await client.list_groups())[0]

        await eventually(names, lambda groups: group not in groups)
        with pytest.raises(Rejected) as caught:
            await client.delete_groups([group])
        assert caught.value.code == ErrorCode.GROUP_ID_NOT_FOUND

    async def _set(self, client, group, places):
        await client.alter_committed(group, places)
        return True

    async def test_that_leaders_are_elected_without_complaint_when_nothing_is_to_do(self, client):
        name = await make_topic(client)
        await client.elect_leaders([(name, 0)])
        with pytest.raises(Rejected):
            await client.elect_leaders([(f"{name}-nobody", 0)])

    async def test_that_a_key_always_goes_to_one_partition(self, client):
        name = await make_topic(client)
        placed = await client.produce([record(name, b"v", b"customer-7") for _ in range(5)])
        assert len({partition for partition, _ in placed}) == 1

    async def test_that_round_trips_are_known_after_asking(self, client):
        await client.metadata()
        await client.list_groups()
        assert all(ms > 0 for ms in client.round_trips().values())
        assert client.round_trips()
