"""Long requests in slices: between two of them the node handles whatever else has happened.

A handler with much to do is a generator. It yields the work that it did since its last yield, in
items of some microseconds each, and answers before it ends. A request of few items ends within
the call that received it. Of several long ones each gets a slice in turn, one slice a
millisecond, so that all of them together hold the node up no longer than one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.outbox import Outbox

Steps = Generator[int, None, None]
"""The rest of a request; each step returns its work in items."""
Handler = Callable[[int, RequestReceived], Steps | None]
"""(now_ms, request): handle the request; the response goes through the outbox, now or
later. A handler with much to do returns its steps."""
ITEMS_AT_ONCE = 2_000
"""The work of a slice: two to ten milliseconds."""
TIMER = "requests in slices"


class Slices:
    """The requests of one node that are not finished."""

    def __init__(
        self, outbox: Outbox, attempt: Callable[[Handler, int, RequestReceived], None]
    ) -> None:
        """``attempt`` calls a handler and passes the steps that it returns to ``begin``."""
        self._outbox = outbox
        self._attempt = attempt
        self._line: deque[tuple[RequestReceived, Steps]] = deque()

    def begin(self, now_ms: int, request: RequestReceived, steps: Steps) -> None:
        """Handle a slice at once, and the rest later."""
        left = ITEMS_AT_ONCE
        for items in steps:
            left -= items
            if left <= 0:
                self._line.append((request, steps))
                self._arm(now_ms)
                return

    def connection_closed(self, connection_id: int) -> None:
        """Drop the requests of this connection: nobody waits for their responses."""
        self._line = deque(
            entry for entry in self._line if entry[0].caller.connection_id != connection_id
        )

    def _arm(self, now_ms: int) -> None:
        if self._line and not self._outbox.has_timer(TIMER):
            # Not now: a timer that is due at once would be next, before any socket.
            self._outbox.timer(TIMER, now_ms + 1, self._go_on)

    def _go_on(self, now_ms: int) -> None:
        if self._line:
            request, steps = self._line.popleft()
            self._attempt(lambda _now_ms, _request: steps, now_ms, request)
        self._arm(now_ms)
