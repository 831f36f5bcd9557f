"""From this broker to the active controller, wherever it is.

A call is carried out here when this broker is the controller, else sent to the quorum's leader;
on NOT_CONTROLLER, a broken connection or a change of leader it is tried again until its time is
over. A call that was sent twice may be carried out twice: what is called must bear that, as
Kafka's forwarding does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from embedded_broker.core import api
from embedded_broker.core.controller.refusals import is_not_controller
from embedded_broker.core.controller.settling import is_settled
from embedded_broker.core.events import Caller, RequestReceived

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

CallDone = Callable[[int, Any, str], None]
"""(now_ms, response or None, reason when there is none)"""
NOBODY = (-1, -1)
RETRY_MS = 50
SETTLE_MS = 1_000
"""How long an answer waits at most until this broker itself has seen what it tells of."""


class _Call:
    """One request on its way to the controller."""

    __slots__ = ("asked", "deadline_ms", "done", "message", "number", "send_id", "version")

    def __init__(
        self, number: int, message: Any, version: int, deadline_ms: int, done: CallDone
    ) -> None:
        self.number = number
        self.message = message
        self.version = version
        self.deadline_ms = deadline_ms
        self.done = done
        self.send_id = 0
        self.asked = NOBODY
        """(broker that was asked and has not answered, the quorum's epoch then)."""


class ControllerChannel:
    """``call`` answers once, later: never before it returns."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._calls: dict[int, _Call] = {}
        self._numbers = 0
        self._try_ms: int = min(
            broker.settings["controller.quorum.request.timeout.ms"],
            broker.settings["broker.session.timeout.ms"] // 2,
        )
        self._settling: dict[int, tuple[_Call, Any]] = {}
        self._caller = Caller(-1, "", "", f"broker-{broker.node_id}", broker_id=broker.node_id)

    def call(
        self, now_ms: int, message: Any, version: int, timeout_ms: int, done: CallDone
    ) -> None:
        """Ask the controller; ``done(now_ms, response, "")``, or with None and why not after
        ``timeout_ms``."""
        self._numbers += 1
        call = _Call(self._numbers, message, version, now_ms + timeout_ms, done)
        self._calls[call.number] = call
        self._try(now_ms, call)

    def on_leader_change(self, now_ms: int) -> None:
        """Try again what waits for a controller, or was asked of one that is none any more."""
        quorum = self._broker.quorum
        for number in sorted(self._calls):
            call = self._calls.get(number)
            if (
                call is None
                or number in self._settling
                or call.asked == (quorum.leader_id, quorum.epoch)
            ):
                continue
            if call.asked != NOBODY:
                self._broker.outbox.forget(call.send_id)
                call.asked = NOBODY
            self._again(now_ms, call, 0)

    def _try(self, now_ms: int, call: _Call) -> None:
        if call.number not in self._calls or call.asked != NOBODY:
            return
        remaining_ms = call.deadline_ms - now_ms
        if remaining_ms <= 0:
            self._end(now_ms, call, None, "no controller answered in time")
            return
        broker = self._broker
        leader_id = broker.quorum.leader_id
        if leader_id == broker.node_id and broker.controller.is_active:
            self._here(now_ms, call)
        elif leader_id in (-1, broker.node_id):
            self._again(now_ms, call, min(RETRY_MS, remaining_ms))
        else:
            call.asked = (leader_id, broker.quorum.epoch)

            def done(now: int, response: Any, reason: str) -> None:
                self._answered(now, call, response)

            # A connection may be dead without saying so: no try may cost more than its share.
            try_ms = max(1, min(remaining_ms, self._try_ms))
            call.send_id = broker.outbox.send(
                leader_id, "control", call.message, call.version, try_ms, done
            )

    def _here(self, now_ms: int, call: _Call) -> None:
        """Carry it out on this broker; the answer comes by way of a timer, as from afar."""
        broker = self._broker
        call.asked = (broker.node_id, broker.quorum.epoch)

        def answered(response: Any) -> None:
            broker.outbox.timer(
                f"channel.{call.number}", now_ms, lambda now: self._answered(now, call, response)
            )

        event = RequestReceived(
            broker.outbox.expect_here(answered), call.version, call.message, self._caller
        )
        api.handler(call.message.API_KEY)(broker, now_ms, event)

    def _answered(self, now_ms: int, call: _Call, response: Any) -> None:
        if call.number not in self._calls:
            return
        call.asked = NOBODY
        if response is None or is_not_controller(response):
            self._again(now_ms, call, RETRY_MS)
        elif is_settled(self._broker.image, call.message, response):
            self._end(now_ms, call, response, "")
        else:
            # Whoever asked will ask this broker about it next.
            self._settling[call.number] = (call, response)
            until_ms = now_ms + SETTLE_MS
            self._broker.outbox.timer(
                f"channel.{call.number}", until_ms, lambda now: self._settled(now, call.number)
            )

    def on_metadata(self, now_ms: int) -> None:
        """Called when committed records have been applied."""
        for number in sorted(self._settling):
            call, response = self._settling[number]
            if is_settled(self._broker.image, call.message, response):
                self._settled(now_ms, number)

    def _settled(self, now_ms: int, number: int) -> None:
        call, response = self._settling.pop(number)
        self._end(now_ms, call, response, "")

    def _again(self, now_ms: int, call: _Call, delay_ms: int) -> None:
        self._broker.outbox.timer(
            f"channel.{call.number}", now_ms + delay_ms, lambda now: self._try(now, call)
        )

    def _end(self, now_ms: int, call: _Call, response: Any, reason: str) -> None:
        del self._calls[call.number]
        self._broker.outbox.cancel(f"channel.{call.number}")
        call.done(now_ms, response, reason)
