"""Frames: the size and the header in front of every request and response.

A request has api key, version, correlation id and client id (header version 1; with
tagged fields, 2, in flexible versions); a response has the correlation id (version 0;
with tagged fields, 1). The response to ApiVersions has header version 0 always, since
it may go to a client that does not know the version yet (KIP-511).
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError, decode, encode, is_flexible, response_class
from kafka_protocol.fetch_response import encode_fetch_response
from kafka_protocol.fields import Buffer, Message
from kafka_protocol.messages.k01_fetch import FetchResponse
from kafka_protocol.primitives import skip_tags
from kafka_protocol.writer import stepped_writer

REQUEST_START = struct.Struct(">hhi")
"""Api key, version, correlation id."""

CORRELATION_ID = struct.Struct(">i")
_RESPONSE_START = struct.Struct(">ii")
_REQUEST = struct.Struct(">ihhih")

# Looking up a member of an enum costs six times as much as a global.
_API_VERSIONS = ApiKey.API_VERSIONS


def encode_request(
    message: Message, version: int, correlation_id: int, client_id: bytes
) -> bytearray:
    """A request as a whole frame."""
    out = bytearray(_REQUEST.pack(0, message.API_KEY, version, correlation_id, len(client_id)))
    out += client_id
    if version >= message.FLEXIBLE_SINCE:
        out.append(0)  # no tagged fields in the header
    encode(message, version, out)
    out[:4] = (len(out) - 4).to_bytes(4, "big")
    return out


def read_client_id(frame: Buffer, flexible: bool) -> tuple[bytes, int]:
    """The client id in a request's frame (without its size), empty for null, and where
    the message starts.

    Raises:
        ProtocolError, IndexError: the header is malformed or cut off.
    """
    length = (frame[8] << 8) | frame[9]
    position = 10
    client_id = b""
    if length != 0xFFFF:  # null
        position += length
        if length > 0x7FFF or position > len(frame):
            raise ProtocolError(f"a client id of {length} bytes")
        client_id = bytes(frame[10:position])
    if flexible:
        position = skip_tags(frame, position)
    return client_id, position


def encode_response(message: Message, version: int, correlation_id: int) -> list[Any]:
    """A response as a whole frame, in the pieces in which it is sent: bytearrays, and
    for Fetch slices of log files in between."""
    out = bytearray(_RESPONSE_START.size)
    if version >= message.FLEXIBLE_SINCE and message.API_KEY != _API_VERSIONS:
        out.append(0)  # no tagged fields in the header
    if isinstance(message, FetchResponse):
        pieces = encode_fetch_response(message, version, out)
        size = sum(map(len, pieces))
    else:
        encode(message, version, out)
        pieces = [out]
        size = len(out)
    _RESPONSE_START.pack_into(out, 0, size - 4, correlation_id)
    return pieces


def encode_response_in_steps(
    message: Message, version: int, correlation_id: int
) -> Generator[None, None, list[Any]]:
    """The same for a long response, none to Fetch or ApiVersions: what it returns at its end. It
    pauses every few milliseconds; the message must not change meanwhile."""
    out = bytearray(_RESPONSE_START.size)
    if version >= message.FLEXIBLE_SINCE:
        out.append(0)
    yield from stepped_writer(type(message), version)(out, message)
    _RESPONSE_START.pack_into(out, 0, len(out) - 4, correlation_id)
    return [out]


def decode_response(
    api_key: int, version: int, frame: Buffer, *, more_may_follow: bool = False
) -> Any:
    """The message in a response's frame (without its size). ``more_may_follow`` as in
    ``decode``.

    Raises:
        ProtocolError.
    """
    start = CORRELATION_ID.size
    try:
        if api_key != _API_VERSIONS and is_flexible(api_key, version):
            start = skip_tags(frame, start)
    except IndexError as e:
        raise ProtocolError("message ends early") from e
    return decode(response_class(api_key), version, frame, start, more_may_follow=more_may_follow)
