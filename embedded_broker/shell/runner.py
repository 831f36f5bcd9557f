"""Takes an event, calls the core, carries out the effects. Decides nothing.

One ``TickEnded`` follows the events of each wake-up; it completes waiting fetches, and with one
send a connection after it that makes the group commit. A core that raises has a bug: it is
written down, and this broker stops.
"""

from __future__ import annotations

import gc
import random
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID, uuid4

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
    Caller,
    ConnectionClosed,
    Event,
    Flushed,
    RequestReceived,
    ResponseReceived,
    SendFailed,
    StopRequested,
    TickEnded,
    TimerFired,
)
from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.flusher import Flusher
from embedded_broker.shell.framed import Shared
from embedded_broker.shell.journal import Journal
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.peers import Peers
from embedded_broker.shell.server import Limits, Server
from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.timers import Timers

CHECKPOINT_MS = 10_000
EXIT_BUG = 70
GC_EVERY_MS = 10_000
GC_YOUNG = 100_000


class Node(Protocol):
    """What is run: ``core.broker.Broker``, or a test's own."""

    def start(self, now_ms: int) -> list[Effect]: ...
    def handle(self, now_ms: int, event: Event) -> list[Effect]: ...


class SystemClock:
    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemRng:
    def below(self, n: int) -> int:
        return random.randrange(n)

    def uuid(self) -> UUID:
        return uuid4()


class Runner:
    """One broker's loop with everything attached to it."""

    def __init__(
        self,
        loop: Loop,
        disk: LogDirectory,
        journal: Journal,
        node_id: int,
        secret: bytes,
        limits: Limits,
    ) -> None:
        self.loop = loop
        self.disk = disk
        self.journal = journal
        self.exit_code: int | None = None
        self.exit_reason = ""
        self.is_serving: Callable[[], bool] = lambda: False
        self.on_serving: Callable[[], None] = lambda: None
        self._said_serving = False
        self._handled = False
        self._gc_due_ms = 0
        shared = Shared(loop)
        self._shared = shared
        self.server = Server(
            shared,
            limits,
            Authentication(secret),
            self._on_request,
            self._on_connection_closed,
            self._warn,
        )
        self.peers = Peers(shared, node_id, secret, self._on_answer, self._on_failure)
        self.timers = Timers(loop, self._on_timer)
        self.flusher = Flusher(loop, self._on_flushed, self._warn)
        self._node: Node
        self._handle: Callable[[int, Event], list[Effect]]
        self._perform: dict[type, Callable[[Any], None]] = {
            Respond: lambda e: self.server.respond(e.request_id, e.message),
            Send: self.peers.send,
            SetTimer: lambda e: self.timers.set(e.key, e.token, e.at_ms),
            NoResponse: lambda e: self.server.no_response(e.request_id),
            Drop: lambda e: self.server.drop(e.request_id, e.reason),
            Flush: lambda e: self.flusher.flush(e.flush_id, self.disk.log(e.topic, e.partition)),
            PeerAddress: lambda e: self.peers.set_address(e.peer_id, e.host, e.port),
            Note: lambda e: self.journal.write(e.level, e.text),
            Stop: self._on_stop,
        }

    # ---- life
    def run(self, node: Node) -> int:
        """Run until the core says stop; returns the exit code."""
        self._node = node
        self._handle = node.handle
        self.loop.after_tick = self._after_tick
        self.loop.when_idle = self._when_idle
        self.flusher.start()
        self.disk.background = self.flusher.run
        self._tend(node.start, self.loop.now_ms())
        self.loop.call_at(self.loop.now_ms() + CHECKPOINT_MS, self._checkpoint)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_YOUNG, 50, 1000)
        if self.exit_code is None:
            self.loop.run()
        return self._end()

    def request_stop(self) -> None:
        """Leave in order; call from the loop's thread (or through ``loop.post``)."""
        self.dispatch(StopRequested())

    def _end(self) -> int:
        code = self.exit_code if self.exit_code is not None else 0
        clean = code == 0
        self.server.flush()
        self.peers.close()
        self.server.close()
        self.flusher.stop()
        from embedded_broker.shell.storage.disk import run_now

        self.disk.background = run_now
        try:
            self.disk.close(clean)
        except OSError as e:
            self.journal.write(Level.ERROR, f"the data directory could not be closed in order: {e}")
            code = code or 1
        self.loop.close()
        return code

    # ---- events
    def dispatch(self, event: Event) -> None:
        self._handled = True
        self._tend(self._handle, self.loop.turn_ms, event)

    def _tend(self, call: Callable[..., list[Effect]], *arguments: Any) -> None:
        if self.exit_code is not None:
            return
        try:
            effects = call(*arguments)
        except Exception:
            self._bug()
            return
        perform = self._perform
        for effect in effects:
            perform[type(effect)](effect)

    def _bug(self) -> None:
        text = traceback.format_exc()
        last = text.strip().splitlines()[-1]
        for line in text.splitlines():
            self.journal.write(Level.ERROR, line)
        self.journal.write(Level.ERROR, f"a broken invariant stops this broker: {last}")
        self.exit_code, self.exit_reason = EXIT_BUG, last
        self.loop.stop()

    def _on_request(self, request_id: int, version: int, message: Any, caller: Caller) -> None:
        self.dispatch(RequestReceived(request_id, version, message, caller))

    def _on_connection_closed(self, connection_id: int) -> None:
        if self.exit_code is None:
            # Not from within the call that closed it: that may be the core's own effect.
            self.loop.post(lambda: self.dispatch(ConnectionClosed(connection_id)))

    def _on_answer(self, send_id: int, peer_id: int, message: Any) -> None:
        self.dispatch(ResponseReceived(send_id, peer_id, message))

    def _on_failure(self, send_id: int, peer_id: int, reason: str) -> None:
        self.dispatch(SendFailed(send_id, peer_id, reason))

    def _on_timer(self, key: str, token: int) -> None:
        self.dispatch(TimerFired(key, token))

    def _on_flushed(self, flush_id: int, error: str) -> None:
        self.dispatch(Flushed(flush_id, error))

    def _on_stop(self, effect: Stop) -> None:
        if self.exit_code is None:
            self.exit_code, self.exit_reason = effect.code, effect.reason
            self.journal.write(
                Level.ERROR if effect.code else Level.INFO, f"stopping: {effect.reason}"
            )
            self.loop.stop()

    def _warn(self, text: str) -> None:
        self.journal.write(Level.WARNING, text)

    # ---- wake-ups
    def _after_tick(self) -> bool:
        again = self.peers.report_failures()
        if self._handled:
            self._handled = False
            self._tend(self._handle, self.loop.turn_ms, TickEnded())
            if not self._said_serving and self.is_serving():
                self._said_serving = True
                self.on_serving()
        self.server.flush()
        self.peers.flush()
        if self.server.resume_held():
            again = True
        return again or self._handled

    def _when_idle(self) -> None:
        now = self.loop.now_ms()
        if now >= self._gc_due_ms:
            self._gc_due_ms = now + GC_EVERY_MS
            gc.collect(1)
            self._shared.pool.trim()

    def _checkpoint(self) -> None:
        self.disk.checkpoint()
        self.loop.call_at(self.loop.now_ms() + CHECKPOINT_MS, self._checkpoint)
