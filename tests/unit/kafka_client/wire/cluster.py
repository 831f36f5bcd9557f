"""Some fake brokers that know each other, and a pool of connections to them."""

import random

from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from kafka_client.wire import ConnectionPool, MetadataClient
from kafka_client.wire.endpoint import Timeouts
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from tests.unit.kafka_client.wire.broker import FakeBroker, topic

PATIENT = Timeouts(20.0, 20.0, 20.0, backoff_first_s=0.05, backoff_max_s=0.1)
"""For brokers that answer, however busy the machine is."""
HASTY = Timeouts(0.5, 8.0, 0.5, backoff_first_s=0.05, backoff_max_s=0.1)
"""For brokers that do not answer."""


def pool_to(profile, secrets=None, timeouts=PATIENT):
    return ConnectionPool(profile, secrets or MemorySecrets(), random.Random(1), timeouts)


class Cluster:
    """Some fake brokers that know each other, and a pool of connections to them."""

    def __init__(self, count, timeouts=PATIENT):
        self.timeouts = timeouts
        self.brokers = [FakeBroker(i + 1) for i in range(count)]

    async def __aenter__(self):
        for broker in self.brokers:
            await broker.start()
            broker.brokers = self.brokers
            broker.topics = [topic(f"t{b.node_id}", b.node_id, 2) for b in self.brokers]
            broker.answers[ApiKey.LIST_OFFSETS] = self.end_offsets
        self.pool = pool_to(quick(f"127.0.0.1:{self.brokers[0].port}"), timeouts=self.timeouts)
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
