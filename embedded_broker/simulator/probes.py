"""Probes: what clients and brokers may do at a bad moment, and what must never come of it.

``Probes`` observes what reaches each broker and what it answers. C4 a voter gives one vote in an
epoch, also over a power cut; a quorum leader that no majority fetches from resigns. C7 what a
leader commits is on the in-sync set of the newest metadata. C8 a batch is judged by the newest
role. C9 a silent member is removed within
its session. C10 a request of a fetch session or an incarnation that is over is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from embedded_broker.core.coordinator.shard import Shard
from embedded_broker.core.effects import Effect
from embedded_broker.core.events import Event, RequestReceived
from embedded_broker.core.metadata.topics import METADATA_TOPIC_ID
from embedded_broker.core.quorum.voter import Role
from embedded_broker.simulator.disk import Platter
from embedded_broker.simulator.node import Node
from embedded_broker.simulator.observing import Answers, NewestMetadata
from embedded_broker.simulator.world import Violation, World
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.messages.k01_fetch import FetchRequest
from kafka_protocol.messages.k08_offset_commit import OffsetCommitRequest
from kafka_protocol.messages.k11_join_group import JoinGroupRequest
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k14_sync_group import SyncGroupRequest
from kafka_protocol.messages.k52_vote import VoteRequest
from kafka_protocol.messages.k56_alter_partition import AlterPartitionRequest

LATE_MS = 1_000
"""How much later than its timeout a broker may act: slow turns, drifting clocks, polling."""
PAUSED_MS = 200
"""A process that was frozen so recently has had no turn to act on what it missed."""


class _Session:
    """The fetch session of one follower, as the requests that reached the leader define it."""

    def __init__(self) -> None:
        self.id = 0
        """0 until the leader has answered the first request."""
        self.next_epoch = 1


class Probes(Answers):
    """See the module."""

    def __init__(self, world: World, nodes: Mapping[int, Node], newest: NewestMetadata) -> None:
        super().__init__()
        self.world, self.nodes = world, nodes
        self._platters: dict[int, Platter] = {}
        self._newest = newest
        self._votes: dict[tuple[int, int], int] = {}
        """By voter and epoch: the candidate that has the vote."""
        self._sessions: dict[int, dict[int, _Session]] = {}
        """By broker and follower."""
        self._leading: dict[int, tuple[int, dict[int, int]]] = {}
        """By quorum leader: its epoch, and when each voter's last fetch reached it."""
        self._heard: dict[tuple[int, str], int] = {}
        """By broker and member id: when a request of the member last reached it."""
        self._listed: dict[tuple[Shard, str, int], int] = {}
        """By shard, member id and generation: since when it has been silent."""
        for node in nodes.values():
            node.observers.append(self)

    # ---- observations
    def started(self, node: Node) -> None:
        super().started(node)
        self._sessions[node.node_id] = {}
        self._leading.pop(node.node_id, None)
        # A new disk knows no vote; the votes that it gives are conditional.
        if self._platters.get(node.node_id) is not node.platter:
            self._platters[node.node_id] = node.platter
            for place in [place for place in self._votes if place[0] == node.node_id]:
                del self._votes[place]

    def before_event(self, node: Node, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        match event.message:
            case FetchRequest() if event.caller.broker_id >= 0:
                self._fetched(node, event)
            case VoteRequest():
                self._vote_requested(node, event)
            case AlterPartitionRequest():
                self._change_proposed(node, event)
            case ProduceRequest():
                self._produced(node, event)
            case HeartbeatRequest() | OffsetCommitRequest() | JoinGroupRequest():
                self._heard[node.node_id, event.message.member_id] = self.world.now_ms
            case SyncGroupRequest():
                self._heard[node.node_id, event.message.member_id] = self.world.now_ms

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        quorum = node.broker.quorum
        if quorum.role is Role.CANDIDATE:
            self._voted(node.node_id, quorum.epoch, node.node_id)
        super().after_event(node, event, effects)

    # ---- the quorum
    def _vote_requested(self, node: Node, event: RequestReceived) -> None:
        requested = event.message.topics[0].partitions[0]
        if requested.pre_vote:
            return

        def answered(response: Any) -> None:
            for topic in response.topics:
                for vote in topic.partitions:
                    # Beside a conditional vote stands an error code.
                    if vote.vote_granted and vote.error_code == ErrorCode.NONE:
                        self._voted(node.node_id, requested.replica_epoch, requested.replica_id)

        self.expect(node, event, answered)

    def _voted(self, voter: int, epoch: int, candidate: int) -> None:
        given = self._votes.setdefault((voter, epoch), candidate)
        if given != candidate:
            raise Violation(
                "C4", f"broker {voter} votes for {given} and for {candidate} in epoch {epoch}"
            )

    def _check_quorum(self, node: Node) -> None:
        quorum = node.broker.quorum
        if not quorum.is_leader or len(quorum.voters) == 1:
            self._leading.pop(node.node_id, None)
            return
        now_ms = self.world.now_ms
        epoch, fetched = self._leading.get(node.node_id, (-1, {}))
        if epoch != quorum.epoch or self._was_paused(node):
            fetched = {v: now_ms for v in quorum.voters if v != node.node_id}
            self._leading[node.node_id] = (quorum.epoch, fetched)
        since_ms = sorted([now_ms, *fetched.values()], reverse=True)[quorum.majority - 1]
        if now_ms - since_ms > quorum.fetch_timeout_ms * 3 // 2 + LATE_MS:
            raise Violation(
                "C4",
                f"broker {node.node_id} leads the quorum's epoch {quorum.epoch}, though no "
                f"majority has fetched for {now_ms - since_ms} ms",
            )

    # ---- requests between brokers
    def _fetched(self, node: Node, event: RequestReceived) -> None:
        request: FetchRequest = event.message
        follower = event.caller.broker_id
        if request.topics and request.topics[0].topic_id == METADATA_TOPIC_ID:
            epoch, fetched = self._leading.get(node.node_id, (-1, {}))
            if (
                follower in fetched
                and request.topics[0].partitions[0].current_leader_epoch == epoch
            ):
                fetched[follower] = self.world.now_ms
            return
        sessions = self._sessions[node.node_id]
        if request.session_epoch <= 0:
            new = sessions[follower] = _Session()

            def begun(response: Any) -> None:
                new.id = response.session_id

            self.expect(node, event, begun)
            return
        session = sessions.get(follower)
        if session is not None and (session.id, session.next_epoch) == (
            request.session_id,
            request.session_epoch,
        ):
            session.next_epoch += 1
            return

        otherwise = (
            f"broker {node.node_id} serves request {request.session_epoch} of fetch "
            f"session {request.session_id} of broker {follower}, which is over"
        )
        self.expect(node, event, _refused(otherwise))

    def _change_proposed(self, node: Node, event: RequestReceived) -> None:
        request: AlterPartitionRequest = event.message
        broker = node.broker.image.brokers.get(request.broker_id)
        if broker is not None and broker.broker_epoch == request.broker_epoch:
            return

        otherwise = (
            f"controller {node.node_id} judges an AlterPartition of broker "
            f"{request.broker_id} of broker epoch {request.broker_epoch}, which is over"
        )
        self.expect(node, event, _refused(otherwise))

    # ---- clients
    def _produced(self, node: Node, event: RequestReceived) -> None:
        """C8: a batch is judged by the role that the metadata gives this broker now. Of two batches
        in flight the first would be refused by the old role, and the second look like a gap: then
        librdkafka sends again, in a new epoch, what may be stored."""
        image, replicas = node.broker.image, node.broker.replicas
        own = image.brokers.get(node.node_id)
        if own is None or own.broker_epoch != replicas.table.broker_epoch:
            return
        epochs: dict[tuple[str, int], int] = {}
        for topic in event.message.topic_data:
            name = topic.name or image.topic_names.get(topic.topic_id, "")
            for data in topic.partition_data:
                partition = image.partition(name, data.index)
                if partition is not None and partition.leader == node.node_id:
                    epochs[name, data.index] = partition.leader_epoch

        def answered(response: Any) -> None:
            for topic in response.responses:
                name = topic.name or image.topic_names.get(topic.topic_id, "")
                for part in topic.partition_responses:
                    if part.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
                        self._check_refusal(node, name, part.index, epochs.get((name, part.index)))

        if epochs:
            self.expect(node, event, answered)

    def _check_refusal(self, node: Node, name: str, index: int, epoch: int | None) -> None:
        """``epoch``: in which this broker led when the request came; None when it did not."""
        replicas = node.broker.replicas
        if node.platter.full or node.platter.failing or replicas.disk_health.failed:
            return
        now = node.broker.image.partition(name, index)
        here = replicas.partitions.get((name, index))
        # In its own epoch a broker resigns when its disk fails, before the metadata says so.
        if (
            now is not None
            and (now.leader, now.leader_epoch) == (node.node_id, epoch)
            and (here is None or here.leader_epoch < now.leader_epoch)
        ):
            raise Violation(
                "C8",
                f"broker {node.node_id} refuses a batch of {name}-{index} by an old role: its"
                f" metadata says that it leads epoch {epoch}",
            )

    # ---- replicas
    def committed(self, partition: Any) -> None:
        """C7: what a leader commits is on every member of the in-sync set that the newest metadata
        has, which the leader itself may not have learned yet (KAFKA-13091)."""
        image = self._newest.image()
        if image is None:
            return
        newest = image.partition(partition.topic, partition.index)
        if newest is None or newest.leader_epoch != partition.leader_epoch:
            return
        key = (partition.topic, partition.topic_id, partition.index)
        for replica in newest.isr:
            platter = self.nodes[replica].platter
            if platter.unclean or platter.failing or platter.full:
                continue  # the controller has yet to learn of what this disk lost
            log = platter.logs.get(key)
            end = 0 if log is None else log.log_end_offset
            if end < partition.high_watermark:
                raise Violation(
                    "C7",
                    f"{partition} is committed up to {partition.high_watermark} in epoch "
                    f"{partition.leader_epoch}; broker {replica}, in sync, has {end}",
                )

    # ---- groups
    def _check_members(self, node: Node, listed: dict[tuple[Shard, str, int], int]) -> None:
        now_ms = self.world.now_ms
        for shard in node.broker.groups.shards.values():
            if shard.loading or shard.failed:
                continue
            for group in shard.groups.values():
                for member in group.members.values():
                    # A new generation restarts the session of every member.
                    key = (shard, member.member_id, group.generation)
                    since_ms = self._listed.get(key, now_ms)
                    if member.waits or self._was_paused(node):
                        since_ms = now_ms
                    since_ms = max(since_ms, self._heard.get((node.node_id, member.member_id), 0))
                    listed[key] = since_ms
                    if now_ms - since_ms > member.session_timeout_ms + LATE_MS:
                        raise Violation(
                            "C9",
                            f"broker {node.node_id} keeps {member.member_id} in {group.group_id}, "
                            f"though it was silent for {now_ms - since_ms} ms",
                        )

    def _was_paused(self, node: Node) -> bool:
        return node.paused_until_ms > self.world.now_ms - PAUSED_MS

    # ---- periodically
    def check(self) -> None:
        """C4 and C9, called every 150 ms: whoever must act on a silence has done so."""
        listed: dict[tuple[Shard, str, int], int] = {}
        for node in self.nodes.values():
            if node.running:
                self._check_quorum(node)
                self._check_members(node, listed)
        self._listed = listed


def check_repeated(name: str, partition: tuple[str, int], old_offset: int, answer: Any) -> None:
    """C8: one of a producer's last five batches, sent again, is answered with its old offset, or
    with an error that says nothing about it.

    Raises:
        Violation
    """
    if answer.error_code == ErrorCode.NONE and answer.base_offset != old_offset:
        raise Violation(
            "C8",
            f"{name} sent a batch of {partition} again, acknowledged at {old_offset}: now it is at "
            f"{answer.base_offset}",
        )
    if answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
        raise Violation(
            "C8",
            f"{name} sent a batch of {partition} again, acknowledged at {old_offset}, one of its "
            f"last five: it is out of order",
        )


def check_old_commit(group: str, generation: int, codes: Mapping[Any, int]) -> None:
    """C9: a member of a generation cannot commit in the one before. Raises: Violation."""
    if ErrorCode.NONE in codes.values():
        raise Violation(
            "C9", f"{group}: a member of generation {generation} committed in the one before"
        )


def _refused(otherwise: str) -> Callable[[Any], None]:
    """C10: a check of the response to a request that must be refused; ``otherwise`` is what has
    happened when it is not."""

    def answered(response: Any) -> None:
        if response.error_code == ErrorCode.NONE:
            raise Violation("C10", otherwise)

    return answered
