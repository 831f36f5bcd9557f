"""The channel from this broker to the active controller, wherever that is.

A call is carried out on this node when it is the controller, else sent to the quorum's
leader. On NOT_CONTROLLER, a broken connection or a change of leader it is retried until
its timeout. A call that was sent twice may be carried out twice, so its handler must
tolerate that, as with Kafka's forwarding.
"""

from __future__ import annotations

from collections.abc import Callable

from embedded_broker.core.controller.applied import is_applied
from embedded_broker.core.controller.ports import LeaderInfo
from embedded_broker.core.controller.refusals import is_not_controller
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import Caller, RequestReceived
from embedded_broker.core.ports import CallDone
from kafka_protocol.fields import Message

NOT_SENT = (-1, -1)
RETRY_MS = 50
APPLY_MS = 1_000
"""The longest time a response waits until this broker itself has applied what it
reports."""

Handle = Callable[[int, RequestReceived], None]
"""(now_ms, request): carry out a request on this node."""


class _Call:
    """One request to the controller."""

    __slots__ = ("deadline_ms", "done", "message", "number", "send_id", "sent_to", "version")

    def __init__(
        self, number: int, message: Message, version: int, deadline_ms: int, done: CallDone
    ) -> None:
        self.number = number
        self.message = message
        self.version = version
        self.deadline_ms = deadline_ms
        self.done = done
        self.send_id = 0
        self.sent_to = NOT_SENT
        """(the broker that has the request and has not responded, the quorum epoch of
        that)."""


class ControllerChannel:
    """Implements ``ports.ControllerCalls``."""

    def __init__(
        self,
        env: Environment,
        quorum: LeaderInfo,
        is_controller: Callable[[], bool],
        handle: Handle,
    ) -> None:
        """``is_controller`` tells whether this node's controller is active; ``handle``
        carries out a request on it."""
        self._env = env
        self._quorum = quorum
        self._is_controller = is_controller
        self._handle = handle
        self._calls: dict[int, _Call] = {}
        self._numbers = 0
        self._attempt_ms: int = min(
            env.settings["controller.quorum.request.timeout.ms"],
            env.settings["broker.session.timeout.ms"] // 2,
        )
        """A connection may be dead without closing: no attempt may take longer than
        this."""
        self._applying: dict[int, tuple[_Call, Message]] = {}
        """Calls whose response waits until this node's image shows what it reports."""
        self._caller = Caller(-1, "", "", f"broker-{env.node_id}", broker_id=env.node_id)

    def call(
        self, now_ms: int, message: Message, version: int, timeout_ms: int, done: CallDone
    ) -> None:
        """Send ``message`` to the controller; see ``ports.ControllerCalls``."""
        self._numbers += 1
        call = _Call(self._numbers, message, version, now_ms + timeout_ms, done)
        self._calls[call.number] = call
        self._attempt(now_ms, call)

    def on_leader_change(self, now_ms: int) -> None:
        """Retry the calls that wait for a controller, or that the previous one has."""
        leader = (self._quorum.leader_id, self._quorum.epoch)
        for number in sorted(self._calls):
            call = self._calls.get(number)
            if call is None or number in self._applying or call.sent_to == leader:
                continue
            if call.sent_to != NOT_SENT:
                self._env.outbox.forget(call.send_id)
                call.sent_to = NOT_SENT
            self._attempt_after(now_ms, call, 0)

    def _attempt(self, now_ms: int, call: _Call) -> None:
        if call.number not in self._calls or call.sent_to != NOT_SENT:
            return
        remaining_ms = call.deadline_ms - now_ms
        if remaining_ms <= 0:
            self._finish(now_ms, call, None, "no controller responded in time")
            return
        leader_id = self._quorum.leader_id
        node_id = self._env.node_id
        if leader_id == node_id and self._is_controller():
            self._handle_here(now_ms, call)
        elif leader_id in (-1, node_id):
            self._attempt_after(now_ms, call, min(RETRY_MS, remaining_ms))
        else:
            call.sent_to = (leader_id, self._quorum.epoch)

            def done(now: int, response: Message | None, reason: str) -> None:
                self._on_response(now, call, response)

            attempt_ms = max(1, min(remaining_ms, self._attempt_ms))
            call.send_id = self._env.outbox.send(
                leader_id, "control", call.message, call.version, attempt_ms, done
            )

    def _handle_here(self, now_ms: int, call: _Call) -> None:
        """Carry out the call on this node. The response comes through a timer: ``done``
        must never run before ``call`` returns."""
        outbox = self._env.outbox
        call.sent_to = (self._env.node_id, self._quorum.epoch)

        def responded(response: Message | None) -> None:
            outbox.timer(
                f"channel.{call.number}", now_ms, lambda now: self._on_response(now, call, response)
            )

        request_id = outbox.local_request_id(responded)
        self._handle(now_ms, RequestReceived(request_id, call.version, call.message, self._caller))

    def _on_response(self, now_ms: int, call: _Call, response: Message | None) -> None:
        if call.number not in self._calls:
            return
        call.sent_to = NOT_SENT
        if response is None or is_not_controller(response):
            self._attempt_after(now_ms, call, RETRY_MS)
        elif is_applied(self._env.image, call.message, response):
            self._finish(now_ms, call, response, "")
        else:
            # The client will ask this broker about its change next.
            self._applying[call.number] = (call, response)
            self._env.outbox.timer(
                f"channel.{call.number}",
                now_ms + APPLY_MS,
                lambda now: self._applied(now, call.number),
            )

    def on_metadata(self, now_ms: int) -> None:
        """This node has applied more metadata: release the responses that it now
        shows."""
        for number in sorted(self._applying):
            call, response = self._applying[number]
            if is_applied(self._env.image, call.message, response):
                self._applied(now_ms, number)

    def _applied(self, now_ms: int, number: int) -> None:
        call, response = self._applying.pop(number)
        self._finish(now_ms, call, response, "")

    def _attempt_after(self, now_ms: int, call: _Call, delay_ms: int) -> None:
        self._env.outbox.timer(
            f"channel.{call.number}", now_ms + delay_ms, lambda now: self._attempt(now, call)
        )

    def _finish(self, now_ms: int, call: _Call, response: Message | None, reason: str) -> None:
        del self._calls[call.number]
        self._env.outbox.cancel(f"channel.{call.number}")
        call.done(now_ms, response, reason)
