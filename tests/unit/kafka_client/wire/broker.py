"""A broker of a few lines on a real socket: answers what a test tells it to, or misbehaves in a
chosen way."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

from kio.schema.index import schema_name_map
from kio.serial import entity_reader

from kafka_client.wire.messages import _build, _entity, _name_of, _writer

OFFERED = (2, 3, 9, 10, 15, 16, 17, 18, 32, 35, 36, 44, 55, 69)


class FakeBroker:
    """``answers[api_key]`` makes the values of an answer from the decoded request. ``mode``:
    fine, hang (take, never answer), garbage, huge (a frame of 2 GB), close (after the
    request)."""

    def __init__(self, node_id: int = 1) -> None:
        self.node_id = node_id
        self.mode = "fine"
        self.asked: list[int] = []
        self.connections = 0
        self.highest: dict[int, int] = {}
        self.answers: dict[int, Callable[[Any], dict[str, Any]]] = {3: self._metadata}
        self.brokers: list[FakeBroker] = [self]
        self.topics: list[dict[str, Any]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> FakeBroker:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await self._server.wait_closed()
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                frame = await reader.readexactly(size)
                api_key, version = (
                    int.from_bytes(frame[:2], "big"),
                    int.from_bytes(frame[2:4], "big"),
                )
                self.asked.append(api_key)
                match self.mode:
                    case "hang":
                        continue
                    case "garbage":
                        writer.write(b"\0\0\0\x10" + frame[4:8] + b"\xff" * 12)
                    case "huge":
                        writer.write(b"\x7f\xff\xff\xff")
                    case "http":
                        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    case "close":
                        break
                    case _:
                        writer.write(self._answer(api_key, version, frame))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    def _answer(self, api_key: int, version: int, frame: bytes) -> bytes:
        if api_key == 18 and version > self.highest.get(18, 99):
            return _framed(frame[4:8] + b"\0\x23\0\0\0\0")
        entity = _entity(api_key, version, "request")
        _, at = entity_reader(entity.__header_schema__)(frame, 0)
        request, _ = entity_reader(entity)(frame, at)
        values = self._versions() if api_key == 18 else self.answers[api_key](request)
        response = _entity(api_key, version, "response")
        buffer = io.BytesIO()
        number = int.from_bytes(frame[4:8], "big")
        _writer(response.__header_schema__)(
            buffer, _build(response.__header_schema__, {"correlation_id": number})
        )
        _writer(response)(buffer, _complete(response, values))
        return _framed(buffer.getvalue())

    def _versions(self) -> dict[str, Any]:
        ranges = []
        for api_key in OFFERED:
            versions = schema_name_map[_name_of(api_key)]
            high = min(max(versions), self.highest.get(api_key, 99))
            if high >= 0:
                ranges.append(
                    {"api_key": api_key, "min_version": min(versions), "max_version": high}
                )
        return {"api_keys": ranges}

    def _metadata(self, request: Any) -> dict[str, Any]:
        return {
            "cluster_id": "fake",
            "controller_id": self.node_id,
            "brokers": [
                {"node_id": b.node_id, "host": "127.0.0.1", "port": b.port} for b in self.brokers
            ],
            "topics": self.topics,
        }


def topic(name: str, leader: int, partitions: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "partitions": [
            {
                "partition_index": p,
                "leader_id": leader,
                "leader_epoch": 0,
                "replica_nodes": [leader],
                "isr_nodes": [leader],
            }
            for p in range(partitions)
        ],
    }


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _complete(entity: Any, values: dict[str, Any]) -> Any:
    """Responses have fields that a request never has: durations and error codes."""
    from dataclasses import MISSING, fields
    from datetime import timedelta

    from kio.schema.errors import ErrorCode

    from kafka_client.wire.messages import _item_class

    made: dict[str, Any] = {}
    for f in fields(entity):
        kind = f.metadata.get("kafka_type", "")
        nested = _item_class(f.type)
        if f.name in values:
            value = values[f.name]
            if nested is not None and value is not None:
                value = tuple(_complete(nested, item) for item in value)
            elif kind == "error_code":
                value = ErrorCode(value)
            elif isinstance(value, list):
                value = tuple(value)
            made[f.name] = value
        elif kind.startswith("timedelta"):
            made[f.name] = timedelta(0)
        elif kind == "error_code":
            made[f.name] = ErrorCode(0)
        elif f.default is MISSING and f.default_factory is MISSING:
            made[f.name] = _zero(f)
    return entity(**made)


def _zero(f: Any) -> Any:
    import typing

    if type(None) in typing.get_args(f.type):
        return None
    if typing.get_origin(f.type) is tuple:
        return ()
    return {"string": "", "bool": False, "bytes": b""}.get(f.metadata.get("kafka_type", ""), 0)


def sample(entity: Any) -> Any:
    """An object of one of kio's classes with something in every field."""
    import typing
    import uuid
    from dataclasses import fields, is_dataclass
    from datetime import timedelta

    from kio.schema.errors import ErrorCode

    kinds = {
        "string": "täxt",
        "bool": True,
        "bytes": b"\x00\xff",
        "uuid": uuid.UUID(int=7),
        "error_code": ErrorCode(3),
        "timedelta_i32": timedelta(milliseconds=250),
        "timedelta_i64": timedelta(milliseconds=250),
        "float64": 1.5,
    }
    made: dict[str, Any] = {}
    for f in fields(entity):
        if f.metadata.get("tag") is not None:
            continue
        value = kinds.get(f.metadata.get("kafka_type", ""), 5)
        for part in (f.type, *typing.get_args(f.type)):
            if typing.get_origin(part) is tuple:
                item = typing.get_args(part)[0]
                value = (
                    (sample(item), sample(item)) if is_dataclass(item) else (value, value, value)
                )
                break
            if is_dataclass(part):
                value = sample(part)
                break
        made[f.name] = value
    return entity(**made)
