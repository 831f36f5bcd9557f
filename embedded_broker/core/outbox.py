"""The machines of a node put their effects here; the outbox returns each answer to the
machine that waits for it.

A machine passes a callback with each request, timer and flush. The outbox gives it an
id and calls it once, when the event arrives. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedded_broker.core.effects import (
    Drop,
    Effect,
    Flush,
    Level,
    NoResponse,
    Note,
    PeerAddress,
    Respond,
    Send,
    SetTimer,
    Stop,
)
from embedded_broker.core.events import (
    Flushed,
    RequestReceived,
    ResponseReceived,
    SendFailed,
    TimerFired,
)
from embedded_broker.core.ports import PartitionLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message

SendDone = Callable[[int, Any, str], None]
"""(now_ms, response or None, why there is no response)"""
TimerDone = Callable[[int], None]
"""(now_ms)"""
FlushDone = Callable[[int, str], None]
"""(now_ms, error or "")"""


class Outbox:
    """Gathers the effects of one ``handle`` call and keeps the callbacks that wait for
    events."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self.logs_changed = False
        """Whether a log was written to since the ``Router`` last reset it: then a request that
        fails has changed something already."""
        self._ids = 0
        self._sends: dict[int, SendDone] = {}
        self._flushes: dict[int, FlushDone] = {}
        self._timers: dict[str, tuple[int, TimerDone]] = {}
        """Timer key -> (newest token, callback)."""
        self._local: dict[int, Callable[[Any], None]] = {}
        """Callbacks of requests that this node sent to itself, by their negative
        request id."""

    def local_request_id(self, done: Callable[[Any], None]) -> int:
        """Return an id (below zero) for a request that this node sends to itself;
        ``done`` gets the response, or None when the request is dropped."""
        self._ids += 1
        self._local[-self._ids] = done
        return -self._ids

    def respond(self, request: RequestReceived, message: Message) -> None:
        """Answer ``request``."""
        if request.request_id < 0:
            self._local.pop(request.request_id)(message)
            return
        self._effects.append(Respond(request.request_id, message))

    def is_answered(self, request: RequestReceived) -> bool:
        """Return whether this call has answered ``request``."""
        if request.request_id < 0:
            return request.request_id not in self._local
        return any(
            isinstance(effect, Respond | NoResponse | Drop)
            and effect.request_id == request.request_id
            for effect in self._effects
        )

    def waiting(self) -> dict[str, int]:
        """How many callbacks wait for events, by what they wait for."""
        return {
            "requests to others": len(self._sends),
            "flushes": len(self._flushes),
            "timers": len(self._timers),
            "requests to itself": len(self._local),
        }

    def no_response(self, request: RequestReceived) -> None:
        """Finish ``request`` without a response (acks=0)."""
        self._effects.append(NoResponse(request.request_id))

    def drop(self, request: RequestReceived, reason: str) -> None:
        """Close the connection of ``request`` without a response."""
        if request.request_id < 0:
            self._local.pop(request.request_id)(None)
            return
        self._effects.append(Drop(request.request_id, reason))

    def send(
        self,
        peer_id: int,
        lane: str,
        message: Message,
        version: int,
        timeout_ms: int,
        done: SendDone,
    ) -> int:
        """Send a request to a peer; ``done`` is called once, with the response or with
        None and a reason. Returns the send id."""
        self._ids += 1
        self._sends[self._ids] = done
        self._effects.append(Send(self._ids, peer_id, lane, message, version, timeout_ms))
        return self._ids

    def forget(self, send_id: int) -> None:
        """Ignore the response to this request."""
        self._sends.pop(send_id, None)

    def timer(self, key: str, at_ms: int, fire: TimerDone) -> None:
        """Call ``fire(now_ms)`` at ``at_ms``; replaces the timer that had this key."""
        self._ids += 1
        self._timers[key] = (self._ids, fire)
        self._effects.append(SetTimer(key, self._ids, at_ms))

    def cancel(self, key: str) -> None:
        """Ignore the timer with this key when it fires."""
        self._timers.pop(key, None)

    def has_timer(self, key: str) -> bool:
        """Return whether a timer with this key is set."""
        return key in self._timers

    def flush(self, log: PartitionLog, done: FlushDone) -> None:
        """Bring what has been appended to ``log`` to disk, then call ``done``."""
        self._ids += 1
        self._flushes[self._ids] = done
        self._effects.append(Flush(self._ids, log.topic, log.partition))

    def peer(self, peer_id: int, host: str, port: int) -> None:
        """Announce a peer's inter-broker address."""
        self._effects.append(PeerAddress(peer_id, host, port))

    def note(self, level: Level, text: str) -> None:
        """Write a line to the broker's log."""
        self._effects.append(Note(level, text))

    def stop(self, code: int, reason: str, error: ErrorCode = ErrorCode.NONE) -> None:
        """End this process with an exit code; ``error`` is that of a refused
        registration."""
        self._effects.append(Stop(code, reason, error))

    def complete(
        self, now_ms: int, event: ResponseReceived | SendFailed | TimerFired | Flushed
    ) -> None:
        """Call the callback that waits for ``event``; ignore an event that none waits
        for any more."""
        match event:
            case ResponseReceived():
                done = self._sends.pop(event.send_id, None)
                if done is not None:
                    done(now_ms, event.message, "")
            case SendFailed():
                done = self._sends.pop(event.send_id, None)
                if done is not None:
                    done(now_ms, None, event.reason)
            case TimerFired():
                entry = self._timers.get(event.key)
                if entry is not None and entry[0] == event.token:
                    del self._timers[event.key]
                    entry[1](now_ms)
            case Flushed():
                flushed = self._flushes.pop(event.flush_id, None)
                if flushed is not None:
                    flushed(now_ms, event.error)

    def take(self) -> list[Effect]:
        """Return the effects gathered since the last call, in order."""
        effects, self._effects = self._effects, []
        return effects
