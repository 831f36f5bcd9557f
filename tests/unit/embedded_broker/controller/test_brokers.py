"""Registration, heartbeats, fencing and leaving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from embedded_broker.core.controller.incarnation import incarnation_id
from embedded_broker.core.controller.lifecycle import State
from embedded_broker.core.effects import Stop
from embedded_broker.simulator.node import Node, Observer
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from kafka_protocol.messages.k43_elect_leaders import ElectLeadersRequest, TopicPartitions
from kafka_protocol.messages.k56_alter_partition import (
    AlterPartitionRequest,
    BrokerState,
    PartitionData,
    TopicData,
)
from kafka_protocol.messages.k62_broker_registration import BrokerRegistrationRequest, Listener
from kafka_protocol.messages.k63_broker_heartbeat import BrokerHeartbeatRequest
from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsRequest
from tests.unit.embedded_broker.wired import Wired, control_node, settings

Cluster = Callable[..., Wired]


def topic(c: Wired, name: str, *replicas: list[int], **configs: str) -> UUID:
    request = CreateTopicsRequest(
        [
            CreatableTopic(
                name,
                -1,
                -1,
                [CreatableReplicaAssignment(n, ids) for n, ids in enumerate(replicas)],
                [
                    CreatableTopicConfig(key.replace("_", "."), value)
                    for key, value in configs.items()
                ],
            )
        ],
        5_000,
    )
    (result,) = c.ask(leader(c), request, 7).topics
    assert result.error_code == 0, result.error_message
    topic_id: UUID = result.topic_id
    return topic_id


def leader(c: Wired) -> Node:
    found = c.controller()
    assert found is not None
    return found


def image_of(c: Wired, name: str, number: int = 0) -> Any:
    return leader(c).broker.image.topics[name].partitions[number]


def as_broker(c: Wired, broker_id: int, message: Any, version: int) -> Any:
    """A request to the controller over a connection that proved to be broker ``broker_id``."""
    answers: list[Any] = []
    connection = c.network.connect(broker_id, leader(c), broker_id, f"broker-{broker_id}")
    connection.call(
        message, version, 3_000, lambda response, reason: answers.append(response or reason)
    )
    c.until(lambda: answers, 4_000)
    assert not isinstance(answers[0], str), answers[0]
    return answers[0]


class Stops(Observer):
    def __init__(self) -> None:
        self.seen: list[Stop] = []

    def stopped(self, node: Node, effect: Stop) -> None:
        self.seen.append(effect)


def test_that_a_killed_broker_is_fenced_and_its_leaderships_move(cluster: Cluster) -> None:
    c = cluster()
    victim = next(n for n in c.nodes.values() if n is not c.controller())
    others = sorted(n for n in c.nodes if n != victim.node_id)
    topic(c, "t", [victim.node_id, *others])
    before = image_of(c, "t")
    victim.crash(power=False)
    c.until(lambda: not leader(c).broker.image.alive(victim.node_id), 3_000)
    after = image_of(c, "t")
    assert (after.leader, sorted(after.isr)) == (others[0], others)
    assert after.leader_epoch == before.leader_epoch + 1
    victim.start()
    c.until(c.all_ready, 3_000)
    assert image_of(c, "t").leader == others[0]


def test_that_a_killed_controllers_partitions_lead_again_within_five_seconds(
    cluster: Cluster,
) -> None:
    c = cluster(broker_session_timeout_ms="3000")
    old = leader(c)
    others = sorted(n for n in c.nodes if n != old.node_id)
    topic(c, "t", [old.node_id, *others])
    c.run(1_000)
    old.crash(power=False)
    c.until(lambda: c.controller() is not None and image_of(c, "t").leader == others[0], 4_000)


def test_that_a_process_that_ended_is_fenced_long_before_its_session_lapses(
    cluster: Cluster,
) -> None:
    c = cluster(broker_session_timeout_ms="9000")
    for victim in (next(n for n in c.nodes.values() if n is not c.controller()), leader(c)):
        c.run(1_000)
        victim.crash(power=False)
        c.until(lambda: c.controller() and not leader(c).broker.image.alive(victim.node_id), 2_500)  # noqa: B023
        victim.start()
        c.until(lambda: c.controller() and c.all_ready(), 3_000)


def test_that_a_broken_connection_alone_fences_nobody(cluster: Cluster) -> None:
    c = cluster()
    other = next(n for n in c.nodes.values() if n is not c.controller())
    epoch = other.broker.lifecycle.broker_epoch
    offset = leader(c).broker.image.offset
    for _ in range(5):
        c.network.reset(leader(c).node_id, other.node_id)
        c.run(1_500)
    assert leader(c).broker.image.offset == offset
    assert other.broker.lifecycle.broker_epoch == epoch and other.broker.lifecycle.is_ready


def test_that_a_quick_restart_on_the_same_disk_is_let_in_at_once_and_gives_up_its_leaderships(
    cluster: Cluster,
) -> None:
    c = cluster()
    victim = next(n for n in c.nodes.values() if n is not c.controller())
    others = sorted(n for n in c.nodes if n != victim.node_id)
    topic(c, "t", [victim.node_id, *others])
    epoch = victim.broker.lifecycle.broker_epoch
    victim.crash(power=False)
    victim.start()
    assert c.until(c.all_ready, 3_000) < 600
    assert victim.broker.lifecycle.broker_epoch > epoch
    assert image_of(c, "t").leader == others[0]


def test_that_the_only_replica_leads_again_after_a_kill_but_is_marked_after_a_power_cut(
    cluster: Cluster,
) -> None:
    c = cluster()
    victim = next(n for n in c.nodes.values() if n is not c.controller())
    topic(c, "t", [victim.node_id])
    victim.crash(power=False)
    c.until(lambda: image_of(c, "t").leader == -1, 3_000)
    assert image_of(c, "t").elr == (victim.node_id,)
    victim.start()
    c.until(lambda: image_of(c, "t").leader == victim.node_id, 3_000)
    assert not image_of(c, "t").recovering
    victim.crash(power=True)
    c.until(lambda: image_of(c, "t").leader == -1, 3_000)
    victim.start()
    c.until(lambda: image_of(c, "t").leader == victim.node_id, 3_000)
    assert image_of(c, "t").recovering


def test_that_an_eligible_replica_whose_machine_lost_power_leads_no_more(cluster: Cluster) -> None:
    c = cluster()
    a = leader(c).node_id
    b, d = sorted(n for n in c.nodes if n != a)
    topic(c, "t", [b, d], min_insync_replicas="2")
    c.nodes[d].crash(power=True)
    c.until(lambda: image_of(c, "t").isr == (b,), 3_000)
    assert image_of(c, "t").elr == (d,)
    c.nodes[d].start()
    c.until(lambda: image_of(c, "t").elr == (), 3_000)
    assert (image_of(c, "t").leader, image_of(c, "t").isr) == (b, (b,))


def test_that_a_second_live_broker_with_the_same_id_is_refused_and_stops(cluster: Cluster) -> None:
    c = cluster()
    original = next(n for n in c.nodes.values() if n is not c.controller())
    twin = control_node(c.world, c.network, original.node_id, settings(original.node_id, 3, {}))
    stops = Stops()
    twin.incarnations = 50  # another random stream than that of the original
    twin.replace_disk()
    twin.observers.append(stops)
    twin.peers = {**c.nodes}
    # The twin asks the controller itself; as a voter it shares the id, and its votes are refused
    # or harmless.
    request = BrokerRegistrationRequest(
        original.node_id,
        "unit",
        UUID(int=99),
        [Listener("PLAINTEXT", "127.0.0.1", 1, 0)],
        log_dirs=[UUID(int=98)],
    )
    response = as_broker(c, original.node_id, request, 4)
    assert response.error_code == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert original.broker.lifecycle.is_ready
    twin.start()
    c.until(lambda: stops.seen, 12_000)
    assert stops.seen[0].code == 2
    assert f"another live broker has the id {original.node_id}" in stops.seen[0].reason
    assert stops.seen[0].error is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert original.running


def on_the_disk_of(c: Wired, node_id: int, number: int) -> BrokerRegistrationRequest:
    """A registration of process ``number`` on this broker's log directory, stopped cleanly."""
    known = leader(c).broker.image.brokers[node_id]
    return BrokerRegistrationRequest(
        node_id,
        "unit",
        incarnation_id(number, UUID(int=7)),
        [Listener("PLAINTEXT", "127.0.0.1", 1, 0)],
        log_dirs=list(known.directory_ids),
        previous_broker_epoch=known.broker_epoch,
    )


def test_that_a_copy_of_a_live_brokers_directory_does_not_take_its_place(cluster: Cluster) -> None:
    c = cluster()
    original = next(n for n in c.nodes.values() if n is not c.controller())
    copy = on_the_disk_of(c, original.node_id, 99)
    response = as_broker(c, original.node_id, copy, 4)
    assert response.error_code == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    c.run(2_000)
    assert original.broker.lifecycle.is_ready


def test_that_a_directory_that_lost_its_count_of_processes_counts_as_one_that_lost_records(
    cluster: Cluster,
) -> None:
    c = cluster()
    victim = next(n for n in c.nodes.values() if n is not c.controller())
    topic(c, "t", [victim.node_id])
    older = on_the_disk_of(c, victim.node_id, 0)
    refused = ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert as_broker(c, victim.node_id, older, 4).error_code == refused  # while it is alive
    victim.crash(power=False)
    c.until(lambda: image_of(c, "t").leader == -1, 3_000)
    assert image_of(c, "t").elr == (victim.node_id,)
    c.until(lambda: as_broker(c, victim.node_id, older, 4).error_code == 0, 12_000)
    c.run(500)
    assert image_of(c, "t").elr == ()


def test_that_a_broker_of_another_cluster_is_refused(cluster: Cluster) -> None:
    c = cluster()
    request = BrokerRegistrationRequest(
        9,
        "another",
        UUID(int=99),
        [Listener("PLAINTEXT", "127.0.0.1", 1, 0)],
        log_dirs=[UUID(int=98)],
    )
    assert as_broker(c, 9, request, 4).error_code == ErrorCode.INCONSISTENT_CLUSTER_ID
    stray = control_node(c.world, c.network, 3, settings(3, 3, {"cluster.id": "another"}))
    c.nodes[3].crash(power=False)
    stops = Stops()
    stray.observers.append(stops)
    stray.peers = c.nodes
    stray.start()
    c.run(3_000)
    assert leader(c).broker.quorum.cluster_id == "unit"
    assert not stray.running or stray.broker.lifecycle.state is State.STARTING


def test_that_a_message_of_a_previous_incarnation_is_refused(cluster: Cluster) -> None:
    c = cluster()
    victim = next(n for n in c.nodes.values() if n is not c.controller())
    epoch = victim.broker.lifecycle.broker_epoch
    victim.crash(power=False)
    victim.start()
    c.until(c.all_ready, 3_000)
    beat = BrokerHeartbeatRequest(victim.node_id, epoch, 1_000)
    assert as_broker(c, victim.node_id, beat, 1).error_code == ErrorCode.STALE_BROKER_EPOCH
    ids = AllocateProducerIdsRequest(victim.node_id, epoch)
    assert as_broker(c, victim.node_id, ids, 0).error_code == ErrorCode.STALE_BROKER_EPOCH
    assert (
        as_broker(c, 77, BrokerHeartbeatRequest(77, 5), 1).error_code
        == ErrorCode.BROKER_ID_NOT_REGISTERED
    )


def test_that_a_client_cannot_send_requests_in_the_name_of_a_broker(cluster: Cluster) -> None:
    c = cluster()
    response = c.ask(c.nodes[1], BrokerHeartbeatRequest(1, 5), 1)
    assert response.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED


def test_that_producer_id_blocks_never_meet(cluster: Cluster) -> None:
    c = cluster()
    starts = []
    for n in (1, 2, 3, 1):
        request = AllocateProducerIdsRequest(n, c.nodes[n].broker.lifecycle.broker_epoch)
        response = as_broker(c, n, request, 0)
        assert (response.error_code, response.producer_id_len) == (0, 1000)
        starts.append(response.producer_id_start)
    assert starts == [0, 1000, 2000, 3000]


def test_that_leaving_in_order_moves_leaderships_first(cluster: Cluster) -> None:
    c = cluster()
    for leaving in (next(n for n in c.nodes.values() if n is not c.controller()), leader(c)):
        stops = Stops()
        leaving.observers.append(stops)
        others = sorted(n for n in c.nodes if n != leaving.node_id)
        topic(c, f"t{leaving.node_id}", [leaving.node_id, *others])
        leaving.stop()
        took = c.until(lambda: not leaving.running, 3_000)  # noqa: B023
        assert took < 1_500
        assert [s.code for s in stops.seen] == [0]
        c.until(lambda: c.controller(), 1_000)
        assert image_of(c, f"t{leaving.node_id}").leader == others[0]
        assert not leader(c).broker.image.alive(leaving.node_id)
        leaving.start()
        c.until(lambda: c.controller() and c.all_ready(), 3_000)


def test_that_a_whole_cluster_stops_in_order_and_starts_again(cluster: Cluster) -> None:
    c = cluster()
    topic(c, "t", [1, 2, 3], [2, 3, 1], [3, 1, 2])
    for node in c.nodes.values():
        node.stop()
    assert c.until(lambda: not c.alive, 8_000) < 4_000
    c.start()
    c.until(lambda: c.controller() and c.all_ready(), 3_000)
    c.until(lambda: all(image_of(c, "t", n).leader > 0 for n in range(3)), 1_000)
    assert not any(image_of(c, "t", n).recovering for n in range(3))


def alter(c: Wired, topic_id: UUID, by: int, isr: list[tuple[int, int]], **stale: int) -> Any:
    p = leader(c).broker.image.topic_by_id(topic_id).partitions[0]  # type: ignore[union-attr]
    data = PartitionData(
        0,
        p.leader_epoch + stale.get("leader_epoch", 0),
        new_isr_with_epochs=[BrokerState(b, e) for b, e in isr],
        leader_recovery_state=stale.get("recovery", 0),
        partition_epoch=p.partition_epoch + stale.get("partition_epoch", 0),
    )
    epoch = c.nodes[by].broker.lifecycle.broker_epoch + stale.get("broker_epoch", 0)
    request = AlterPartitionRequest(by, epoch, [TopicData(topic_id, [data])])
    response = as_broker(c, by, request, 3)
    return response.error_code or response.topics[0].partitions[0]


def test_that_an_in_sync_set_is_changed_only_by_the_current_leader_for_current_incarnations(
    cluster: Cluster,
) -> None:
    c = cluster()
    topic_id = topic(c, "t", [1, 2, 3])
    incarnations = {n: (n, c.nodes[n].broker.lifecycle.broker_epoch) for n in c.nodes}

    assert alter(c, topic_id, 1, [incarnations[1]], broker_epoch=-1) == ErrorCode.STALE_BROKER_EPOCH
    for expected, by, isr, stale in (
        (ErrorCode.INVALID_REQUEST, 2, [incarnations[1], incarnations[2]], {}),  # not the leader
        (ErrorCode.INVALID_REQUEST, 1, [], {}),
        (ErrorCode.INVALID_REQUEST, 1, [incarnations[1], (7, 1)], {}),  # no replica
        (ErrorCode.INVALID_REQUEST, 1, [incarnations[1]], {"recovery": 1}),
        (ErrorCode.FENCED_LEADER_EPOCH, 1, [incarnations[1]], {"leader_epoch": -1}),
        (ErrorCode.INVALID_UPDATE_VERSION, 1, [incarnations[1]], {"partition_epoch": -1}),
        (ErrorCode.NOT_CONTROLLER, 1, [incarnations[1]], {"leader_epoch": 1}),
        (ErrorCode.INELIGIBLE_REPLICA, 1, [incarnations[1], (2, incarnations[2][1] - 1)], {}),
    ):
        assert alter(c, topic_id, by, isr, **stale).error_code == expected
    answer = alter(c, topic_id, 1, [incarnations[1], incarnations[2]])
    assert (answer.error_code, answer.leader_id, answer.isr, answer.partition_epoch) == (
        0,
        1,
        [1, 2],
        1,
    )
    same = alter(c, topic_id, 1, [incarnations[1], incarnations[2]])
    assert (same.error_code, same.partition_epoch) == (0, 1)


def test_that_a_leader_may_leave_the_in_sync_set_and_another_is_elected(cluster: Cluster) -> None:
    c = cluster()
    topic_id = topic(c, "t", [1, 2, 3])
    others = [(n, c.nodes[n].broker.lifecycle.broker_epoch) for n in (2, 3)]
    answer = alter(c, topic_id, 1, others)
    assert (answer.error_code, answer.leader_id, answer.isr) == (
        ErrorCode.NEW_LEADER_ELECTED,
        2,
        [2, 3],
    )


def test_that_a_leader_that_left_is_not_eligible_where_few_are_in_sync(cluster: Cluster) -> None:
    c = cluster(min_insync_replicas="2")
    topic_id = topic(c, "t", [1, 2, 3])
    incarnations = {n: (n, c.nodes[n].broker.lifecycle.broker_epoch) for n in c.nodes}
    assert alter(c, topic_id, 1, [incarnations[1], incarnations[2]]).error_code == 0
    assert alter(c, topic_id, 1, [incarnations[2]]).leader_id == 2
    c.until(lambda: image_of(c, "t").leader == 2, 1_000)
    assert (image_of(c, "t").isr, image_of(c, "t").elr) == ((2,), ())


def test_that_leaders_are_elected_on_demand(cluster: Cluster) -> None:
    c = cluster()
    away = next(n for n in c.nodes.values() if n is not c.controller())
    others = sorted(n for n in c.nodes if n != away.node_id)
    topic_id = topic(c, "t", [away.node_id, *others])
    topic(c, "alone", [away.node_id])
    away.crash(power=False)
    c.until(lambda: image_of(c, "t").leader == others[0], 3_000)

    def elect(kind: int, name: str, number: int = 0) -> int:
        request = ElectLeadersRequest(kind, [TopicPartitions(name, [number])], 5_000)
        code: int = (
            c.ask(leader(c), request, 2).replica_election_results[0].partition_result[0].error_code
        )
        return code

    assert elect(0, "t") == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    assert elect(1, "t") == ErrorCode.ELECTION_NOT_NEEDED
    assert elect(1, "alone") == ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    assert elect(0, "nowhere") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    away.start()
    c.until(c.all_ready, 3_000)
    assert elect(0, "t") == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    incarnations = [(n, c.nodes[n].broker.lifecycle.broker_epoch) for n in (*others, away.node_id)]
    assert alter(c, topic_id, others[0], incarnations).error_code == 0
    assert elect(0, "t") == 0
    assert elect(0, "t") == ErrorCode.ELECTION_NOT_NEEDED
    everything = c.ask(leader(c), ElectLeadersRequest(0, None, 5_000), 2)
    assert everything.replica_election_results == []
    assert (
        c.ask(leader(c), ElectLeadersRequest(9, None, 5_000), 2).error_code
        == ErrorCode.INVALID_REQUEST
    )


def test_that_preferred_leaders_come_back_by_themselves(cluster: Cluster) -> None:
    c = cluster(leader_imbalance_check_interval_seconds="3")
    away = next(n for n in c.nodes.values() if n is not c.controller())
    others = sorted(n for n in c.nodes if n != away.node_id)
    topic_id = topic(c, "t", [away.node_id, *others])
    away.crash(power=False)
    away.start()
    c.until(lambda: c.all_ready() and image_of(c, "t").leader == others[0], 3_000)
    incarnations = [(n, c.nodes[n].broker.lifecycle.broker_epoch) for n in (*others, away.node_id)]
    assert alter(c, topic_id, others[0], incarnations).error_code == 0
    c.until(lambda: image_of(c, "t").leader == away.node_id, 4_000)


def test_that_an_uncommitted_request_gets_not_controller(cluster: Cluster) -> None:
    c = cluster()
    old = leader(c)
    for other in c.nodes:
        if other != old.node_id:
            c.network.cut(old.node_id, other)
            c.network.cut(other, old.node_id)
    answers: list[Any] = []
    connection = c.network.connect(100, old, 2, "broker-2")
    request = CreateTopicsRequest([CreatableTopic("lost", 1, 1)], 60_000)
    connection.call(request, 7, 60_000, lambda response, reason: answers.append(response))
    c.until(lambda: answers, 6_000)
    assert answers[0].topics[0].error_code == ErrorCode.NOT_CONTROLLER
    c.network.heal_all()
    c.run(6_000)
    assert all("lost" not in node.broker.image.topics for node in c.nodes.values())
