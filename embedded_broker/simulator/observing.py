"""What the observers of the simulator share: the answers to requests, and the newest metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from embedded_broker.core.effects import Effect, Respond
from embedded_broker.core.events import Event, RequestReceived
from embedded_broker.simulator.node import Node, Observer


class Answers(Observer):
    """Passes the answer to a request to whoever expects it."""

    def __init__(self) -> None:
        self._awaited: dict[int, dict[int, Callable[[Any], None]]] = {}
        """By broker and request id: what to do with the response."""

    def expect(self, node: Node, event: RequestReceived, answered: Callable[[Any], None]) -> None:
        """Call ``answered`` with the response of this node, unless it ends before."""
        self._awaited[node.node_id][event.request_id] = answered

    def started(self, node: Node) -> None:
        self._awaited[node.node_id] = {}

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        awaited = self._awaited[node.node_id]
        if not awaited:
            return
        for effect in effects:
            if isinstance(effect, Respond):
                answered = awaited.pop(effect.request_id, None)
                if answered is not None:
                    answered(effect.message)


class NewestMetadata(Observer):
    """The newest metadata that any broker has applied. A leader may act on it before the controller
    has applied it itself."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        self._nodes = nodes
        self._offset = 0
        for node in nodes.values():
            node.observers.append(self)

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        self._offset = max(self._offset, node.broker.image.offset)

    def image(self) -> Any:
        """The image of a running broker; None when who knew more is dead."""
        running = (n.broker.image for n in self._nodes.values() if n.running)
        newest = max(running, key=lambda image: image.offset, default=None)
        return newest if newest is not None and newest.offset >= self._offset else None
