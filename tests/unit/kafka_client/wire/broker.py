"""A broker of a few lines on a real socket: it answers what a test tells it to, or
misbehaves in a chosen way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import decode, request_class
from kafka_protocol.errors import ErrorCode
from kafka_protocol.framing import REQUEST_START, encode_response, read_client_id
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kafka_protocol.messages.k18_api_versions import ApiVersion, ApiVersionsResponse
from kafka_protocol.messages.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

OFFERED = (
    ApiKey.FETCH,
    ApiKey.LIST_OFFSETS,
    ApiKey.METADATA,
    ApiKey.OFFSET_COMMIT,
    ApiKey.OFFSET_FETCH,
    ApiKey.FIND_COORDINATOR,
    ApiKey.DESCRIBE_GROUPS,
    ApiKey.LIST_GROUPS,
    ApiKey.SASL_HANDSHAKE,
    ApiKey.API_VERSIONS,
    ApiKey.DESCRIBE_CONFIGS,
    ApiKey.DESCRIBE_LOG_DIRS,
    ApiKey.ELECT_LEADERS,
    ApiKey.SASL_AUTHENTICATE,
    ApiKey.INCREMENTAL_ALTER_CONFIGS,
    ApiKey.DELETE_GROUPS,
    ApiKey.DESCRIBE_QUORUM,
    ApiKey.DESCRIBE_CLUSTER,
    ApiKey.CONSUMER_GROUP_DESCRIBE,
)
NOT_OFFERED = -1


class FakeBroker:
    """``answers[api_key]`` makes the response to a request. ``mode``: fine, hang (take
    the request, never answer), garbage, huge (a frame of 2 GB), http, close (after the
    request)."""

    def __init__(self, node_id: int = 1) -> None:
        self.node_id = node_id
        self.mode = "fine"
        self.delay_s = 0.0  # before each answer
        self.raw_body: bytes | None = None
        """What follows the correlation id of every response, instead of an answer."""
        self.raw_size: int | None = None
        """The size in front of every response, instead of the right one."""
        self.raw_bodies: dict[int, bytes] = {}
        """As ``raw_body``, for the responses to requests of one api key."""
        self.received: list[int] = []  # api keys
        self.holding: dict[int, asyncio.Event] = {}
        """By api key: what a response waits for."""
        self.highest: dict[int, int] = {}  # api key -> highest version offered, if not the newest
        self.answers: dict[int, Callable[[Any], Any]] = {
            ApiKey.METADATA: self._metadata,
            ApiKey.DESCRIBE_CLUSTER: self._describe_cluster,
        }
        self.fenced: Sequence[FakeBroker] = []
        self.brokers: Sequence[FakeBroker] = [self]
        self.topics: list[MetadataResponseTopic] = []
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
        self._open.add(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                frame = await reader.readexactly(size)
                api_key, version, correlation_id = REQUEST_START.unpack_from(frame)
                self.received.append(api_key)
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
                    case _ if api_key in self.raw_bodies:
                        body = frame[4:8] + self.raw_bodies[api_key]
                        writer.write(len(body).to_bytes(4, "big") + body)
                    case _ if self.raw_body is not None or self.raw_size is not None:
                        body = frame[4:8] + (self.raw_body or b"")
                        size = len(body) if self.raw_size is None else self.raw_size
                        writer.write(size.to_bytes(4, "big") + body)
                    case _:
                        if api_key in self.holding:
                            await self.holding[api_key].wait()
                        response, version = self._answer(api_key, version, frame)
                        await asyncio.sleep(self.delay_s)
                        for piece in encode_response(response, version, correlation_id):
                            writer.write(piece)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    def _answer(self, api_key: int, version: int, frame: bytes) -> tuple[Any, int]:
        """The response, and the version that it is written in."""
        if version > self._highest(api_key):
            assert api_key == ApiKey.API_VERSIONS, "a version that was not offered"
            return ApiVersionsResponse(ErrorCode.UNSUPPORTED_VERSION), 0
        cls = request_class(api_key)
        _, start = read_client_id(frame, version >= cls.FLEXIBLE_SINCE)
        request = decode(cls, version, frame, start)
        if api_key == ApiKey.API_VERSIONS:
            return ApiVersionsResponse(api_keys=self._versions()), version
        return self.answers[api_key](request), version

    def _highest(self, api_key: int) -> int:
        return self.highest.get(api_key, request_class(api_key).MAX_VERSION)

    def _versions(self) -> list[ApiVersion]:
        offered = [key for key in OFFERED if self._highest(key) != NOT_OFFERED]
        return [
            ApiVersion(key, request_class(key).MIN_VERSION, self._highest(key)) for key in offered
        ]

    def _metadata(self, request: MetadataRequest) -> MetadataResponse:
        return MetadataResponse(
            cluster_id="fake",
            controller_id=self.node_id,
            brokers=[MetadataResponseBroker(b.node_id, "127.0.0.1", b.port) for b in self.brokers],
            topics=self.topics,
        )

    def _describe_cluster(self, request: DescribeClusterRequest) -> DescribeClusterResponse:
        fenced = self.fenced if request.include_fenced_brokers else []
        return DescribeClusterResponse(
            brokers=[
                DescribeClusterBroker(b.node_id, "127.0.0.1", b.port, None, b in fenced)
                for b in [*self.brokers, *fenced]
            ]
        )


def topic(name: str, leader: int, partitions: int = 1) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=name,
        partitions=[
            MetadataResponsePartition(
                partition_index=p,
                leader_id=leader,
                leader_epoch=0,
                replica_nodes=[leader],
                isr_nodes=[leader],
            )
            for p in range(partitions)
        ],
    )
