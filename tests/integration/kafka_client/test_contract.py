import pytest

from kafka_client.gateway import open_client
from kafka_client.profile import quick
from tests.unit.kafka_client.contract import ClusterContract


@pytest.mark.real_kafka
class TestARealKafka(ClusterContract):
    @pytest.fixture
    async def client(self, real_kafka):
        client = open_client(quick(real_kafka.bootstrap_servers))
        await client.connect()
        await client.metadata()
        await client.list_groups()
        yield client
        await client.close()
