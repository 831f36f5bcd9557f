"""Committed offsets: who may commit, what is kept, who hears of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from embedded_broker.core.ports import LogDamaged
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
    OffsetFetchRequestTopics,
)
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest
from kafka_protocol.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from kafka_protocol.messages.k42_delete_groups import DeleteGroupsRequest
from kafka_protocol.messages.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from tests.unit.embedded_broker.coordinator.bench import Bench

DAY_MS = 86_400_000


@pytest.fixture
def bench() -> Bench:
    return Bench().lead()


def commit_message(
    bench: Bench, version: int, offset: int, partition: int = 0, **more: Any
) -> OffsetCommitRequest:
    topic = more.pop("topic", "events")
    image = bench.image.topics.get(topic)
    return OffsetCommitRequest(
        group_id=more.pop("group", "g"),
        generation_id_or_member_epoch=more.pop("generation", -1),
        member_id=more.pop("member", ""),
        group_instance_id=more.pop("instance", None),
        retention_time_ms=more.pop("retention", -1),
        topics=[
            OffsetCommitRequestTopic(
                topic,
                image.topic_id if image else UUID(int=4),
                [OffsetCommitRequestPartition(partition, offset, 7, more.pop("metadata", "note"))],
            )
        ],
    )


def commit(bench: Bench, offset: int, partition: int = 0, version: int = 9, **more: Any) -> int:
    answer = bench.ask(commit_message(bench, version, offset, partition, **more), version)
    return int(answer.topics[0].partitions[0].error_code)


def fetch(
    bench: Bench, partition: int = 0, topic: str = "events", group: str = "g"
) -> tuple[int, int, str]:
    requested = OffsetFetchRequestGroup(
        group, topics=[OffsetFetchRequestTopics(topic, partition_indexes=[partition])]
    )
    answer = bench.ask(OffsetFetchRequest(groups=[requested]), 9).groups[0]
    assert answer.error_code == 0
    found = answer.topics[0].partitions[0]
    return found.committed_offset, found.committed_leader_epoch, found.metadata


def test_that_committed_offsets_are_fetched_with_their_metadata_in_every_version(
    bench: Bench,
) -> None:
    for version in range(2, 11):
        assert commit(bench, 100 + version, version=version, metadata=f"m{version}") == 0
        expected = (100 + version, 7 if version >= 6 else -1, f"m{version}")
        assert fetch(bench) == expected
    for version in range(1, 8):
        message = OffsetFetchRequest(
            group_id="g", topics=[OffsetFetchRequestTopic("events", [0, 2])]
        )
        answer = bench.ask(message, version)
        assert [(p.committed_offset, p.metadata) for p in answer.topics[0].partitions] == [
            (110, "m10"),
            (-1, ""),
        ]
    everything = bench.ask(OffsetFetchRequest(group_id="g", topics=None), 7)
    assert [(t.name, [p.partition_index for p in t.partitions]) for t in everything.topics] == [
        ("events", [0])
    ]


def test_that_many_groups_and_topic_ids_are_fetched_at_once(bench: Bench) -> None:
    commit(bench, 5, version=10)
    commit(bench, 6, group="h")
    events = bench.image.topics["events"].topic_id
    requested = [
        OffsetFetchRequestGroup(
            "g", topics=[OffsetFetchRequestTopics(topic_id=events, partition_indexes=[0])]
        ),
        OffsetFetchRequestGroup("h", topics=None),
        OffsetFetchRequestGroup(
            "g", topics=[OffsetFetchRequestTopics(topic_id=UUID(int=9), partition_indexes=[1])]
        ),
        OffsetFetchRequestGroup("nobody", topics=None),
    ]
    found = bench.ask(OffsetFetchRequest(groups=requested, require_stable=True), 10).groups
    assert (
        found[0].topics[0].topic_id == events
        and found[0].topics[0].partitions[0].committed_offset == 5
    )
    assert found[1].topics[0].partitions[0].committed_offset == 6
    assert found[2].topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert found[3].topics == [] and found[3].error_code == 0


def test_that_a_commit_is_answered_and_seen_once_it_is_replicated(bench: Bench) -> None:
    commit(bench, 1)
    bench.log.hold = True
    waiting = bench.send(commit_message(bench, 9, 2), 9)
    assert waiting not in bench.answers and fetch(bench)[0] == 1
    bench.commit()
    assert bench.answers[waiting].topics[0].partitions[0].error_code == 0 and fetch(bench)[0] == 2


def test_that_a_commit_that_takes_too_long_is_refused_and_counts_when_it_is_replicated(
    bench: Bench,
) -> None:
    bench.log.hold = True
    waiting = bench.send(commit_message(bench, 9, 2), 9)
    bench.run(5_100)
    code = bench.answers[waiting].topics[0].partitions[0].error_code
    assert code == ErrorCode.COORDINATOR_NOT_AVAILABLE and fetch(bench)[0] == -1
    bench.commit()
    assert fetch(bench)[0] == 2


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.INVALID_COMMIT_OFFSET_SIZE),
    ],
)
def test_that_a_failed_write_is_reported_with_the_error_codes_of_groups(
    bench: Bench, refused: int, code: int
) -> None:
    bench.log.refuse = refused
    assert commit(bench, 2) == code
    assert fetch(bench)[0] == -1


def test_that_a_commit_below_too_few_replicas_is_refused_but_counts(bench: Bench) -> None:
    bench.log.hold = True
    waiting = bench.send(commit_message(bench, 9, 2), 9)
    bench.commit(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    assert (
        bench.answers[waiting].topics[0].partitions[0].error_code
        == ErrorCode.COORDINATOR_NOT_AVAILABLE
    )
    assert (
        fetch(bench)[0] == 2
    )  # it lies below the high watermark, the next coordinator will know it too


def test_that_only_members_of_the_generation_commit_for_a_group_that_has_members(
    bench: Bench,
) -> None:
    (one,) = bench.stable()
    assert commit(bench, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(bench, 1, member="nobody", generation=1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(bench, 1, member=one, generation=0) == ErrorCode.ILLEGAL_GENERATION
    assert commit(bench, 1, member=one, generation=1) == 0
    assert commit(bench, 1, member=one, generation=1, instance="i") == ErrorCode.UNKNOWN_MEMBER_ID
    bench.join()
    assert (
        commit(bench, 2, member=one, generation=1) == 0
    )  # while others join, who had partitions may say how far
    bench.join(one)
    assert commit(bench, 3, member=one, generation=2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert (
        commit(bench, 1, group="h", generation=4, member="x", version=8)
        == ErrorCode.ILLEGAL_GENERATION
    )
    assert (
        commit(bench, 1, group="h", generation=4, member="x", version=9)
        == ErrorCode.GROUP_ID_NOT_FOUND
    )


def test_that_a_commit_keeps_a_member_alive(bench: Bench) -> None:
    (one,) = bench.stable()
    for _ in range(3):
        bench.run(9_000)
        assert commit(bench, 1, member=one, generation=1) == 0


def test_that_unknown_topics_and_row_42_long_metadata_are_refused_alone(bench: Bench) -> None:
    assert commit(bench, 1, topic="gone") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(bench, 1, topic="gone", version=10) == ErrorCode.UNKNOWN_TOPIC_ID
    assert commit(bench, 1, partition=3) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(bench, 1, metadata="x" * 4_097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert commit(bench, 1, metadata="x" * 4_096) == 0
    assert commit(bench, 1, metadata="ä" * 2_049) == ErrorCode.OFFSET_METADATA_TOO_LARGE


def test_that_the_next_coordinator_knows_all_offsets(bench: Bench) -> None:
    for partition in range(3):
        commit(bench, 10 + partition, partition, metadata=f"m{partition}")
    after = bench.successor()
    assert [fetch(after, p) for p in range(3)] == [(10, 7, "m0"), (11, 7, "m1"), (12, 7, "m2")]


def test_that_groups_are_unavailable_until_the_loaded_log_is_replicated(bench: Bench) -> None:
    commit(bench, 1)
    bench.log.hold = True
    bench.send(
        commit_message(bench, 9, 2), 9
    )  # acknowledged perhaps by the former leader, not yet below our mark
    bench.resign()
    after = Bench(bench.log).lead()
    requested = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)])
    assert after.ask(requested, 9).groups[0].error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    old = after.ask(
        OffsetFetchRequest(group_id="g", topics=[OffsetFetchRequestTopic("events", [0])]), 1
    )
    assert old.topics[0].partitions[0].error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert commit(after, 3) == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    after.log.hold = False
    after.log.commit(after.now_ms)
    after.run(100)
    assert fetch(after)[0] == 2


@pytest.mark.parametrize("version", [7, 9])
def test_that_offsets_of_a_group_that_moved_can_be_queried_again(
    bench: Bench, version: int
) -> None:
    """librdkafka forgets a query when its partitions are missing from the response (R13)."""
    bench.resign()
    if version < 8:
        topics = [OffsetFetchRequestTopic("events", [0, 2])]
        answer = bench.ask(OffsetFetchRequest(group_id="g", topics=topics), version)
    else:
        requested = [OffsetFetchRequestTopics("events", partition_indexes=[0, 2])]
        message = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=requested)])
        answer = bench.ask(message, version).groups[0]
    assert answer.error_code == ErrorCode.NOT_COORDINATOR
    assert [
        (p.partition_index, p.error_code, p.committed_offset) for p in answer.topics[0].partitions
    ] == [(0, ErrorCode.UNSTABLE_OFFSET_COMMIT, -1), (2, ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)]


def test_that_a_group_and_its_offsets_are_deleted(bench: Bench) -> None:
    (one,) = bench.stable()
    commit(bench, 1, member=one, generation=1)
    codes = bench.ask(DeleteGroupsRequest(["g", "nobody"]), 2).results
    assert [r.error_code for r in codes] == [
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_ID_NOT_FOUND,
    ]
    bench.ask(LeaveGroupRequest("g", members=[MemberIdentity(one)]), 5)
    assert bench.ask(DeleteGroupsRequest(["g"]), 2).results[0].error_code == 0
    assert bench.groups.shards[0].groups == {} and bench.successor().groups.shards[0].groups == {}


def test_that_single_offsets_are_deleted_unless_a_member_subscribes_to_the_topic(
    bench: Bench,
) -> None:
    def delete(topic: str, group: str = "g") -> Any:
        requested = OffsetDeleteRequestTopic(topic, [OffsetDeleteRequestPartition(0)])
        answer = bench.ask(OffsetDeleteRequest(group, [requested]), 0)
        return answer.error_code or answer.topics[0].partitions[0].error_code

    bench.add_topic("other", 1)
    subscription = b"\x00\x01" + b"\x00\x00\x00\x01" + b"\x00\x06events" + b"\xff\xff\xff\xff"
    (one,) = bench.stable(metadata=subscription)
    commit(bench, 1, member=one, generation=1)
    commit(bench, 2, member=one, generation=1, topic="other")
    assert delete("events") == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert delete("gone") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert delete("events", "nobody") == ErrorCode.GROUP_ID_NOT_FOUND
    assert delete("other") == 0 and fetch(bench, topic="other")[0] == -1
    assert fetch(bench.successor(), topic="other")[0] == -1


def test_that_offsets_expire_and_then_their_group_and_that_a_commit_may_have_a_time_of_its_own(
    bench: Bench,
) -> None:
    commit(bench, 2, group="alone")
    commit(bench, 3, group="brief", version=4, retention=DAY_MS)
    bench.run(2 * DAY_MS)
    assert set(bench.groups.shards[0].groups) == {"alone"}
    commit(bench, 4, 1, group="alone")
    bench.run(6 * DAY_MS)
    assert (fetch(bench, 0, group="alone")[0], fetch(bench, 1, group="alone")[0]) == (-1, 4)
    bench.run(2 * DAY_MS)
    assert bench.groups.shards[0].groups == {} and bench.successor().groups.shards[0].groups == {}


def test_that_an_acknowledged_commit_is_not_taken_back_by_expiry(bench: Bench) -> None:
    """The tombstone of the old offset would land after the new one."""
    commit(bench, 2, group="alone")
    bench.log.hold = True
    bench.send(commit_message(bench, 9, 3, group="alone"), 9)
    much_later_ms = bench.wall_offset_ms + 9 * DAY_MS
    bench.groups.offsets.expire(much_later_ms, bench.now_ms, bench.groups.shards[0], "alone")
    bench.log.hold = False
    bench.log.commit(bench.now_ms)
    bench.run(1_000)
    assert fetch(bench, group="alone")[0] == 3
    assert fetch(bench.successor(), group="alone")[0] == 3


def test_that_offsets_outlive_a_clock_that_leaps_ten_years(bench: Bench) -> None:
    commit(bench, 2, group="alone")
    bench.run(DAY_MS // 24)
    bench.wall_offset_ms += 3_650 * DAY_MS
    bench.run(DAY_MS // 12)
    assert fetch(bench, group="alone")[0] == 2
    bench.wall_offset_ms -= 3_650 * DAY_MS
    bench.run(DAY_MS)
    assert fetch(bench, group="alone")[0] == 2


def test_that_offsets_expire_soon_after_a_computer_has_slept_over_their_retention(
    bench: Bench,
) -> None:
    commit(bench, 2, group="alone")
    bench.run(60_000)
    bench.wall_offset_ms += 8 * DAY_MS
    bench.run(9 * DAY_MS // 24)
    assert bench.groups.shards[0].groups == {}


def test_that_retention_counts_from_when_the_group_became_empty(bench: Bench) -> None:
    (one,) = bench.stable(session=1_800_000)
    bench.groups.shards[0].groups["g"].members[one].deadline_ms = 10**12
    commit(bench, 1, member=one, generation=1)
    bench.run(8 * DAY_MS)
    assert (
        fetch(bench)[0] == 1
    )  # not subscribed to anything that is known, so nothing expires under it
    bench.ask(LeaveGroupRequest("g", members=[MemberIdentity(one)]), 5)
    bench.run(6 * DAY_MS)
    assert fetch(bench)[0] == 1
    bench.run(2 * DAY_MS)
    assert bench.groups.shards[0].groups == {} and bench.successor().groups.shards[0].groups == {}


def test_that_offsets_go_with_their_topic(bench: Bench) -> None:
    commit(bench, 1)
    bench.remove_topic("events")
    assert bench.groups.shards[0].groups == {}
    bench.add_topic("events", 3, topic_id=555)
    assert fetch(bench)[0] == -1
    assert fetch(bench.successor())[0] == -1


def test_that_a_coordinator_which_cannot_read_its_log_sends_its_groups_elsewhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commit(bench, 3) == 0

    def damaged(*_: object) -> bytes:
        raise LogDamaged("the batch at 0 is not whole")

    monkeypatch.setattr(bench.log, "read_local", damaged)
    assert commit(bench.successor(), 4) == ErrorCode.NOT_COORDINATOR


def test_that_offsets_of_a_topic_that_was_created_again_are_not_loaded(
    bench: Bench,
) -> None:
    commit(bench, 1)
    bench.resign()
    del bench.image.topics["events"]
    after = Bench(bench.log)
    after.image.topics["events"].topic_id = UUID(int=555)
    assert fetch(after.lead())[0] == -1


def test_that_a_long_log_is_loaded_in_slices_and_rewritten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded_broker.core.coordinator.shard.REWRITE_AT_LEAST_BYTES", 50_000)
    monkeypatch.setattr("embedded_broker.core.coordinator.shard.CUT_DELAY_MS", 10)
    monkeypatch.setattr("embedded_broker.core.coordinator.shard.SLICE_BYTES", 4_000)
    monkeypatch.setattr("embedded_broker.core.coordinator.rewrite.STEP_BYTES", 300)
    (one,) = bench.stable()
    for n in range(2_000):
        if n % 100 == 50:
            bench.log.hold = True
            waiting = bench.send(commit_message(bench, 9, n, 1, group=f"h{n % 7}"), 9)
            bench.run(1)
            bench.commit()
            bench.log.hold = False
            assert waiting in bench.answers
        assert commit(bench, n, n % 3, group=f"h{n % 7}") == 0
        if n % 10 == 0:
            assert commit(bench, n, member=one, generation=1) == 0
            bench.run(5)
    assert bench.log.size < 120_000 < 2_000 * 61 and bench.log.start > 0
    before = {g: (x.offsets, x.stored) for g, x in bench.groups.shards[0].groups.items()}
    after = bench.successor()
    after.run(5_000)
    assert {g: (x.offsets, x.stored) for g, x in after.groups.shards[0].groups.items()} == before


def test_that_a_rewrite_keeps_uncommitted_records(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group in "abc":
        commit(bench, 1, group=group)
    bench.log.hold = True
    waiting = [bench.send(commit_message(bench, 9, 2, group=group), 9) for group in ("a", "new")]
    monkeypatch.setattr("embedded_broker.core.coordinator.shard.REWRITE_AT_LEAST_BYTES", 10)
    waiting.append(bench.send(commit_message(bench, 9, 3, group="b"), 9))
    bench.run(10)
    later = bench.send(commit_message(bench, 9, 4, group="c"), 9)
    bench.commit()
    bench.log.hold = False
    bench.run(50_000)
    assert bench.log.start == 0  # the old records stay until the new ones are surely on a disk
    bench.run(20_000)
    assert (
        bench.log.start > 3 and later in bench.answers and all(w in bench.answers for w in waiting)
    )
    after = bench.successor()
    assert [fetch(after, group=g)[0] for g in ("a", "b", "c", "new")] == [2, 3, 4, 2]


def test_that_the_coordinator_is_found_and_its_topic_created_on_first_use(bench: Bench) -> None:
    for version in range(4):
        found = bench.ask(FindCoordinatorRequest("g"), version)
        assert (found.error_code, found.node_id, found.host, found.port) == (
            0,
            1,
            "127.0.0.1",
            19_091,
        )
    many = bench.ask(FindCoordinatorRequest(coordinator_keys=["g", "h"]), 6).coordinators
    assert [(c.key, c.error_code, c.node_id) for c in many] == [("g", 0, 1), ("h", 0, 1)]
    transactional = bench.ask(FindCoordinatorRequest("t", 1), 3)
    assert transactional.error_code == ErrorCode.INVALID_REQUEST

    fresh = Bench(offsets_topic_num_partitions="7")
    del fresh.image.topics["__consumer_offsets"]
    for _ in range(3):
        assert (
            fresh.ask(FindCoordinatorRequest("g"), 3).error_code
            == ErrorCode.COORDINATOR_NOT_AVAILABLE
        )
    assert commit(fresh, 1) == ErrorCode.NOT_COORDINATOR
    (call,) = fresh.calls.pending
    topic = call.message.topics[0]
    assert (topic.name, topic.num_partitions, topic.replication_factor) == (
        "__consumer_offsets",
        7,
        3,
    )
    assert {c.name: c.value for c in topic.configs}["cleanup.policy"] == "compact"
