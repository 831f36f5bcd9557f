"""C14: what waits for events in a broker stays bounded, whatever fails.

``Bounds`` counts callbacks: one that is never called, because its event was lost or its owner has
forgotten it, stays, and the next one joins it. (The tables that clients fill are bounded one by
one; see docs/reliability.md.)
"""

from __future__ import annotations

from collections.abc import Mapping

from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import Violation

MOST = {"timers": 60, "requests to others": 60, "requests to itself": 60, "flushes": 300}
"""Callbacks by kind. In the runs of a few partitions, peers and clients there were 20 timers and 7
requests to others at most, and on a slow disk a flush for each batch in flight."""


class Bounds:
    """See the module."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        self._nodes = nodes

    def check(self) -> None:
        """Called every 150 ms."""
        for node in self._nodes.values():
            if not node.running:
                continue
            for what, count in node.broker.waiting().items():
                if count > MOST[what]:
                    raise Violation("C14", f"broker {node.node_id} keeps {count} {what}")
