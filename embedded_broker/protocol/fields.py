"""What a field of a Kafka message looks like on the wire.

The message classes in ``messages/`` declare each field once with ``wire``; ``codec`` turns the declarations of one
message and version into a reader and a writer. Source: Kafka's protocol guide (primitive types, KIP-482 tagged fields).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from uuid import UUID

ZERO_UUID = UUID(int=0)
FOREVER = 32767


@dataclass(frozen=True, slots=True)
class Kind:
    """One primitive type; ``code`` is the struct code when its size is fixed, else empty."""

    name: str
    code: str = ""


BOOL = Kind("bool", "?")
INT8 = Kind("int8", "b")
INT16 = Kind("int16", "h")
UINT16 = Kind("uint16", "H")
INT32 = Kind("int32", "i")
INT64 = Kind("int64", "q")
FLOAT64 = Kind("float64", "d")
UUID_ = Kind("uuid")
STRING = Kind("string")
BYTES = Kind("bytes")
RECORDS = Kind("records")


@dataclass(frozen=True, slots=True)
class Array:
    """A counted sequence of a primitive or of a message class."""

    item: Kind | type


Buffer = bytes | bytearray | memoryview
WireType = Kind | Array | type


@dataclass(frozen=True, slots=True)
class Spec:
    """How a field travels: its type, the versions that have it (inclusive), the first version in which it may be
    null, and its tag when it is a tagged field."""

    type: WireType
    since: int
    until: int
    nullable_since: int
    tag: int | None
    default: Any


def wire(
    type_: WireType,
    *,
    since: int = 0,
    until: int = FOREVER,
    nullable_since: int = FOREVER,
    tag: int | None = None,
    default: Any = None,
    factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare a dataclass field with its form on the wire. Every field has a default, so a message is built from
    what a caller has to say."""
    spec = Spec(type_, since, until, nullable_since, tag, default if factory is None else factory)
    if factory is not None:
        return field(default_factory=factory, metadata={"wire": spec})
    return field(default=default, metadata={"wire": spec})


class Message(Protocol):
    """A request or a response: a dataclass whose class says how it travels."""

    API_KEY: ClassVar[int]
    MIN_VERSION: ClassVar[int]
    MAX_VERSION: ClassVar[int]
    FLEXIBLE_SINCE: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]
