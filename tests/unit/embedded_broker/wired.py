"""Nodes of the simulated world that run the quorum and the controller, without the data plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

from embedded_broker.core.api.handlers import Machines
from embedded_broker.core.api.router import Router
from embedded_broker.core.controller.channel import ControllerChannel
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.lifecycle import Lifecycle
from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import Effect
from embedded_broker.core.environment import Environment
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
from embedded_broker.core.metadata.image import MetadataDelta, MetadataImage
from embedded_broker.core.metadata.replay import replay
from embedded_broker.core.ports import Clock, Disk, Rng
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.options import Settings
from embedded_broker.simulator.network import Network
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import World

ABSENT: Any = None
"""A machine that these nodes do not have; using it fails the test."""


class ControlBroker:
    """Quorum, controller, channel and lifecycle of one node; what ``Broker`` is to all machines."""

    def __init__(self, settings: Settings, disk: Disk, clock: Clock, rng: Rng) -> None:
        env = self.env = Environment.create(settings, disk, clock, rng)
        self.quorum = Quorum(env, self)
        self.controller = Controller(env, self.quorum)
        self.channel = ControllerChannel(
            env,
            self.quorum,
            lambda: self.controller.is_active,
            lambda now_ms, event: self._router.handle(now_ms, event),
        )
        self.lifecycle = Lifecycle(
            env, self.channel, self.quorum, lambda: None, DiskHealth(env, ABSENT)
        )
        self._router = Router(
            Machines(
                env,
                self.quorum,
                self.controller,
                self.channel,
                self.lifecycle.in_touch,
                replicas=ABSENT,
                groups=ABSENT,
            )
        )

    @property
    def image(self) -> MetadataImage:
        return self.env.image

    def start(self, now_ms: int) -> list[Effect]:
        self.quorum.start(now_ms)
        self.lifecycle.start(now_ms)
        return self.env.outbox.take()

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        match event:
            case RequestReceived():
                self._router.receive(now_ms, event)
            case ConnectionClosed():
                self.controller.connection_closed(now_ms, event.connection_id)
            case StopRequested():
                self.lifecycle.stop(now_ms)
            case ResponseReceived() | SendFailed() | TimerFired() | Flushed():
                self.env.outbox.complete(now_ms, event)
            case TickEnded():
                pass
        return self.env.outbox.take()

    # ---- QuorumListener
    def on_leadership(self, now_ms: int) -> None:
        self.controller.on_leadership(now_ms)
        self.channel.on_leader_change(now_ms)

    def on_committed(self, now_ms: int, records: Sequence[Any], end_offset: int) -> None:
        delta = MetadataDelta()
        for record in records:
            replay(self.image, record, delta)
        self.image.offset = end_offset
        self.image.version += 1
        self.channel.on_metadata(now_ms)
        self.lifecycle.on_metadata(now_ms, delta)

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> None:
        if self.controller.on_high_watermark(now_ms, high_watermark):
            self.channel.on_leader_change(now_ms)

    def is_impostor(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        return self.controller.is_impostor(now_ms, broker_id, directory_id)


def control_node(world: World, network: Network, node_id: int, settings: Settings) -> Node:
    """A machine of the world whose processes are ``ControlBroker``s."""
    node = Node(world, network, node_id, settings)
    node.make_broker = cast(Any, ControlBroker)
    return node


def settings(node_id: int, voters: int, extra: dict[str, str]) -> Settings:
    return Settings(
        {
            "node.id": str(node_id),
            "cluster.id": "unit",
            "listeners": f"PLAINTEXT://127.0.0.1:{19091 + node_id}",
            "controller.quorum.voters": ",".join(
                f"{n}@127.0.0.1:{19091 + n}" for n in range(1, voters + 1)
            ),
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "400",
            **extra,
        }
    )


class Wired:
    """A cluster of control nodes in one world; every answer to a client call ends up in a list."""

    def __init__(self, brokers: int, seed: int, **extra: str) -> None:
        self.world = World(seed)
        self.network = Network(self.world, codec=True)
        texts = {name.replace("_", "."): text for name, text in extra.items()}
        ids = range(1, brokers + 1)
        self.nodes = {
            n: control_node(self.world, self.network, n, settings(n, brokers, texts)) for n in ids
        }
        for node in self.nodes.values():
            node.peers = self.nodes
        self._clients: dict[int, Any] = {}

    def start(self) -> None:
        for node in self.nodes.values():
            node.start()

    def run(self, ms: int) -> None:
        self.world.run_until(self.world.now_ms + ms)

    def until(self, condition: Callable[[], Any], within_ms: int) -> int:
        """Run until the condition holds; how many milliseconds that took."""
        begun = self.world.now_ms
        while not condition():
            assert self.world.now_ms - begun < within_ms, f"not within {within_ms} ms"
            self.run(5)
        return self.world.now_ms - begun

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.running]

    def controller(self) -> Node | None:
        active = [node for node in self.alive if node.broker.controller.is_active]
        return max(active, key=lambda node: node.broker.quorum.epoch) if active else None

    def all_ready(self) -> bool:
        return all(node.broker.lifecycle.is_ready for node in self.nodes.values() if node.running)

    def ask(self, node: Node, message: Any, version: int, within_ms: int = 5_000) -> Any:
        """A client's request to one node, and its answer."""
        answers: list[Any] = []
        connection = self.network.connect(100, node, -1, "test")
        connection.call(
            message, version, within_ms, lambda response, reason: answers.append(response or reason)
        )
        self.until(lambda: answers, within_ms + 1_000)
        assert not isinstance(answers[0], str), answers[0]
        return answers[0]
