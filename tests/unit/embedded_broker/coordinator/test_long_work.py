"""Requests and rounds with thousands of offsets: in slices, bounded, and right though the group
changes between two of them."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_broker.core.api import k09_offset_fetch, k15_describe_groups
from embedded_broker.core.coordinator.sweeps import ITEMS_AT_ONCE
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
)
from kafka_protocol.messages.k15_describe_groups import DescribeGroupsRequest
from kafka_protocol.messages.k42_delete_groups import DeleteGroupsRequest
from tests.unit.embedded_broker.coordinator.bench import Bench

WIDE = 3_000


@pytest.fixture
def bench() -> Bench:
    bench = Bench().lead()
    bench.add_topic("wide", WIDE)
    return bench


def committed(
    bench: Bench, group: str = "g", topic: str = "wide", partitions: int = WIDE
) -> set[int]:
    """Commit 5 for the first partitions of the topic; returns the error codes."""
    asked = [OffsetCommitRequestPartition(i, 5, -1, "") for i in range(partitions)]
    request = OffsetCommitRequest(
        group, -1, "", topics=[OffsetCommitRequestTopic(topic, partitions=asked)]
    )
    (answer,) = bench.ask(request, 7).topics
    return {p.error_code for p in answer.partitions}


def steps(bench: Bench, do: Any) -> int:
    """How often others are served meanwhile."""
    count = 0

    def between() -> None:
        nonlocal count
        count += 1

    bench.between = between
    do()
    return count


def test_that_others_are_served_while_offsets_of_thousands_of_partitions_are_committed(
    bench: Bench,
) -> None:
    assert steps(bench, lambda: committed(bench)) >= WIDE
    assert len(bench.log.batches) == 1, "all or none of them"


def test_that_a_commit_is_refused_when_the_group_moves_between_two_slices(bench: Bench) -> None:
    bench.between = bench.resign
    assert committed(bench) == {ErrorCode.NOT_COORDINATOR}
    assert not bench.log.batches


def test_that_a_commit_leaves_out_a_topic_that_is_deleted_between_two_slices(bench: Bench) -> None:
    def delete() -> None:
        if "wide" in bench.image.topics:
            bench.remove_topic("wide")

    bench.between = delete
    assert committed(bench) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert not bench.log.batches


def test_that_offsets_are_not_told_by_a_coordinator_that_loses_the_group_meanwhile(
    bench: Bench,
) -> None:
    committed(bench)
    bench.between = bench.resign
    many = bench.ask(OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)]), 8)
    assert [(g.error_code, g.topics) for g in many.groups] == [(ErrorCode.NOT_COORDINATOR, [])]
    bench = bench.successor()
    bench.between = bench.resign
    one = bench.ask(OffsetFetchRequest("g", [OffsetFetchRequestTopic("wide", [1])]), 7)
    assert one.error_code == ErrorCode.NOT_COORDINATOR
    assert one.topics[0].partitions[0].error_code == k09_offset_fetch.RETRY


def test_that_all_offsets_of_a_group_are_listed_once(bench: Bench) -> None:
    committed(bench)
    whole = OffsetFetchRequestGroup("g", topics=None)
    answer = bench.ask(OffsetFetchRequest(groups=[whole] * 500), 8)
    assert [sum(len(t.partitions) for t in g.topics) for g in answer.groups] == [WIDE]


def test_that_a_response_has_no_more_offsets_than_fit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group in ("a", "b", "c"):
        committed(bench, group)
    monkeypatch.setattr(k09_offset_fetch, "MOST_BYTES", 2 * 32 * WIDE)
    asked = [OffsetFetchRequestGroup(group, topics=None) for group in ("a", "b", "c", "new")]
    answer = bench.ask(OffsetFetchRequest(groups=asked), 8)
    assert [(g.error_code, len(g.topics)) for g in answer.groups[:3]] == [
        (0, 1),
        (0, 1),
        (ErrorCode.MESSAGE_TOO_LARGE, 0),
    ]


def test_that_a_group_is_described_once_and_no_more_groups_than_fit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group in ("a", "b"):
        bench.join(group=group, metadata=b"m" * 1_000)
    request = DescribeGroupsRequest(["a", "b", "a", "b"])
    assert [g.group_id for g in bench.ask(request, 5).groups] == ["a", "b"]
    monkeypatch.setattr(k15_describe_groups, "MOST_BYTES", 1_200)
    assert [g.error_code for g in bench.ask(request, 5).groups] == [0, ErrorCode.MESSAGE_TOO_LARGE]


def test_that_others_are_served_while_many_groups_are_deleted(bench: Bench) -> None:
    for number in range(200):
        committed(bench, f"g{number}", "events", 1)
    names = [f"g{number}" for number in range(200)]
    assert steps(bench, lambda: bench.ask(DeleteGroupsRequest(names), 2)) >= 200
    assert not bench.groups.shards[0].groups


def test_that_offsets_of_a_deleted_topic_go_some_at_a_time(bench: Bench) -> None:
    """The next slice comes a millisecond later."""
    for number in range(300):
        committed(bench, f"g{number}", "events", 3)
    written = len(bench.log.batches)
    bench.remove_topic("events")
    at_once = len(bench.log.batches) - written
    assert 0 < at_once <= ITEMS_AT_ONCE / 30
    bench.run(300)
    assert len(bench.log.batches) - written == 300
    assert not bench.groups.shards[0].groups
