"""Runs one broker: passes events to the core and performs the effects that it returns.

Decides nothing. A wake-up of the loop handles its events one by one; then one ``TickEnded`` lets
the core complete waiting fetches, and every connection is flushed once: that is the group commit.
A core that raises has a bug: the traceback goes to the broker's log, and the broker stops with
EXIT_BUG. Everything runs in the thread of the event loop.
"""

from __future__ import annotations

import gc
import random
import time
import traceback
from collections.abc import Callable, Sequence
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
from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.broker_log import BrokerLog
from embedded_broker.shell.flusher import Flusher
from embedded_broker.shell.framed import Shared
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.peers import Peers
from embedded_broker.shell.server import Limits, Server
from embedded_broker.shell.storage.disk import LogDirectory, run_now
from embedded_broker.shell.timers import Timers
from kafka_protocol.fields import Message
from kafka_protocol.records.inspection import Outcome

CHECKPOINT_MS = 10_000
EXIT_BUG = 70
GC_EVERY_MS = 10_000
GC_YOUNG = 100_000
"""New objects before a collection of the youngest generation; Python's 700 would collect in every
wake-up."""


class Node(Protocol):
    """The state machine that is run: ``core.broker.Broker``, or a test's own."""

    def start(self, now_ms: int) -> list[Effect]: ...
    def handle(self, now_ms: int, event: Event) -> list[Effect]: ...


class SystemClock:
    """The Clock port of ``core.ports``."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemRng:
    """The Rng port of ``core.ports``."""

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
        log: BrokerLog,
        node_id: int,
        secret: bytes,
        limits: Limits,
    ) -> None:
        self.loop = loop
        self.disk = disk
        self.log = log
        self.exit_code: int | None = None
        """Set once the broker is to stop; no event reaches the core after that."""
        self.is_serving: Callable[[], bool] = lambda: False
        self.on_serving: Callable[[], None] = lambda: None
        self._serving_reported = False
        self._handled = False
        """Whether this wake-up had an event, so that a TickEnded is due."""
        self._gc_due_ms = 0
        shared = Shared(loop)
        self._shared = shared
        self.server = Server(
            shared,
            limits,
            Authentication(secret, node_id),
            self._on_request,
            self._on_connection_closed,
            self._warn,
        )
        self.peers = Peers(shared, node_id, secret, self._on_response, self._on_failure)
        self.timers = Timers(loop, self._on_timer)
        self.flusher = Flusher(loop, self._on_flushed, self._warn)
        self._handle: Callable[[int, Event], list[Effect]]
        self._perform: dict[type, Callable[[Any], None]] = {
            Respond: lambda e: self.server.respond(e.request_id, e.message),
            Send: self.peers.send,
            SetTimer: lambda e: self.timers.set(e.key, e.token, e.at_ms),
            NoResponse: lambda e: self.server.no_response(e.request_id),
            Drop: lambda e: self.server.drop(e.request_id, e.reason),
            Flush: lambda e: self.flusher.flush(e.flush_id, self.disk.log(e.topic, e.partition)),
            PeerAddress: lambda e: self.peers.set_address(e.peer_id, e.host, e.port),
            Note: lambda e: self.log.write(e.level, e.text),
            Stop: self._on_stop,
        }

    # ---- start and stop
    def run(self, node: Node) -> int:
        """Run until the core stops the broker; returns the exit code."""
        self._handle = node.handle
        self.loop.after_tick = self._after_tick
        self.loop.when_idle = self._when_idle
        self.flusher.start()
        self.disk.background = self.flusher.run
        self._call_core(node.start, self.loop.now_ms())
        self.loop.call_at(self.loop.now_ms() + CHECKPOINT_MS, self._checkpoint)
        # What was imported and built until now stays for good: keep the collector away from it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_YOUNG, 50, 1000)
        if self.exit_code is None:
            self.loop.run()
        return self._shut_down()

    def request_stop(self) -> None:
        """Begin a controlled shutdown; call from the loop's thread (or through ``loop.post``)."""
        self.dispatch(StopRequested())

    def _shut_down(self) -> int:
        """Send what is due, close everything; returns the exit code. The data directory is marked
        clean only after exit code 0."""
        code = self.exit_code if self.exit_code is not None else 0
        clean = code == 0
        self.server.flush()
        self.peers.close()
        self.server.close()
        self.flusher.stop()
        self.disk.background = run_now  # the flusher's thread has ended
        try:
            self.disk.close(clean)
        except (OSError, StorageFailed) as e:
            self.log.write(Level.ERROR, f"cannot close the data directory cleanly: {e}")
            code = code or 1
        self.loop.close()
        return code

    # ---- events
    def dispatch(self, event: Event) -> None:
        """Let the core handle an event; call from the loop's thread."""
        self._handled = True
        self._call_core(self._handle, self.loop.turn_ms, event)

    def _call_core(self, call: Callable[..., list[Effect]], *arguments: Any) -> None:
        if self.exit_code is not None:
            return
        try:
            effects = call(*arguments)
        except Exception:
            # Serving on with broken invariants could lose records: stop, whatever it was.
            self._stop_on_bug()
            return
        perform = self._perform
        for effect in effects:
            perform[type(effect)](effect)

    def _stop_on_bug(self) -> None:
        text = traceback.format_exc()
        last = text.strip().splitlines()[-1]
        for line in text.splitlines():
            self.log.write(Level.ERROR, line)
        self.log.write(Level.ERROR, f"stopping because of an internal error: {last}")
        self.exit_code = EXIT_BUG
        self.loop.stop()

    def _on_request(
        self,
        request_id: int,
        version: int,
        message: Message,
        caller: Caller,
        outcomes: Sequence[Outcome],
    ) -> None:
        self.dispatch(RequestReceived(request_id, version, message, caller, outcomes))

    def _on_connection_closed(self, connection_id: int) -> None:
        if self.exit_code is None:
            # Not from within the call that closed it: that may be the core's own effect.
            self.loop.post(lambda: self.dispatch(ConnectionClosed(connection_id)))

    def _on_response(self, send_id: int, peer_id: int, message: Message) -> None:
        self.dispatch(ResponseReceived(send_id, peer_id, message))

    def _on_failure(self, send_id: int, peer_id: int, reason: str) -> None:
        self.dispatch(SendFailed(send_id, peer_id, reason))

    def _on_timer(self, key: str, token: int) -> None:
        self.dispatch(TimerFired(key, token))

    def _on_flushed(self, flush_id: int, error: str) -> None:
        if error:
            self.disk.flush_failed()
        self.dispatch(Flushed(flush_id, error))

    def _on_stop(self, effect: Stop) -> None:
        if self.exit_code is None:
            self.exit_code = effect.code
            level = Level.ERROR if effect.code else Level.INFO
            self.log.write(level, f"stopping: {effect.reason}")
            self.loop.stop()

    def _warn(self, text: str) -> None:
        self.log.write(Level.WARNING, text)

    # ---- wake-ups
    def _after_tick(self) -> bool:
        """End a wake-up; True when there is more to do before the loop waits again."""
        again = self.peers.report_failures()
        if self._handled:
            self._handled = False
            self._call_core(self._handle, self.loop.turn_ms, TickEnded())
            if not self._serving_reported and self.is_serving():
                self._serving_reported = True
                self.on_serving()
        # Responses first: they free the slots that the waiting requests need.
        self.server.flush()
        self.peers.flush()
        if self.server.resume_waiting():
            again = True
        return again or self._handled

    def _when_idle(self) -> None:
        """Collect garbage and free spare buffers while nobody waits for this broker."""
        now = self.loop.now_ms()
        if now >= self._gc_due_ms:
            self._gc_due_ms = now + GC_EVERY_MS
            gc.collect(1)
            self._shared.pool.trim()
            self._shared.peer_pool.trim()

    def _checkpoint(self) -> None:
        self.disk.checkpoint()
        self.loop.call_at(self.loop.now_ms() + CHECKPOINT_MS, self._checkpoint)
