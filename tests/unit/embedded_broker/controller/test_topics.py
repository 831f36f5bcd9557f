"""CreateTopics, DeleteTopics and CreatePartitions on a cluster of control nodes
(docs/reliability.md, row 43)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
)
from kafka_protocol.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from kafka_protocol.messages.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from tests.unit.embedded_broker.wired import Wired

Cluster = Callable[..., Wired]


def create(
    c: Wired, *topics: CreatableTopic, validate_only: bool = False, via: int = 1
) -> list[CreatableTopicResult]:
    request = CreateTopicsRequest(list(topics), 5_000, validate_only)
    answer: list[CreatableTopicResult] = c.ask(c.nodes[via], request, 7).topics
    return answer


def test_that_a_topic_of_three_partitions_spreads_its_leaders_over_three_brokers(
    cluster: Cluster,
) -> None:
    c = cluster()
    for via in (1, 2, 3):  # two of the three have to forward it
        (result,) = create(c, CreatableTopic(f"t{via}", 3, 3), via=via)
        assert result.error_code == 0, result.error_message
        assert (result.num_partitions, result.replication_factor) == (3, 3)
        assert any(config.name == "min.insync.replicas" for config in result.configs or ())
        c.run(600)
        for node in c.nodes.values():
            partitions = node.broker.image.topics[f"t{via}"].partitions
            assert sorted(p.leader for p in partitions.values()) == [1, 2, 3]
            assert all(
                p.isr == p.replicas and len(set(p.replicas)) == 3 for p in partitions.values()
            )


def test_that_the_answer_to_a_creation_leaves_when_the_asked_broker_knows_the_topic(
    cluster: Cluster,
) -> None:
    c = cluster()
    for n in range(6):
        via = n % 3 + 1
        create(c, CreatableTopic(f"t{n}", 1, 3), via=via)
        assert f"t{n}" in c.nodes[via].broker.image.topics


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (CreatableTopic("no/slash", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("..", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic(".", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("x" * 250, 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("a_b", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("__cluster_metadata", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("a.b", 1, 1), ErrorCode.TOPIC_ALREADY_EXISTS),
        (CreatableTopic("zero", 0, 1), ErrorCode.INVALID_PARTITIONS),
        (CreatableTopic("none", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic("wide", 1, 4), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic("huge", 1_000_000_000, 1), ErrorCode.POLICY_VIOLATION),
        (
            CreatableTopic("c", 1, 1, configs=[CreatableTopicConfig("no.such", "1")]),
            ErrorCode.INVALID_CONFIG,
        ),
        (
            CreatableTopic("c", 1, 1, configs=[CreatableTopicConfig("retention.ms", "soon")]),
            ErrorCode.INVALID_CONFIG,
        ),
        (
            CreatableTopic("m", 1, -1, [CreatableReplicaAssignment(0, [1])]),
            ErrorCode.INVALID_REQUEST,
        ),
        (
            CreatableTopic("m", -1, -1, [CreatableReplicaAssignment(1, [1])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("m", -1, -1, [CreatableReplicaAssignment(0, [1, 1])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("m", -1, -1, [CreatableReplicaAssignment(0, [9])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("m", -1, -1, [CreatableReplicaAssignment(0, [])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic(
                "m",
                -1,
                -1,
                [CreatableReplicaAssignment(0, [1]), CreatableReplicaAssignment(1, [1, 2])],
            ),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
    ],
)
def test_row_43_that_an_invalid_topic_is_refused_with_kafkas_code(
    cluster: Cluster, topic: CreatableTopic, code: ErrorCode
) -> None:
    c = cluster()
    results = create(c, CreatableTopic("a.b", 1, 1), topic) if topic.name != "a.b" else []
    if not results:
        create(c, CreatableTopic("a.b", 1, 1))
        results = [CreatableTopicResult(), *create(c, topic)]
    assert results[0].error_code == 0
    assert results[1].error_code == code
    assert results[1].error_message


def test_that_defaults_manual_replicas_and_validate_only_are_honoured(cluster: Cluster) -> None:
    c = cluster(num_partitions="4", default_replication_factor="2")
    defaults, manual = create(
        c,
        CreatableTopic("defaults", -1, -1),
        CreatableTopic(
            "manual",
            -1,
            -1,
            [CreatableReplicaAssignment(0, [3, 1]), CreatableReplicaAssignment(1, [2, 3])],
        ),
    )
    assert (defaults.num_partitions, defaults.replication_factor) == (4, 2)
    assert manual.error_code == 0
    partitions = c.nodes[1].broker.image.topics["manual"].partitions
    assert [partitions[n].replicas for n in (0, 1)] == [(3, 1), (2, 3)]
    (checked,) = create(c, CreatableTopic("checked", 2, 2), validate_only=True)
    assert checked.error_code == 0
    c.run(600)
    assert "checked" not in c.nodes[1].broker.image.topics


def test_that_a_topic_named_twice_in_a_request_is_refused(cluster: Cluster) -> None:
    c = cluster()
    results = create(
        c,
        CreatableTopic("twice", 1, 1),
        CreatableTopic("once", 1, 1),
        CreatableTopic("twice", 1, 1),
    )
    assert [(r.name, r.error_code) for r in results] == [
        ("twice", ErrorCode.INVALID_REQUEST),
        ("once", 0),
    ]


def test_that_topics_are_deleted_by_name_or_id_and_may_come_again_with_another_id(
    cluster: Cluster,
) -> None:
    c = cluster()
    one, two = create(c, CreatableTopic("one", 1, 3), CreatableTopic("two", 1, 3))
    request = DeleteTopicsRequest(
        topics=[
            DeleteTopicState("one"),
            DeleteTopicState(None, two.topic_id),
            DeleteTopicState("three"),
            DeleteTopicState(None, UUID(int=7)),
            DeleteTopicState("one", one.topic_id),
        ],
        timeout_ms=5_000,
    )
    codes = [r.error_code for r in c.ask(c.nodes[2], request, 6).responses]
    assert codes == [
        ErrorCode.INVALID_REQUEST,  # named twice
        0,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INVALID_REQUEST,
    ]
    assert (
        c.ask(c.nodes[1], DeleteTopicsRequest(topic_names=["one"], timeout_ms=5_000), 5)
        .responses[0]
        .error_code
        == 0
    )
    (again,) = create(c, CreatableTopic("one", 1, 3))
    assert again.error_code == 0
    assert again.topic_id != one.topic_id


def test_that_partitions_are_added_and_never_taken_away(cluster: Cluster) -> None:
    c = cluster()
    create(c, CreatableTopic("t", 2, 2))

    def grow(name: str, count: int) -> int:
        request = CreatePartitionsRequest([CreatePartitionsTopic(name, count, None)], 5_000, False)
        code: int = c.ask(c.nodes[1], request, 3).results[0].error_code
        return code

    assert grow("t", 5) == 0
    assert grow("t", 5) == ErrorCode.INVALID_PARTITIONS
    assert grow("t", 3) == ErrorCode.INVALID_PARTITIONS
    assert grow("absent", 3) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert grow("t", 50_000) == ErrorCode.POLICY_VIOLATION
    partitions = c.nodes[1].broker.image.topics["t"].partitions
    assert sorted(partitions) == [0, 1, 2, 3, 4]
    assert all(len(p.replicas) == 2 for p in partitions.values())


@pytest.mark.parametrize("seed", range(4))
def test_that_added_partitions_keep_the_leaders_spread(cluster: Cluster, seed: int) -> None:
    c = cluster(seed=seed)
    create(c, CreatableTopic("t", 2, 3))
    for count in (3, 4, 6):
        request = CreatePartitionsRequest([CreatePartitionsTopic("t", count, None)], 5_000, False)
        assert c.ask(c.nodes[1], request, 3).results[0].error_code == 0
    leaders = [p.leader for p in c.nodes[1].broker.image.topics["t"].partitions.values()]
    assert sorted(leaders) == [1, 1, 2, 2, 3, 3]
