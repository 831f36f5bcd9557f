"""The quorum alone, on a network that loses messages and among nodes that are killed, cut off and
lose power."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from embedded_broker.core.events import Event
from embedded_broker.core.metadata.records import NoOpRecord, ProducerIdsRecord
from embedded_broker.core.quorum.campaign import CONDITIONAL_VOTE
from embedded_broker.core.quorum.voter import Role
from embedded_broker.simulator.node import Node, Observer
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages import k53_begin_quorum_epoch as k53
from kafka_protocol.messages import k54_end_quorum_epoch as k54
from kafka_protocol.messages.k52_vote import PartitionData, TopicData, VoteRequest
from kafka_protocol.messages.k55_describe_quorum import DescribeQuorumRequest
from kafka_protocol.messages.k55_describe_quorum import PartitionData as DescribePartition
from kafka_protocol.messages.k55_describe_quorum import TopicData as DescribeTopic
from tests.unit.embedded_broker.wired import Wired

Cluster = Callable[..., Wired]


class Watcher(Observer):
    """One leader an epoch; epochs never go back, not even over a restart; what is committed stays
    as it is."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self.epochs: dict[int, int] = {}
        self.committed: dict[int, bytes] = {}
        """Batches by base offset, as first seen below a high watermark."""
        self._seen: dict[int, int] = {}

    def started(self, node: Node) -> None:
        self._seen[node.node_id] = 0

    def after_event(self, node: Node, event: Event, effects: list[Any]) -> None:
        quorum = node.broker.quorum
        assert quorum.epoch >= self.epochs.get(node.node_id, 0), "an epoch went back"
        self.epochs[node.node_id] = quorum.epoch
        if quorum.role is Role.LEADER:
            first = self.leaders.setdefault(quorum.epoch, node.node_id)
            assert first == node.node_id, (
                f"{first} and {node.node_id} both lead epoch {quorum.epoch}"
            )
        seen = self._seen[node.node_id]
        if quorum.high_watermark > seen:
            log: Any = quorum.log.log
            for header, data in log.between(seen, quorum.high_watermark):
                known = self.committed.setdefault(header.base_offset, bytes(data))
                assert known == bytes(data), (
                    f"what was committed at {header.base_offset} has changed"
                )
            self._seen[node.node_id] = quorum.high_watermark


def watched(brokers: int, seed: int) -> tuple[Wired, Watcher]:
    c, watcher = Wired(brokers, seed), Watcher()
    for node in c.nodes.values():
        node.observers.append(watcher)
    return c, watcher


def trouble(c: Wired, rng: random.Random, power: bool) -> None:
    """One fault, or the end of one."""
    node = c.nodes[rng.choice(sorted(c.nodes))]
    if rng.random() < 0.5:
        leading = c.controller()
        node = leading or node
    match rng.randrange(7):
        case 0 | 1 if node.running:
            node.crash(power and rng.random() < 0.3)
        case 2 | 3:
            for other in c.nodes.values():
                other.start()
        case 4:
            for other_id in c.nodes:
                if other_id != node.node_id and rng.random() < 0.7:
                    c.network.cut(node.node_id, other_id)
                    if rng.random() < 0.5:
                        c.network.cut(other_id, node.node_id)
        case 5:
            c.network.heal_all()
        case 6 if node.running:
            node.pause(rng.randrange(100, 4_000))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("brokers", [3, 5])
def test_that_under_random_faults_each_epoch_has_one_leader_and_committed_records_stay(
    brokers: int, seed: int
) -> None:
    rng = random.Random(f"{brokers} {seed}")
    c, watcher = watched(brokers, seed)
    c.start()
    for _ in range(40):
        c.run(rng.randrange(20, 1_200))
        trouble(c, rng, power=True)
        leading = c.controller()
        if leading is not None and leading.running and leading.broker.controller.is_active:
            controller = leading.broker.controller
            if leading.paused_until_ms <= c.world.now_ms:
                following = controller.image.next_producer_id + 1
                controller.propose(
                    leading.clock.monotonic_ms(), [ProducerIdsRecord(1, 1, following)]
                )
    c.network.heal_all()
    for node in c.nodes.values():
        node.start()
    c.run(4_000)
    c.until(lambda: c.controller() and len(c.alive) == brokers and c.all_ready(), 15_000)
    c.until(lambda: len({node.broker.image.offset for node in c.nodes.values()}) == 1, 2_000)
    assert len(watcher.leaders) > 1


def test_that_a_single_node_elects_itself_at_once() -> None:
    c = Wired(1, 3)
    c.start()
    assert c.until(lambda: c.controller() and c.all_ready(), 2_000) < 200


def test_that_a_single_voter_that_lost_its_state_leads_no_epoch_that_wrote_records() -> None:
    """Records of an older epoch after newer ones would be cut off as damaged at the next start."""
    c = Wired(1, 3)
    node = c.nodes[1]
    for _ in range(3):
        c.start()
        c.until(lambda: c.controller() and c.all_ready(), 2_000)
        node.crash(power=False)
    before = node.platter.quorum_state["leaderEpoch"]
    node.platter.quorum_state = {}
    c.start()
    c.until(lambda: node.broker.quorum.is_leader, 2_000)
    quorum = node.broker.quorum
    assert quorum.epoch > before >= 3
    epochs = [epoch for epoch, _ in quorum.log.epochs]
    assert epochs == sorted(set(epochs)) and epochs[-1] == quorum.epoch


def test_that_a_returning_node_does_not_disturb_the_leader(cluster: Cluster) -> None:
    """KIP-996: a node that was cut off asks first, and is refused, before it raises the epoch."""
    c = cluster()
    leader = c.controller()
    assert leader is not None
    epoch = leader.broker.quorum.epoch
    outsider = next(n for n in c.nodes.values() if n is not leader)
    for other in c.nodes:
        if other != outsider.node_id:
            c.network.cut(outsider.node_id, other)
            c.network.cut(other, outsider.node_id)
    c.run(8_000)
    c.network.heal_all()
    c.until(lambda: outsider.broker.quorum.role is Role.FOLLOWER and c.all_ready(), 8_000)
    assert c.controller() is leader
    assert leader.broker.quorum.epoch == epoch == outsider.broker.quorum.epoch


def test_that_a_leader_without_a_majority_resigns(cluster: Cluster) -> None:
    c = cluster()
    leader = c.controller()
    assert leader is not None
    for other in c.nodes:
        if other != leader.node_id:
            c.network.cut(leader.node_id, other)
            c.network.cut(other, leader.node_id)
    c.until(lambda: not leader.broker.quorum.is_leader, 3_500)
    assert not leader.broker.controller.is_active
    c.until(lambda: c.controller() not in (None, leader), 4_000)


def test_that_an_orderly_stop_of_the_leader_is_a_quick_change(cluster: Cluster) -> None:
    c = cluster()
    leader = c.controller()
    assert leader is not None
    leader.stop()
    c.until(lambda: not leader.running, 3_000)
    assert c.until(lambda: c.controller(), 2_000) < 300


def test_that_votes_outlive_a_restart() -> None:
    c = Wired(3, 5)
    voter = c.nodes[1]
    voter.start()
    c.run(50)

    def ask(candidate: int, epoch: int) -> tuple[int, bool]:
        partition = PartitionData(0, epoch, candidate, last_offset_epoch=0, last_offset=0)
        request = VoteRequest("unit", 1, [TopicData("__cluster_metadata", [partition])])
        connection = c.network.connect(candidate, voter, candidate, "test")
        answers: list[Any] = []
        connection.call(request, 2, 1_000, lambda response, reason: answers.append(response))
        c.until(lambda: answers, 2_000)
        answer = answers[0].topics[0].partitions[0]
        return answer.error_code, answer.vote_granted

    assert ask(2, 7) == (CONDITIONAL_VOTE, True)
    voter.crash(power=True)
    voter.start()
    c.run(20)
    assert ask(3, 7) == (0, False)
    assert ask(2, 7) == (CONDITIONAL_VOTE, True)
    assert ask(3, 6) == (ErrorCode.FENCED_LEADER_EPOCH, False)


def test_that_a_vote_of_another_cluster_or_from_no_voter_is_refused(cluster: Cluster) -> None:
    c = cluster()

    def ask(cluster_id: str, candidate: int) -> Any:
        partition = PartitionData(0, 99, candidate)
        request = VoteRequest(cluster_id, 1, [TopicData("__cluster_metadata", [partition])])
        connection = c.network.connect(2, c.nodes[1], 2, "test")
        answers: list[Any] = []
        connection.call(request, 2, 1_000, lambda response, reason: answers.append(response))
        c.until(lambda: answers, 2_000)
        return answers[0]

    epoch = c.nodes[1].broker.quorum.epoch
    assert ask("another", 2).error_code == ErrorCode.INCONSISTENT_CLUSTER_ID
    assert ask("unit", 9).topics[0].partitions[0].error_code == ErrorCode.INCONSISTENT_VOTER_SET
    assert c.nodes[1].broker.quorum.epoch == epoch


def asked(c: Wired, connection: Any, request: Any, version: int) -> Any:
    """The response to a request on a connection of the simulated network."""
    answers: list[Any] = []
    connection.call(request, version, 1_000, lambda response, reason: answers.append(response))
    c.until(lambda: answers, 2_000)
    return answers[0]


def test_that_nobody_campaigns_leads_or_resigns_in_the_name_of_another(cluster: Cluster) -> None:
    c = cluster()
    leader = c.controller()
    assert leader is not None
    epoch, connection = leader.broker.quorum.epoch, c.network.connect(77, leader, 77, "test")
    other = next(n.node_id for n in c.nodes.values() if n is not leader)
    topic = "__cluster_metadata"
    requests: list[tuple[Any, int]] = [
        (VoteRequest("unit", topics=[TopicData(topic, [PartitionData(0, epoch, other)])]), 2),
        (k53.BeginQuorumEpochRequest("unit", -1, [k53.TopicData(topic, [k53.PartitionData()])]), 1),
        (k54.EndQuorumEpochRequest("unit", [k54.TopicData(topic, [k54.PartitionData(0)])]), 1),
    ]
    for request, version in requests:
        partition = request.topics[0].partitions[0]
        if not isinstance(request, VoteRequest):
            partition.leader_id, partition.leader_epoch = other, epoch
        response = asked(c, connection, request, version)
        code = response.topics[0].partitions[0].error_code
        assert code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED, type(request).__name__
    assert leader.running and leader.broker.quorum.epoch == epoch
    assert leader.broker.quorum.is_leader


def test_that_describe_quorum_reports_leader_voters_and_lag(cluster: Cluster) -> None:
    c = cluster()
    c.run(2_000)
    request = DescribeQuorumRequest([DescribeTopic("__cluster_metadata", [DescribePartition(0)])])
    for node in c.nodes.values():
        response = c.ask(node, request, 2)
        (partition,) = response.topics[0].partitions
        leader = c.controller()
        assert leader is not None
        assert (partition.error_code, partition.leader_id) == (0, leader.node_id)
        assert [v.replica_id for v in partition.current_voters] == [1, 2, 3]
        assert {v.log_end_offset for v in partition.current_voters} == {partition.high_watermark}
        assert all(v.last_caught_up_timestamp > 0 for v in partition.current_voters)
        assert [n.node_id for n in response.nodes] == [1, 2, 3]


def test_that_a_follower_truncates_records_that_the_new_leader_never_had(cluster: Cluster) -> None:
    c = cluster()
    old = c.controller()
    assert old is not None
    for other in c.nodes:
        if other != old.node_id:
            c.network.cut(old.node_id, other)
            c.network.cut(other, old.node_id)
    committed = old.broker.quorum.high_watermark
    for _ in range(5):
        old.broker.quorum.propose(old.clock.monotonic_ms(), [NoOpRecord()])
    assert old.broker.quorum.log.end_offset == committed + 5
    c.until(lambda: c.controller() not in (None, old), 8_000)
    c.network.heal_all()
    c.until(lambda: old.broker.quorum.role is Role.FOLLOWER and c.all_ready(), 8_000)
    c.run(1_000)
    assert len({node.broker.quorum.high_watermark for node in c.nodes.values()}) == 1
    assert len({tuple(node.broker.quorum.log.epochs) for node in c.nodes.values()}) == 1


def test_that_a_voter_with_an_empty_disk_elects_no_leader_without_the_committed_records(
    cluster: Cluster,
) -> None:
    c = cluster()
    leading = c.controller()
    assert leading is not None
    witness, laggard = (n for n in c.nodes.values() if n is not leading)
    laggard.crash(power=False)
    c.run(100)
    for number in range(5):
        leading.broker.controller.propose(
            leading.clock.monotonic_ms(), [ProducerIdsRecord(1, 1, number + 1)]
        )
        c.run(200)
    assert witness.broker.image.next_producer_id == 5
    leading.crash(power=False)
    witness.crash(power=False)
    witness.replace_disk()
    witness.start()
    laggard.start()
    c.run(15_000)
    assert c.controller() is None
    leading.start()
    c.until(lambda: c.controller() and c.all_ready(), 10_000)
    assert {n.broker.image.next_producer_id for n in c.nodes.values()} == {5}
    assert not witness.broker.quorum.votes_conditionally


def test_that_voters_with_empty_disks_keep_the_records_of_the_one_that_has_them(
    cluster: Cluster,
) -> None:
    c = cluster()
    for node in c.nodes.values():
        node.crash(power=False)
    c.nodes[1].replace_disk()
    c.nodes[3].replace_disk()
    c.start()
    c.until(lambda: c.controller() and c.all_ready(), 10_000)
    leading = c.controller()
    assert leading is not None and leading.broker.quorum.epoch > 1
    assert (
        len({bytes(n.broker.quorum.log.read(0, 1 << 20).tobytes()) for n in c.nodes.values()}) == 1
    )
