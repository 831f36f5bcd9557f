"""An asyncio client of Kafka's protocol, for what confluent-kafka does not offer, or
not in bulk.

``ConnectionPool`` holds a connection to each broker; ``MetadataClient``,
``GroupClient`` and the functions of ``configs``, ``describe`` and ``elections`` send
requests through it. Messages, codec and error codes are those of ``kafka_protocol``.
"""

from kafka_client.wire.groups import GroupClient
from kafka_client.wire.metadata import MetadataClient
from kafka_client.wire.pool import ConnectionPool

__all__ = ["ConnectionPool", "GroupClient", "MetadataClient"]
