"""Answers from bytes, by kio's schemas but with readers of our own: nothing is allocated on a
broker's word.

kio's native readers reserve memory for as many items as an array says it has, and abort the
process when that is absurd: any host that answers on a port could end the application. Here a
length is believed only when that many bytes are left, and one frame makes at most ``ITEMS_MOST``
items. Times and durations stay numbers, error codes integers.
"""

from __future__ import annotations

import struct
import typing
import uuid
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

ITEMS_MOST = 2_000_000

Read = Callable[["Frame", int], tuple[Any, int]]

_FIXED = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float64": "d",
    "bool": "?",
    "error_code": "h",
    "timedelta_i32": "i",
    "timedelta_i64": "q",
    "datetime_i64": "q",
}


class BadFrame(Exception):
    """What came is not an answer in Kafka's protocol."""


class Frame:
    """The bytes of one answer, and how many items were made from it so far."""

    __slots__ = ("data", "items", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.items = 0

    def take(self, at: int, size: int) -> int:
        """Where ``size`` bytes from ``at`` end. Raises: BadFrame."""
        end = at + size
        if size < 0 or end > self.size:
            raise BadFrame(f"{size} bytes at {at} of {self.size}")
        return end

    def more(self, count: int, at: int, least: int) -> None:
        """May an array have this many items of at least ``least`` bytes? Raises: BadFrame."""
        self.items += count
        if count < 0 or count * least > self.size - at or self.items > ITEMS_MOST:
            raise BadFrame(f"an array of {count} items at {at} of {self.size}")


@cache
def reader(entity: Any) -> Read:
    """A function (frame, position) -> (object, position after) for one of kio's classes; its
    objects have the same field names. Runs of fields of fixed size are unpacked at once."""
    flexible = bool(entity.__flexible__)
    plain = [f for f in fields(entity) if f.metadata.get("tag") is None]
    tagged = {f.name: _default(f) for f in fields(entity) if f.metadata.get("tag") is not None}
    made = type(
        entity.__name__,
        (),
        {"__slots__": tuple(f.name for f in fields(entity)), "__module__": __name__},
    )
    steps = _steps(plain, flexible)

    def read(frame: Frame, at: int) -> tuple[Any, int]:
        result = made()
        for names, fixed, one in steps:
            if fixed is not None:
                end = frame.take(at, fixed.size)
                for name, value in zip(names, fixed.unpack_from(frame.data, at), strict=True):
                    setattr(result, name, value)
                at = end
            else:
                assert one is not None
                value, at = one(frame, at)
                setattr(result, names[0], value)
        if flexible:
            at = _skip_tags(frame, at)
            for name, value in tagged.items():
                setattr(result, name, value)
        return result, at

    return read


def _steps(
    plain: list[Field[Any]], flexible: bool
) -> list[tuple[tuple[str, ...], struct.Struct | None, Read | None]]:
    steps: list[tuple[tuple[str, ...], struct.Struct | None, Read | None]] = []
    names: list[str] = []
    codes = ""
    for f in plain:
        code = (
            _FIXED.get(f.metadata.get("kafka_type", ""))
            if typing.get_origin(f.type) is not tuple
            else None
        )
        if code is not None:
            names.append(f.name)
            codes += code
            continue
        if names:
            steps.append((tuple(names), struct.Struct(">" + codes), None))
            names, codes = [], ""
        steps.append(((f.name,), None, _field_reader(f, flexible)))
    if names:
        steps.append((tuple(names), struct.Struct(">" + codes), None))
    return steps


def _field_reader(f: Field[Any], flexible: bool) -> Read:
    kind = f.metadata.get("kafka_type", "")
    parts: tuple[Any, ...] = (f.type, *typing.get_args(f.type))
    for part in parts:
        if typing.get_origin(part) is tuple:
            item: Any = typing.get_args(part)[0]
            one = _nested(item) if is_dataclass(item) else _primitive(kind, flexible)
            return _array(
                one, _least(item, kind, flexible), flexible, type(None) in typing.get_args(f.type)
            )
        if is_dataclass(part):
            return _maybe(_nested(part)) if type(None) in typing.get_args(f.type) else _nested(part)
    return _primitive(kind, flexible, type(None) in typing.get_args(f.type))


def _nested(entity: Any) -> Read:
    return reader(entity)


def _least(item: Any, kind: str, flexible: bool) -> int:
    """The fewest bytes that one item takes."""
    if is_dataclass(item):
        sizes = (
            struct.calcsize(">" + _FIXED.get(f.metadata.get("kafka_type", ""), "b"))
            for f in fields(item)
        )
        return max(
            1, sum(sizes) if not any(f.metadata.get("tag") is not None for f in fields(item)) else 1
        )
    return struct.calcsize(">" + _FIXED.get(kind, "b" if flexible else "h"))


def _primitive(kind: str, flexible: bool, optional: bool = True) -> Read:
    code = _FIXED.get(kind)
    if code is not None:
        fixed = struct.Struct(">" + code)

        def number(frame: Frame, at: int) -> tuple[Any, int]:
            end = frame.take(at, fixed.size)
            return fixed.unpack_from(frame.data, at)[0], end

        return number
    if kind == "uuid":
        return _uuid
    text = kind == "string"

    def variable(frame: Frame, at: int) -> tuple[Any, int]:
        if flexible:
            size, at = _uvarint(frame, at)
            size -= 1
        else:
            width = 2 if text else 4
            end = frame.take(at, width)
            size, at = int.from_bytes(frame.data[at:end], "big", signed=True), end
        if size < 0:
            return (None if optional else "" if text else b""), at
        end = frame.take(at, size)
        body = frame.data[at:end]
        return (str(body, "utf-8") if text else body), end

    return variable


def _array(one: Read, least: int, flexible: bool, optional: bool) -> Read:
    def read(frame: Frame, at: int) -> tuple[Any, int]:
        if flexible:
            count, at = _uvarint(frame, at)
            count -= 1
        else:
            end = frame.take(at, 4)
            count, at = int.from_bytes(frame.data[at:end], "big", signed=True), end
        if count == -1:
            return (None if optional else ()), at
        frame.more(count, at, least)
        items = []
        for _ in range(count):
            item, at = one(frame, at)
            items.append(item)
        return tuple(items), at

    return read


def _maybe(one: Read) -> Read:
    def read(frame: Frame, at: int) -> tuple[Any, int]:
        end = frame.take(at, 1)
        if frame.data[at] == 0xFF:
            return None, end
        return one(frame, end)

    return read


def _uuid(frame: Frame, at: int) -> tuple[Any, int]:
    end = frame.take(at, 16)
    found = uuid.UUID(bytes=frame.data[at:end])
    return (found if found.int else None), end


def _uvarint(frame: Frame, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 35:
        end = frame.take(at, 1)
        byte = frame.data[at]
        at = end
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadFrame("a number that does not end")


def _skip_tags(frame: Frame, at: int) -> int:
    count, at = _uvarint(frame, at)
    frame.more(count, at, 2)
    for _ in range(count):
        _, at = _uvarint(frame, at)
        size, at = _uvarint(frame, at)
        at = frame.take(at, size)
    return at


def _default(f: Field[Any]) -> Any:
    if f.default is not MISSING:
        return f.default
    return f.default_factory() if f.default_factory is not MISSING else None
