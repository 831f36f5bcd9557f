import pytest

from kafka_client.fake import FakeClient
from kafka_client.gateway import Gateway
from tests.unit.kafka_client.contract import ClusterContract


class TestTheFake(ClusterContract):
    @pytest.fixture
    def client(self):
        return Gateway(FakeClient(moving=False))
