"""Whether a healed simulated cluster is whole again (C12), and has what it must have (C10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from embedded_broker.simulator.admin import CHANGED_TOPIC, Admin
from embedded_broker.simulator.checkers import Checks
from embedded_broker.simulator.client import TopicPartition
from embedded_broker.simulator.consuming import Reader
from embedded_broker.simulator.members import Member
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.world import Violation

OFFSETS_TOPIC = "__consumer_offsets"


class Healed(Protocol):
    """What is asked of the cluster and its clients."""

    nodes: dict[int, Node]
    core: dict[int, Node]
    """The nodes that run after the heal."""
    partitions: list[TopicPartition]
    checks: Checks
    admin: Admin
    readers: list[Reader]
    members: list[Member]
    groups: dict[str, int]
    """The groups of ``members``, each with its partition of the offsets topic."""


class Recovery:
    """Conditions that the scenario waits for after the heal."""

    def __init__(self, of: Healed) -> None:
        self.of = of

    def writable_partitions(self) -> list[TopicPartition]:
        return [
            (topic, index) for topic, index in self.of.partitions if self.writable(topic, index)
        ]

    def writable(self, topic: str, index: int) -> bool:
        """Return whether the core has min.insync.replicas of a partition, of which one may lead."""
        controller = self.of.checks.controller()
        partition = None if controller is None else controller.broker.image.partition(topic, index)
        if partition is None:
            return True
        alive = [r for r in partition.replicas if r in self.of.core]
        return len(alive) >= 2 and bool({*partition.isr, *partition.elr} & set(self.of.core))

    def settled(self) -> bool:
        """Return whether the core agrees on the metadata, and every partition that may have a
        leader has one, with all its running replicas in sync at the same end offset."""
        controller = self.of.checks.controller()
        if controller is None or not all(n.running for n in self.of.core.values()):
            return False
        image = controller.broker.image
        if any(n.broker.image.offset != image.offset for n in self.of.core.values()):
            return False
        for topic in image.topics.values():
            for p in topic.partitions.values():
                alive = sorted(r for r in p.replicas if r in self.of.core)
                if not alive or not {*p.isr, *p.elr} & set(alive):
                    continue
                if p.leader not in alive or sorted(p.isr) != alive:
                    return False
                logs = [
                    self.of.nodes[r].platter.logs.get((p.topic, p.topic_id, p.partition))
                    for r in alive
                ]
                if (
                    any(log is None for log in logs)
                    or len({log.log_end_offset for log in logs if log}) != 1
                ):
                    return False
        return True

    def consumers_done(self) -> bool:
        """Return whether readers and groups have consumed, and the groups committed, all that is
        committed."""
        ends = {p: self.of.checks.client_view(p).end for p in self.writable_partitions()}
        for reader in self.of.readers:
            if self.of.checks.strict and any(
                reader.fetcher.positions.get(p, 0) < end for p, end in ends.items()
            ):
                return False
        return not self.of.checks.strict or all(
            self._group_done(group, ends)
            for group, partition in self.of.groups.items()
            if self.writable(OFFSETS_TOPIC, partition)
        )

    def _group_done(self, group: str, ends: Mapping[TopicPartition, int]) -> bool:
        members = [m for m in self.of.members if m.group == group]
        if not all(m.stable for m in members):
            return False
        positions: dict[TopicPartition, int] = {}
        for member in members:
            for partition, position in member.fetcher.positions.items():
                if partition in positions:  # still owned by two members
                    return False
                positions[partition] = position
        floor = self.of.checks.commit_floor
        return not members or all(
            positions.get(p, -1) >= end and floor(group, p) >= end for p, end in ends.items() if end
        )

    def check_topics(self) -> None:
        """C10: every broker has the topics that were created, none that was deleted, and no log of
        a deleted one."""
        for node in self.of.core.values():
            image = node.broker.image
            for name, exists in self.of.admin.exists.items():
                if exists is not None and exists != (name in image.topics):
                    state = "is missing" if exists else "still exists"
                    raise Violation("C10", f"broker {node.node_id}: topic {name} {state}")
            for setting, value in self.of.admin.settings.items():
                found = node.broker.env.config.topic(CHANGED_TOPIC, setting)
                if value is not None and found != value:
                    raise Violation(
                        "C10", f"broker {node.node_id}: {setting} is {found}, set was {value}"
                    )
            for name, topic_id, index in node.platter.logs:
                if name.startswith("__cluster"):
                    continue
                topic = image.topics.get(name)
                if topic is None or topic.topic_id != topic_id or index not in topic.partitions:
                    raise Violation(
                        "C10", f"broker {node.node_id} has a log of {name}-{index} {topic_id}"
                    )
