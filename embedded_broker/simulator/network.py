"""Connections between processes: in order and without loss inside one, in any order between two.

What a cut does is what TCP makes of it: bytes wait and are sent again after the heal, unless
someone gave up before. A killed process's machine closes its connections, after what was sent
before; a machine without power says nothing, and its peers learn by time-outs, or by a reset when
it is back. What a dead process sent may still arrive.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from embedded_broker.core.events import Caller
from embedded_broker.simulator.world import World
from kafka_protocol.codec import decode, encode
from kafka_protocol.messages.k01_fetch import FetchResponse

Answer = Callable[[Any, str], None]
"""(response or None, reason when there is none)"""


class Server(Protocol):
    """A broker's process, as a connection sees it."""

    def request(self, connection: Connection, version: int, message: Any) -> None: ...
    def hung_up(self, connection: Connection) -> None: ...


class Host(Protocol):
    """A machine: has a process that serves, or refuses, or has no power."""

    host_id: int

    @property
    def powered(self) -> bool: ...
    @property
    def server(self) -> Server | None: ...


class Pipe:
    """One direction of a connection."""

    def __init__(
        self, network: Network, source: int, target: int, deliver: Callable[[str, Any], None]
    ) -> None:
        self.network, self.source, self.target = network, source, target
        self._deliver = deliver
        self._queue: deque[tuple[int, str, Any]] = deque()
        self._newest_due = 0
        self.dead = False
        """Nothing sent in this direction is ever seen again (a black hole)."""

    def push(self, kind: str, payload: Any) -> None:
        if self.dead:
            return
        world = self.network.world
        self._newest_due = max(
            self._newest_due, world.now_ms + self.network.latency_ms(self.source, self.target)
        )
        self._queue.append((self._newest_due, kind, payload))
        if len(self._queue) == 1:
            world.at(self._newest_due, self.pump)

    def clear(self) -> None:
        self._queue.clear()

    def pump(self) -> None:
        """Deliver the first in the queue, unless the link is cut: then wait for the heal."""
        world = self.network.world
        if not self._queue or self._queue[0][0] > world.now_ms:
            return
        if self.dead:
            self._queue.clear()
            return
        if (self.source, self.target) in self.network.cuts:
            self.network.stalled.append(self)
            return
        _, kind, payload = self._queue.popleft()
        if self._queue:
            world.at(max(self._queue[0][0], world.now_ms), self.pump)
        self._deliver(kind, payload)


class Connection:
    """From a client's side to a server's. Requests are answered in order."""

    def __init__(self, network: Network, caller: Caller, source: int, host: Host) -> None:
        self.network, self.host = network, host
        self.caller = caller
        self.source = source
        self.up = Pipe(network, source, host.host_id, self._at_server)
        self.down = Pipe(network, host.host_id, source, self._at_client)
        self.server: Server | None = None
        self.established = False
        self.client_gone = False
        self.server_gone = False
        self._unsent: list[tuple[int, Any]] = []
        self._waiting: deque[tuple[Answer, Any, int]] = deque()
        self.slots: deque[list[Any]] = deque()
        """Server side: [answered, response, version] per request, oldest first."""
        self.up.push("syn", None)

    # ---- client side
    def call(self, message: Any, version: int, timeout_ms: int, done: Answer) -> None:
        """``done`` is called once, unless the caller's process is dead by then."""
        assert not self.client_gone
        entry = (done, message, version)
        self._waiting.append(entry)
        item = (version, self.network.copy(message, version))
        if self.established:
            self.up.push("request", item)
        else:
            self._unsent.append(item)
        self.network.world.after(timeout_ms, self._timed_out, entry)

    def _timed_out(self, entry: tuple[Answer, Any, int]) -> None:
        if any(waiting is entry for waiting in self._waiting):
            self.close("timed out")

    def close(self, reason: str) -> None:
        """The client's side hangs up; the server hears of it if the network lets it."""
        if not self.client_gone:
            self.up.push("eof", None)
            self._client_lost(reason)

    def abandon(self) -> None:
        """The client's process is gone, nobody waits for answers any more."""
        self._waiting.clear()
        self.client_gone = True

    def _client_lost(self, reason: str) -> None:
        self.client_gone = True
        self.network.forget(self)
        waiting, self._waiting = self._waiting, deque()
        for done, _, _ in waiting:
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
            done, _, _ = self._waiting.popleft()
            done(payload, "")
        else:
            self._client_lost("connection refused" if kind == "refused" else "connection reset")

    # ---- server side
    def _at_server(self, kind: str, payload: Any) -> None:
        current = self.host.server
        if kind == "syn":
            if not self.host.powered:
                return
            if current is None:
                self.down.push("refused", None)
                return
            self.server = current
            self.down.push("synack", None)
            return
        if self.server_gone or self.server is None or self.server is not current:
            if self.host.powered and kind == "request":
                self.down.push("reset", None)
            return
        if kind == "request":
            version, message = payload
            self.slots.append([False, None, version])
            self.server.request(self, version, message)
        else:
            self.server_gone = True
            self.server.hung_up(self)

    def answer(self, slot: list[Any], response: Any) -> None:
        """Fill a slot (None: the request has no answer) and send what is next in order."""
        slot[0] = True
        slot[1] = None if response is None else self.network.copy(response, slot[2])
        while self.slots and self.slots[0][0]:
            _, message, _ = self.slots.popleft()
            if message is not None and not self.server_gone:
                self.down.push("response", message)

    def hang_up(self) -> None:
        """The server's side closes."""
        if not self.server_gone:
            self.server_gone = True
            self.down.push("eof", None)


class Network:
    """All links and connections. ``cuts`` holds (from, to) pairs that let nothing through."""

    def __init__(self, world: World, codec: bool) -> None:
        self.world = world
        self.codec = codec
        self.rng = world.rng("net")
        self.cuts: set[tuple[int, int]] = set()
        self.stalled: list[Pipe] = []
        self.slow: dict[tuple[int, int], int] = {}
        """Extra latency in milliseconds for a link, by direction."""
        self.connections: list[Connection] = []
        self._ids = 0

    def latency_ms(self, source: int, target: int) -> int:
        extra = self.slow.get((source, target), 0)
        base = 0 if self.rng.random() < 0.5 else 1
        if self.rng.random() < 0.05:
            base += int(self.rng.expovariate(1 / 8))
        return base + (self.rng.randint(extra // 2, extra) if extra else 0)

    def copy(self, message: Any, version: int) -> Any:
        """What the other side gets: never the sender's own records; in a share of the worlds the
        whole message goes through the codec."""
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
        self._ids += 1
        caller = Caller(
            self._ids, f"10.0.0.{source % 250}", "PLAINTEXT", client_id, broker_id=broker_id
        )
        connection = Connection(self, caller, source, host)
        self.connections.append(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)

    # ---- faults
    def cut(self, source: int, target: int) -> None:
        self.cuts.add((source, target))

    def heal(self, source: int, target: int) -> None:
        self.cuts.discard((source, target))
        self._wake()

    def heal_all(self) -> None:
        self.cuts.clear()
        self.slow.clear()
        self._wake()

    def _wake(self) -> None:
        stalled, self.stalled = self.stalled, []
        for pipe in stalled:
            self.world.after(self.rng.randint(0, 400), pipe.pump)

    def between(self, a: int, b: int) -> list[Connection]:
        pair = {a, b}
        return [c for c in self.connections if {c.source, c.host.host_id} == pair]

    def reset(self, a: int, b: int) -> None:
        """Break every connection of a pair; one side may not hear of it (half open)."""
        for connection in self.between(a, b):
            heard = self.rng.randrange(3)
            if heard != 1:
                connection.close("connection reset")
            else:
                connection.hang_up()
            if heard == 2:
                connection.hang_up()

    def black_hole(self, a: int, b: int) -> None:
        """Every connection of a pair swallows what is sent from now on."""
        for connection in self.between(a, b):
            connection.up.dead = connection.down.dead = True


def _bytes(records: Any) -> bytearray:
    return bytearray(records if isinstance(records, bytes | bytearray) else records.tobytes())
