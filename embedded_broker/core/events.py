"""Events: what can happen to a node. The shell and the simulator make them,
``Broker.handle(now_ms, event)`` takes them.

Messages inside are classes of ``kafka_protocol.messages``. ``now_ms`` is a monotonic
clock in milliseconds; wall-clock time (for record timestamps and retention) comes from
``ports.Clock``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka_protocol.fields import Message
from kafka_protocol.records.inspection import Outcome


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request; one per connection.

    ``broker_id`` is the peer's id when the connection authenticated as a broker with
    the cluster secret, else -1. Only such a connection may act as a replica or call an
    inter-broker API.
    """

    connection_id: int
    host: str
    listener: str
    client_id: str = ""
    principal: str = "User:ANONYMOUS"
    broker_id: int = -1


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A whole request has been read and decoded. The shell assigns ``request_id``; it
    is answered at most once."""

    request_id: int
    version: int
    message: Any
    caller: Caller
    outcomes: Sequence[Outcome] = ()
    """Of a Produce request, what the inspections of its batches found, in their order. A batch
    without one is inspected when it is handled."""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A peer answered the request that the effect ``Send(send_id)`` sent."""

    send_id: int
    peer_id: int
    message: Message


@dataclass(frozen=True, slots=True)
class SendFailed:
    """No response to ``Send(send_id)`` will come: refused, timed out, or the connection
    broke. The peer may have carried the request out all the same."""

    send_id: int
    peer_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer set with this key and token is due. A token that is not the key's
    newest belongs to a cancelled timer and is ignored."""

    key: str
    token: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """``Flush(flush_id)`` finished: records appended to that log before the effect are
    on disk, unless ``error`` says why not."""

    flush_id: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A client disconnected; its waiting requests may be dropped."""

    connection_id: int


@dataclass(frozen=True, slots=True)
class TickEnded:
    """All events that were ready have been handled: complete waiting fetches, send
    gathered requests."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Shut down in order: move leadership away, then emit ``Stop(0)``."""


Event = (
    RequestReceived
    | ResponseReceived
    | SendFailed
    | TimerFired
    | Flushed
    | ConnectionClosed
    | TickEnded
    | StopRequested
)
