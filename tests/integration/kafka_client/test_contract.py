import pytest

from kafka_client.gateway import open_client
from kafka_client.profile import quick
from tests.unit.kafka_client.contract import ClusterContract, open_a_reader


async def opened(bootstrap_servers):
    """A client whose connections are all open, so that a test starts none that outlive it."""
    client = open_client(quick(bootstrap_servers))
    await client.connect()
    await client.metadata()
    await client.list_groups()
    await open_a_reader(client)
    return client


@pytest.mark.real_kafka
class TestARealKafka(ClusterContract):
    @pytest.fixture
    async def client(self, real_kafka):
        client = await opened(real_kafka.bootstrap_servers)
        yield client
        await client.close()


class TestTheEmbeddedCluster(ClusterContract):
    @pytest.fixture
    async def client(self, embedded_cluster):
        client = await opened(embedded_cluster)
        yield client
        await client.close()
