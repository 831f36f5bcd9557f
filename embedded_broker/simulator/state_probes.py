"""Probes of what a broker must know and keep: epochs, votes, the sequences of producers.

``StateProbes`` observes what reaches each broker and what it answers. C4 a vote is on the disk when
it counts. C7 no replica joins an in-sync set by what its previous incarnation had (KIP-903). C8 the
producers that a leader knows are those of its log. C10 a fetch of another leader epoch is refused
(KIP-320).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_broker.core.effects import Effect
from embedded_broker.core.events import Event, RequestReceived
from embedded_broker.core.metadata.topics import METADATA_TOPIC_ID
from embedded_broker.core.quorum.voter import NOBODY
from embedded_broker.core.replication.partition import Partition
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.observing import Answers
from embedded_broker.simulator.world import Violation
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import FetchRequest
from kafka_protocol.messages.k56_alter_partition import AlterPartitionRequest

Place = tuple[str, int]


class StateProbes(Answers):
    """See the module."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        super().__init__()
        self.nodes = nodes
        self._compared: dict[Partition, int] = {}
        """The leader epoch in which a leader's producers were compared with its log."""
        for node in nodes.values():
            node.observers.append(self)

    def before_event(self, node: Node, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        match event.message:
            case FetchRequest():
                self._fetched(node, event)
            case AlterPartitionRequest():
                self._proposed(node, event)

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        self._check_vote(node)
        super().after_event(node, event, effects)

    # ---- votes
    def _check_vote(self, node: Node) -> None:
        quorum = node.broker.quorum
        if quorum.voted_id == NOBODY or node.platter.full or node.platter.failing:
            return
        saved = node.platter.quorum_state
        if (saved.get("leaderEpoch"), saved.get("votedId")) != (quorum.epoch, quorum.voted_id):
            raise Violation(
                "C4",
                f"broker {node.node_id} has voted for {quorum.voted_id} in epoch {quorum.epoch}; "
                f"its disk says {saved.get('votedId')} in epoch {saved.get('leaderEpoch')}",
            )

    # ---- epochs
    def _fetched(self, node: Node, event: RequestReceived) -> None:
        wrong: dict[Place, tuple[int, int]] = {}
        """By partition: the leader epoch that was named, and that of the leader."""
        image, partitions = node.broker.image, node.broker.replicas.partitions
        for topic in event.message.topics:
            if topic.topic_id == METADATA_TOPIC_ID:
                return
            name = topic.topic or image.topic_names.get(topic.topic_id, "")
            for p in topic.partitions:
                here = partitions.get((name, p.partition))
                if here is not None and -1 < p.current_leader_epoch != here.leader_epoch:
                    wrong[name, p.partition] = p.current_leader_epoch, here.leader_epoch

        def answered(response: Any) -> None:
            for topic in response.responses:
                name = topic.topic or image.topic_names.get(topic.topic_id, "")
                for p in topic.partitions:
                    named = wrong.get((name, p.partition_index))
                    here = partitions.get((name, p.partition_index))
                    if named is None or here is None or here.leader_epoch != named[1]:
                        continue
                    if p.error_code == ErrorCode.NONE:
                        raise Violation(
                            "C10",
                            f"broker {node.node_id} serves a fetch of {name}-{p.partition_index} "
                            f"in epoch {named[0]}; it is in {named[1]}",
                        )

        if wrong:
            self.expect(node, event, answered)

    def _proposed(self, node: Node, event: RequestReceived) -> None:
        over: dict[tuple[Any, int], str] = {}
        """By topic id and partition: a member of the proposed set whose incarnation is over."""
        image = node.broker.controller.image if node.broker.quorum.is_leader else None
        if image is None:
            return
        for topic in event.message.topics:
            for p in topic.partitions:
                for member in p.new_isr_with_epochs:
                    known = image.brokers.get(member.broker_id)
                    if known is not None and -1 < member.broker_epoch != known.broker_epoch:
                        text = f"broker {member.broker_id} of broker epoch {member.broker_epoch}"
                        over[topic.topic_id, p.partition_index] = text

        def answered(response: Any) -> None:
            for topic in response.topics:
                for p in topic.partitions:
                    member = over.get((topic.topic_id, p.partition_index))
                    if (
                        member is not None
                        and response.error_code == ErrorCode.NONE
                        and p.error_code == ErrorCode.NONE
                    ):
                        raise Violation(
                            "C7",
                            f"controller {node.node_id} takes {member} into an in-sync set: that "
                            "incarnation is over",
                        )

        if over:
            self.expect(node, event, answered)

    # ---- producers
    def check(self) -> None:
        """C8, called every 150 ms: what a leader has loaded is what its log says."""
        for node in self.nodes.values():
            if not node.running:
                continue
            for partition in node.broker.replicas.partitions.values():
                states = partition.producers
                epoch = partition.leader_epoch
                if partition.is_leader and states.loaded and self._compared.get(partition) != epoch:
                    self._compared[partition] = epoch
                    _compare(node, partition)


def _compare(node: Node, partition: Partition) -> None:
    newest: dict[int, tuple[int, int]] = {}
    log = partition.log
    for header in log.headers(log.log_start_offset):
        if header.producer_id >= 0 and not header.is_control:
            last = header.base_sequence + header.record_count - 1
            newest[header.producer_id] = header.producer_epoch, last
    for producer_id, (epoch, last) in newest.items():
        known = partition.producers.newest(producer_id)
        if known != (epoch, last):
            raise Violation(
                "C8",
                f"broker {node.node_id} leads {partition} and knows {known} as the newest (epoch, "
                f"sequence) of producer {producer_id}; its log has {(epoch, last)}",
            )
