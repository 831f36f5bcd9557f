"""The records of ``__consumer_offsets``, in Kafka's own key and value versions, so that
its tools read them.

A key and a value each begin with an int16 version. Keys: 0 and 1 are a committed
offset, 2 is a group; others belong to group types that this broker does not support,
and are skipped. A null value (a tombstone) removes the key. Values are written in
offset version 4 (1 when the client set a retention of its own) and group version 3, as
Kafka 4 does; all older versions can be read.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from kafka_protocol.codec import ProtocolError, decode, encode
from kafka_protocol.fields import (
    BYTES,
    FOREVER,
    INT32,
    INT64,
    STRING,
    UUID_,
    ZERO_UUID,
    Array,
    message,
    wire,
)


@message
class OffsetKey:
    """Key of a committed offset."""

    VERSIONS: ClassVar[tuple[int, int]] = (0, 1)
    WRITTEN: ClassVar[int] = 1
    FLEXIBLE_SINCE: ClassVar[int] = FOREVER
    group: str = wire(STRING, default="")
    topic: str = wire(STRING, default="")
    partition: int = wire(INT32, default=0)


@message
class OffsetValue:
    """A committed offset; times are wall-clock milliseconds."""

    VERSIONS: ClassVar[tuple[int, int]] = (0, 4)
    FLEXIBLE_SINCE: ClassVar[int] = 4
    offset: int = wire(INT64, default=0)
    leader_epoch: int = wire(INT32, since=3, default=-1)
    metadata: str = wire(STRING, default="")
    commit_timestamp: int = wire(INT64, default=0)
    expire_timestamp: int = wire(INT64, since=1, until=1, default=-1)
    topic_id: UUID = wire(UUID_, since=4, tag=0, default=ZERO_UUID)


@message
class GroupKey:
    """Key of a classic group."""

    VERSIONS: ClassVar[tuple[int, int]] = (2, 2)
    WRITTEN: ClassVar[int] = 2
    FLEXIBLE_SINCE: ClassVar[int] = FOREVER
    group: str = wire(STRING, default="")


@message
class MemberValue:
    """A member in a group's record."""

    member_id: str = wire(STRING, default="")
    group_instance_id: str | None = wire(STRING, since=3, nullable_since=3, default=None)
    client_id: str = wire(STRING, default="")
    client_host: str = wire(STRING, default="")
    rebalance_timeout: int = wire(INT32, since=1, default=0)
    session_timeout: int = wire(INT32, default=0)
    subscription: bytes = wire(BYTES, default=b"")
    assignment: bytes = wire(BYTES, default=b"")


@message
class GroupValue:
    """A classic group with its members and their assignments."""

    VERSIONS: ClassVar[tuple[int, int]] = (0, 4)
    WRITTEN: ClassVar[int] = 3
    FLEXIBLE_SINCE: ClassVar[int] = 4
    protocol_type: str = wire(STRING, default="")
    generation: int = wire(INT32, default=0)
    protocol: str | None = wire(STRING, nullable_since=0, default=None)
    leader: str | None = wire(STRING, nullable_since=0, default=None)
    current_state_timestamp: int = wire(INT64, since=2, default=-1)
    members: list[MemberValue] = wire(Array(MemberValue), factory=list)


class UnreadableRecord(Exception):
    """A record of ``__consumer_offsets`` that does not follow the format."""


Key = OffsetKey | GroupKey


def _write(version: int, record: Any) -> bytes:
    return bytes(encode(record, version, bytearray(version.to_bytes(2, "big"))))


def _read(cls: Any, version: int, data: bytes) -> Any:
    try:
        return decode(cls, version, data, 2)
    except ProtocolError as e:
        raise UnreadableRecord(f"{cls.__name__} version {version}: {e}") from e


def write_key(key: Key) -> bytes:
    """Encode a record's key."""
    return _write(key.WRITTEN, key)


def write_offset(value: OffsetValue) -> bytes:
    """Encode a committed offset. Only version 1 has an expiry time."""
    return _write(1 if value.expire_timestamp >= 0 else 4, value)


def write_group(value: GroupValue) -> bytes:
    """Encode a group."""
    return _write(GroupValue.WRITTEN, value)


def read_key(data: bytes) -> Key | None:
    """Decode a record's key; None for a key of another group type.

    Raises:
        UnreadableRecord
    """
    version = _version(data)
    if version in (0, 1):
        return _read(OffsetKey, version, data)  # type: ignore[no-any-return]
    return _read(GroupKey, version, data) if version == 2 else None


def read_offset(data: bytes) -> OffsetValue:
    """Decode a committed offset.

    Raises:
        UnreadableRecord
    """
    version = _known(OffsetValue, data)
    return _read(OffsetValue, version, data)  # type: ignore[no-any-return]


def read_group(data: bytes) -> GroupValue:
    """Decode a group.

    Raises:
        UnreadableRecord
    """
    version = _known(GroupValue, data)
    return _read(GroupValue, version, data)  # type: ignore[no-any-return]


def _version(data: bytes) -> int:
    if len(data) < 2:
        raise UnreadableRecord(f"{len(data)} bytes are too short for a version")
    return int.from_bytes(data[:2], "big", signed=True)


def _known(cls: Any, data: bytes) -> int:
    version = _version(data)
    low, high = cls.VERSIONS
    if not low <= version <= high:
        raise UnreadableRecord(f"unsupported {cls.__name__} version {version}")
    return version
