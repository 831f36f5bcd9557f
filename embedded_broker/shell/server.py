"""The listening side of a broker: accepts, counts and times out connections, and passes their
requests to the runner. Runs in the thread of the event loop."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from embedded_broker.core.events import Caller
from embedded_broker.shell.authentication import Authentication
from embedded_broker.shell.connection import ClientConnection, Slot
from embedded_broker.shell.framed import Shared, tune
from embedded_broker.shell.inspector import Inspector
from embedded_broker.shell.loop import CLOCK_EVERY, READ, TURN_MS
from embedded_broker.shell.metadata_cache import MetadataCache
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.fields import Message
from kafka_protocol.records.inspection import Outcome

BACKLOG = 511
SWEEP_MS = 1_000
FRAME_DEADLINE_MS = 30_000
ACCEPTS_PER_WAKEUP = 64
RESERVED_FOR_BROKERS = 64
"""Connections accepted beyond the limit; one stays only if it proves to be a broker's."""
PROOF_MS = 5_000
"""How long such a connection has for its proof. When all are taken, the oldest without one makes
room for the next: a broker proves itself within a round trip."""
ACCEPT_AGAIN_MS = 250
"""The pause after a connection could not be accepted for want of descriptors or memory: it stays
ready, and the loop would do nothing but try."""
MAY_BE_LONG = frozenset(
    {
        ApiKey.LIST_OFFSETS,
        ApiKey.METADATA,
        ApiKey.OFFSET_FETCH,
        ApiKey.DESCRIBE_GROUPS,
        ApiKey.LIST_GROUPS,
        ApiKey.CREATE_TOPICS,
        ApiKey.DESCRIBE_CONFIGS,
        ApiKey.DESCRIBE_LOG_DIRS,
    }
)
"""Their responses may take more than some milliseconds to encode, and are encoded in steps."""
_NOT_PROVED = "its place is kept for brokers, and it has not proved to be one"
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(slots=True)
class Limits:
    """Bounds of one broker's connections; the defaults are Kafka's except ``max_connections``."""

    request_max_bytes: int = 100 * 1024 * 1024
    max_connections: int = 1_000
    max_connections_per_ip: int = 2**31 - 1
    idle_ms: int = 600_000
    frame_deadline_ms: int = FRAME_DEADLINE_MS


class ListenFailed(Exception):
    """A listener cannot use its address; the text is a sentence."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening, non-blocking socket; port 0 takes a free one.

    Raises:
        ListenFailed: the address is in use, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows SO_REUSEADDR would let two brokers listen on one port.
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as e:
        sock.close()
        raise ListenFailed(f"cannot listen on {host}:{port}: {e.strerror or e}") from e
    sock.setblocking(False)
    return sock


OnRequest = Callable[[int, int, Message, Caller, Sequence[Outcome]], None]
"""(request id, version, message, caller, outcomes of a Produce request's inspections)"""


class Server:
    """Owns the connections; calls ``on_request`` for each request and ``on_connection_closed``
    with the id of each connection that ended."""

    def __init__(
        self,
        shared: Shared,
        limits: Limits,
        authentication: Authentication,
        on_request: OnRequest,
        on_connection_closed: Callable[[int], None],
        warn: Callable[[str], None],
    ) -> None:
        self.shared = shared
        self.limits = limits
        self.authentication = authentication
        self.metadata_cache: MetadataCache | None = None
        self.inspector = Inspector(shared.loop, self.schedule_resume, warn)
        self.connections: dict[int, ClientConnection] = {}
        self._on_request = on_request
        self._on_connection_closed = on_connection_closed
        self._warn = warn
        self._slots: dict[int, Slot] = {}
        """The slots of the requests that the core has not answered yet, by request id."""
        self._request_id = 0
        self._connection_id = 0
        self._per_host: Counter[str] = Counter()
        self._to_flush: list[ClientConnection] = []
        self._to_resume: list[ClientConnection] = []
        self._listeners: list[socket.socket] = []

    # ---- accepting
    def listen(self, sock: socket.socket, listener: str) -> None:
        """Serve a bound socket; ``listener`` is its name in the settings."""
        self._listeners.append(sock)
        self._watch(sock, listener)
        if len(self._listeners) == 1:
            self.shared.loop.call_at(self.shared.loop.now_ms() + SWEEP_MS, self._sweep)

    def _watch(self, sock: socket.socket, listener: str) -> None:
        if sock in self._listeners:
            self.shared.loop.add(sock.fileno(), READ, lambda _events: self._accept(sock, listener))

    def _accept(self, listening: socket.socket, listener: str) -> None:
        for _ in range(ACCEPTS_PER_WAKEUP):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                self._warn(f"cannot accept a connection: {e.strerror or e}")
                if e.errno in _EXHAUSTED:
                    loop = self.shared.loop
                    loop.remove(listening.fileno())
                    loop.call_at(
                        loop.now_ms() + ACCEPT_AGAIN_MS, lambda: self._watch(listening, listener)
                    )
                return
            host = str(address[0])
            too_many_of_host = self._per_host[host] >= self.limits.max_connections_per_ip
            if not too_many_of_host:
                self._make_room()
            count = len(self.connections)
            if too_many_of_host or count >= self.limits.max_connections + RESERVED_FOR_BROKERS:
                self._warn(f"refused a connection from {host}: too many are open ({count})")
                sock.close()
                continue
            try:
                tune(sock)
            except OSError:
                sock.close()  # the client has left again
                continue
            self._connection_id += 1
            connection = ClientConnection(
                self,
                sock,
                Caller(self._connection_id, host, listener),
                self.limits.request_max_bytes,
                brokers_only=count >= self.limits.max_connections,
            )
            self.connections[self._connection_id] = connection
            self._per_host[host] += 1

    def _make_room(self) -> None:
        """When every place is taken, close the oldest connection that is yet to prove that a
        place kept for brokers is for it."""
        if len(self.connections) < self.limits.max_connections + RESERVED_FOR_BROKERS:
            return
        for connection in self.connections.values():
            if connection.brokers_only:
                connection.close(_NOT_PROVED)
                return

    def connection_closed(self, connection: ClientConnection, reason: str) -> None:
        """Called by the connection, once."""
        del self.connections[connection.connection_id]
        host = connection.caller.host
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
        if reason:
            client = f"{host} (client {connection.caller.client_id!r})"
            self._warn(f"closed the connection of {client}: {reason}")
        self._on_connection_closed(connection.connection_id)

    # ---- requests
    def submit(self, slot: Slot, message: Message, outcomes: Sequence[Outcome] = ()) -> None:
        """Give a request an id and pass it to the runner."""
        self._request_id = request_id = self._request_id + 1
        self._slots[request_id] = slot
        self._on_request(request_id, slot.version, message, slot.connection.caller, outcomes)

    def respond(self, request_id: int, message: Message) -> None:
        """Send the response to a request, unless its connection is closed. A response that cannot
        be encoded costs the client its connection, as any request that fails by a bug."""
        slot = self._slots.pop(request_id, None)
        if slot is None or slot.connection.closed:
            return  # None: the request has failed, and what waited for it answers late
        if message.API_KEY in MAY_BE_LONG:
            self._encode(slot, message, slot.connection.respond_in_steps(slot, message))
            return
        try:
            slot.connection.respond(slot, message)
        except Exception as e:
            self._cannot_encode(slot, message, e)

    def _encode(self, slot: Slot, message: Message, steps: Iterator[None]) -> None:
        """Encode for some milliseconds, and the rest behind whatever else has happened."""
        try:
            next(steps)
        except StopIteration:
            return
        except Exception as e:
            self._cannot_encode(slot, message, e)
            return
        if not slot.connection.closed:
            self.shared.loop.soon(lambda: self._encode(slot, message, steps))

    def _cannot_encode(self, slot: Slot, message: Message, error: Exception) -> None:
        # Whatever it is, nothing of the response has been queued yet.
        name = ApiKey(message.API_KEY).name
        self._warn(f"cannot encode the response to {name} version {slot.version}: {error}")
        slot.connection.close("its response cannot be encoded")

    def no_response(self, request_id: int) -> None:
        """End a request that has no response (Produce with acks=0)."""
        slot = self._slots.pop(request_id, None)
        if slot is not None and not slot.connection.closed:
            slot.connection.no_response(slot)

    def drop(self, request_id: int, reason: str) -> None:
        """Close the connection of a request instead of answering it."""
        slot = self._slots.pop(request_id, None)
        if slot is not None:
            slot.connection.close(reason)

    def schedule_flush(self, connection: ClientConnection) -> None:
        self._to_flush.append(connection)

    def schedule_resume(self, connection: ClientConnection) -> None:
        if not connection.resume_scheduled:
            connection.resume_scheduled = True
            self._to_resume.append(connection)

    # ---- end of a wake-up
    def flush(self) -> None:
        """Send the responses of this wake-up, those to brokers first: producers wait for the
        fetches of followers."""
        if not self._to_flush:
            return
        connections, self._to_flush = self._to_flush, []
        if len(connections) > 1:
            connections.sort(key=lambda c: c.caller.broker_id < 0)
        for connection in connections:
            # A connection is listed once for each response, and flushed with the first.
            if connection.out_bytes and not connection.closed:
                connection.flush()

    def resume_waiting(self) -> bool:
        """Resume the connections whose next request had to wait, those of brokers first, and the
        rest in the next wake-up when that takes long; True when there were any."""
        if not self._to_resume:
            return False
        connections, self._to_resume = self._to_resume, []
        connections.sort(key=lambda connection: connection.caller.broker_id < 0)
        loop = self.shared.loop
        began_ms = loop.now_ms()
        for number, connection in enumerate(connections):
            if number % CLOCK_EVERY == CLOCK_EVERY - 1 and loop.now_ms() - began_ms >= TURN_MS:
                self._to_resume = connections[number:] + self._to_resume
                break
            connection.resume_scheduled = False
            connection.resume()
        return True

    def _sweep(self) -> None:
        """Close connections that are idle, or slow to send a frame that they began."""
        now = self.shared.loop.now_ms()
        limits = self.limits
        for connection in list(self.connections.values()):
            if connection.brokers_only and now - connection.opened_ms > PROOF_MS:
                connection.close(_NOT_PROVED)
                continue
            began_ms = connection.frame_since_ms
            if began_ms:
                connection.last_active_ms = max(connection.last_active_ms, began_ms)
                # While a whole frame waits, it is the broker that is late, not the client.
                overdue = now - began_ms > limits.frame_deadline_ms
                if overdue and not connection.frame_waits:
                    connection.close(
                        f"a request was incomplete after {limits.frame_deadline_ms} ms"
                    )
            elif not connection.slots and now - connection.last_active_ms > limits.idle_ms:
                connection.close("")
        self.shared.loop.call_at(now + SWEEP_MS, self._sweep)

    # ---- end
    def close(self) -> None:
        """Close the listeners, then every connection after sending what its socket takes."""
        for sock in self._listeners:
            self.shared.loop.remove(sock.fileno())
            sock.close()
        self._listeners.clear()
        for connection in list(self.connections.values()):
            if not connection.closed:
                connection.flush()
            connection.close("")
        self.inspector.close()
