"""Nodes of the simulated world that have the quorum and the controller, and nothing of the data
plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import embedded_broker.simulator.node as node_module
from embedded_broker.core.broker import Broker
from embedded_broker.core.config import Config
from embedded_broker.core.controller.channel import ControllerChannel
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.lifecycle import Lifecycle
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import MetadataImage
from embedded_broker.core.outbox import Outbox
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.options import Settings
from embedded_broker.simulator.network import Network
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import World


class _Nothing:
    """Stands in for a machine of the data plane."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


class ControlBroker(Broker):
    """A broker without replicas and groups."""

    def __init__(self, settings: Any, disk: Any, clock: Any, rng: Any) -> None:
        self.node_id = settings.node_id
        self.settings = settings
        self.disk = disk
        self.clock = clock
        self.rng = rng
        self.outbox = Outbox()
        self.image = MetadataImage()
        self.config = Config(settings, self.image)
        self.quorum = Quorum(self)
        self.controller = Controller(self)
        self.channel = ControllerChannel(self)
        self.lifecycle = Lifecycle(self)
        self.replicas = _Nothing()  # type: ignore[assignment]
        self.groups = _Nothing()  # type: ignore[assignment]

    def _request(self, now_ms: int, event: RequestReceived) -> None:
        if event.message.API_KEY == 1:
            self.quorum.fetch(now_ms, event)
        else:
            super()._request(now_ms, event)


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
            n: Node(self.world, self.network, n, settings(n, brokers, texts)) for n in ids
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


@contextmanager
def control_brokers() -> Iterator[None]:
    """Let the world's nodes run ControlBrokers."""
    real = node_module.Broker
    node_module.Broker = ControlBroker  # type: ignore[misc]
    try:
        yield
    finally:
        node_module.Broker = real  # type: ignore[misc]
