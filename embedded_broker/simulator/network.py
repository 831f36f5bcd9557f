"""Simulated connections: ordered and lossless inside one, in any order between two.

A cut does what TCP makes of it: bytes wait and are retransmitted after the heal, unless a side
gave up before. The machine of a killed process closes its connections behind what was sent; a
machine without power sends nothing, and its peers notice by timeouts, or by a reset when it is
back. What a dead process has sent may still arrive.

States of a connection: dialling -> established -> closed by the client's side, the server's side,
or both (half open in between).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from embedded_broker.core.events import Caller
from embedded_broker.simulator.world import World
from kafka_protocol.codec import decode, encode
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.messages.k01_fetch import FetchRequest, FetchResponse
from kafka_protocol.messages.k52_vote import VoteRequest
from kafka_protocol.messages.k53_begin_quorum_epoch import BeginQuorumEpochRequest
from kafka_protocol.messages.k56_alter_partition import AlterPartitionRequest

OnResponse = Callable[[Any, str], None]
"""(response or None, the reason when there is none)"""

LOST = 0.1
"""How often a lossy link loses a message."""
ECHOED = (FetchRequest, VoteRequest, BeginQuorumEpochRequest, AlterPartitionRequest)
"""Requests between brokers that may arrive again, late, and must then do no harm."""


class Server(Protocol):
    """A broker's process, as a connection sees it."""

    def request(self, connection: Connection, version: int, message: Any) -> None: ...
    def hung_up(self, connection: Connection) -> None: ...


class Host(Protocol):
    """A machine: serves, refuses because it has no process, or has no power."""

    host_id: int

    @property
    def powered(self) -> bool: ...
    @property
    def server(self) -> Server | None: ...


class Pipe:
    """One direction of a connection."""

    def __init__(
        self,
        network: Network,
        source: int,
        target: int,
        deliver: Callable[[str, Any], None],
        broken: Callable[[], None],
    ) -> None:
        self.network, self.source, self.target = network, source, target
        self._deliver, self._broken = deliver, broken
        self._queue: deque[tuple[int, str, Any]] = deque()
        self._newest_due = 0
        self.dead = False
        """Whether this direction swallows everything (a black hole)."""

    def push(self, kind: str, payload: Any) -> None:
        """Send something; it arrives behind what was sent before, after the link's latency."""
        if self.dead:
            return
        world = self.network.world
        self._newest_due = max(
            self._newest_due, world.now_ms + self.network.latency_ms(self.source, self.target)
        )
        self._queue.append((self._newest_due, kind, payload))
        if len(self._queue) == 1:
            world.at(self._newest_due, self.pump)

    def pump(self) -> None:
        """Deliver the head of the queue; on a cut link, wait for the heal."""
        world = self.network.world
        if not self._queue or self._queue[0][0] > world.now_ms:
            return
        if self.dead:
            self._queue.clear()
            return
        if (self.source, self.target) in self.network.cuts:
            self.network.stalled.append(self)
            return
        if self.network.loses(self.source, self.target):
            self._queue.clear()
            self._broken()
            return
        _, kind, payload = self._queue.popleft()
        if self._queue:
            world.at(max(self._queue[0][0], world.now_ms), self.pump)
        self._deliver(kind, payload)


class Connection:
    """A connection of a client to a server, which answers requests in order."""

    def __init__(self, network: Network, caller: Caller, source: int, host: Host) -> None:
        self.network, self.host = network, host
        self.caller = caller
        self.source = source
        self.up = Pipe(network, source, host.host_id, self._at_server, self._broken)
        self.down = Pipe(network, host.host_id, source, self._at_client, self._broken)
        self.server: Server | None = None
        self.established = False
        self.client_gone = False
        self.server_gone = False
        self._unsent: list[tuple[int, Any]] = []
        """Requests made before the connection was established."""
        self._in_flight: deque[tuple[OnResponse, Any, int]] = deque()
        self.slots: deque[list[Any]] = deque()
        """On the server's side: [answered, response, version] per request, oldest first."""
        self._waiting: deque[tuple[int, Any]] = deque()
        """Requests that the server has not taken yet."""
        self._only_produce = True
        """Whether ``slots`` has Produce requests only."""
        self.up.push("syn", None)

    # ---- client side
    def call(self, message: Any, version: int, timeout_ms: int, done: OnResponse) -> None:
        """Send a request. ``done`` is called once, unless the client's process ends before."""
        assert not self.client_gone
        entry = (done, message, version)
        self._in_flight.append(entry)
        item = (version, self.network.copy(message, version))
        if self.network.echo and self.caller.broker_id >= 0 and isinstance(message, ECHOED):
            self.network.repeat(self, message, version)
        if self.established:
            self.up.push("request", item)
        else:
            self._unsent.append(item)
        self.network.world.after(timeout_ms, self._timed_out, entry)

    def _timed_out(self, entry: tuple[OnResponse, Any, int]) -> None:
        # Later responses could not be told apart from a late one: give the connection up.
        if any(request is entry for request in self._in_flight):
            self.close("timed out")

    def close(self, reason: str) -> None:
        """Close the client's side; the server is notified if the network permits."""
        if not self.client_gone:
            self.up.push("eof", None)
            self._client_lost(reason)

    def abandon(self) -> None:
        """Drop what the client's process waits for, because the process has ended."""
        self._in_flight.clear()
        self.client_gone = True

    def _client_lost(self, reason: str) -> None:
        self.client_gone = True
        self.network.forget(self)
        in_flight, self._in_flight = self._in_flight, deque()
        for done, _, _ in in_flight:
            done(None, reason)

    def _at_client(self, kind: str, payload: Any) -> None:
        if self.client_gone:
            return
        if kind == "synack":
            self.established = True
            for item in self._unsent:
                self.up.push("request", item)
            self._unsent.clear()
        elif kind == "response":
            done, _, _ = self._in_flight.popleft()
            done(payload, "")
        else:
            self._client_lost("connection refused" if kind == "refused" else "connection reset")

    def _broken(self) -> None:
        """A message was lost, and with it the connection: both sides learn of that at once."""
        self.up.dead = self.down.dead = True
        if not self.client_gone:
            self._client_lost("connection reset")
        if self.server is not None and not self.server_gone:
            self.server_gone = True
            self.server.hung_up(self)

    # ---- server side
    def _at_server(self, kind: str, payload: Any) -> None:
        current = self.host.server
        if kind == "syn":
            if not self.host.powered:
                return  # nobody responds: the client runs into its timeout
            if current is None:
                self.down.push("refused", None)
                return
            self.server = current
            self.down.push("synack", None)
            return
        # The process that accepted the connection has ended: its machine resets the connection.
        if self.server_gone or self.server is None or self.server is not current:
            if self.host.powered and kind == "request":
                self.down.push("reset", None)
            return
        if kind == "request":
            self._waiting.append(payload)
            self._take()
        else:
            self.server_gone = True
            self.server.hung_up(self)

    def _take(self) -> None:
        """Hand over the requests whose turn it is: those of a client one by one, but for Produce,
        as the shell does."""
        while self._waiting and self.server is not None and not self.server_gone:
            version, message = self._waiting[0]
            produces = isinstance(message, ProduceRequest)
            if self.slots:
                produces = produces and self._only_produce
                if self.caller.broker_id < 0 and not produces:
                    return
            self._only_produce = produces
            self._waiting.popleft()
            self.slots.append([False, None, version])
            self.server.request(self, version, message)

    def answer(self, slot: list[Any], response: Any) -> None:
        """Fill a slot (None for a request without a response) and send what is next in order."""
        slot[0] = True
        slot[1] = None if response is None else self.network.copy(response, slot[2])
        while self.slots and self.slots[0][0]:
            _, message, _ = self.slots.popleft()
            if message is not None and not self.server_gone:
                self.down.push("response", message)
        self._take()

    def hang_up(self) -> None:
        """Close the server's side."""
        if not self.server_gone:
            self.server_gone = True
            self.down.push("eof", None)


class Network:
    """All links and connections. ``cuts`` has the (source, target) pairs that deliver nothing."""

    def __init__(self, world: World, codec: bool) -> None:
        self.world = world
        self.codec = codec
        self.rng = world.rng("net")
        self.cuts: set[tuple[int, int]] = set()
        self.stalled: list[Pipe] = []
        """Pipes with something to deliver over a cut link."""
        self.slow: dict[tuple[int, int], int] = {}
        """Extra latency in milliseconds by (source, target)."""
        self.lossy: set[tuple[int, int]] = set()
        """(source, target) pairs on which a message may be lost, and its connection with it."""
        self.connections: list[Connection] = []
        self.echo = False
        """Whether requests between brokers may arrive a second time, on another connection."""
        self._ids = 0

    def latency_ms(self, source: int, target: int) -> int:
        """Draw a latency: usually below 2 ms, now and then several, more on a slow link."""
        extra = self.slow.get((source, target), 0)
        base = 0 if self.rng.random() < 0.5 else 1
        if self.rng.random() < 0.05:
            base += int(self.rng.expovariate(1 / 8))
        return base + (self.rng.randint(extra // 2, extra) if extra else 0)

    def copy(self, message: Any, version: int) -> Any:
        """Return what the other side receives: never the sender's own record buffers. In some
        worlds the whole message goes through the codec; in the others, for speed, it is shared."""
        if self.codec:
            return decode(type(message), version, encode(message, version))
        if isinstance(message, FetchResponse):
            return dataclasses.replace(
                message,
                responses=[
                    dataclasses.replace(
                        topic,
                        partitions=[
                            p
                            if p.records is None
                            else dataclasses.replace(p, records=_bytes(p.records))
                            for p in topic.partitions
                        ],
                    )
                    for topic in message.responses
                ],
            )
        return message

    def connect(self, source: int, host: Host, broker_id: int, client_id: str) -> Connection:
        """Dial a host; ``broker_id`` is that of a dialling broker, else -1."""
        self._ids += 1
        caller = Caller(
            self._ids, f"10.0.0.{source % 250}", "PLAINTEXT", client_id, broker_id=broker_id
        )
        connection = Connection(self, caller, source, host)
        self.connections.append(connection)
        return connection

    def repeat(self, connection: Connection, message: Any, version: int) -> None:
        """In a third of the cases, send a request again later; nobody needs the response."""
        if self.rng.randrange(3):
            return

        def send() -> None:
            caller = connection.caller
            again = self.connect(
                connection.source, connection.host, caller.broker_id, caller.client_id
            )
            again.call(message, version, 2_000, lambda *_: again.close("done"))

        self.world.after(self.rng.randint(50, 3_000), send)

    def loses(self, source: int, target: int) -> bool:
        """Draw whether a link loses what it is to deliver now."""
        return (source, target) in self.lossy and self.rng.random() < LOST

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection."""
        if connection in self.connections:
            self.connections.remove(connection)

    # ---- faults
    def cut(self, source: int, target: int) -> None:
        """Stop deliveries from ``source`` to ``target``."""
        self.cuts.add((source, target))

    def heal(self, source: int, target: int) -> None:
        """Allow deliveries from ``source`` to ``target`` again."""
        self.cuts.discard((source, target))
        self._wake()

    def heal_all(self) -> None:
        """Allow all deliveries again, at normal speed."""
        self.cuts.clear()
        self.slow.clear()
        self.lossy.clear()
        self._wake()

    def _wake(self) -> None:
        stalled, self.stalled = self.stalled, []
        for pipe in stalled:
            self.world.after(self.rng.randint(0, 400), pipe.pump)

    def between(self, a: int, b: int) -> list[Connection]:
        """The connections of a pair of machines, in both directions."""
        pair = {a, b}
        return [c for c in self.connections if {c.source, c.host.host_id} == pair]

    def reset(self, a: int, b: int) -> None:
        """Break every connection of a pair, noticed by the client, the server, or both."""
        for connection in self.between(a, b):
            noticed_by = self.rng.randrange(3)  # 0 the client, 1 the server, 2 both
            if noticed_by != 1:
                connection.close("connection reset")
            else:
                connection.hang_up()
            if noticed_by == 2:
                connection.hang_up()

    def black_hole(self, a: int, b: int) -> None:
        """Let every connection of a pair swallow what is sent from now on."""
        for connection in self.between(a, b):
            connection.up.dead = connection.down.dead = True


def _bytes(records: Any) -> bytearray:
    return bytearray(records if isinstance(records, bytes | bytearray) else records.tobytes())
