"""Numbers with a meaning in Kafka's messages, other than error codes and api keys.
Source: Kafka's protocol guide and the KIPs named here."""

from enum import IntEnum


class OffsetTimestamp(IntEnum):
    """Timestamps with a meaning of their own in ListOffsets."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3  # the record with the largest timestamp (KIP-734)


class IsolationLevel(IntEnum):
    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


class CoordinatorType(IntEnum):
    """Names what FindCoordinator finds the coordinator of."""

    GROUP = 0
    TRANSACTION = 1


class ConfigResourceType(IntEnum):
    TOPIC = 2
    BROKER = 4  # with the name "": the cluster-wide default of all brokers


class ConfigSource(IntEnum):
    """Says where DescribeConfigs found a value (KIP-226)."""

    TOPIC = 1
    BROKER = 2
    CLUSTER = 3
    FILE = 4
    DEFAULT = 5
    BROKER_LOGGER = 6


class ConfigOperation(IntEnum):
    """Says what IncrementalAlterConfigs does with a value (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ElectionType(IntEnum):
    """Which replica ElectLeaders may elect (KIP-460)."""

    PREFERRED = 0
    UNCLEAN = 1


class EndpointType(IntEnum):
    """Whose endpoints DescribeCluster lists (KIP-919)."""

    BROKERS = 1
    CONTROLLERS = 2
