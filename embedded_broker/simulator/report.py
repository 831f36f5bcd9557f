"""A description of a simulated cluster in a few lines, for the report of a failed seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embedded_broker.simulator.consuming import Reader
from embedded_broker.simulator.members import Member
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.producing import Producer

BATCHES_SHOWN = 3
CODES_SHOWN = 4


def images(nodes: Mapping[int, Node]) -> list[Any]:
    """Return the metadata images of the running brokers, newest first."""
    running = [n for n in nodes.values() if n.running]
    return [n.broker.image for n in sorted(running, key=lambda n: -n.broker.image.offset)]


def describe(
    nodes: Mapping[int, Node],
    producers: Sequence[Producer],
    readers: Sequence[Reader],
    members: Sequence[Member],
) -> str:
    """Describe nodes, partitions and clients."""
    lines = [_node_line(node) for node in nodes.values()]
    lines += _partition_lines(nodes)
    for m in members:
        lines.append(f"{m.client.name}: {m.state} generation {m.generation} {m.fetcher.positions}")
    lines += [f"{r.client.name}: {r.fetcher.positions}" for r in readers]
    for producer in producers:
        lines += _producer_lines(producer)
    return "\n  ".join(["", *lines])


def _node_line(node: Node) -> str:
    if not node.running:
        return f"{node.node_id}: dead, {'powered' if node.powered else 'dark'}"
    quorum, image = node.broker.quorum, node.broker.image
    role = "leader" if quorum.is_leader else ""
    alive = [b for b in sorted(image.brokers) if image.alive(b)]
    return (
        f"{node.node_id}: epoch {quorum.epoch} leader {quorum.leader_id} {role} "
        f"image {image.offset} alive {alive}"
    )


def _partition_lines(nodes: Mapping[int, Node]) -> list[str]:
    newest = images(nodes)[:1]
    return [
        f"{p.topic}-{p.partition}: replicas {p.replicas} isr {p.isr} elr {p.elr} "
        f"leader {p.leader} epoch {p.leader_epoch}/{p.partition_epoch}"
        for image in newest
        for topic in image.topics.values()
        for p in topic.partitions.values()
        if not p.topic.startswith("churn")
    ]


def _producer_lines(producer: Producer) -> list[str]:
    lines = [f"{producer.client.name}: session {producer.session} id {producer.producer_id}"]
    for key, lane in producer.lanes.items():
        for batch in list(lane.queue)[:BATCHES_SHOWN]:
            state = "in flight" if batch.in_flight else "waiting"
            value, codes = batch.sent.values[0], batch.sent.codes[-CODES_SHOWN:]
            lines.append(f"    {key} {value!r} {state}, error codes {codes}")
    return lines
