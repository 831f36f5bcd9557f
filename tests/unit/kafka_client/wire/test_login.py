"""Logins that fail."""

import pytest

from kafka_client.errors import Denied
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol
from kafka_client.secrets import MemorySecrets
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeResponse
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateResponse
from tests.unit.kafka_client.wire.broker import FakeBroker
from tests.unit.kafka_client.wire.cluster import pool_to


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
        await pool.connect(20.0)
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
        await pool.connect(20.0)
    assert caught.value.detail == "It offers: SCRAM-SHA-512, OAUTHBEARER."
    await pool.close()
    await broker.stop()
