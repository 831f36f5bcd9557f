"""Declarations of Kafka messages: what a field is called, its type, and the versions
that have it.

The message classes in ``messages/`` declare each field once with ``wire``; ``reader``
and ``writer`` generate the functions for one message and version from these
declarations. Source: Kafka's protocol guide (primitive types), KIP-482 (tagged fields).
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform
from uuid import UUID

from kafka_protocol.source import FunctionSource

_C = TypeVar("_C")
ZERO_UUID = UUID(int=0)

FOREVER = 32767
"""A version that no message reaches: ``until`` when the field is still there, ``since``
for never."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A primitive type. ``code`` is its struct code when its size is fixed, else
    empty."""

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
    """A counted sequence of a primitive type or of a message class."""

    item: Kind | type


Buffer = bytes | bytearray | memoryview
WireType = Kind | Array | type


@dataclass(frozen=True, slots=True)
class Spec:
    """Describes how a field is encoded."""

    type: WireType
    since: int  # the first version that has the field
    until: int  # the last version that has the field
    nullable_since: int  # the first version in which it may be null
    tag: int | None  # the number of a tagged field
    default: Any  # a value, or a function that makes one


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
    """Declare a dataclass field and how it is encoded. Every field has a default, so
    that a caller names only what differs from it."""
    spec = Spec(type_, since, until, nullable_since, tag, default if factory is None else factory)
    if factory is not None:
        return field(default_factory=factory, metadata={"wire": spec})
    return field(default=default, metadata={"wire": spec})


def all_fields(cls: Any) -> list[tuple[str, dataclasses.Field[Any]]]:
    """The fields of a message class in all versions, in the order of the wire."""
    return [(f.name, f) for f in dataclasses.fields(cls)]


def fields_in(cls: Any, version: int) -> list[tuple[str, Spec]]:
    """The fields that a message class has in a version, in the order of the wire."""
    specs = [(name, f.metadata["wire"]) for name, f in all_fields(cls)]
    return [(name, spec) for name, spec in specs if spec.since <= version <= spec.until]


def least_size(t: WireType, version: int, flexible: bool, nullable: bool = False) -> int:
    """The fewest bytes that a value of this type takes. Never 0, so that the count of
    every array is bounded by the bytes that are left."""
    if isinstance(t, Array):
        return 1 if flexible else 4
    if isinstance(t, Kind):
        if t.code:
            return struct.calcsize(">" + t.code)
        if t is UUID_:
            return 16
        if flexible:  # a varint of the length
            return 1
        return 2 if t is STRING else 4
    if nullable:  # one byte says that there is no structure
        return 1
    plain = [spec for _, spec in fields_in(t, version) if spec.tag is None]
    sizes = [least_size(s.type, version, flexible, version >= s.nullable_since) for s in plain]
    return max(1, sum(sizes) + flexible)  # a flexible structure ends with its number of tags


@dataclass_transform(field_specifiers=(wire,))
def message(cls: type[_C]) -> type[_C]:
    """Make a dataclass with slots whose ``__init__`` and ``__eq__`` are generated on
    first use.

    ``dataclass`` generates them at import, which took more than half of the time to
    import a broker; a process uses few of the messages that its modules declare.
    """
    found = dict(vars(cls))
    fields = {}
    for name, annotation in found.get("__annotations__", {}).items():
        if isinstance(found.get(name), dataclasses.Field):
            one = fields[name] = found.pop(name)
            # What dataclass() would set; dataclasses.fields() and match statements rely
            # on it.
            one.name, one.type, one._field_type = name, annotation, dataclasses._FIELD  # type: ignore[attr-defined]
    for name in ("__dict__", "__weakref__"):
        found.pop(name, None)
    found["__slots__"] = found["__match_args__"] = tuple(fields)
    found["__dataclass_fields__"] = fields
    found.update(__init__=_first_init, __eq__=_first_eq, __repr__=_repr, __hash__=None)
    # Slots can only be given to a class when it is made, so the class is made again.
    made: type[_C] = type(cls.__name__, cls.__bases__, found)
    return made


def _first_init(self: Any, *values: Any, **named: Any) -> None:
    complete(type(self))
    type(self).__init__(self, *values, **named)


def _first_eq(self: Any, other: Any) -> Any:
    cls: Any = type(self)
    complete(cls)
    return cls.__eq__(self, other)


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
    return f"{type(self).__name__}({values})"


def complete(cls: Any) -> None:
    """Generate the ``__init__`` and ``__eq__`` of a message class, unless it has them
    already or is an ordinary dataclass."""
    if cls.__init__ is not _first_init:
        return
    source = FunctionSource(f"message {cls.__name__}", {"MISSING": MISSING})
    parameters, body = ["self"], []
    for name, one in cls.__dataclass_fields__.items():
        if one.default_factory is MISSING:
            parameters.append(f"{name}={source.bind('default', one.default)}")
            body.append(f"self.{name} = {name}")
        else:
            is_list = one.default_factory is list
            make = "[]" if is_list else source.bind("make", one.default_factory) + "()"
            parameters.append(f"{name}=MISSING")
            body.append(f"self.{name} = {make} if {name} is MISSING else {name}")
    source.add(0, f"def __init__({', '.join(parameters)}):")
    for line in body or ["pass"]:
        source.add(1, line)
    same = [f"self.{name} == other.{name}" for name in cls.__slots__]
    source.add(0, "def __eq__(self, other):")
    source.add(1, f"return {' and '.join(['self.__class__ is other.__class__', *same])}")
    made = source.build()
    cls.__init__, cls.__eq__ = made["__init__"], made["__eq__"]


class Message(Protocol):
    """A request or a response, as the generated classes declare it."""

    API_KEY: ClassVar[int]
    MIN_VERSION: ClassVar[int]
    MAX_VERSION: ClassVar[int]
    FLEXIBLE_SINCE: ClassVar[int]
