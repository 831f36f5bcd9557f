"""Messages with something in every field, made from their declarations and a seed."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import pytest

from kafka_protocol import codec
from kafka_protocol.fields import (
    BOOL,
    BYTES,
    FLOAT64,
    RECORDS,
    STRING,
    UUID_,
    Array,
    Kind,
    WireType,
    fields_in,
)
from kafka_protocol.messages import MODULES

ALL_MESSAGES = [
    pytest.param(key, part, id=f"{name}-{part}")
    for key, name in MODULES.items()
    for part in ("request", "response")
]


def message_class(key: int, part: str) -> Any:
    return codec.request_class(key) if part == "request" else codec.response_class(key)


def some_message(rng: random.Random, cls: Any, version: int) -> Any:
    message = cls()
    for name, spec in fields_in(cls, version):
        nullable = version >= spec.nullable_since
        setattr(message, name, some_value(rng, spec.type, version, nullable))
    return message


def some_value(rng: random.Random, type_: WireType, version: int, nullable: bool) -> Any:
    if nullable and rng.random() < 0.3:
        return None
    if isinstance(type_, Array):
        return [some_value(rng, type_.item, version, False) for _ in range(rng.randrange(0, 4))]
    if not isinstance(type_, Kind):
        return some_message(rng, type_, version)
    if type_ is BOOL:
        return rng.random() < 0.5
    if type_ is STRING:
        return "".join(rng.choices("aé漢 _-", k=rng.randrange(0, 9)))
    if type_ in (BYTES, RECORDS):
        return rng.randbytes(rng.randrange(0, 200))
    if type_ is UUID_:
        return UUID(int=rng.getrandbits(128))
    if type_ is FLOAT64:
        return rng.random()
    return rng.randrange(0, 90)
