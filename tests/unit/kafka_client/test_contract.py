import pytest

from kafka_client.gateway import Gateway
from tests.fakes.client import FakeClient
from tests.unit.kafka_client.contract import ClusterContract


class TestTheFake(ClusterContract):
    @pytest.fixture
    def client(self):
        return Gateway(FakeClient(moving=False))
