"""The client's requests over real sockets, to brokers of a few lines."""

import asyncio
import random
import time

import pytest

from kafka_client.errors import Denied, TimedOut, Unreachable, Unsupported
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol, quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire import ConnectionPool, GroupClient, MetadataClient
from kafka_client.wire.assignment import read_assignment
from kafka_client.wire.connection import Connection
from kafka_client.wire.describe import quorum
from kafka_client.wire.endpoint import Timeouts
from kafka_client.wire.scram import Scram
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from kafka_protocol.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse
from kafka_protocol.messages.k16_list_groups import ListedGroup, ListGroupsResponse
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeResponse
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateResponse
from tests.unit.kafka_client.wire.broker import NOT_OFFERED, FakeBroker, topic

SHORT = Timeouts(dial_s=0.25, poll_s=0.25, backoff_first_s=0.05, backoff_max_s=0.1)


def pool_to(profile, secrets=None):
    return ConnectionPool(profile, secrets or MemorySecrets(), random.Random(1), SHORT)


class Cluster:
    """Some fake brokers that know each other, and a pool of connections to them."""

    def __init__(self, count):
        self.brokers = [FakeBroker(i + 1) for i in range(count)]

    async def __aenter__(self):
        for broker in self.brokers:
            await broker.start()
            broker.brokers = self.brokers
            broker.topics = [topic(f"t{b.node_id}", b.node_id, 2) for b in self.brokers]
            broker.answers[ApiKey.LIST_OFFSETS] = self.end_offsets
        self.pool = pool_to(quick(f"127.0.0.1:{self.brokers[0].port}"))
        self.client = MetadataClient(self.pool)
        return self

    def end_offsets(self, request):
        return ListOffsetsResponse(
            topics=[
                ListOffsetsTopicResponse(
                    t.name,
                    [
                        ListOffsetsPartitionResponse(p.partition_index, offset=7)
                        for p in t.partitions
                    ],
                )
                for t in request.topics
            ]
        )

    async def __aexit__(self, *_):
        await self.pool.close()
        for broker in self.brokers:
            await broker.stop()


async def test_that_metadata_names_brokers_and_who_leads():
    async with Cluster(2) as cluster:
        snapshot = await cluster.client.metadata()
        assert sorted(snapshot.brokers) == [1, 2]
        assert snapshot.topics["t2"].partitions[1].leader == 2
        assert snapshot.controller_id is None


async def test_that_one_list_offsets_request_goes_to_each_leader():
    async with Cluster(2) as cluster:
        found, errors = await cluster.client.offsets(
            {(f"t{b}", p): -1 for b in (1, 2) for p in (0, 1)}
        )
        assert set(found.values()) == {7} and len(found) == 4 and not errors
        assert [b.received.count(ApiKey.LIST_OFFSETS) for b in cluster.brokers] == [1, 1]


async def test_that_identical_requests_under_way_are_sent_once():
    async with Cluster(1) as cluster:
        await cluster.pool.connect(1.0)
        await asyncio.gather(*(cluster.client.metadata() for _ in range(20)))
        assert cluster.brokers[0].received.count(ApiKey.METADATA) == 1


async def test_that_a_refused_address_is_a_sentence_with_a_next_step():
    broker = await FakeBroker().start()
    await broker.stop()
    pool = pool_to(quick(f"127.0.0.1:{broker.port}"))
    with pytest.raises(Unreachable) as caught:
        await pool.connect(1.0)
    assert str(caught.value) == f"Nothing listens on 127.0.0.1:{broker.port}."
    assert caught.value.next_step
    await pool.close()


async def test_that_a_broker_that_takes_and_never_answers_costs_its_deadline_once():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        cluster.brokers[1].mode = "hang"
        wanted = {(f"t{b}", 0): -1 for b in (1, 2)}
        began = time.monotonic()
        found, errors = await cluster.client.offsets(wanted)
        assert found == {("t1", 0): 7} and list(errors) == ["broker 2"]
        assert (
            "did not answer within" in errors["broker 2"] or "does not answer" in errors["broker 2"]
        )
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        for _ in range(20):
            found, errors = await cluster.client.offsets(wanted)
            assert found == {("t1", 0): 7} and list(errors) == ["broker 2"]
        assert time.monotonic() - began < 0.2


async def test_that_a_broker_that_comes_back_is_dialled_without_a_request():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        second = cluster.brokers[1]
        await cluster.client.offsets({("t2", 0): -1})
        await second.stop()
        _, errors = await cluster.client.offsets({("t2", 0): -1})
        assert list(errors) == ["broker 2"]
        await second.start(second.port)
        async with asyncio.timeout(2.0):
            while (await cluster.client.offsets({("t2", 0): -1}))[1]:
                await asyncio.sleep(0.02)
        assert 2 in cluster.pool.round_trips()


async def test_that_a_flapping_broker_never_breaks_requests_to_others():
    async with Cluster(3) as cluster:
        await cluster.client.metadata()
        wanted = {(f"t{b}", 0): -1 for b in (1, 2, 3)}
        modes = ["close", "fine", "garbage", "huge", "fine", "http"]
        for turn in range(30):
            cluster.brokers[2].mode = modes[turn % len(modes)]
            found, errors = await cluster.client.offsets(wanted)
            assert found[("t1", 0)] == found[("t2", 0)] == 7
            assert set(errors) <= {"broker 3"}
            await asyncio.sleep(0.02)
        cluster.brokers[2].mode = "fine"
        async with asyncio.timeout(2.0):
            while len((await cluster.client.offsets(wanted))[0]) < 3:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["garbage", "huge", "http"])
async def test_that_an_answer_that_is_not_kafkas_is_reported_and_the_connection_dropped(mode):
    broker = await FakeBroker().start()
    broker.mode = mode
    pool = pool_to(quick(f"127.0.0.1:{broker.port}"))
    with pytest.raises(Unreachable) as caught:
        await pool.connect(1.0)
    assert "does not answer in Kafka's protocol" in str(caught.value)
    await pool.close()
    await broker.stop()


async def test_that_metadata_goes_to_another_broker_when_one_hangs():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        await cluster.client.offsets({("t1", 0): -1, ("t2", 0): -1})
        for frozen in cluster.brokers:
            frozen.mode = "hang"
            snapshot = await cluster.client.metadata()
            assert sorted(snapshot.brokers) == [1, 2]
            frozen.mode = "fine"
            await asyncio.sleep(0.3)


async def test_that_an_old_broker_gets_requests_in_its_versions():
    broker = FakeBroker()
    broker.highest = {
        ApiKey.API_VERSIONS: 2,
        ApiKey.METADATA: 5,
        ApiKey.OFFSET_FETCH: 5,
        ApiKey.FIND_COORDINATOR: 2,
        ApiKey.DESCRIBE_QUORUM: NOT_OFFERED,
    }
    await broker.start()
    broker.topics = [topic("t", 1)]
    pool = pool_to(quick(f"127.0.0.1:{broker.port}"))
    snapshot = await MetadataClient(pool).metadata()
    assert snapshot.controller_id == 1 and snapshot.topics["t"].partitions[0].leader == 1
    with pytest.raises(Unsupported):
        await quorum(pool)
    broker.answers[ApiKey.FIND_COORDINATOR] = lambda request: FindCoordinatorResponse(
        node_id=1, host="127.0.0.1", port=broker.port
    )
    broker.answers[ApiKey.OFFSET_FETCH] = lambda request: OffsetFetchResponse(
        topics=[OffsetFetchResponseTopic("t", [OffsetFetchResponsePartition(0, 5)])]
    )
    found, errors = await GroupClient(pool).committed(["g", "h"])
    assert found == {"g": {("t", 0): (5, "")}, "h": {("t", 0): (5, "")}} and not errors
    await pool.close()
    await broker.stop()


async def test_that_a_moved_coordinator_is_found_again():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        for broker in cluster.brokers:
            broker.answers[ApiKey.LIST_GROUPS] = lambda request: ListGroupsResponse()
            broker.answers[ApiKey.FIND_COORDINATOR] = lambda request: FindCoordinatorResponse(
                coordinators=[Coordinator(key, 2) for key in request.coordinator_keys]
            )
        first, second = cluster.brokers
        first.answers[ApiKey.LIST_GROUPS] = lambda request: ListGroupsResponse(
            groups=[ListedGroup("g", group_state="Empty", group_type="classic")]
        )
        first.answers[ApiKey.OFFSET_FETCH] = lambda request: OffsetFetchResponse(
            groups=[OffsetFetchResponseGroup("g", error_code=ErrorCode.NOT_COORDINATOR)]
        )
        committed = OffsetFetchResponseTopics(
            "t1", partitions=[OffsetFetchResponsePartitions(0, 3)]
        )
        second.answers[ApiKey.OFFSET_FETCH] = lambda request: OffsetFetchResponse(
            groups=[OffsetFetchResponseGroup("g", [committed])]
        )
        groups = GroupClient(cluster.pool)
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
    broker.answers[ApiKey.SASL_HANDSHAKE] = lambda request: SaslHandshakeResponse(
        mechanisms=["PLAIN"]
    )
    broker.answers[ApiKey.SASL_AUTHENTICATE] = lambda request: SaslAuthenticateResponse(
        ErrorCode.SASL_AUTHENTICATION_FAILED, "Authentication failed"
    )
    pool = pool_to(plain(broker.port), MemorySecrets({"sasl/password": "canary-81"}))
    with pytest.raises(Denied) as caught:
        await pool.connect(1.0)
    assert str(caught.value) == "The broker refused user name or password."
    assert "canary" not in repr(caught.value.__dict__)
    await pool.close()
    await broker.stop()


async def test_that_a_mechanism_that_is_not_offered_names_those_that_are():
    broker = await FakeBroker().start()
    broker.answers[ApiKey.SASL_HANDSHAKE] = lambda request: SaslHandshakeResponse(
        ErrorCode.UNSUPPORTED_SASL_MECHANISM, ["SCRAM-SHA-512", "OAUTHBEARER"]
    )
    pool = pool_to(plain(broker.port), MemorySecrets({"sasl/password": "x"}))
    with pytest.raises(Denied) as caught:
        await pool.connect(1.0)
    assert caught.value.detail == "It offers: SCRAM-SHA-512, OAUTHBEARER."
    await pool.close()
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


async def test_that_a_request_without_a_response_in_time_closes_the_connection():
    broker = await FakeBroker().start()
    connection = Connection(
        quick(f"127.0.0.1:{broker.port}"), MemorySecrets(), "127.0.0.1", broker.port, "broker 1"
    )
    await connection.open(1.0)
    broker.mode = "hang"
    with pytest.raises(TimedOut):
        await connection.request(MetadataRequest(topics=None), 0.05)
    assert not connection.is_open
    with pytest.raises(TimedOut):
        await connection.request(MetadataRequest(topics=None), 0.05)
    await connection.close()
    await broker.stop()
