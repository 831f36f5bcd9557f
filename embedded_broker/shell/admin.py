"""A few requests to a broker over a plain blocking socket, for whoever starts clusters: who is
there, make topics."""

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


class AdminFailed(Exception):
    """The text is a sentence."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create; 0 means the broker's default."""

    name: str
    partitions: int = 0
    replication: int = 0

    @classmethod
    def parse(cls, text: str) -> TopicSpec:
        """``name``, ``name:partitions`` or ``name:partitions:replication``. Raises: ValueError."""
        name, *numbers = text.split(":")
        if not name or len(numbers) > 2 or not all(n.isdigit() and int(n) > 0 for n in numbers):
            raise ValueError(
                f"{text!r} is no topic: write name:partitions:replication, for example orders:3:3"
            )
        return cls(name, *map(int, numbers))


def ask(address: tuple[str, int], message: Any, version: int, timeout_s: float) -> Any:
    """One request on a connection of its own.

    Raises:
        OSError, ProtocolError.
    """
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(encode_request(message, version, 1, CLIENT_ID))
        with sock.makefile("rb") as answer:
            head = answer.read(4)
            frame = answer.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""
        if len(frame) < 4:
            raise ConnectionError("the broker closed the connection")
    return decode_response(message.API_KEY, version, frame)


def brokers_known_to(address: tuple[str, int], timeout_s: float = 1.0) -> set[int]:
    """The ids that this broker tells clients; empty when it does not answer."""
    try:
        answer: MetadataResponse = ask(
            address, MetadataRequest(topics=[]), METADATA_VERSION, timeout_s
        )
    except (OSError, ProtocolError):
        return set()
    return {broker.node_id for broker in answer.brokers}


def create_topics(
    addresses: Sequence[tuple[str, int]], topics: Sequence[TopicSpec], timeout_s: float = 30.0
) -> None:
    """Create the topics that are not there yet.

    Raises:
        AdminFailed.
    """
    deadline = time.monotonic() + timeout_s
    left = {topic.name: topic for topic in topics}
    reason = "no broker answered"
    turn = 0
    while left:
        if time.monotonic() > deadline:
            raise AdminFailed(f"cannot create the topic {next(iter(left))}: {reason}")
        wanted = [
            CreatableTopic(t.name, t.partitions or -1, t.replication or -1) for t in left.values()
        ]
        request = CreateTopicsRequest(topics=wanted, timeout_ms=10_000)
        try:
            answer = ask(addresses[turn % len(addresses)], request, CREATE_TOPICS_VERSION, 15.0)
        except (OSError, ProtocolError) as e:
            reason = str(e)
        else:
            for topic in answer.topics:
                if topic.error_code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                    left.pop(topic.name, None)
                    continue
                reason = topic.error_message or ErrorCode(topic.error_code).name
                if topic.error_code not in RETRIED:
                    raise AdminFailed(f"cannot create the topic {topic.name}: {reason}")
        if left:
            turn += 1
            time.sleep(0.1)
