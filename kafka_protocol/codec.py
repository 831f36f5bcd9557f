"""Bytes to messages and back, for every api key and version that ``messages`` declares.

``decode`` and ``encode`` use a reader and a writer that are generated for a message
class and a version when they are first needed (``reader``, ``writer``). A message has
one class for all its versions, so that a handler is written once. In the tests kio is
the oracle.

Whatever the bytes say, decoding them allocates no more than what they can hold: see
``primitives``. What is not a well-formed message raises ProtocolError, and nothing
else.
"""

from __future__ import annotations

import struct
from functools import cache
from importlib import import_module
from typing import Any

from kafka_protocol.fields import Buffer
from kafka_protocol.messages import MODULES
from kafka_protocol.primitives import ITEMS_MAX, ProtocolError
from kafka_protocol.reader import reader
from kafka_protocol.writer import writer

__all__ = [
    "ProtocolError",
    "decode",
    "encode",
    "is_flexible",
    "prepare",
    "request_class",
    "response_class",
]


@cache
def request_class(api_key: int) -> Any:
    """The request class of an api key; its module is imported on first use."""
    return _classes(api_key)[0]


@cache
def response_class(api_key: int) -> Any:
    """The response class of an api key; its module is imported on first use."""
    return _classes(api_key)[1]


def _classes(api_key: int) -> tuple[Any, Any]:
    module = import_module(f"kafka_protocol.messages.{MODULES[api_key]}")
    roots = [c for c in vars(module).values() if isinstance(c, type) and hasattr(c, "API_KEY")]
    request = next(c for c in roots if c.__name__.endswith("Request"))
    response = next(c for c in roots if c.__name__.endswith("Response"))
    return request, response


def is_flexible(api_key: int, version: int) -> bool:
    """Return whether this version has compact lengths and tagged fields (KIP-482)."""
    return bool(version >= request_class(api_key).FLEXIBLE_SINCE)


def decode(
    cls: Any,
    version: int,
    data: Buffer,
    start: int = 0,
    *,
    more_may_follow: bool = False,
    items_max: int = ITEMS_MAX,
) -> Any:
    """Decode the message in ``data[start:]``, whose arrays hold at most ``items_max`` items.

    Fields that the version lacks have their defaults. Records are views into ``data``.
    ``more_may_follow`` accepts bytes after the message: a server has to, as Kafka does.
    librdkafka
    2.16 counts "all topics" of Metadata 13 with four bytes where one belongs, and the message then
    ends three bytes early.

    Raises:
        ProtocolError: the bytes are malformed, end early, or go on after the message; there are
            too many items.
    """
    read = reader(cls, version)
    try:
        message, end = read(data, start, items_max)
    except (struct.error, IndexError) as e:
        raise ProtocolError("message ends early") from e
    except UnicodeDecodeError as e:
        raise ProtocolError("a string is not UTF-8") from e
    if end != len(data) and not more_may_follow:
        raise ProtocolError(f"{len(data) - end} bytes after the message")
    return message


def encode(message: Any, version: int, out: bytearray | None = None) -> bytearray:
    """Append the message's bytes in this version to ``out`` and return it. Fields that
    the version lacks are left out."""
    out = bytearray() if out is None else out
    cls: Any = type(message)
    writer(cls, version)(out, message)
    return out


def prepare(api_key: int, version: int) -> None:
    """Generate the readers and writers of this api's request and response now instead
    of when they are first used."""
    for cls in _classes(api_key):
        reader(cls, version)
        writer(cls, version)
