"""The promises of docs/reliability.md, checked while a simulated cluster runs.

C1 acknowledged records are kept, C2 committed records never change, C3 logs match, C4 one leader
per epoch, C5 offsets are dense and unique, C6 nothing is visible above the high watermark, C7
in-sync and eligible replicas hold what is committed, C8 idempotence, C9 groups, C10 one metadata
log. (C12, that the cluster heals, is checked by the scenario.)

``Checks`` observes the brokers from inside, after every event, and is called by the clients with
what they sent and received. A broken promise raises ``Violation``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from embedded_broker.core.effects import Effect, Note, Stop
from embedded_broker.core.events import Event
from embedded_broker.simulator.disk import Platter
from embedded_broker.simulator.group_checks import GroupChecks, TopicPartition
from embedded_broker.simulator.log import SimLog
from embedded_broker.simulator.node import Node, Observer
from embedded_broker.simulator.observing import NewestMetadata
from embedded_broker.simulator.reference import Committed, Key, Reference
from embedded_broker.simulator.world import Violation, World
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import BatchHeader

METADATA_TOPIC = "__cluster_metadata"
Observed = tuple[int, bool, int, Any]
"""(high watermark, whether the replica leads, leader epoch, log) of a partition on a broker."""
REQUEST_FAILED = "Internal error"
CHECKED_TAIL = 30
"""Offsets before the committed end that C7 compares each time; the rest was compared before."""


@dataclass(slots=True)
class Sent:
    """A producer's batch and its outcome."""

    producer: str
    session: int
    partition: TopicPartition
    values: tuple[bytes, ...]
    acks: int
    idempotent: bool
    outcome: str = "open"
    """open, ok, or info (unknown)."""
    offset: int = -1
    codes: list[int] = field(default_factory=list)


class Checks(GroupChecks, Observer):
    """See the module. Without ``strict``, for the family that may lose data (F3), only the checks
    that hold even then are made: leaders, epochs, metadata, producer ids."""

    def __init__(self, world: World, nodes: Mapping[int, Node], strict: bool = True) -> None:
        super().__init__(strict)
        self.world, self.nodes = world, nodes
        self.newest = NewestMetadata(nodes)
        self.reference = Reference()
        self.sent: list[Sent] = []
        self.acks = 0
        self.newest_ack_ms: dict[TopicPartition, int] = {}
        self.elections = self.quorum_elections = 0
        self.newest_leader = 0
        self.restart: Callable[[Node], None] = Node.start
        self.on_commit: Callable[[Any], None] = lambda partition: None
        """Called with a leader's partition when it has committed more than any before."""
        self.idempotent: set[str] = set()
        """Names of the idempotent producers."""
        self._leaders: dict[tuple[Key, int], int] = {}
        self._controllers: dict[int, int] = {}
        self._quorum_epochs: dict[int, int] = {}
        self._observed: dict[int, dict[TopicPartition, Observed]] = {}
        """By broker and partition: the state after the last event."""
        self._image_offsets: dict[int, int] = {}
        """By broker: up to where its applied metadata is checked."""
        self._platters: dict[int, Platter] = {}
        self._producer_ids: dict[int, str] = {}
        for node in nodes.values():
            node.observers.append(self)
            node.platter.on_append = self._appended

    # ---- brokers, from inside
    def _appended(self, log: SimLog, header: BatchHeader, data: bytes) -> None:
        self.reference.written((log.topic, log.topic_id, log.partition), header, data)

    def started(self, node: Node) -> None:
        node.platter.on_append = self._appended
        self._observed[node.node_id] = {}
        self._image_offsets[node.node_id] = 0
        # A new disk has no epoch: only on the same disk must it never go back.
        if self._platters.get(node.node_id) is not node.platter:
            self._platters[node.node_id] = node.platter
            self._quorum_epochs.pop(node.node_id, None)

    def stopped(self, node: Node, effect: Stop) -> None:
        if effect.error is ErrorCode.DUPLICATE_BROKER_REGISTRATION:
            # A broker with a new disk came back before the session of its previous incarnation
            # expired: whoever operates it starts it again.
            self.world.after(1_000, self.restart, node)
        elif effect.code != 0:
            raise Violation("crash", f"broker {node.node_id} stopped itself: {effect.reason}")

    def cannot_start(self, node: Node) -> None:
        self.world.after(1_000, self.restart, node)

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        for effect in effects:
            # A request that meets a bug is refused and noted; here it must not meet one.
            if isinstance(effect, Note) and effect.text.startswith(REQUEST_FAILED):
                raise Violation("crash", f"broker {node.node_id}: {effect.text}")
        self._check_quorum(node)
        observed = self._observed[node.node_id]
        for place, partition in node.broker.replicas.partitions.items():
            log = partition.log
            now = (partition.high_watermark, partition.is_leader, partition.leader_epoch, log)
            before = observed.get(place)
            if before != now:
                observed[place] = now
                # Another log is another topic of the same name: nothing of before holds for it.
                same_log = before is not None and before[3] is log
                self._partition_changed(node, partition, before if same_log else None)

    def _partition_changed(self, node: Node, partition: Any, before: Observed | None) -> None:
        key = (partition.log.topic, partition.log.topic_id, partition.log.partition)
        committed = self.reference.of(key)
        log: SimLog = partition.log
        who = f"broker {node.node_id}"
        if partition.is_leader:
            if before is None or before[1:3] != (True, partition.leader_epoch):
                self._new_leader(node, key, partition)
            # Only leaders commit: their high watermark defines what is committed.
            if partition.high_watermark > committed.end:
                if self.strict:
                    committed.extend(
                        log, partition.high_watermark, partition.leader_epoch, self.idempotent
                    )
                    self.on_commit(partition)
                else:
                    committed.end = partition.high_watermark
        if not self.strict:
            return
        if partition.high_watermark > committed.end:
            raise Violation(
                "C6",
                f"{who} has high watermark {partition.high_watermark} on {committed!r}, "
                f"no leader had more than {committed.end}",
            )
        # Compare what this broker newly shows; below the earlier high watermark it did before.
        checked = 0 if before is None else before[0]
        if partition.high_watermark > checked:
            committed.check_prefix(who, log, checked, partition.high_watermark)

    def _new_leader(self, node: Node, key: Key, partition: Any) -> None:
        epoch = partition.leader_epoch
        leader = self._leaders.setdefault((key, epoch), node.node_id)
        if leader != node.node_id:
            raise Violation(
                "C4",
                f"{key[0]}-{key[2]}: brokers {leader} and {node.node_id} both lead epoch {epoch}",
            )
        self.elections += 1
        self.newest_leader = node.node_id
        self.world.trace(f"{node.node_id} leads {key[0]}-{key[2]} epoch {epoch}")
        if self.strict:
            who = f"broker {node.node_id}, the new leader of epoch {epoch},"
            committed = self.reference.of(key)
            committed.check_prefix(
                who, partition.log, partition.log.log_start_offset, committed.end_before(epoch)
            )

    def leaders(self, partition: TopicPartition) -> dict[int, int]:
        """Return the leader of each epoch that had one."""
        return {
            epoch: leader
            for ((name, _id, index), epoch), leader in self._leaders.items()
            if (name, index) == partition
        }

    def _check_quorum(self, node: Node) -> None:
        """C4 for the quorum, C10."""
        broker = node.broker
        quorum = broker.quorum
        epoch = quorum.epoch
        known = self._quorum_epochs.get(node.node_id, 0)
        if epoch != known:
            if epoch < known:
                raise Violation(
                    "C4", f"broker {node.node_id}: the quorum's epoch went from {known} to {epoch}"
                )
            self._quorum_epochs[node.node_id] = epoch
        if quorum.is_leader:
            leader = self._controllers.get(epoch)
            if leader is None:
                self._controllers[epoch] = node.node_id
                self.quorum_elections += 1
                self.world.trace(f"{node.node_id} leads the quorum, epoch {epoch}")
            elif leader != node.node_id:
                raise Violation(
                    "C4",
                    f"brokers {leader} and {node.node_id} both lead the quorum's epoch {epoch}",
                )
        applied = broker.image.offset
        checked = self._image_offsets[node.node_id]
        if applied != checked:
            log = self.metadata_log(node)
            committed = self.reference.of((METADATA_TOPIC, UUID(int=1), 0))
            # The first broker that applies a record defines it, leader or not: a follower may hear
            # of a commit before the leader's own next event.
            if applied > committed.end:
                committed.extend(log, applied, epoch, ())
            committed.check_prefix(f"broker {node.node_id}", log, checked, applied)
            self._image_offsets[node.node_id] = applied

    def metadata_log(self, node: Node) -> SimLog:
        """The metadata log on the disk of a node."""
        return node.platter.logs[(METADATA_TOPIC, UUID(int=1), 0)]

    def controller(self) -> Node | None:
        """Return the active controller, if its epoch is the newest that ever had a leader."""
        newest = max(self._controllers, default=0)
        for node in self.nodes.values():
            if (
                node.running
                and node.broker.controller.is_active
                and node.broker.quorum.epoch == newest
            ):
                return node
        return None

    def check_replicas(self) -> None:
        """C7, called periodically: in-sync and eligible replicas hold what is committed."""
        if self.controller() is None or not self.strict:
            return
        image = self.newest.image()
        if image is None:
            return
        for topic in image.topics.values():
            for partition in topic.partitions.values():
                key = (topic.name, topic.topic_id, partition.partition)
                committed = self.reference.partitions.get(key)
                if committed is None:
                    continue
                for replica in sorted({*partition.isr, *partition.elr}):
                    role = "in-sync" if replica in partition.isr else "eligible"
                    who = f"broker {replica}, {role} in epoch {partition.leader_epoch},"
                    self._check_replica(who, self.nodes[replica].platter, key, committed)

    def _check_replica(self, who: str, platter: Platter, key: Key, committed: Committed) -> None:
        # The controller has yet to learn of what this disk lost: it is about to be removed.
        if platter.unclean or platter.failing or platter.full:
            return
        log = platter.logs.get(key)
        if log is None:
            if committed.end:
                raise Violation("C7", f"{who} has no log of {committed!r}")
            return
        start = max(0, committed.end - CHECKED_TAIL)
        try:
            committed.check_prefix(who, log, start, committed.end)
        except Violation as violation:
            raise Violation("C7", violation.text) from None

    # ---- producers
    def sending(
        self,
        producer: str,
        session: int,
        partition: TopicPartition,
        values: tuple[bytes, ...],
        acks: int,
        idempotent: bool,
    ) -> Sent:
        """A producer made a batch of values."""
        if idempotent:
            self.idempotent.add(producer)
        sent = Sent(producer, session, partition, values, acks, idempotent)
        self.sent.append(sent)
        return sent

    def acked(self, sent: Sent, offset: int) -> None:
        """C1, C5: an acknowledged batch is committed, at the offset of the acknowledgement (-1 for
        one acknowledged as a duplicate)."""
        sent.outcome, sent.offset = "ok", offset
        self.acks += 1
        self.newest_ack_ms[sent.partition] = self.world.now_ms
        if sent.acks == -1 and self.strict and offset >= 0:
            self._check_acked(sent)

    def _check_acked(self, sent: Sent) -> None:
        committed = self.client_view(sent.partition)
        for i, value in enumerate(sent.values):
            if sent.offset < 0:
                if value not in committed.offsets:
                    raise Violation(
                        "C1",
                        f"{committed!r}: {value!r} was acknowledged as a duplicate, never stored",
                    )
            elif sent.offset + i >= committed.end:
                raise Violation(
                    "C1",
                    f"{committed!r}: {value!r} was acknowledged at {sent.offset + i}, "
                    f"but only {committed.end} are committed",
                )
            elif committed.values[sent.offset + i] != value:
                found = committed.values[sent.offset + i]
                raise Violation(
                    "C5",
                    f"{committed!r}: {value!r} was acknowledged at {sent.offset + i}, "
                    f"where {found!r} is committed",
                )

    def refused(self, sent: Sent, code: int) -> None:
        """An attempt failed with this code; the producer may retry."""
        sent.codes.append(code)

    def given_up(self, sent: Sent) -> None:
        """The producer stopped retrying: the batch may be stored or not."""
        sent.outcome = "info"

    def producer_id_given(self, producer_id: int, name: str) -> None:
        """C8: a producer id is given once."""
        if producer_id in self._producer_ids:
            raise Violation(
                "C8",
                f"producer id {producer_id} given to {self._producer_ids[producer_id]} and {name}",
            )
        self._producer_ids[producer_id] = name

    def client_view(self, partition: TopicPartition) -> Committed:
        """Return what is committed of a partition whose topic is never deleted."""
        partitions = self.reference.partitions
        found = [c for key, c in partitions.items() if (key[0], key[2]) == partition]
        assert len(found) == 1, (partition, found)
        return found[0]

    # ---- readers
    def polled(
        self,
        reader: str,
        partition: TopicPartition,
        topic_id: UUID,
        position: int,
        high_watermark: int,
        found: list[tuple[int, bytes | None]],
    ) -> None:
        """C2, C5, C6: a fetch returns the committed records from its position on, no others."""
        if not self.strict:
            return
        committed = self.reference.of((partition[0], topic_id, partition[1]))
        if high_watermark > committed.end:
            raise Violation(
                "C6",
                f"{reader} received high watermark {high_watermark} on {committed!r}, "
                f"but {committed.end} are committed",
            )
        for expected, (offset, value) in enumerate(found, position):
            if offset != expected:
                raise Violation(
                    "C6",
                    f"{reader} at {position} of {committed!r} read offset {offset} "
                    f"instead of {expected}",
                )
            if offset >= min(high_watermark, committed.end):
                raise Violation(
                    "C6",
                    f"{reader} read {offset} of {committed!r} "
                    f"above high watermark {high_watermark}",
                )
            if committed.values[offset] != value:
                raise Violation(
                    "C2",
                    f"{reader} read {value!r} at {offset} of {committed!r}, "
                    f"where {committed.values[offset]!r} is committed",
                )

    def out_of_range(
        self, reader: str, partition: TopicPartition, position: int, epoch: int, read_epoch: int
    ) -> None:
        """C1: the leader of the newest epoch that the reader knows lacks what the reader read."""
        if self.strict:
            raise Violation(
                "C1",
                f"{reader} at {position} of {partition} (epoch {read_epoch}) is out of the range "
                f"of the leader of epoch {epoch}",
            )

    def diverged(self, reader: str, partition: TopicPartition, position: int, at: Any) -> None:
        """C2: the leader reports that the reader has read another history."""
        if self.strict:
            raise Violation("C2", f"{reader} at {position} of {partition} diverges at {at}")

    def end_listed(self, reader: str, partition: TopicPartition, offset: int, floor: int) -> None:
        """C6: the end offset that ListOffsets returned is committed, and at least ``floor``, up to
        where the reader had read when it sent the request."""
        if not self.strict:
            return
        committed = self.client_view(partition)
        if not floor <= offset <= committed.end:
            raise Violation(
                "C6",
                f"{reader} received {offset} as the end of {committed!r} after reading up to "
                f"{floor}, committed are {committed.end}",
            )

    def time_looked_up(
        self, reader: str, partition: TopicPartition, wanted_ms: int, answer: Any, floor: int
    ) -> None:
        """C6: ListOffsets by time returns the first committed record at or after that time; none
        only if those before ``floor``, which the reader has read, are older."""
        if not self.strict:
            return
        committed = self.client_view(partition)
        end = answer.offset if answer.offset >= 0 else floor
        first = min((o for o, at in committed.timestamps.items() if at >= wanted_ms), default=end)
        right = first == answer.offset if answer.offset >= 0 else first >= floor
        if not right or answer.timestamp != committed.timestamps.get(answer.offset, -1):
            raise Violation(
                "C6",
                f"{reader} looked up {wanted_ms} in {committed!r} after reading up to {floor}: "
                f"{answer.offset} at {answer.timestamp}, the first is {first}",
            )

    # ---- the end
    def finish(self) -> None:
        """C1, C2 of the healed cluster: every acknowledged record is committed, and every log has
        what is committed below its high watermark."""
        if not self.strict:
            return
        for sent in self.sent:
            if sent.outcome == "ok" and sent.acks == -1:
                self._check_acked(sent)
        for node in self.nodes.values():
            if not node.running:
                continue
            for partition in node.broker.replicas.partitions.values():
                log: Any = partition.log
                committed = self.reference.of((log.topic, log.topic_id, log.partition))
                who = f"broker {node.node_id}"
                committed.check_prefix(who, log, log.log_start_offset, partition.high_watermark)
