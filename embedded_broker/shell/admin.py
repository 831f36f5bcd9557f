"""Requests over a plain blocking socket for code that starts clusters: list brokers, create topics.

Blocks the calling thread; never called from a broker's event loop.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka_protocol.codec import ProtocolError
from kafka_protocol.errors import ErrorCode
from kafka_protocol.framing import decode_response, encode_request
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataResponse
from kafka_protocol.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest

CLIENT_ID = b"kafkarium"
METADATA_VERSION = 9
CREATE_TOPICS_VERSION = 5
RETRIED = (
    ErrorCode.NOT_CONTROLLER,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.INVALID_REPLICATION_FACTOR,
)
"""A cluster that has just started may not know its controller or all of its brokers yet."""
RETRY_S = 0.1


class AdminFailed(Exception):
    """The cluster refused a request for good, or not in time; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create; 0 partitions or replicas mean the broker's default."""

    name: str
    partitions: int = 0
    replication: int = 0

    @classmethod
    def parse(cls, text: str) -> TopicSpec:
        """Read ``name``, ``name:partitions`` or ``name:partitions:replication``.

        Raises:
            ValueError: a sentence that shows the allowed form.
        """
        name, *numbers = text.split(":")
        if not name or len(numbers) > 2 or not all(n.isdigit() and int(n) > 0 for n in numbers):
            raise ValueError(
                f"invalid topic {text!r}: write name:partitions:replication, such as orders:3:3"
            )
        return cls(name, *map(int, numbers))


def request(address: tuple[str, int], message: Any, version: int, timeout_s: float) -> Any:
    """Send one request on a connection of its own and return the response.

    Raises:
        OSError: no connection, or no response in time.
        ProtocolError: the response is malformed.
    """
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(encode_request(message, version, 1, CLIENT_ID))
        with sock.makefile("rb") as stream:
            size = stream.read(4)
            frame = stream.read(struct.unpack(">i", size)[0]) if len(size) == 4 else b""
        if len(frame) < 4:
            raise ConnectionError("the broker closed the connection")
    return decode_response(message.API_KEY, version, frame)


def brokers_known_to(address: tuple[str, int], timeout_s: float = 1.0) -> set[int]:
    """Return the broker ids in this broker's Metadata response; empty if it does not respond."""
    try:
        response: MetadataResponse = request(
            address, MetadataRequest(topics=[]), METADATA_VERSION, timeout_s
        )
    except (OSError, ProtocolError):
        return set()
    return {broker.node_id for broker in response.brokers}


def create_topics(
    addresses: Sequence[tuple[str, int]], topics: Sequence[TopicSpec], timeout_s: float = 30.0
) -> None:
    """Create those of the topics that do not exist; ask the brokers in turn until all exist.

    Raises:
        AdminFailed: a topic was refused, or some are missing after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    missing = {topic.name: topic for topic in topics}
    reason = "no broker responded"
    attempt = 0
    while missing:
        if time.monotonic() > deadline:
            raise AdminFailed(f"cannot create the topic {next(iter(missing))}: {reason}")
        wanted = [
            CreatableTopic(t.name, t.partitions or -1, t.replication or -1)
            for t in missing.values()
        ]
        message = CreateTopicsRequest(topics=wanted, timeout_ms=10_000)
        address = addresses[attempt % len(addresses)]
        try:
            response = request(address, message, CREATE_TOPICS_VERSION, 15.0)
        except (OSError, ProtocolError) as e:
            reason = str(e)
        else:
            for topic in response.topics:
                if topic.error_code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                    missing.pop(topic.name, None)
                    continue
                reason = topic.error_message or ErrorCode(topic.error_code).name
                if topic.error_code not in RETRIED:
                    raise AdminFailed(f"cannot create the topic {topic.name}: {reason}")
        if missing:
            attempt += 1
            time.sleep(RETRY_S)
