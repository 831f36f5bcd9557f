"""Effects: what a node wants done. ``Broker.handle`` returns them in order; the shell
performs them, the simulator plays them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message


class Level(IntEnum):
    """Severity of a ``Note``; the numbers of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer a request. Record data inside a Fetch response is a ``ports.RecordSlice``,
    which the shell sends from the file."""

    request_id: int
    message: Message


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection that sent this request, without a response (a failed Produce
    with acks=0, a protocol error)."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The request is done and gets no response (Produce with acks=0)."""

    request_id: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request to another broker of the cluster over the inter-broker listener.

    ``lane`` names one of the ordered connections to that peer ("quorum", "metadata",
    "fetch", "control"): requests of one lane are answered in order, lanes do not wait
    for each other. Always followed by ResponseReceived or SendFailed.
    """

    send_id: int
    peer_id: int
    lane: str
    message: Message
    version: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Deliver ``TimerFired(key, token)`` at ``at_ms`` of the monotonic clock. A new
    timer with the same key replaces the old one; the core cancels a timer by no longer
    expecting its token."""

    key: str
    token: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Bring the records appended to this log so far to disk (fdatasync, off the loop),
    then deliver ``Flushed``."""

    flush_id: int
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A peer's inter-broker address; later ``Send`` effects use it."""

    peer_id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the broker's log, for its operator."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End this process. Exit code 0 after a controlled shutdown; 1 for a disk that
    failed to flush, 2 for a refused start."""

    code: int
    reason: str
    error: ErrorCode = ErrorCode.NONE
    """The error with which the controller refused the registration, if it did."""


Effect = Respond | Drop | NoResponse | Send | SetTimer | Flush | PeerAddress | Note | Stop
