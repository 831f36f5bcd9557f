"""Kafka's messages as plain values on one side and bytes on the other, by kio's schemas, whatever
the version.

``encode`` takes a dictionary with the names of the newest version and keeps what this version
has; ``decode`` gives kio's objects. Schemas are imported when first used, by request and version:
all of them would cost half a second.
"""

from __future__ import annotations

import importlib
import struct
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

from kafka_client.wire.decoding import BadFrame, Frame, reader

Values = Mapping[str, Any] | Callable[[int], bytes]
"""The fields of a request, or a function that writes its body in a version."""

_ZERO: dict[str, Any] = {"string": "", "bool": False, "bytes": b"", "uuid": None, "records": None}


@cache
def _name_of(api_key: int) -> str:
    from kio.schema.index import api_key_map

    return api_key_map[api_key]


@cache
def versions_known(api_key: int) -> tuple[int, int]:
    """(lowest, highest) version that can be spoken here."""
    from kio.schema.index import schema_name_map

    versions = schema_name_map[_name_of(api_key)]
    return min(versions), max(versions)


@cache
def _entity(api_key: int, version: int, side: str) -> Any:
    module = importlib.import_module(f"kio.schema.{_name_of(api_key)}.v{version}.{side}")
    suffix = side.capitalize()
    base = "".join(part.capitalize() for part in _name_of(api_key).split("_"))
    return getattr(module, base + suffix)


@cache
def _writer(entity: Any) -> Callable[[Any, Any], None]:
    from kio.serial import entity_writer

    return entity_writer(entity)


def encode(
    api_key: int, version: int, correlation_id: int, client_id: str, values: Values
) -> bytes:
    """A whole frame, with its length in front."""
    import io

    entity = _entity(api_key, version, "request")
    header_class = entity.__header_schema__
    header = {
        "request_api_key": api_key,
        "request_api_version": version,
        "correlation_id": correlation_id,
        "client_id": client_id,
    }
    buffer = io.BytesIO()
    buffer.write(b"\0\0\0\0")
    _writer(header_class)(buffer, _build(header_class, header))
    if callable(values):
        buffer.write(values(version))
    else:
        _writer(entity)(buffer, _build(entity, values))
    frame = buffer.getbuffer()
    frame[:4] = (len(frame) - 4).to_bytes(4, "big")
    return bytes(frame)


def decode(api_key: int, version: int, data: bytes) -> Any:
    """The answer in a frame (without its length): an object with the schema's fields. Raises:
    BadFrame."""
    entity = _entity(api_key, version, "response")
    frame = Frame(data)
    try:
        _, at = reader(entity.__header_schema__)(frame, 0)
        answer, _ = reader(entity)(frame, at)
    except (BadFrame, UnicodeDecodeError, struct.error) as error:
        raise BadFrame(
            f"an answer to {_name_of(api_key)} v{version} that does not parse"
        ) from error
    return answer


def _build(entity: Any, values: Mapping[str, Any]) -> Any:
    made: dict[str, Any] = {}
    for name, nested, fallback in _plan(entity):
        if name not in values:
            if fallback is not MISSING:
                made[name] = fallback
            continue
        value = values[name]
        if nested is not None and value is not None:
            value = tuple(_build(nested, item) for item in value)
        elif isinstance(value, list):
            value = tuple(value)
        made[name] = value
    return entity(**made)


@cache
def _plan(entity: Any) -> tuple[tuple[str, Any, Any], ...]:
    """(field, class of its items when they are structures, value to use when none is given)."""
    return tuple((f.name, _item_class(f.type), _fallback(f)) for f in fields(entity))


def _item_class(kind: Any) -> Any:
    for part in (kind, *typing.get_args(kind)):
        arguments = typing.get_args(part)
        if typing.get_origin(part) is tuple and arguments and is_dataclass(arguments[0]):
            return arguments[0]
    return None


def _fallback(f: Field[Any]) -> Any:
    if f.default is not MISSING or f.default_factory is not MISSING:
        return MISSING
    if type(None) in typing.get_args(f.type):
        return None
    if typing.get_origin(f.type) is tuple:
        return ()
    return _ZERO.get(f.metadata.get("kafka_type", ""), 0)


def warm() -> None:
    """Import kio and what every connection begins with: 0.2 s, best spent in a thread."""
    for api_key, version in ((18, 3), (3, min(12, versions_known(3)[1]))):
        reader(_entity(api_key, version, "response"))
        _writer(_entity(api_key, version, "request"))


def code_of(part: Any) -> int:
    """The error code of an answer or of a part of one; 0 is fine."""
    return int(part.error_code)


__all__ = ["BadFrame", "code_of", "decode", "encode", "versions_known", "warm"]
