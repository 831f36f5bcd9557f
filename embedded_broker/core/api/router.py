"""Routes requests to their handlers: checks that the caller may send them, and forwards
requests of clients for the controller."""

from __future__ import annotations

from embedded_broker.core.api.handlers import BINDERS, Machines
from embedded_broker.core.api.slices import Handler, Slices, Steps
from embedded_broker.core.api.versions import TABLE
from embedded_broker.core.controller.refusals import refusal
from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import response_class
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message

FORWARD_TIMEOUT_MS = 30_000
"""How long a request for the controller waits for one when it has no timeout of its
own."""
FROM_THE_IMAGE = (ApiKey.METADATA, ApiKey.FIND_COORDINATOR, ApiKey.DESCRIBE_CLUSTER)
"""What a client asks to learn where to go."""
TEXT_MOST = 500
"""Characters of an exception's text in the log."""


class Router:
    """The requests of one node."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._controller = machines.controller
        self._handlers: dict[int, Handler] = {}
        """Bound at the first request of each API."""
        self._open: dict[int, Handler] = {}
        """Those of ``_handlers`` that any caller may use on this node: the hot path."""
        self._slices = Slices(machines.env.outbox, self._attempt)
        self._failures = 0
        """Requests that met a bug."""

    def receive(self, now_ms: int, event: RequestReceived) -> None:
        """Handle a request from a connection; its version has been checked
        (``unsupported``)."""
        key: int = event.message.API_KEY
        handler = self._open.get(key)
        if handler is not None:
            self._attempt(handler, now_ms, event)
            return
        api = TABLE[key]
        if event.caller.broker_id < 0:
            if api.between_brokers:
                self._refuse(event)
                return
            if api.controller and not self._controller.is_active:
                self._forward(now_ms, event)
                return
        self.handle(now_ms, event)
        if not api.between_brokers and not api.controller:
            self._open[key] = self._handlers[key]

    def handle(self, now_ms: int, event: RequestReceived) -> None:
        """Handle a request on this node."""
        key: int = event.message.API_KEY
        handler = self._handlers.get(key)
        if handler is None:
            handler = BINDERS[key](self._machines)
            if key in FROM_THE_IMAGE:
                handler = self._if_current(handler)
            self._handlers[key] = handler
        if TABLE[key].between_brokers:
            # A bug in what brokers agree on: stop rather than drift apart.
            steps = handler(now_ms, event)
            assert steps is None, "requests between brokers are handled at once"
        else:
            self._attempt(handler, now_ms, event)

    def _if_current(self, handler: Handler) -> Handler:
        """Send clients away while the disk refuses newer metadata: by old metadata, a client that
        happens to ask here again and again writes for ever to a leader that is none."""
        outbox, quorum = self._machines.env.outbox, self._machines.quorum

        def handle(now_ms: int, event: RequestReceived) -> Steps | None:
            if quorum.falls_behind and event.caller.broker_id < 0:
                outbox.drop(event, "this broker cannot write the newer metadata to its disk")
                return None
            return handler(now_ms, event)

        return handle

    def connection_closed(self, connection_id: int) -> None:
        """Give up the long requests of this connection."""
        self._slices.connection_closed(connection_id)

    def _attempt(self, handler: Handler, now_ms: int, event: RequestReceived) -> None:
        """Handle a client's request, or the next slice of it. A bug that it meets costs the client
        its connection, not the cluster a broker, and with the client's retries one after the other.

        Not so when an assertion failed, which guards an invariant of a log or of the quorum, or
        when a log was written to already: then this broker stops.
        """
        outbox = self._machines.env.outbox
        # A handler may send a request to this node itself, which is attempted inside its own.
        outer, outbox.logs_changed = outbox.logs_changed, False
        try:
            steps = handler(now_ms, event)
            if steps is not None:
                self._slices.begin(now_ms, event, steps)
        except AssertionError:
            raise
        except Exception as error:
            if outbox.logs_changed:
                raise
            self._failed(event, error)
        finally:
            outbox.logs_changed = outbox.logs_changed or outer

    def _failed(self, event: RequestReceived, error: Exception) -> None:
        outbox = self._machines.env.outbox
        self._failures += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f" in {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
        name = ApiKey(event.message.API_KEY).name
        outbox.note(
            Level.ERROR,
            f"Internal error while handling {name} version {event.version} of"
            f" {event.caller.host}: {type(error).__name__}{where}: {str(error)[:TEXT_MOST]}"
            f" ({self._failures} since the start)",
        )
        if outbox.is_answered(event):
            return
        code = ErrorCode.UNKNOWN_SERVER_ERROR
        if TABLE[event.message.API_KEY].controller:
            # Another broker may have forwarded it: closing that connection would fail its other
            # requests, and it would send this one again.
            text = "Internal error of the controller."
            outbox.respond(event, refusal(event.message, code, text))
            return
        response = response_class(event.message.API_KEY)()
        if hasattr(response, "error_code"):
            response.error_code = code
            outbox.respond(event, response)
        else:
            outbox.drop(event, f"internal error while handling {name}")

    def _refuse(self, event: RequestReceived) -> None:
        """A client sent a request that only brokers may send."""
        outbox = self._machines.env.outbox
        response = response_class(event.message.API_KEY)()
        if hasattr(response, "error_code"):
            response.error_code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
            outbox.respond(event, response)
        else:
            outbox.drop(event, f"API key {event.message.API_KEY} is only for brokers")

    def _forward(self, now_ms: int, event: RequestReceived) -> None:
        """Send a client's request to the active controller. A request from a broker is
        never forwarded: its handler answers NOT_CONTROLLER, and the broker that sent it
        looks for the controller elsewhere."""
        outbox = self._machines.env.outbox

        def done(_now_ms: int, response: Message | None, reason: str) -> None:
            if response is None:
                outbox.drop(event, f"the controller did not handle the request: {reason}")
            else:
                outbox.respond(event, response)

        timeout_ms = max(1_000, getattr(event.message, "timeout_ms", FORWARD_TIMEOUT_MS))
        self._machines.calls.call(now_ms, event.message, event.version, timeout_ms, done)
