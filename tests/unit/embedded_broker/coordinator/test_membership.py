"""Joining, syncing, leaving, being silent: the classic protocol's rules."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_broker.core.coordinator import membership
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from kafka_protocol.messages.k15_describe_groups import DescribeGroupsRequest
from kafka_protocol.messages.k16_list_groups import ListGroupsRequest
from tests.unit.embedded_broker.coordinator.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench().lead()


def beat(bench: Bench, member: str, generation: int, instance: str | None = None) -> int:
    return int(bench.ask(HeartbeatRequest("g", generation, member, instance), 4).error_code)


def leave(bench: Bench, *who: tuple[str, str | None]) -> Any:
    return bench.ask(LeaveGroupRequest("g", members=[MemberIdentity(m, i) for m, i in who]), 5)


def described(bench: Bench, group: str = "g", version: int = 6) -> Any:
    return bench.ask(DescribeGroupsRequest([group], True), version).groups[0]


def test_that_a_new_member_is_given_its_id_before_it_may_join(bench: Bench) -> None:
    refused = bench.ask(bench.join_message(), 4)
    assert refused.error_code == ErrorCode.MEMBER_ID_REQUIRED and refused.member_id.startswith("c-")
    joined = bench.ask(bench.join_message(refused.member_id), 4)
    assert (joined.error_code, joined.generation_id, joined.leader) == (0, 1, refused.member_id)


def test_that_an_old_client_joins_at_once(bench: Bench) -> None:
    for version in range(4):
        answer = bench.ask(bench.join_message(group=f"g{version}"), version)
        assert (
            answer.error_code == 0
            and answer.leader == answer.member_id
            and answer.protocol_name == "range"
        )


def test_that_a_client_of_version_0_has_its_session_to_join_again(bench: Bench) -> None:
    bench.ask(bench.join_message(rebalance=1), 0)
    assert bench.groups.shards[0].groups["g"].rebalance_timeout_ms == 10_000


def test_that_only_the_leader_gets_the_members_and_every_member_the_protocol(bench: Bench) -> None:
    ids = bench.stable(3)
    group = bench.groups.shards[0].groups["g"]
    assert group.generation == 3 and group.leader == ids[0]
    number = bench.join(
        ids[1]
    )  # asks again with nothing changed: the same generation, no rebalance
    answer = bench.answers[number]
    assert (answer.generation_id, answer.members, answer.leader) == (3, [], ids[0])
    assert (answer.protocol_type, answer.protocol_name) == ("consumer", "range")
    assert beat(bench, ids[1], 3) == 0


def test_that_every_member_gets_its_assignment_once_it_is_in_the_log(bench: Bench) -> None:
    one = bench.answers[bench.join()]
    bench.log.hold = True
    waiting = bench.sync(one.member_id, 1, {one.member_id: b"mine"})
    assert waiting not in bench.answers
    assert described(bench).group_state == "CompletingRebalance"
    bench.commit()
    assert bench.answers[waiting].assignment == b"mine"
    assert described(bench).group_state == "Stable"


def test_that_a_rebalance_begins_when_the_assignment_cannot_be_written(bench: Bench) -> None:
    one = bench.answers[bench.join()]
    bench.log.refuse = ErrorCode.NOT_ENOUGH_REPLICAS
    answer = bench.answers[bench.sync(one.member_id, 1, {one.member_id: b"mine"})]
    assert answer.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE and answer.assignment == b""
    assert beat(bench, one.member_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_that_a_write_that_takes_too_long_is_answered(bench: Bench) -> None:
    one = bench.answers[bench.join()]
    bench.log.hold = True
    waiting = bench.sync(one.member_id, 1, {one.member_id: b"mine"})
    bench.run(4_990)
    assert waiting not in bench.answers
    bench.run(20)
    assert bench.answers[waiting].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    bench.commit()  # later it is committed all the same


def test_that_a_join_makes_the_others_join_again(bench: Bench) -> None:
    (one,) = bench.stable()
    two = bench.join()
    assert two not in bench.answers and beat(bench, one, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    again = bench.join(one)
    assert bench.answers[again].generation_id == bench.answers[two].generation_id == 2
    assert bench.answers[again].leader == one and len(bench.answers[again].members) == 2


def test_that_a_member_that_does_not_join_again_in_time_is_removed(bench: Bench) -> None:
    bench.stable(session=60_000)
    two = bench.join()
    bench.run(19_000)
    assert two not in bench.answers
    bench.run(2_000)
    answer = bench.answers[two]
    assert (
        answer.generation_id == 2 and answer.leader == answer.member_id and len(answer.members) == 1
    )


def test_that_the_longest_rebalance_timeout_counts(bench: Bench) -> None:
    bench.stable(session=90_000, rebalance=60_000)
    two = bench.join(rebalance=5_000, session=90_000)
    bench.run(59_000)
    assert two not in bench.answers
    bench.run(2_000)
    assert bench.answers[two].generation_id == 2


def test_that_a_silent_member_is_dropped_after_its_session(bench: Bench) -> None:
    one, two = bench.stable(2)
    for _ in range(3):
        bench.run(4_000)
        if beat(bench, one, 2):
            break
    assert beat(bench, one, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert beat(bench, two, 2) == ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.answers[bench.join(one)].generation_id == 3


def test_that_heartbeats_keep_a_member(bench: Bench) -> None:
    (one,) = bench.stable()
    for _ in range(20):
        bench.run(9_000)
        assert beat(bench, one, 1) == 0


def test_that_members_that_do_not_sync_are_removed(bench: Bench) -> None:
    one = bench.answers[bench.join(session=60_000)]
    bench.run(21_000)
    assert beat(bench, one.member_id, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert described(bench).group_state == "Empty"


def test_that_an_id_that_was_given_out_and_not_used_is_forgotten(bench: Bench) -> None:
    refused = bench.ask(bench.join_message(), 9)
    bench.run(11_000)
    late = bench.ask(bench.join_message(refused.member_id), 9)
    assert late.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.groups.shards[0].groups == {}


def test_that_the_first_rebalance_waits_for_more_members() -> None:
    bench = Bench(group_initial_rebalance_delay_ms="3000").lead()
    first = bench.join()
    bench.run(2_000)
    second = bench.join()
    bench.run(2_500)
    assert first not in bench.answers  # a newcomer put it off once more
    bench.run(1_600)
    assert bench.answers[first].generation_id == bench.answers[second].generation_id == 1
    assert len(bench.answers[first].members) == 2


def test_that_the_first_rebalance_is_not_put_off_beyond_the_rebalance_timeout() -> None:
    bench = Bench(group_initial_rebalance_delay_ms="3000").lead()
    first = bench.join(rebalance=7_000)
    for _ in range(5):
        bench.run(1_400)
        bench.join(rebalance=7_000)
    bench.run(100)
    assert bench.answers[first].error_code == 0


def test_row_41_that_bad_joins_have_kafkas_errors(bench: Bench) -> None:
    def code(**more: Any) -> int:
        member = more.pop("member", "")
        return int(bench.ask(bench.join_message(member, **more), 9).error_code)

    assert code(group="") == ErrorCode.INVALID_GROUP_ID
    assert code(session=5_999) == code(session=1_800_001) == ErrorCode.INVALID_SESSION_TIMEOUT
    assert code(member="nobody") == ErrorCode.UNKNOWN_MEMBER_ID
    assert code(protocols=[]) == code(kind="") == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.groups.shards[0].groups == {}
    (one,) = bench.stable()
    assert (
        code(kind="connect") == code(protocols=["other"]) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    )
    assert beat(bench, one, 7) == ErrorCode.ILLEGAL_GENERATION
    assert bench.answers[bench.sync(one, 7)].error_code == ErrorCode.ILLEGAL_GENERATION
    assert bench.answers[bench.sync("nobody", 1)].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_row_41_that_a_group_stays_as_large_as_a_record_of_the_offsets_topic(
    bench: Bench,
) -> None:
    refused = ErrorCode.UNKNOWN_SERVER_ERROR
    assert bench.answers[bench.join(metadata=bytes(2_000_000))].error_code == refused
    assert bench.groups.shards[0].groups == {}, "nothing is left of it"
    (leader,) = bench.stable()
    first = bench.join(metadata=bytes(600_000))
    bench.join(leader)
    second = bench.answers[first].member_id
    assert bench.answers[first].error_code == 0
    # Its own metadata counts once, that of the others always.
    assert bench.answers.get(bench.join(second, metadata=bytes(900_000))) is None
    bench.join(leader)
    assert bench.answers[bench.join(metadata=bytes(200_000))].error_code == refused
    generation = bench.answers[first].generation_id + 1
    large = bench.sync(leader, generation, {leader: bytes(200_000)})
    assert bench.answers[large].error_code == refused
    good = bench.sync(leader, generation, {leader: b"all"})
    assert bench.answers[good].error_code == 0


def test_row_41_that_member_ids_that_never_join_are_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "PENDING_MOST", 3)
    codes = [bench.ask(bench.join_message(), 9).error_code for _ in range(5)]
    assert codes == [79, 79, 79, 14, 14]
    bench.run(10_001)  # the session timeout of those three
    assert bench.ask(bench.join_message(), 9).error_code == ErrorCode.MEMBER_ID_REQUIRED


def test_that_a_full_group_accepts_no_member() -> None:
    bench = Bench(group_max_size="1").lead()
    bench.stable()
    assert bench.answers[bench.join()].error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_that_the_protocol_most_members_prefer_of_the_common_ones_is_chosen(bench: Bench) -> None:
    first = bench.join(protocols=["a", "b", "c"])
    second = bench.join(protocols=["x", "c", "b"])
    again = bench.join(bench.answers[first].member_id, protocols=["a", "b", "c"])
    assert bench.answers[again].protocol_name == "b" and bench.answers[second].protocol_name == "b"


def test_that_leaving_begins_a_rebalance_and_the_last_one_leaves_an_empty_group(
    bench: Bench,
) -> None:
    one, two = bench.stable(2)
    assert (
        leave(bench, (two, None), ("nobody", None)).members[1].error_code
        == ErrorCode.UNKNOWN_MEMBER_ID
    )
    assert beat(bench, one, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert leave(bench, (one, None)).members[0].error_code == 0
    assert described(bench).group_state == "Empty"
    old = bench.ask(LeaveGroupRequest("g", one), 1)
    assert old.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_that_leaving_lets_a_rebalance_finish(bench: Bench) -> None:
    one, two = bench.stable(2)
    waiting = bench.join(one)  # the leader joins again
    assert waiting not in bench.answers
    leave(bench, (two, None))
    assert bench.answers[waiting].generation_id == 3


def test_that_a_join_that_is_sent_again_is_answered_once_on_each_connection(bench: Bench) -> None:
    bench.stable()
    two = bench.ask(bench.join_message(), 9).member_id
    first, second = bench.send(bench.join_message(two), 9), bench.send(bench.join_message(two), 9)
    assert (
        bench.answers[first].error_code == ErrorCode.REBALANCE_IN_PROGRESS
        and second not in bench.answers
    )


def test_that_a_static_member_comes_back_to_its_assignment_without_a_rebalance(
    bench: Bench,
) -> None:
    one = bench.answers[bench.join(instance="i1")]
    two_waits = bench.join(instance="i2")
    one_again = bench.answers[bench.join(one.member_id, "i1")]
    two = bench.answers[two_waits]
    ids = {one.member_id: b"A", two.member_id: b"B"}
    bench.sync(two.member_id, 2, instance="i2")
    bench.sync(one.member_id, 2, ids, instance="i1")
    assert one_again.generation_id == 2

    back = bench.answers[bench.join(instance="i2")]  # not the leader
    assert (back.error_code, back.generation_id, back.members) == (
        0,
        2,
        [],
    ) and back.member_id != two.member_id
    assert bench.answers[bench.sync(back.member_id, 2, instance="i2")].assignment == b"B"
    assert beat(bench, two.member_id, 2, "i2") == ErrorCode.FENCED_INSTANCE_ID
    assert beat(bench, one.member_id, 2, "i1") == 0

    leader = bench.answers[bench.join(instance="i1")]  # the leader, from version 9 on
    assert leader.skip_assignment and leader.leader == leader.member_id and len(leader.members) == 2
    older = bench.answers[
        bench.join(instance="i1", version=8)
    ]  # older versions name its previous member id as the leader
    assert (
        older.leader == leader.member_id != older.member_id
        and not older.skip_assignment
        and not older.members
    )
    after = bench.successor()
    assert after.groups.shards[0].groups["g"].static_members == {
        "i1": older.member_id,
        "i2": back.member_id,
    }


def test_that_a_static_member_with_another_protocol_begins_a_rebalance(bench: Bench) -> None:
    one = bench.answers[bench.join(instance="i1")]
    bench.sync(one.member_id, 1, {one.member_id: b"A"}, instance="i1")
    assert bench.answers[bench.join(instance="i1", protocols=["sticky"])].generation_id == 2


def test_that_an_instance_id_that_is_too_long_for_a_member_id_is_refused(bench: Bench) -> None:
    assert bench.answers[bench.join(instance="i" * 249)].error_code == ErrorCode.NONE
    answer = bench.answers[bench.join(instance="i" * 250)]
    assert answer.error_code == ErrorCode.INVALID_REQUEST


def test_that_a_waiting_previous_instance_is_fenced(bench: Bench) -> None:
    one = bench.answers[bench.join(instance="i1")]
    bench.log.hold = True
    waiting = bench.sync(one.member_id, 1, {one.member_id: b"A"}, instance="i1")
    back = bench.answers[bench.join(instance="i1")]
    assert (
        bench.answers[waiting].error_code == ErrorCode.FENCED_INSTANCE_ID
        and back.generation_id == 2
    )


def test_that_static_members_stay_when_they_do_not_join_in_time_and_leave_by_their_instance(
    bench: Bench,
) -> None:
    one = bench.answers[bench.join(instance="i1", session=100_000)]
    bench.sync(one.member_id, 1, {one.member_id: b"A"}, instance="i1")
    two = bench.join(instance="i2", session=100_000)
    bench.run(21_000)
    assert (
        bench.answers[two].leader == bench.answers[two].member_id
        and len(bench.answers[two].members) == 2
    )
    gone = leave(bench, ("", "i1"), ("", "i9"), ("wrong", "i2"))
    assert [m.error_code for m in gone.members] == [
        0,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.FENCED_INSTANCE_ID,
    ]


def test_that_groups_are_described_and_listed(bench: Bench) -> None:
    (one,) = bench.stable(metadata=b"meta")
    found = described(bench)
    assert (found.error_code, found.protocol_type, found.protocol_data, found.group_state) == (
        0,
        "consumer",
        "range",
        "Stable",
    )
    member = found.members[0]
    assert (member.member_id, member.client_id, member.client_host) == (one, "c", "/10.0.0.9")
    assert (member.member_metadata, member.member_assignment) == (b"meta", b"a" + one.encode())
    assert found.authorized_operations == 328
    gone = described(bench, "nobody")
    assert (gone.group_state, gone.error_code) == ("Dead", ErrorCode.GROUP_ID_NOT_FOUND)
    assert described(bench, "nobody", 5).error_code == 0
    everything = bench.ask(ListGroupsRequest(), 5).groups
    assert [(g.group_id, g.protocol_type, g.group_state, g.group_type) for g in everything] == [
        ("g", "consumer", "Stable", "classic")
    ]
    assert bench.ask(ListGroupsRequest(["stable"], ["Classic"]), 5).groups
    assert (
        not bench.ask(ListGroupsRequest(["Empty"]), 5).groups
        and not bench.ask(ListGroupsRequest([], ["consumer"]), 5).groups
    )


def test_that_the_next_coordinator_knows_the_members_and_gives_them_their_session(
    bench: Bench,
) -> None:
    one, two = bench.stable(2)
    after = bench.successor()
    assert beat(after, one, 2) == 0 and beat(after, two, 1) == ErrorCode.ILLEGAL_GENERATION
    assert after.answers[after.sync(two, 2)].assignment == b"a" + two.encode()
    after.run(9_000)
    assert beat(after, one, 2) == 0
    after.run(2_000)
    assert beat(after, two, 2) == ErrorCode.UNKNOWN_MEMBER_ID
    assert after.answers[after.join(one)].generation_id == 3


def test_that_waiting_members_get_not_coordinator_when_the_coordinator_changes(
    bench: Bench,
) -> None:
    bench.stable()
    waiting = bench.join()
    bench.resign()
    assert bench.answers[waiting].error_code == ErrorCode.NOT_COORDINATOR
    assert beat(bench, "x", 1) == ErrorCode.NOT_COORDINATOR
    bench.run(100_000)
