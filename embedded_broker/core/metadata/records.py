"""The records of the metadata log: the controller writes them, every broker replays
them.

The schemas are those of `common/metadata/*.json` in Kafka's metadata module, at the
versions named here, so that Kafka's dump tool reads the log. A record's value is frame
version 1, API key and version as unsigned varints, then the message; its key is null.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from kafka_protocol.codec import ProtocolError, decode, encode
from kafka_protocol.fields import (
    BOOL,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT16,
    UUID_,
    ZERO_UUID,
    Array,
    Buffer,
    message,
    wire,
)
from kafka_protocol.primitives import read_uvarint, write_uvarint

FRAME_VERSION = 1
LEADER_UNCHANGED = -2
RECOVERED, RECOVERING = 0, 1


class _Record:
    """Class attributes that the codec needs; all metadata records are flexible from
    version 0."""

    API_KEY: ClassVar[int]
    VERSION: ClassVar[int] = 0
    FLEXIBLE_SINCE: ClassVar[int] = 0


@message
class BrokerEndpoint:
    """A listener in a registration."""

    name: str = wire(STRING, default="")
    host: str = wire(STRING, default="")
    port: int = wire(UINT16, default=0)
    security_protocol: int = wire(INT16, default=0)


@message
class BrokerFeature:
    """The feature levels that a broker supports."""

    name: str = wire(STRING, default="")
    min_supported_version: int = wire(INT16, default=0)
    max_supported_version: int = wire(INT16, default=0)


@message
class RegisterBrokerRecord(_Record):
    """A new incarnation of a broker; ``broker_epoch`` is the offset of this record."""

    API_KEY: ClassVar[int] = 0
    VERSION: ClassVar[int] = 3
    broker_id: int = wire(INT32, default=0)
    is_migrating_zk_broker: bool = wire(BOOL, since=2, default=False)
    incarnation_id: UUID = wire(UUID_, default=ZERO_UUID)
    broker_epoch: int = wire(INT64, default=0)
    end_points: list[BrokerEndpoint] = wire(Array(BrokerEndpoint), factory=list)
    features: list[BrokerFeature] = wire(Array(BrokerFeature), factory=list)
    rack: str | None = wire(STRING, nullable_since=0, default=None)
    fenced: bool = wire(BOOL, default=True)
    in_controlled_shutdown: bool = wire(BOOL, since=1, default=False)
    log_dirs: list[UUID] = wire(Array(UUID_), since=3, tag=0, factory=list)


@message
class UnregisterBrokerRecord(_Record):
    """A broker was removed from the cluster."""

    API_KEY: ClassVar[int] = 1
    broker_id: int = wire(INT32, default=0)
    broker_epoch: int = wire(INT64, default=0)


@message
class TopicRecord(_Record):
    """A topic was created; its partitions follow as PartitionRecords."""

    API_KEY: ClassVar[int] = 2
    name: str = wire(STRING, default="")
    topic_id: UUID = wire(UUID_, default=ZERO_UUID)


@message
class PartitionRecord(_Record):
    """A partition was created."""

    API_KEY: ClassVar[int] = 3
    VERSION: ClassVar[int] = 2
    partition_id: int = wire(INT32, default=-1)
    topic_id: UUID = wire(UUID_, default=ZERO_UUID)
    replicas: list[int] = wire(Array(INT32), factory=list)
    isr: list[int] = wire(Array(INT32), factory=list)
    removing_replicas: list[int] = wire(Array(INT32), factory=list)
    adding_replicas: list[int] = wire(Array(INT32), factory=list)
    leader: int = wire(INT32, default=-1)
    leader_recovery_state: int = wire(INT8, tag=0, default=RECOVERED)
    leader_epoch: int = wire(INT32, default=-1)
    partition_epoch: int = wire(INT32, default=-1)
    directories: list[UUID] = wire(Array(UUID_), since=1, factory=list)
    eligible_leader_replicas: list[int] | None = wire(
        Array(INT32), since=2, nullable_since=2, tag=1, default=None
    )
    last_known_elr: list[int] | None = wire(
        Array(INT32), since=2, nullable_since=2, tag=2, default=None
    )


@message
class ConfigRecord(_Record):
    """One setting of a broker or topic; a null value removes it."""

    API_KEY: ClassVar[int] = 4
    resource_type: int = wire(INT8, default=0)
    resource_name: str = wire(STRING, default="")
    name: str = wire(STRING, default="")
    value: str | None = wire(STRING, nullable_since=0, default=None)


@message
class PartitionChangeRecord(_Record):
    """A partition changed. None means unchanged; so do -2 for the leader and -1 for its
    recovery state.

    Naming a leader, even the current one or none (-1), starts a new leader epoch.
    """

    API_KEY: ClassVar[int] = 5
    VERSION: ClassVar[int] = 2
    partition_id: int = wire(INT32, default=-1)
    topic_id: UUID = wire(UUID_, default=ZERO_UUID)
    isr: list[int] | None = wire(Array(INT32), nullable_since=0, tag=0, default=None)
    leader: int = wire(INT32, tag=1, default=LEADER_UNCHANGED)
    replicas: list[int] | None = wire(Array(INT32), nullable_since=0, tag=2, default=None)
    removing_replicas: list[int] | None = wire(Array(INT32), nullable_since=0, tag=3, default=None)
    adding_replicas: list[int] | None = wire(Array(INT32), nullable_since=0, tag=4, default=None)
    leader_recovery_state: int = wire(INT8, tag=5, default=-1)
    eligible_leader_replicas: list[int] | None = wire(
        Array(INT32), since=2, nullable_since=2, tag=6, default=None
    )
    last_known_elr: list[int] | None = wire(
        Array(INT32), since=2, nullable_since=2, tag=7, default=None
    )
    directories: list[UUID] | None = wire(
        Array(UUID_), since=1, nullable_since=1, tag=8, default=None
    )


@message
class RemoveTopicRecord(_Record):
    """A topic was deleted, with its partitions and its settings."""

    API_KEY: ClassVar[int] = 9
    topic_id: UUID = wire(UUID_, default=ZERO_UUID)


@message
class FeatureLevelRecord(_Record):
    """A feature was finalized at a level."""

    API_KEY: ClassVar[int] = 12
    name: str = wire(STRING, default="")
    feature_level: int = wire(INT16, default=0)


@message
class ProducerIdsRecord(_Record):
    """A broker was allocated the producer ids below ``next_producer_id``."""

    API_KEY: ClassVar[int] = 15
    broker_id: int = wire(INT32, default=0)
    broker_epoch: int = wire(INT64, default=-1)
    next_producer_id: int = wire(INT64, default=0)


@message
class BrokerRegistrationChangeRecord(_Record):
    """``fenced``: -1 unfenced, 0 unchanged, 1 fenced; ``in_controlled_shutdown``: 1
    when the broker starts to shut down."""

    API_KEY: ClassVar[int] = 17
    VERSION: ClassVar[int] = 2
    broker_id: int = wire(INT32, default=0)
    broker_epoch: int = wire(INT64, default=0)
    fenced: int = wire(INT8, tag=0, default=0)
    in_controlled_shutdown: int = wire(INT8, since=1, tag=1, default=0)
    log_dirs: list[UUID] = wire(Array(UUID_), since=2, tag=2, factory=list)


@message
class NoOpRecord(_Record):
    """Changes nothing."""

    API_KEY: ClassVar[int] = 20


MetadataRecord = (
    RegisterBrokerRecord
    | UnregisterBrokerRecord
    | TopicRecord
    | PartitionRecord
    | ConfigRecord
    | PartitionChangeRecord
    | RemoveTopicRecord
    | FeatureLevelRecord
    | ProducerIdsRecord
    | BrokerRegistrationChangeRecord
    | NoOpRecord
)

CLASSES: dict[int, Any] = {
    cls.API_KEY: cls
    for cls in (
        RegisterBrokerRecord,
        UnregisterBrokerRecord,
        TopicRecord,
        PartitionRecord,
        ConfigRecord,
        PartitionChangeRecord,
        RemoveTopicRecord,
        FeatureLevelRecord,
        ProducerIdsRecord,
        BrokerRegistrationChangeRecord,
        NoOpRecord,
    )
}


# ---- control records of the quorum
LEADER_CHANGE_TYPE = 2


@message
class Voter:
    """A voter in a LeaderChangeMessage."""

    voter_id: int = wire(INT32, default=0)


@message
class LeaderChangeMessage(_Record):
    """The first record of every leader's epoch, in a control batch."""

    version: int = wire(INT16, default=0)
    leader_id: int = wire(INT32, default=0)
    voters: list[Voter] = wire(Array(Voter), factory=list)
    granting_voters: list[Voter] = wire(Array(Voter), factory=list)


def encode_record(record: MetadataRecord) -> bytearray:
    """The value of a record in the metadata log."""
    out = bytearray((FRAME_VERSION,))
    write_uvarint(out, record.API_KEY)
    write_uvarint(out, record.VERSION)
    return encode(record, record.VERSION, out)


def decode_record(value: Buffer) -> MetadataRecord:
    """The inverse of ``encode_record``.

    Raises:
        ProtocolError: a frame or a record that this version does not know.
    """
    try:
        frame, p = read_uvarint(value, 0)
        key, p = read_uvarint(value, p)
        version, p = read_uvarint(value, p)
    except IndexError as e:
        raise ProtocolError("a metadata record is truncated") from e
    if frame != FRAME_VERSION:
        raise ProtocolError(f"metadata frame of version {frame}")
    cls = CLASSES.get(key)
    if cls is None or version > cls.VERSION:
        raise ProtocolError(f"metadata record {key} of version {version}")
    record: MetadataRecord = decode(cls, version, value, p)
    return record
