"""What can happen to a node. The shell and the simulator make these; ``Node.handle(now_ms,
event)`` takes them.

Messages inside are the classes of ``protocol.messages``. ``now_ms`` is a monotonic clock in
milliseconds; wall-clock time (for timestamps in records and retention) comes from the ``Clock``
in ``ports``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: one per connection.

    ``broker_id`` is the peer's id when the connection authenticated as a broker with the
    cluster's secret, else -1; only then may a request act as a replica or call an inter-broker
    api.
    """

    connection_id: int
    host: str
    listener: str
    client_id: str = ""
    principal: str = "User:ANONYMOUS"
    broker_id: int = -1


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request was read whole and decoded. ``request_id`` is the shell's; it is answered at most
    once."""

    request_id: int
    version: int
    message: Any
    caller: Caller


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A peer answered the request that effect ``Send(send_id)`` sent."""

    send_id: int
    peer_id: int
    message: Any


@dataclass(frozen=True, slots=True)
class SendFailed:
    """No answer will come for ``Send(send_id)``: refused, timed out, or the connection broke (it
    may have been carried out all the same)."""

    send_id: int
    peer_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer set with this key and token is due. A machine ignores a token that is not its
    newest."""

    key: str
    token: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """``Flush(flush_id)`` is done: everything appended to that log before the effect is on disk."""

    flush_id: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A client went away; what waits for it may be dropped."""

    connection_id: int


@dataclass(frozen=True, slots=True)
class TickEnded:
    """All events that were ready have been handled: complete waiting fetches, send what was
    gathered."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Leave in order: move leadership away, then effect ``Stop(0)``."""


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
