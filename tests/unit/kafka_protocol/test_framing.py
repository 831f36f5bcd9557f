"""Sizes and headers of frames, against kio's."""

from __future__ import annotations

import importlib
import io
import random
import struct
from typing import Any

import pytest
from kio.schema.index import api_key_map
from kio.serial import entity_reader, entity_writer

from kafka_protocol import codec, writer
from kafka_protocol.codec import ProtocolError
from kafka_protocol.framing import (
    REQUEST_START,
    decode_response,
    encode_request,
    encode_response,
    encode_response_in_steps,
    read_client_id,
)
from kafka_protocol.messages import MODULES
from kafka_protocol.messages.k01_fetch import FetchResponse
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataResponse
from kafka_protocol.messages.k18_api_versions import ApiVersionsResponse
from tests.unit.kafka_protocol.samples import some_message

API_KEYS = [pytest.param(key, id=name) for key, name in MODULES.items()]


def kio_header(api_key: int, version: int, part: str) -> Any:
    module = importlib.import_module(f"kio.schema.{api_key_map[api_key]}.v{version}.{part}")
    classes = [c for c in vars(module).values() if getattr(c, "__module__", "") == module.__name__]
    return next(c.__header_schema__ for c in classes if c.__type__.name == part)


@pytest.mark.parametrize("api_key", API_KEYS)
def test_that_request_headers_are_kios_in_every_version(api_key: int) -> None:
    cls = codec.request_class(api_key)
    rng = random.Random(api_key)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        message = some_message(rng, cls, version)
        frame = bytes(encode_request(message, version, 77, b"me"))
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        header, size = entity_reader(kio_header(api_key, version, "request"))(frame[4:], 0)
        assert (header.request_api_key, header.request_api_version) == (api_key, version)
        assert (header.correlation_id, header.client_id) == (77, "me")
        assert REQUEST_START.unpack_from(frame, 4) == (api_key, version, 77)
        flexible = version >= cls.FLEXIBLE_SINCE
        assert read_client_id(frame[4:], flexible) == (b"me", size)
        assert codec.decode(cls, version, frame[4:], size) == message


@pytest.mark.parametrize("api_key", API_KEYS)
def test_that_response_headers_are_kios_in_every_version(api_key: int) -> None:
    cls = codec.response_class(api_key)
    rng = random.Random(api_key)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        message = some_message(rng, cls, version)
        if isinstance(message, FetchResponse):
            message = FetchResponse(session_id=3 if version >= 7 else 0)
        frame = b"".join(bytes(piece) for piece in encode_response(message, version, 77))
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        out = io.BytesIO()
        header = kio_header(api_key, version, "response")
        entity_writer(header)(out, header(correlation_id=77))
        assert frame[4:].startswith(out.getvalue())
        assert codec.decode(cls, version, frame[4:], len(out.getvalue())) == message
        assert decode_response(api_key, version, frame[4:]) == message


@pytest.mark.parametrize("api_key", API_KEYS)
def test_that_a_response_in_steps_is_the_same_frame(
    api_key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STEP_BYTES", 10)
    writer.stepped_writer.cache_clear()
    cls = codec.response_class(api_key)
    if cls in (FetchResponse, ApiVersionsResponse):
        return
    rng = random.Random(api_key)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        message = some_message(rng, cls, version)
        steps = encode_response_in_steps(message, version, 77)
        pauses = 0
        while True:
            try:
                next(steps)
                pauses += 1
            except StopIteration as end:
                assert end.value == encode_response(message, version, 77)
                break
        if cls is MetadataResponse and len(message.topics) > 1:
            assert pauses
    writer.stepped_writer.cache_clear()


def test_that_a_null_client_id_is_empty() -> None:
    assert read_client_id(struct.pack(">hhih", 3, 1, 7, -1) + b"rest", False) == (b"", 10)


@pytest.mark.parametrize("length", [100, 0x7FFF, 0x8000, 0xFFFE])
def test_that_a_client_id_that_does_not_fit_is_refused(length: int) -> None:
    frame = struct.pack(">hhiH", 3, 1, 7, length) + b"x" * 20
    with pytest.raises(ProtocolError, match=f"client id of {length} bytes"):
        read_client_id(frame, False)


def test_that_a_response_header_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode_response(MetadataRequest.API_KEY, 12, b"\x00\x00\x00\x01")
    with pytest.raises(ProtocolError):
        decode_response(MetadataRequest.API_KEY, 12, b"\x00\x00\x00\x01\x01\x00\xff")
