"""The listening side of a broker: accepts, counts, times out, and passes requests to the runner."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded_broker.core.events import Caller
from embedded_broker.shell.answers import MetadataAnswers
from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.connection import ClientConnection, Slot
from embedded_broker.shell.framed import Shared, tune
from embedded_broker.shell.loop import READ

BACKLOG = 511
SWEEP_MS = 1_000
FRAME_DEADLINE_MS = 30_000
ACCEPTS_A_TURN = 64
RESERVED_FOR_BROKERS = 64
"""Connections accepted beyond the limit, which stay only if they prove to be a broker's."""


@dataclass(slots=True)
class Limits:
    request_max_bytes: int = 100 * 1024 * 1024
    max_connections: int = 1_000
    max_connections_per_ip: int = 2**31 - 1
    idle_ms: int = 600_000
    frame_deadline_ms: int = FRAME_DEADLINE_MS


class ListenFailed(Exception):
    """A listener's address cannot be had; the text is a sentence."""


def bind(host: str, port: int) -> socket.socket:
    """Raises: ListenFailed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as e:
        sock.close()
        raise ListenFailed(f"cannot listen on {host}:{port}: {e.strerror or e}") from e
    sock.setblocking(False)
    return sock


OnRequest = Callable[[int, int, Any, Caller], None]
"""(request id, version, message, caller)"""


class Server:
    """Owns the connections; the runner is called for each request and each connection that went."""

    def __init__(
        self,
        shared: Shared,
        limits: Limits,
        authentication: Authentication,
        on_request: OnRequest,
        on_connection_closed: Callable[[int], None],
        note: Callable[[str], None],
    ) -> None:
        self.shared = shared
        self.limits = limits
        self.authentication = authentication
        self.metadata_answers: MetadataAnswers | None = None
        self.connections: dict[int, ClientConnection] = {}
        self._on_request = on_request
        self._on_connection_closed = on_connection_closed
        self._note = note
        self._slots: dict[int, Slot] = {}
        self._request_id = 0
        self._connection_id = 0
        self._per_host: Counter[str] = Counter()
        self._dirty: list[ClientConnection] = []
        self._again: list[ClientConnection] = []
        self._listeners: list[socket.socket] = []

    # ---- accepting
    def listen(self, sock: socket.socket, listener: str) -> None:
        """Serve a bound socket."""
        self._listeners.append(sock)
        self.shared.loop.add(sock.fileno(), READ, lambda _events: self._accept(sock, listener))
        if len(self._listeners) == 1:
            self.shared.loop.call_at(self.shared.loop.now_ms() + SWEEP_MS, self._sweep)

    def _accept(self, listening: socket.socket, listener: str) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                self._note(f"cannot accept a connection: {e.strerror or e}")
                return
            host = str(address[0])
            count = len(self.connections)
            too_many_here = self._per_host[host] >= self.limits.max_connections_per_ip
            if too_many_here or count >= self.limits.max_connections + RESERVED_FOR_BROKERS:
                self._note(f"connection from {host} refused: {count} connections are open")
                sock.close()
                continue
            try:
                tune(sock)
            except OSError:
                sock.close()  # gone already
                continue
            self._connection_id += 1
            connection = ClientConnection(self, sock, self._connection_id, host, listener)
            connection.brokers_only = count >= self.limits.max_connections
            self.connections[self._connection_id] = connection
            self._per_host[host] += 1

    def connection_closed(self, connection: ClientConnection, reason: str) -> None:
        """Called by the connection, once."""
        del self.connections[connection.connection_id]
        host = connection.caller.host
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
        if reason:
            self._note(
                f"closed the connection of {host} (client {connection.caller.client_id!r}): {reason}"
            )
        self._on_connection_closed(connection.connection_id)

    # ---- requests
    def request(self, slot: Slot, message: Any) -> None:
        self._request_id = request_id = self._request_id + 1
        self._slots[request_id] = slot
        self._on_request(request_id, slot.version, message, slot.connection.caller)

    def respond(self, request_id: int, message: Any) -> None:
        slot = self._slots.pop(request_id)
        if not slot.connection.closed:
            slot.connection.answer(slot, message)

    def no_response(self, request_id: int) -> None:
        slot = self._slots.pop(request_id)
        if not slot.connection.closed:
            slot.connection.answer_nothing(slot)

    def drop(self, request_id: int, reason: str) -> None:
        slot = self._slots.pop(request_id)
        slot.connection.close(reason)

    def dirty(self, connection: ClientConnection) -> None:
        self._dirty.append(connection)

    def offer_again(self, connection: ClientConnection) -> None:
        if not connection.offered:
            connection.offered = True
            self._again.append(connection)

    # ---- wake-up's end
    def flush(self) -> None:
        """Send what the wake-up gathered, brokers first: their fetches are what producers wait
        for."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, []
        if len(dirty) > 1:
            dirty.sort(key=lambda c: c.caller.broker_id < 0)
        for connection in dirty:
            if connection.out_bytes and not connection.closed:
                connection.flush()

    def resume_held(self) -> bool:
        """Let connections go on whose next request had to wait; True when there were any."""
        if not self._again:
            return False
        again, self._again = self._again, []
        for connection in again:
            connection.offered = False
            connection.resume()
        return True

    def _sweep(self) -> None:
        now = self.shared.loop.now_ms()
        limits = self.limits
        for connection in list(self.connections.values()):
            began = connection.frame_since_ms
            if began:
                connection.last_active_ms = max(connection.last_active_ms, began)
                if now - began > limits.frame_deadline_ms and not connection.held:
                    connection.close(
                        f"a request was not complete after {limits.frame_deadline_ms} ms"
                    )
            elif not connection.slots and now - connection.last_active_ms > limits.idle_ms:
                connection.close("")
        self.shared.loop.call_at(now + SWEEP_MS, self._sweep)

    # ---- end
    def close(self) -> None:
        for sock in self._listeners:
            self.shared.loop.remove(sock.fileno())
            sock.close()
        self._listeners.clear()
        for connection in list(self.connections.values()):
            if not connection.closed:
                connection.flush()
            connection.close("")
