"""A simulated machine with one broker: starts, crashes and pauses it, and performs its effects.

States of a node: dark (no power) or powered; powered: dead, or running an incarnation of the
broker, which may be frozen for a while. The node's disk and clocks outlive its incarnations.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from embedded_broker.core.broker import Broker
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
from embedded_broker.simulator.disk import Platter, SimDisk
from embedded_broker.simulator.log import SimLog
from embedded_broker.simulator.network import Connection, Network
from embedded_broker.simulator.world import NodeClock, NodeRng, Violation, World
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.messages.k01_fetch import FetchResponse

if TYPE_CHECKING:
    from embedded_broker.options import Settings

MakePlatter = Callable[[UUID], Platter]
"""A new disk, with the id of its log directory."""


class Process:
    """One incarnation of a broker. Events collect in an inbox; a turn handles all of them and ends
    the tick, as a wake-up of the real loop does."""

    def __init__(self, node: Node, incarnation: int) -> None:
        self.node = node
        self.alive = True
        self.disk = node.platter.open(self._later)
        # The name derives the seed: another name would change what every seed replays.
        rng = NodeRng(node.world.rng(f"node {node.node_id} life {incarnation}"))
        self.broker = node.make_broker(node.settings, self.disk, node.clock, rng)
        self._inbox: list[Event] = []
        self._turn_scheduled = False
        self._requests: dict[int, tuple[Connection, list[Any]]] = {}
        self._request_ids = 0
        self._timers: dict[str, int] = {}
        """The newest token by timer; an older one that fires is void."""
        self._lanes: dict[tuple[int, str], Connection] = {}
        self._served: list[Connection] = []
        """Connections on which a request arrived."""

    # ---- events in
    def start(self) -> None:
        """Start the core."""
        now_ms = self.node.clock.monotonic_ms()
        self._perform(self._guard(self.broker.start, now_ms))
        self._schedule_turn()

    def deliver(self, event: Event) -> None:
        """Put an event into the inbox."""
        if self.alive:
            self._inbox.append(event)
            self._schedule_turn()

    def _schedule_turn(self) -> None:
        if not self._turn_scheduled:
            self._turn_scheduled = True
            self.node.world.after(self.node.delay_ms(), self.turn)

    def turn(self) -> None:
        """Handle the events of the inbox, then a TickEnded."""
        if not self.alive:
            return
        # A frozen process receives and sends nothing; on resume it sees everything at once.
        wait_ms = self.node.paused_until_ms - self.node.world.now_ms
        if wait_ms > 0:
            self.node.world.after(wait_ms, self.turn)
            return
        self._turn_scheduled = False
        inbox, self._inbox = self._inbox, []
        for event in inbox:
            self._handle(event)
        self._handle(TickEnded())

    def _handle(self, event: Event) -> None:
        if not self.alive:
            return
        if isinstance(event, TimerFired) and self._timers.get(event.key) != event.token:
            return
        now_ms = self.node.clock.monotonic_ms()
        self.node.before_event(self, event)
        effects = self._guard(self.broker.handle, now_ms, event)
        _reclaim_records(event)
        self.node.after_event(self, event, effects)
        self._perform(effects)

    def _guard(self, do: Callable[..., list[Effect]], *args: Any) -> list[Effect]:
        """Call the core. Whatever it raises is a bug of it, except a violation that a checker found
        at a write."""
        try:
            return do(*args)
        except Violation:
            raise
        except Exception as error:
            self.node.happened(f"raised {error!r}")
            raise Violation(
                "crash", f"broker {self.node.node_id}: {traceback.format_exc()}"
            ) from error

    # ---- effects out
    def _perform(self, effects: list[Effect]) -> None:
        node, world = self.node, self.node.world
        for effect in effects:
            if not self.alive:
                return
            match effect:
                case Respond():
                    connection, slot = self._requests.pop(effect.request_id)
                    world.trace(f"{node.node_id} answers {type(effect.message).__name__}")
                    self._trip("before ", effect.message)
                    if not self.alive:
                        return
                    connection.answer(slot, effect.message)
                    self._trip("", effect.message)
                case NoResponse():
                    connection, slot = self._requests.pop(effect.request_id)
                    connection.answer(slot, None)
                case Drop():
                    connection, _ = self._requests.pop(effect.request_id)
                    connection.hang_up()
                    self._closed(connection)
                case Send():
                    self._send(effect)
                case SetTimer():
                    self._timers[effect.key] = effect.token
                    fired = TimerFired(effect.key, effect.token)
                    world.at(node.clock.world_ms(effect.at_ms), self.deliver, fired)
                case Flush():
                    self._flush(effect)
                case Note():
                    if effect.level >= Level.INFO:
                        node.happened(f"logs {effect.level.name} {effect.text}")
                case PeerAddress():
                    pass
                case Stop():
                    node.stopped(self, effect)
                    return

    def _send(self, effect: Send) -> None:
        node = self.node
        node.world.trace(
            f"{node.node_id} to {effect.peer_id} {effect.lane} {type(effect.message).__name__}"
        )
        key = (effect.peer_id, effect.lane)
        connection = self._lanes.get(key)
        if connection is None or connection.client_gone:
            peer = node.peers[effect.peer_id]
            connection = node.network.connect(
                node.node_id, peer, node.node_id, f"broker-{node.node_id}"
            )
            self._lanes[key] = connection

        def done(response: Any, reason: str) -> None:
            if response is None:
                self.deliver(SendFailed(effect.send_id, effect.peer_id, reason))
            else:
                self.deliver(ResponseReceived(effect.send_id, effect.peer_id, response))

        connection.call(effect.message, effect.version, effect.timeout_ms, done)
        self._trip("", effect.message)

    def _trip(self, when: str, message: Any) -> None:
        trips = self.node.trips
        strike = trips.pop(f"{when}{type(message).__name__}", None) if trips else None
        if strike is not None and self.alive:
            strike()

    def _flush(self, effect: Flush) -> None:
        found = [
            log
            for log in self.disk.platter.logs.values()
            if log.topic == effect.topic and log.partition == effect.partition
        ]
        log: SimLog | None = found[-1] if found else None
        mark = log.begin_flush() if log is not None else 0

        def done() -> None:
            if log is None or self.disk.platter.failing:
                self.deliver(Flushed(effect.flush_id, "input/output error"))
                return
            try:
                log.end_flush(mark)
            except StorageFailed as error:
                self.deliver(Flushed(effect.flush_id, str(error)))
            else:
                self.deliver(Flushed(effect.flush_id))

        self._later(self.node.flush_ms(), done)

    def _later(self, delay_ms: int, work: Callable[[], None]) -> None:
        """Do this after a delay, unless the process has ended by then."""

        def due() -> None:
            if self.alive:
                work()

        self.node.world.after(delay_ms, due)

    # ---- the server's side of the network
    def request(self, connection: Connection, version: int, message: Any) -> None:
        self._request_ids += 1
        self._requests[self._request_ids] = (connection, connection.slots[-1])
        if connection not in self._served:
            self._served.append(connection)
        self.deliver(RequestReceived(self._request_ids, version, message, connection.caller))

    def hung_up(self, connection: Connection) -> None:
        self._closed(connection)

    def _closed(self, connection: Connection) -> None:
        if connection in self._served:
            self._served.remove(connection)
            self.deliver(ConnectionClosed(connection.caller.connection_id))

    def end(self, power: bool) -> None:
        """End the process. Its machine closes the connections, unless the power failed."""
        self.alive = False
        self.disk.closed = True
        for connection in self._lanes.values():
            if not connection.client_gone:
                if not power:
                    connection.up.push("eof", None)
                connection.abandon()
                self.node.network.forget(connection)
        for connection in self._served:
            if power:  # silently: the clients run into their timeouts
                connection.server_gone = True
            else:
                connection.hang_up()


class Node:
    """A machine: its platter and its clocks outlive the broker's incarnations."""

    def __init__(
        self,
        world: World,
        network: Network,
        node_id: int,
        settings: Settings,
        make_platter: MakePlatter = Platter,
    ) -> None:
        self.world, self.network, self.node_id = world, network, node_id
        self.host_id = node_id
        self.settings = settings
        self.peers: dict[int, Node] = {}
        self.rng = world.rng(f"machine {node_id}")
        self.disk_rng = world.rng(f"disk {node_id}")
        self.clock = NodeClock(world, self.rng)
        self._make_platter = make_platter
        self.platter = make_platter(_uuid(self.disk_rng))
        self.powered = True
        self.process: Process | None = None
        self.make_broker: Callable[[Settings, SimDisk, NodeClock, NodeRng], Broker] = Broker
        """Builds the broker of each process; a test may run only some of its machines."""
        self.incarnations = self.power_cuts = 0
        self.paused_until_ms = 0
        self.slow_ms = 0
        """The maximum delay of a turn on a busy machine."""
        self.slow_disk_ms = 0
        """The maximum duration of a flush on a slow disk."""
        self.trips: dict[str, Callable[[], None]] = {}
        """By class name of a message: a fault to strike once, when this node has sent one; after
        the word "before", when it would send a response."""
        self.observers: list[Observer] = []

    @property
    def server(self) -> Process | None:
        return self.process

    @property
    def running(self) -> bool:
        """Return whether a process of the broker runs."""
        return self.process is not None

    @property
    def broker(self) -> Broker:
        """The broker of the running process."""
        assert self.process is not None
        return self.process.broker

    def delay_ms(self) -> int:
        """Draw the delay of a turn."""
        if self.slow_ms:
            return self.rng.randint(0, self.slow_ms)
        return 1 if self.rng.random() < 0.05 else 0

    def flush_ms(self) -> int:
        """Draw the duration of a flush."""
        if self.slow_disk_ms:
            return self.disk_rng.randint(self.slow_disk_ms // 2, self.slow_disk_ms)
        return self.disk_rng.randint(0, 2) + (
            self.disk_rng.randint(0, 40) if self.disk_rng.random() < 0.02 else 0
        )

    def happened(self, text: str) -> None:
        """Trace what this broker does or suffers."""
        self.world.happened(f"broker {self.node_id}", text)

    # ---- starts and faults
    def start(self) -> None:
        """Start the broker, unless it runs."""
        if self.process is not None:
            return
        if not self.powered:
            self.powered = True
            self.clock.reboot()
        self.incarnations += 1
        self.paused_until_ms = 0
        self.happened(f"starts incarnation {self.incarnations}")
        try:
            self.process = Process(self, self.incarnations)
        except StorageFailed as error:
            self.happened(f"cannot start: {error}")
            for observer in self.observers:
                observer.cannot_start(self)
            return
        for observer in self.observers:
            observer.started(self)
        self.process.start()

    def crash(self, power: bool) -> None:
        """Kill the process; with ``power``, cut the machine's power, which may lose what is not
        flushed."""
        process = self.process
        if process is None and not (power and self.powered):
            return
        self.happened("loses power" if power else "is killed")
        if process is not None:
            for observer in self.observers:
                observer.ending(self)
            process.end(power)
        self.process = None
        self.powered = not power
        self.power_cuts += power
        self.platter.process_ended(self.disk_rng, power)

    def stop(self) -> None:
        """Request a controlled shutdown (SIGTERM)."""
        if self.process is not None:
            self.process.deliver(StopRequested())

    def stopped(self, process: Process, effect: Stop) -> None:
        """The core stopped the broker: end the process and notify the observers."""
        self.happened(f"stops with exit code {effect.code}: {effect.reason}")
        for observer in self.observers:
            observer.ending(self)
        process.end(power=False)
        self.process = None
        self.platter.process_ended(self.disk_rng, power=False, clean=effect.code == 0)
        for observer in self.observers:
            observer.stopped(self, effect)

    def pause(self, duration_ms: int) -> None:
        """Freeze the process (SIGSTOP) for so long."""
        self.happened(f"is frozen for {duration_ms} ms")
        self.paused_until_ms = max(self.paused_until_ms, self.world.now_ms + duration_ms)

    def resume(self) -> None:
        """End a freeze now (SIGCONT)."""
        self.paused_until_ms = min(self.paused_until_ms, self.world.now_ms)
        if self.process is not None:
            self.world.after(0, self.process.turn)

    def replace_disk(self) -> None:
        """Replace the disk by an empty one, while no process runs."""
        assert self.process is None
        self.happened("gets an empty disk")
        self.platter = self._make_platter(_uuid(self.disk_rng))

    def before_event(self, process: Process, event: Event) -> None:
        for observer in self.observers:
            observer.before_event(self, event)

    def after_event(self, process: Process, event: Event, effects: list[Effect]) -> None:
        for observer in self.observers:
            observer.after_event(self, event, effects)


class Observer:
    """Called with what a node does; the checkers are observers. Methods may raise ``Violation``."""

    def started(self, node: Node) -> None: ...
    def cannot_start(self, node: Node) -> None: ...
    def ending(self, node: Node) -> None: ...
    def stopped(self, node: Node, effect: Stop) -> None: ...
    def before_event(self, node: Node, event: Event) -> None: ...
    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None: ...


def _reclaim_records(event: Event) -> None:
    """Overwrite the record data of a handled event, as the shell reuses the memory of a frame: the
    core may use it within ``handle`` only."""
    match event:
        case RequestReceived(message=ProduceRequest() as request):
            for topic in request.topic_data:
                for produced in topic.partition_data:
                    _overwrite(produced)
        case ResponseReceived(message=FetchResponse() as response):
            for fetched in response.responses:
                for partition in fetched.partitions:
                    _overwrite(partition)


def _overwrite(holder: Any) -> None:
    if (
        isinstance(holder.records, bytearray | memoryview)
        and not memoryview(holder.records).readonly
    ):
        holder.records[:] = b"\xee" * len(holder.records)
    holder.records = None


def _uuid(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)
