import asyncio
import random
import time

import pytest

from kafka_client.errors import Denied, TimedOut, Unreachable, Unsupported
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol, quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire import Groups, Looking, Wire, connection, messages, pool
from kafka_client.wire.groups import read_assignment
from kafka_client.wire.login import Scram
from tests.unit.kafka_client.wire.broker import FakeBroker, topic


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    messages.warm()
    monkeypatch.setattr(pool, "LOOK_TIMEOUT_S", 0.25)
    monkeypatch.setattr("kafka_client.wire.looking.LOOK_TIMEOUT_S", 0.25)
    monkeypatch.setattr("kafka_client.wire.groups.LOOK_TIMEOUT_S", 0.25)
    monkeypatch.setattr(pool, "DIAL_TIMEOUT_S", 0.25)
    monkeypatch.setattr(pool, "BACK_OFF_FIRST_S", 0.05)
    monkeypatch.setattr(pool, "BACK_OFF_MOST_S", 0.1)


class Cluster:
    """Some fake brokers that know each other, and a wire to them."""

    def __init__(self, count):
        self.brokers = [FakeBroker(i + 1) for i in range(count)]
        self.wire = None

    async def __aenter__(self):
        for broker in self.brokers:
            await broker.start()
            broker.brokers = self.brokers
            broker.topics = [topic(f"t{b.node_id}", b.node_id, 2) for b in self.brokers]
            broker.answers[2] = self.end_offsets
        self.wire = Wire(
            quick(f"127.0.0.1:{self.brokers[0].port}"), MemorySecrets(), random.Random(1)
        )
        self.looking = Looking(self.wire)
        return self

    def end_offsets(self, request):
        return {
            "topics": [
                {
                    "name": t.name,
                    "partitions": [
                        {"partition_index": p.partition_index, "offset": 7} for p in t.partitions
                    ],
                }
                for t in request.topics
            ]
        }

    async def __aexit__(self, *_):
        await self.wire.close()
        for broker in self.brokers:
            await broker.stop()


async def test_that_metadata_names_brokers_and_who_leads():
    async with Cluster(2) as cluster:
        snapshot = await cluster.looking.metadata()
        assert sorted(snapshot.brokers) == [1, 2]
        assert snapshot.topics["t2"].partitions[1].leader == 2
        assert snapshot.controller_id is None


async def test_that_offsets_are_asked_once_per_leader():
    async with Cluster(2) as cluster:
        found, errors = await cluster.looking.offsets(
            {(f"t{b}", p): -1 for b in (1, 2) for p in (0, 1)}
        )
        assert set(found.values()) == {7} and len(found) == 4 and not errors
        assert [b.asked.count(2) for b in cluster.brokers] == [1, 1]


async def test_that_identical_questions_under_way_are_asked_once():
    async with Cluster(1) as cluster:
        await cluster.wire.connect(1.0)
        await asyncio.gather(*(cluster.looking.metadata() for _ in range(20)))
        assert cluster.brokers[0].asked.count(3) == 1


async def test_that_a_refused_address_is_a_sentence_with_a_next_step():
    broker = await FakeBroker().start()
    await broker.stop()
    wire = Wire(quick(f"127.0.0.1:{broker.port}"), MemorySecrets())
    with pytest.raises(Unreachable) as caught:
        await wire.connect(1.0)
    assert str(caught.value) == f"Nothing listens on 127.0.0.1:{broker.port}."
    assert caught.value.next_step
    await wire.close()


async def test_that_a_broker_that_takes_and_never_answers_costs_its_deadline_once():
    async with Cluster(2) as cluster:
        await cluster.looking.metadata()
        cluster.brokers[1].mode = "hang"
        wanted = {(f"t{b}", 0): -1 for b in (1, 2)}
        began = time.monotonic()
        found, errors = await cluster.looking.offsets(wanted)
        assert found == {("t1", 0): 7} and list(errors) == ["broker 2"]
        assert (
            "did not answer within" in errors["broker 2"] or "does not answer" in errors["broker 2"]
        )
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        for _ in range(20):
            found, errors = await cluster.looking.offsets(wanted)
            assert found == {("t1", 0): 7} and list(errors) == ["broker 2"]
        assert time.monotonic() - began < 0.2


async def test_that_a_broker_that_comes_back_is_dialled_without_being_asked():
    async with Cluster(2) as cluster:
        await cluster.looking.metadata()
        second = cluster.brokers[1]
        await cluster.looking.offsets({("t2", 0): -1})
        await second.stop()
        _, errors = await cluster.looking.offsets({("t2", 0): -1})
        assert list(errors) == ["broker 2"]
        await second.start(second.port)
        async with asyncio.timeout(2.0):
            while (await cluster.looking.offsets({("t2", 0): -1}))[1]:
                await asyncio.sleep(0.02)
        assert 2 in cluster.wire.round_trips()


async def test_that_a_flapping_broker_never_breaks_questions_to_others():
    async with Cluster(3) as cluster:
        await cluster.looking.metadata()
        wanted = {(f"t{b}", 0): -1 for b in (1, 2, 3)}
        modes = ["close", "fine", "garbage", "huge", "fine", "http"]
        for turn in range(30):
            cluster.brokers[2].mode = modes[turn % len(modes)]
            found, errors = await cluster.looking.offsets(wanted)
            assert found[("t1", 0)] == found[("t2", 0)] == 7
            assert set(errors) <= {"broker 3"}
            await asyncio.sleep(0.02)
        cluster.brokers[2].mode = "fine"
        async with asyncio.timeout(2.0):
            while len((await cluster.looking.offsets(wanted))[0]) < 3:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["garbage", "huge", "http"])
async def test_that_what_is_not_kafka_is_told_and_the_connection_dropped(mode):
    broker = await FakeBroker().start()
    broker.mode = mode
    wire = Wire(quick(f"127.0.0.1:{broker.port}"), MemorySecrets())
    with pytest.raises(Unreachable) as caught:
        await wire.connect(1.0)
    assert "does not answer in Kafka's protocol" in str(caught.value)
    await wire.close()
    await broker.stop()


async def test_that_metadata_goes_to_another_broker_when_one_hangs():
    async with Cluster(2) as cluster:
        await cluster.looking.metadata()
        await cluster.looking.offsets({("t1", 0): -1, ("t2", 0): -1})
        for frozen in cluster.brokers:
            frozen.mode = "hang"
            snapshot = await cluster.looking.metadata()
            assert sorted(snapshot.brokers) == [1, 2]
            frozen.mode = "fine"
            await asyncio.sleep(0.3)


async def test_that_an_old_broker_is_spoken_to_in_its_version():
    broker = FakeBroker()
    broker.highest = {18: 2, 3: 5, 9: 5, 10: 2, 55: -1}
    await broker.start()
    broker.topics = [topic("t", 1)]
    wire = Wire(quick(f"127.0.0.1:{broker.port}"), MemorySecrets())
    looking = Looking(wire)
    snapshot = await looking.metadata()
    assert snapshot.controller_id == 1 and snapshot.topics["t"].partitions[0].leader == 1
    with pytest.raises(Unsupported):
        await looking.quorum()
    broker.answers[10] = lambda request: {"node_id": 1, "host": "127.0.0.1", "port": broker.port}
    broker.answers[9] = lambda request: {
        "topics": [
            {
                "name": "t",
                "partitions": [{"partition_index": 0, "committed_offset": 5, "metadata": ""}],
            }
        ]
    }
    found, errors = await Groups(wire).committed(["g", "h"])
    assert found == {"g": {("t", 0): (5, "")}, "h": {("t", 0): (5, "")}} and not errors
    await wire.close()
    await broker.stop()


async def test_that_a_moved_coordinator_is_found_again():
    async with Cluster(2) as cluster:
        await cluster.looking.metadata()
        for broker in cluster.brokers:
            broker.answers[16] = lambda request: {"groups": []}
            broker.answers[10] = lambda request: {
                "coordinators": [
                    {"key": k, "node_id": 2, "host": "", "port": 0}
                    for k in request.coordinator_keys
                ]
            }
        first, second = cluster.brokers
        first.answers[16] = lambda request: {
            "groups": [{"group_id": "g", "group_state": "Empty", "group_type": "classic"}]
        }
        first.answers[9] = lambda request: {
            "groups": [{"group_id": "g", "error_code": 16, "topics": []}]
        }
        second.answers[9] = lambda request: {
            "groups": [
                {
                    "group_id": "g",
                    "topics": [
                        {
                            "name": "t1",
                            "partitions": [{"partition_index": 0, "committed_offset": 3}],
                        }
                    ],
                }
            ]
        }
        groups = Groups(cluster.wire)
        listed, _ = await groups.list_groups()
        assert listed["g"].coordinator == 1
        found, errors = await groups.committed(["g"])
        assert found == {"g": {("t1", 0): (3, "")}} and not errors


def plain(port, username="ada", mechanism=Mechanism.PLAIN):
    return ConnectionProfile(
        "sasl",
        (f"127.0.0.1:{port}",),
        Protocol.SASL_PLAINTEXT,
        mechanism,
        username,
        "sasl/password",
    )


async def test_that_a_wrong_password_is_denied_and_the_password_is_nowhere_in_the_error():
    broker = await FakeBroker().start()
    broker.answers[17] = lambda request: {"mechanisms": ["PLAIN"]}
    broker.answers[36] = lambda request: {
        "error_code": 58,
        "error_message": "Authentication failed",
        "auth_bytes": b"",
    }
    wire = Wire(plain(broker.port), MemorySecrets({"sasl/password": "canary-81"}))
    with pytest.raises(Denied) as caught:
        await wire.connect(1.0)
    assert str(caught.value) == "The broker refused user name or password."
    assert "canary" not in repr(caught.value.__dict__)
    await wire.close()
    await broker.stop()


async def test_that_a_mechanism_that_is_not_offered_names_those_that_are():
    broker = await FakeBroker().start()
    broker.answers[17] = lambda request: {
        "error_code": 33,
        "mechanisms": ["SCRAM-SHA-512", "OAUTHBEARER"],
    }
    wire = Wire(plain(broker.port), MemorySecrets({"sasl/password": "x"}))
    with pytest.raises(Denied) as caught:
        await wire.connect(1.0)
    assert caught.value.detail == "It offers: SCRAM-SHA-512, OAUTHBEARER."
    await wire.close()
    await broker.stop()


def test_that_scram_follows_the_vectors_of_rfc_7677():
    scram = Scram("user", "pencil", "sha256", nonce="rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert scram.proof(challenge) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=W22Z,i=4096",
        b"r=abc,s=W22Z,i=4096",
        b"r=abcd,s=W22Z,i=1",
        b"r=abcd,s=W22Z,i=999999999",
        b"r=abcd,s=!,i=4096",
        b"\xff",
        b"",
    ],
)
def test_that_a_server_that_cannot_be_right_is_not_given_a_proof(challenge):
    with pytest.raises(Denied):
        Scram("u", "p", "sha256", nonce="abc").proof(challenge)


def test_that_a_server_without_the_password_is_found_out():
    scram = Scram("u", "p", "sha256", nonce="abc")
    scram.proof(b"r=abcd,s=W22Z,i=4096")
    for final in (b"v=AAAA", b"e=unknown-user", b"v=!", b"\xff"):
        with pytest.raises(Denied):
            scram.verify(final)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\0\0\0\1\xff\xff",
        b"\0\0\0\0\0\1\0\1t\x7f\xff\xff\xff",
        b"\0\0\0\0\0\1\0\x09abc",
    ],
)
def test_that_a_broken_assignment_is_none(data):
    assert read_assignment(data) == ()


def test_that_an_assignment_is_read():
    data = b"\0\1\0\0\0\2\0\1b\0\0\0\1\0\0\0\3\0\1a\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\0"
    assert read_assignment(data) == (("a", 0), ("a", 1), ("b", 3))


async def test_that_a_late_answer_finds_a_closed_connection(monkeypatch):
    broker = await FakeBroker().start()
    line = connection.Connection(
        quick(f"127.0.0.1:{broker.port}"), MemorySecrets(), "127.0.0.1", broker.port, "broker 1"
    )
    await line.open(1.0)
    broker.mode = "hang"
    with pytest.raises(TimedOut):
        await line.ask(3, {"topics": None}, 0.05)
    assert not line.is_open
    with pytest.raises(TimedOut):
        await line.ask(3, {"topics": None}, 0.05)
    await line.close()
    await broker.stop()
