"""What a field of a Kafka message looks like on the wire.

The message classes in ``messages/`` declare each field once with ``wire``; ``codec`` turns the
declarations of one message and version into a reader and a writer. Source: Kafka's protocol guide
(primitive types, KIP-482 tagged fields).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform
from uuid import UUID

_C = TypeVar("_C")
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
    """How a field travels: its type, the versions that have it (inclusive), the first version in
    which it may be null, and its tag when it is a tagged field."""

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
    """Declare a dataclass field with its form on the wire. Every field has a default, so a
    message is built from what a caller has to say."""
    spec = Spec(type_, since, until, nullable_since, tag, default if factory is None else factory)
    if factory is not None:
        return field(default_factory=factory, metadata={"wire": spec})
    return field(default=default, metadata={"wire": spec})


@dataclass_transform(field_specifiers=(wire,))
def message(cls: type[_C]) -> type[_C]:
    """A dataclass with slots whose methods are made when its first instance is: ``dataclass``
    itself took more than half of the time in which a broker is imported, and few of the messages
    are used in any one life."""
    found = dict(vars(cls))
    fields = {}
    for name, annotation in found.get("__annotations__", {}).items():
        if isinstance(found.get(name), dataclasses.Field):
            one = fields[name] = found.pop(name)
            one.name, one.type, one._field_type = name, annotation, dataclasses._FIELD  # type: ignore[attr-defined]
    for name in ("__dict__", "__weakref__"):
        found.pop(name, None)
    found["__slots__"] = found["__match_args__"] = tuple(fields)
    found["__dataclass_fields__"] = fields
    found.update(__init__=_first_init, __eq__=_first_eq, __repr__=_repr, __hash__=None)
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
    """Make the methods of a message class now; source is built from our own declarations alone,
    as in ``codec``."""
    if cls.__init__ is not _first_init:  # made already, or an ordinary dataclass
        return
    names: dict[str, Any] = {"MISSING": MISSING}
    parameters, body = ["self"], []
    for name, one in cls.__dataclass_fields__.items():
        if one.default_factory is MISSING:
            names[f"default_{name}"] = one.default
            parameters.append(f"{name}=default_{name}")
            body.append(f"    self.{name} = {name}")
        else:
            names[f"default_{name}"] = one.default_factory
            make = "[]" if one.default_factory is list else f"default_{name}()"
            parameters.append(f"{name}=MISSING")
            body.append(f"    self.{name} = {make} if {name} is MISSING else {name}")
    same = " and ".join(
        ["self.__class__ is other.__class__", *(f"self.{n} == other.{n}" for n in cls.__slots__)]
    )
    source = [
        f"def __init__({', '.join(parameters)}):",
        *(body or ["    pass"]),
        "def __eq__(self, other):",
        f"    return {same}",
    ]
    exec(compile("\n".join(source), f"<message {cls.__name__}>", "exec"), names)
    cls.__init__, cls.__eq__ = names["__init__"], names["__eq__"]


class Message(Protocol):
    """A request or a response: a dataclass whose class says how it travels."""

    API_KEY: ClassVar[int]
    MIN_VERSION: ClassVar[int]
    MAX_VERSION: ClassVar[int]
    FLEXIBLE_SINCE: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]
