"""What a node wants done. ``Node.handle`` returns these in order; the shell performs them, the
simulator plays them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer a request. Record data inside a Fetch response is a ``ports.RecordSlice`` and is
    sent from the file."""

    request_id: int
    message: Any


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection that sent this request, without an answer (acks=0 that failed, a
    protocol offence)."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The request is done and has no answer (Produce with acks=0)."""

    request_id: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request to another broker of the cluster over the inter-broker listener.

    ``lane`` names one of the ordered connections to that peer ("quorum", "fetch", "control"):
    requests of one lane are answered in order, lanes do not wait for each other. Ends in
    ResponseReceived or SendFailed, always.
    """

    send_id: int
    peer_id: int
    lane: str
    message: Any
    version: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``TimerFired(key, token)`` at ``at_ms`` of the monotonic clock. A new timer of the
    same key replaces the old one; cancelling is raising the machine's own token."""

    key: str
    token: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Bring what has been appended to this log to the disk (fdatasync, off the loop), then say
    ``Flushed``."""

    flush_id: int
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """The quorum learned where a broker listens for its peers; used by later ``Send`` effects."""

    peer_id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the broker's log: what happened, in words for its operator."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The node is done: exit code 0 after an orderly leave, else a broken invariant or a refused
    start."""

    code: int
    reason: str


Effect = Respond | Drop | NoResponse | Send | SetTimer | Flush | PeerAddress | Note | Stop
