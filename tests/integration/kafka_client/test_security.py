"""The client against a real Kafka that wants TLS, a login, or both: every protocol and mechanism,
and refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kafka_client.errors import ClientError, Denied, Unreachable
from kafka_client.gateway import open_client
from kafka_client.model import NewRecord, NewTopic
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol
from kafka_client.secrets import MemorySecrets
from tests.real_kafka.fetch import why_unavailable
from tests.real_kafka.launcher import RealCluster
from tests.real_kafka.security import PASSWORD, USER

pytestmark = pytest.mark.real_kafka


def cluster(protocol: Protocol) -> Iterator[RealCluster]:
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with RealCluster(brokers=1, protocol=protocol.value) as running:
        yield running


@pytest.fixture(scope="module")
def sasl_ssl() -> Iterator[RealCluster]:
    yield from cluster(Protocol.SASL_SSL)


def profile(
    running: RealCluster, mechanism: Mechanism = Mechanism.SCRAM_512, **changes
) -> ConnectionProfile:
    return ConnectionProfile(
        **{
            "name": "secure",
            "bootstrap_servers": tuple(running.bootstrap_servers.split(",")),
            "security_protocol": Protocol(running.protocol),
            "sasl_mechanism": mechanism,
            "sasl_username": USER,
            "sasl_password_ref": "secure/password",
            "ca_path": str(running.ca_file) if running.protocol.endswith("SSL") else "",
            **changes,
        }
    )


def secrets(password: str = PASSWORD) -> MemorySecrets:
    return MemorySecrets({"secure/password": password})


async def works(client) -> None:
    """Looking over the wire, changing and sending over confluent-kafka."""
    await client.connect()
    name = f"secure-{time.time_ns()}"
    await client.create_topics([NewTopic(name, 1, 1)])
    assert await client.produce([NewRecord(name, b"k", b"v")]) == [(0, 0)]
    records = await client.read({(name, 0): 0}, 1, 5.0)
    assert [r.value for r in records] == [b"v"]


async def closing(client, work) -> None:
    try:
        await work
    finally:
        await client.close()


@pytest.mark.parametrize("mechanism", list(Mechanism))
async def test_that_every_mechanism_logs_in_over_tls(sasl_ssl, mechanism):
    client = open_client(profile(sasl_ssl, mechanism), secrets())
    await closing(client, works(client))


@pytest.mark.parametrize("mechanism", list(Mechanism))
async def test_that_a_wrong_password_is_denied(sasl_ssl, mechanism):
    client = open_client(profile(sasl_ssl, mechanism), secrets("canary-not-it"))
    with pytest.raises(Denied) as caught:
        await closing(client, client.connect())
    assert "canary" not in str(caught.value) + repr(caught.value.__dict__)


async def test_that_a_certificate_of_an_unknown_authority_is_refused(sasl_ssl):
    client = open_client(profile(sasl_ssl, ca_path=""), secrets())
    with pytest.raises(Unreachable, match="not trusted"):
        await closing(client, client.connect())


async def test_that_plain_speech_to_a_tls_port_says_so(sasl_ssl):
    client = open_client(
        profile(sasl_ssl, security_protocol=Protocol.PLAINTEXT, sasl_username="x"), secrets()
    )
    with pytest.raises(ClientError) as caught:
        await closing(client, client.connect(3.0))
    assert "security protocol" in caught.value.next_step


@pytest.mark.parametrize("protocol", [Protocol.SSL, Protocol.SASL_PLAINTEXT])
async def test_that_the_other_protocols_work_too(protocol):
    for running in cluster(protocol):
        client = open_client(profile(running), secrets())
        await closing(client, works(client))
