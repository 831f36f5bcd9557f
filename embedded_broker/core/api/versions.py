"""The supported APIs and version ranges: what ApiVersions advertises, and the one check
of a request's version.

The ranges are Kafka 4.3's for the APIs that exist here. Produce 0 to 2 are advertised
although they cannot be decoded: librdkafka before 2.11.1 concludes from them that
compression is supported (KAFKA-18659).
"""

from __future__ import annotations

from dataclasses import dataclass

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import request_class


@dataclass(frozen=True, slots=True)
class Api:
    """One API key."""

    min_version: int
    max_version: int
    between_brokers: bool = False
    """Whether only a connection that authenticated as a broker may call it; it is not
    advertised to clients."""
    controller: bool = False
    """Whether the active controller carries it out; other brokers forward it for
    clients."""


TABLE: dict[int, Api] = {
    ApiKey.PRODUCE: Api(0, 13),
    ApiKey.FETCH: Api(4, 18),
    ApiKey.LIST_OFFSETS: Api(1, 11),
    ApiKey.METADATA: Api(0, 13),
    ApiKey.OFFSET_COMMIT: Api(2, 10),
    ApiKey.OFFSET_FETCH: Api(1, 10),
    ApiKey.FIND_COORDINATOR: Api(0, 6),
    ApiKey.JOIN_GROUP: Api(0, 9),
    ApiKey.HEARTBEAT: Api(0, 4),
    ApiKey.LEAVE_GROUP: Api(0, 5),
    ApiKey.SYNC_GROUP: Api(0, 5),
    ApiKey.DESCRIBE_GROUPS: Api(0, 6),
    ApiKey.LIST_GROUPS: Api(0, 5),
    ApiKey.API_VERSIONS: Api(0, 4),
    ApiKey.CREATE_TOPICS: Api(2, 7, controller=True),
    ApiKey.DELETE_TOPICS: Api(1, 6, controller=True),
    ApiKey.DELETE_RECORDS: Api(0, 2),
    ApiKey.INIT_PRODUCER_ID: Api(0, 5),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: Api(2, 4),
    ApiKey.DESCRIBE_CONFIGS: Api(1, 4),
    ApiKey.ALTER_CONFIGS: Api(0, 2, controller=True),
    ApiKey.DESCRIBE_LOG_DIRS: Api(1, 4),
    ApiKey.CREATE_PARTITIONS: Api(0, 3, controller=True),
    ApiKey.DELETE_GROUPS: Api(0, 2),
    ApiKey.ELECT_LEADERS: Api(0, 2, controller=True),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: Api(0, 1, controller=True),
    ApiKey.OFFSET_DELETE: Api(0, 0),
    ApiKey.VOTE: Api(0, 2, between_brokers=True),
    ApiKey.BEGIN_QUORUM_EPOCH: Api(0, 1, between_brokers=True),
    ApiKey.END_QUORUM_EPOCH: Api(0, 1, between_brokers=True),
    ApiKey.DESCRIBE_QUORUM: Api(0, 2, controller=True),
    ApiKey.ALTER_PARTITION: Api(2, 3, between_brokers=True, controller=True),
    ApiKey.DESCRIBE_CLUSTER: Api(0, 2),
    ApiKey.BROKER_REGISTRATION: Api(0, 4, between_brokers=True, controller=True),
    ApiKey.BROKER_HEARTBEAT: Api(0, 1, between_brokers=True, controller=True),
    ApiKey.ALLOCATE_PRODUCER_IDS: Api(0, 0, between_brokers=True, controller=True),
}

AUTHENTICATION: dict[int, Api] = {
    ApiKey.SASL_HANDSHAKE: Api(0, 1),
    ApiKey.SASL_AUTHENTICATE: Api(0, 2),
}
"""A broker proves with these that it belongs to the cluster. The shell handles them, and
ApiVersions does not offer them to clients."""


def unsupported(api_key: int, version: int) -> str:
    """Return why a request of this API key and version cannot be handled; "" when it
    can.

    The shell asks before it decodes a request, so the core gets only supported ones.
    """
    api = TABLE.get(api_key) or AUTHENTICATION.get(api_key)
    if api is None:
        return f"unsupported API key {api_key}"
    if api.min_version <= version <= api.max_version:
        cls = request_class(api_key)
        if cls.MIN_VERSION <= version <= cls.MAX_VERSION:
            return ""
    return f"unsupported version {version} of API key {api_key}"
