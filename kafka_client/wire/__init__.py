"""A small asyncio client of Kafka's protocol, for what confluent-kafka does not offer or not in
bulk."""

from kafka_client.wire.groups import Groups
from kafka_client.wire.looking import Looking
from kafka_client.wire.pool import Wire

__all__ = ["Groups", "Looking", "Wire"]
