"""One connection: versions, deadlines, answers that are not Kafka's."""

import pytest

from kafka_client.errors import TimedOut, Unreachable, Unsupported
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire import GroupClient, MetadataClient
from kafka_client.wire.connection import Connection
from kafka_client.wire.describe import quorum
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
)
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorResponse
from tests.unit.kafka_client.wire.broker import NOT_OFFERED, FakeBroker, topic
from tests.unit.kafka_client.wire.cluster import pool_to


@pytest.mark.parametrize("mode", ["garbage", "huge", "http"])
async def test_that_an_answer_that_is_not_kafkas_is_reported_and_the_connection_dropped(mode):
    broker = await FakeBroker().start()
    broker.mode = mode
    pool = pool_to(quick(f"127.0.0.1:{broker.port}"))
    with pytest.raises(Unreachable) as caught:
        await pool.connect(20.0)
    assert "does not answer in Kafka's protocol" in str(caught.value)
    await pool.close()
    await broker.stop()


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


async def test_that_a_request_without_a_response_in_time_closes_the_connection():
    broker = await FakeBroker().start()
    connection = Connection(
        quick(f"127.0.0.1:{broker.port}"), MemorySecrets(), "127.0.0.1", broker.port, "broker 1"
    )
    await connection.open(20.0)
    broker.mode = "hang"
    with pytest.raises(TimedOut):
        await connection.request(MetadataRequest(topics=None), 0.05)
    assert not connection.is_open
    with pytest.raises(TimedOut):
        await connection.request(MetadataRequest(topics=None), 0.05)
    await connection.close()
    await broker.stop()
