"""The corpus of tests/unit/kafka_protocol/hostile.py, as responses to the client."""

from __future__ import annotations

import asyncio

import pytest

from kafka_client.errors import Unreachable
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire import ConnectionPool, MetadataClient
from kafka_client.wire.connection import Connection
from kafka_client.wire.versions import NEWEST_USED
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import is_flexible, request_class, response_class
from kafka_protocol.framing import CORRELATION_ID
from tests.unit.kafka_client.wire.broker import FakeBroker, topic
from tests.unit.kafka_protocol import hostile

READ_BY_THE_CLIENT = (
    ApiKey.FETCH,
    ApiKey.LIST_OFFSETS,
    ApiKey.METADATA,
    ApiKey.OFFSET_FETCH,
    ApiKey.DESCRIBE_GROUPS,
    ApiKey.LIST_GROUPS,
    ApiKey.API_VERSIONS,
    ApiKey.DESCRIBE_CONFIGS,
    ApiKey.DESCRIBE_LOG_DIRS,
    ApiKey.DESCRIBE_QUORUM,
    ApiKey.CONSUMER_GROUP_DESCRIBE,
)


@pytest.fixture
async def broker():
    found = await FakeBroker().start()
    found.topics = [topic("t", 1)]
    yield found
    await found.stop()


async def connected(broker: FakeBroker) -> Connection:
    connection = Connection(
        quick(f"127.0.0.1:{broker.port}"), MemorySecrets(), "127.0.0.1", broker.port, "broker 1"
    )
    await connection.open(20.0)
    return connection


@pytest.mark.parametrize("api_key", READ_BY_THE_CLIENT, ids=lambda key: key.name.lower())
async def test_that_a_hostile_response_is_decoded_or_closes_the_connection(broker, api_key):
    version = min(request_class(api_key).MAX_VERSION, NEWEST_USED.get(api_key, 99))
    flexible_header = api_key != ApiKey.API_VERSIONS and is_flexible(api_key, version)
    message = request_class(api_key)()
    refused = 0
    connection = await connected(broker)
    for data in hostile.some(response_class(api_key), version, seed=int(api_key), count=60):
        broker.raw_body = b"\0" * flexible_header + data
        if not connection.is_open:
            await connection.close()
            broker.raw_body, body = None, broker.raw_body
            connection = await connected(broker)
            broker.raw_body = body
        try:
            response = await connection.request(message, 20.0, version)
        except Unreachable as error:
            assert str(error).endswith("does not answer in Kafka's protocol.")
            assert not connection.is_open
            refused += 1
        else:
            assert type(response) is response_class(api_key)
    assert refused
    await connection.close()


@pytest.mark.parametrize("tags", hostile.TAGS[:3])
async def test_that_hostile_tags_in_a_response_header_close_the_connection(broker, tags):
    connection = await connected(broker)
    broker.raw_body = tags + b"\0" * 40
    with pytest.raises(Unreachable):
        await connection.request(request_class(ApiKey.METADATA)(), 20.0, 12)
    assert not connection.is_open
    await connection.close()


@pytest.mark.parametrize("size", [0, 1, CORRELATION_ID.size - 1, 2**20 + 1, 2**31, 2**32 - 1])
async def test_that_a_frame_of_an_impossible_size_closes_the_connection(broker, size):
    """Also before the login, when the limit is lower: whoever answers may not be Kafka
    at all."""
    connection = Connection(
        quick(f"127.0.0.1:{broker.port}"), MemorySecrets(), "127.0.0.1", broker.port, "broker 1"
    )
    broker.raw_size = size
    with pytest.raises(Unreachable, match="does not answer in Kafka's protocol"):
        await connection.open(20.0)
    await connection.close()


async def test_that_the_pool_recovers_from_every_hostile_response(broker):
    pool = ConnectionPool(quick(f"127.0.0.1:{broker.port}"), MemorySecrets())
    client = MetadataClient(pool)
    await client.metadata()
    metadata = response_class(ApiKey.METADATA)
    for data in hostile.some(metadata, metadata.MAX_VERSION, seed=5, count=10):
        broker.raw_body = b"\0" + data[:-1]
        with pytest.raises(Unreachable):
            await client.metadata()
        broker.raw_body = None
        async with asyncio.timeout(20.0):
            assert list((await client.metadata()).topics) == ["t"]
    await pool.close()
