"""C14: what a broker keeps stays bounded, and no request is forgotten.

``Bounds`` counts, at each check, what grows with requests: callbacks that wait for events, fetches
and produces that wait, members that have yet to join. It knows how long each request has been with
a broker: every one is answered, or its connection closed, in a time that the protocol's own
timeouts bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from embedded_broker.core.effects import Drop, Effect, NoResponse, Respond
from embedded_broker.core.events import ConnectionClosed, Event, RequestReceived
from embedded_broker.simulator.node import Node, Observer
from embedded_broker.simulator.world import Violation
from kafka_protocol.api_keys import ApiKey

ANSWERED_WITHIN_MS = 40_000
"""Forwarding waits 30 s for a controller; JoinGroup for the members of the generation before."""
WAITING_MOST = 60
"""Callbacks of each kind, of a broker with five partitions, four peers and eight clients."""


class Bounds(Observer):
    """See the module."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        self._nodes = nodes
        self._open: dict[int, dict[int, tuple[int, int, int]]] = {}
        """By broker and request id: when it came, its connection, its API."""
        for node in nodes.values():
            node.observers.append(self)

    def started(self, node: Node) -> None:
        self._open[node.node_id] = {}

    def before_event(self, node: Node, event: Event) -> None:
        requests = self._open[node.node_id]
        if isinstance(event, RequestReceived):
            connection_id = event.caller.connection_id
            came_ms = node.world.now_ms
            requests[event.request_id] = came_ms, connection_id, event.message.API_KEY
        elif isinstance(event, ConnectionClosed):
            for request_id, (_, connection_id, _) in list(requests.items()):
                if connection_id == event.connection_id:
                    del requests[request_id]

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        requests = self._open[node.node_id]
        for effect in effects:
            if isinstance(effect, Respond | NoResponse | Drop):
                requests.pop(effect.request_id, None)

    def check(self) -> None:
        """Called every 150 ms."""
        for node in self._nodes.values():
            if not node.running or node.paused_until_ms > node.world.now_ms:
                continue
            for came_ms, _, key in self._open[node.node_id].values():
                # A frozen process has answered nobody meanwhile.
                since_ms = max(came_ms, node.paused_until_ms)
                if node.world.now_ms - since_ms > ANSWERED_WITHIN_MS:
                    raise Violation(
                        "C14",
                        f"broker {node.node_id} has not answered {ApiKey(key).name} for "
                        f"{node.world.now_ms - since_ms} ms",
                    )
            for what, count in node.broker.waiting().items():
                if count > WAITING_MOST:
                    raise Violation("C14", f"broker {node.node_id} keeps {count} {what}")
