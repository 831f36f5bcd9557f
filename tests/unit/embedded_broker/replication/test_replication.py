"""Leaders and followers together: what is acknowledged, what is seen, what is cut off."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from embedded_broker.core.events import TickEnded
from embedded_broker.core.metadata.image import MetadataDelta
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState
from kafka_protocol.messages.k02_list_offsets import ListOffsetsRequest
from tests.unit.embedded_broker.replication.bench import TOPIC_ID, Bench, T, batch, values


def test_that_an_acknowledged_record_is_on_every_in_sync_replica() -> None:
    bench = Bench()
    bench.create(min_insync_replicas="2")
    request = bench.nodes[1].produce(batch("a", "b"))
    assert request not in bench.nodes[1].answers
    bench.settle()
    assert bench.nodes[1].produced(request).error_code == 0
    assert bench.nodes[1].produced(request).base_offset == 0
    assert [n.partition().end_offset for n in bench.alive()] == [2, 2, 2]
    assert bench.nodes[1].partition().high_watermark == 2


def test_that_acks_1_is_answered_by_the_leader_alone_and_acks_0_not_at_all() -> None:
    bench = Bench()
    bench.create()
    bench.cut = {(2, 1), (3, 1)}
    one, none = (
        bench.nodes[1].produce(batch("a"), acks=1),
        bench.nodes[1].produce(batch("b"), acks=0),
    )
    assert bench.nodes[1].produced(one).base_offset == 0
    assert type(bench.nodes[1].answers[none]).__name__ == "NoResponse"
    assert bench.nodes[1].partition().high_watermark == 0


def test_that_consumers_see_nothing_above_the_high_watermark() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.cut = {(2, 1), (3, 1)}
    bench.nodes[1].produce(batch("b"), acks=1)
    request = bench.nodes[1].fetch(0, max_wait_ms=0)
    bench.settle()
    assert values(bench.nodes[1].fetched(request).records) == ["a"]
    assert bench.nodes[1].fetched(request).high_watermark == 1


def test_that_a_waiting_consumer_is_answered_when_the_high_watermark_moves() -> None:
    bench = Bench()
    bench.create()
    request = bench.nodes[1].fetch(0, max_wait_ms=10_000)
    bench.settle()
    assert request not in bench.nodes[1].answers
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    assert values(bench.nodes[1].fetched(request).records) == ["a"]


def test_that_a_waiting_consumer_is_answered_when_its_wait_is_over() -> None:
    bench = Bench()
    bench.create()
    request = bench.nodes[1].fetch(0, max_wait_ms=300)
    bench.run(400)
    assert not bench.nodes[1].fetched(request).records


def test_that_a_lagging_follower_leaves_the_in_sync_set_and_returns_when_caught_up() -> None:
    bench = Bench(extra="replica.lag.time.max.ms=2000\n")
    bench.create(min_insync_replicas="2")
    bench.cut = {(3, 1)}
    bench.run(1_000)
    request = bench.nodes[1].produce(batch("a"))
    bench.run(500)
    assert request not in bench.nodes[1].answers
    bench.run(4_000)
    assert bench.nodes[1].produced(request).error_code == 0
    assert bench.nodes[1].partition().isr == (1, 2)
    bench.cut = set()
    bench.run(3_000)
    assert sorted(bench.nodes[1].partition().isr) == [1, 2, 3]
    assert bench.nodes[3].partition().end_offset == 1


def test_that_the_high_watermark_stands_still_under_min_insync_replicas() -> None:
    bench = Bench(extra="replica.lag.time.max.ms=2000\n")
    bench.create(min_insync_replicas="2")
    bench.cut = {(2, 1), (3, 1)}
    bench.run(1_000)
    waiting = bench.nodes[1].produce(batch("a"))
    bench.run(5_000)
    assert bench.nodes[1].partition().isr == (1,)
    assert bench.nodes[1].partition().high_watermark == 0
    assert waiting not in bench.nodes[1].answers
    refused = bench.nodes[1].produce(batch("b"))
    assert bench.nodes[1].produced(refused).error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    bench.run(30_000)
    assert bench.nodes[1].produced(waiting).error_code == ErrorCode.REQUEST_TIMED_OUT


def test_that_the_maximal_in_sync_set_counts_while_a_change_is_pending() -> None:
    bench = Bench(extra="replica.lag.time.max.ms=2000\n")
    bench.create()
    bench.auto_isr = False
    bench.cut = {(3, 1)}
    bench.run(1_000)
    bench.nodes[1].produce(batch("a"))
    bench.run(5_000)
    leader = bench.nodes[1].partition()
    assert leader.pending_isr == (1, 2)
    assert leader.isr == (1, 2, 3)
    assert leader.high_watermark == 0
    bench.answer_controller()
    shrunk: tuple[int, ...] = leader.isr
    assert shrunk == (1, 2)
    assert leader.high_watermark == 1


@pytest.mark.parametrize("code", [ErrorCode.INVALID_UPDATE_VERSION, ErrorCode.UNKNOWN_SERVER_ERROR])
def test_that_an_unclear_answer_leaves_a_change_pending(code: int) -> None:
    bench = Bench(extra="replica.lag.time.max.ms=2000\n")
    bench.create()
    bench.auto_isr = False
    bench.cut = {(3, 1)}
    bench.nodes[1].produce(batch("a"))
    bench.run(5_000)
    bench.answer_controller(code)
    leader = bench.nodes[1].partition()
    assert leader.pending_isr == (1, 2)
    bench.publish(MetadataDelta(partitions={(T, 0)}))
    assert leader.pending_isr == (1, 2)
    bench.run(2_000)
    assert bench.controller_calls, "the question is asked again"
    bench.answer_controller()
    assert leader.isr == (1, 2) and leader.pending_isr is None


def test_that_a_refused_joiner_no_longer_holds_the_high_watermark() -> None:
    bench = Bench(extra="replica.lag.time.max.ms=2000\n")
    bench.create()
    bench.cut = {(3, 1)}
    bench.run(1_000)
    bench.nodes[1].produce(batch("a"))
    bench.run(6_000)
    assert bench.nodes[1].partition().isr == (1, 2)
    bench.auto_isr = False
    bench.cut = set()
    bench.run(600)
    leader = bench.nodes[1].partition()
    assert leader.pending_isr == (1, 2, 3)
    bench.answer_controller(ErrorCode.INELIGIBLE_REPLICA)
    assert leader.pending_isr is None and leader.isr == (1, 2)


def test_that_a_follower_truncates_to_the_divergent_epoch() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.lose_leader("lost")
    request = bench.nodes[2].produce(batch("kept"))
    bench.settle()
    assert bench.nodes[2].produced(request).base_offset == 1
    bench.boot(1)
    bench.run(3_000)
    log = bench.nodes[1].partition().log
    assert values(log.read(0, 1 << 20, log.log_end_offset, True)) == ["a", "kept"]
    assert bench.nodes[1].partition().epochs.entries == [(0, 0), (1, 1)]


def test_that_a_follower_truncates_step_by_step_over_epochs_that_its_leader_never_had() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.cut = {(2, 1), (3, 1)}
    bench.run(600)
    bench.nodes[1].produce(batch("x"), acks=1)
    bench.change(leader=1)
    bench.nodes[1].produce(batch("y"), acks=1)
    bench.change(leader=1)
    bench.nodes[1].produce(batch("z"), acks=1)
    bench.settle()
    assert bench.nodes[1].partition().epochs.entries == [(0, 0), (1, 2), (2, 3)]
    bench.cut = {(a, b) for a in (1, 2, 3) for b in (1, 2, 3)}
    bench.change(leader=2, isr=(2, 3))
    bench.nodes[2].produce(batch("b"), acks=1)
    bench.cut = set()
    bench.run(3_000)
    for node in bench.alive():
        log = node.partition().log
        assert values(log.read(0, 1 << 20, log.log_end_offset, True)) == ["a", "b"]


def test_that_a_new_leader_does_not_know_the_latest_offset_until_its_epoch_is_committed() -> None:
    from kafka_protocol.messages.k02_list_offsets import (
        ListOffsetsPartition,
        ListOffsetsRequest,
        ListOffsetsTopic,
    )

    bench = Bench()
    bench.create()
    bench.cut = {(1, 2), (3, 2)}
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(T, [ListOffsetsPartition(0, -1, -1)])])
    bench.kill(1)
    bench.change(leader=2, isr=(2, 3))
    requested = bench.nodes[2].ask(request, 7)
    answer = bench.nodes[2].answers[requested].topics[0].partitions[0]
    assert answer.error_code == ErrorCode.OFFSET_NOT_AVAILABLE
    bench.cut = set()
    bench.run(2_000)
    requested = bench.nodes[2].ask(request, 7)
    answer = bench.nodes[2].answers[requested].topics[0].partitions[0]
    assert (answer.error_code, answer.offset, answer.leader_epoch) == (0, 1, 1)


def test_that_a_follower_joins_only_with_the_first_offset_of_the_leaders_epoch() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.run(600)
    bench.cut = {(3, 1)}
    bench.change(isr=(1, 2))
    bench.run(40_000)
    bench.nodes[1].produce(batch("b"))
    bench.settle()
    bench.cut = {(1, 2), (3, 2)}
    bench.change(leader=2, isr=(1, 2))
    leader = bench.nodes[2].partition()
    assert leader.epoch_start_offset == 2 and leader.high_watermark == 1
    assert leader.follower_fetched(bench.now_ms, 3, bench.image.brokers[3].broker_epoch, 1, 0) == 0
    assert leader.pending_isr is None, "it has the high watermark, but not all of the epochs before"
    assert leader.follower_fetched(bench.now_ms, 3, bench.image.brokers[3].broker_epoch, 2, 0) == 0
    assert leader.pending_isr == (1, 2, 3)


def test_that_a_follower_of_an_older_incarnation_may_not_join() -> None:
    bench = Bench()
    bench.create()
    bench.change(isr=(1, 2))
    leader = bench.nodes[1].partition()
    old = bench.image.brokers[3].broker_epoch
    bench.boot(3)
    assert leader.follower_fetched(bench.now_ms, 3, old + 100, 0, 0) == 0
    leader.pending_isr = None
    assert leader.follower_fetched(bench.now_ms, 3, old, 0, 0) == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_that_a_node_does_not_lead_an_epoch_of_its_previous_incarnation_again() -> None:
    bench = Bench(count=1)
    bench.create(replicas=(1,))
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.kill(1)
    bench.boot(1)
    assert not bench.nodes[1].partition().is_leader
    refused = bench.nodes[1].produce(batch("b"))
    assert bench.nodes[1].produced(refused).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.change(leader=1)
    bench.settle()
    request = bench.nodes[1].produce(batch("b"))
    bench.settle()
    assert bench.nodes[1].produced(request).base_offset == 1


def test_that_metadata_of_a_previous_incarnation_is_ignored() -> None:
    bench = Bench()
    bench.create()
    node = bench.boot(3)
    node.registration.incarnation_id = UUID(int=5)
    other = Bench(count=1)
    other.nodes[1].registration.incarnation_id = UUID(int=5)
    other.nodes[1].replicas.table.broker_epoch = -1
    other.create(replicas=(1,))
    assert not other.nodes[1].replicas.partitions


def test_that_a_stale_leader_is_fenced_and_its_late_writes_are_not_kept() -> None:
    bench = Bench()
    bench.create(min_insync_replicas="2")
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.change(to=[2, 3], leader=2, isr=(2, 3))
    late = bench.nodes[1].produce(batch("late"))
    bench.run(1_500)
    assert late not in bench.nodes[1].answers
    bench.publish(MetadataDelta(partitions={(T, 0)}))
    assert bench.nodes[1].produced(late).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.nodes[2].produce(batch("b"))
    bench.run(1_500)
    log = bench.nodes[1].partition().log
    assert values(log.read(0, 1 << 20, log.log_end_offset, True)) == ["a", "b"]


def test_that_a_leader_that_does_not_know_its_epoch_yet_keeps_its_followers_waiting() -> None:
    bench = Bench()
    bench.create()
    bench.change(to=[1, 3], leader=2)
    bench.settle()
    bench.publish(MetadataDelta(partitions={(T, 0)}), to=[2])
    request = bench.nodes[2].produce(batch("a"))
    bench.settle()
    assert bench.nodes[2].produced(request).error_code == 0, "without any pause"


def test_that_a_new_leader_is_followed_without_sitting_out_the_wait_of_an_older_fetch() -> None:
    bench = Bench()
    bench.create(partitions=2)
    bench.change(index=1, leader=2)
    bench.settle()
    bench.change(index=0, leader=2)
    bench.settle()
    request = bench.nodes[2].produce(batch("a"))
    bench.settle()
    assert bench.nodes[2].produced(request).error_code == 0


def test_that_records_are_confirmed_at_once_while_a_second_fetch_waits() -> None:
    """A change of one partition makes the follower send a second Fetch behind the waiting one; the
    leader answers the first at once, with records of another partition."""
    bench = Bench()
    bench.create(partitions=2)
    bench.change(index=1, leader=1)
    for follower in (2, 3):
        bench.nodes[follower].handle(TickEnded())  # sends the second
    request = bench.nodes[1].produce(batch("a"))
    bench.settle()
    assert bench.nodes[1].produced(request).error_code == 0, "without any pause"


def test_that_durable_topics_are_acknowledged_only_after_flushes_on_all_in_sync_replicas() -> None:
    bench = Bench(extra="log.durable=true\n")
    bench.create()
    request = bench.nodes[1].produce(batch("a"))
    bench.settle()
    assert bench.nodes[1].produced(request).error_code == 0
    assert [n.partition().flushed_offset for n in bench.alive()] == [1, 1, 1]


def test_that_a_durable_leader_flushes_the_records_of_its_previous_incarnation() -> None:
    bench = Bench(extra="log.durable=true\n")
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.boot(1)
    bench.change(leader=1)
    bench.settle()
    assert bench.nodes[1].partition().flushed_offset == 1
    assert bench.nodes[1].partition().high_watermark == 1


def test_that_only_a_broker_may_fetch_as_a_replica() -> None:
    bench = Bench()
    bench.create()
    requested = FetchPartition(0, 0, 0, -1, 0, 1 << 20)
    request = FetchRequest(
        replica_state=ReplicaState(2, 200),
        topics=[FetchTopic(topic_id=TOPIC_ID, partitions=[requested])],
    )
    refused = bench.nodes[1].ask(request, 17)
    assert bench.nodes[1].fetched(refused).error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    refused = bench.nodes[1].ask(request, 17, broker_id=3)
    assert bench.nodes[1].fetched(refused).error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED


def test_that_a_deleted_and_recreated_topic_begins_empty() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    waiting = bench.nodes[1].fetch(1, max_wait_ms=5_000)
    bench.settle()
    old = bench.image.topics.pop(T)
    del bench.image.topic_names[old.topic_id]
    bench.publish(MetadataDelta(deleted_topics=[old]))
    bench.settle()
    assert bench.nodes[1].fetched(waiting).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    bench.create()
    assert bench.nodes[1].partition().end_offset == 0
    request = bench.nodes[1].produce(batch("b"))
    bench.settle()
    assert bench.nodes[1].produced(request).base_offset == 0


def test_that_the_coordinator_can_append_and_read_back() -> None:
    bench = Bench()
    bench.create()
    results: list[tuple[int, int]] = []
    replicas = bench.nodes[1].replicas
    replicas.local_log.append_local(
        bench.now_ms, T, 0, batch("a"), lambda _, code, base: results.append((code, base))
    )
    bench.nodes[1].perform()
    assert results == []
    bench.settle()
    assert results == [(0, 0)]
    assert values(replicas.local_log.read_local(T, 0, 0, 1000)) == ["a"]
    assert replicas.local_log.local_offsets(T, 0) == (0, 1, 1)
    assert bench.nodes[2].replicas.local_log.local_offsets(T, 0) is None


def test_that_a_disk_that_refuses_a_write_fails_that_request_alone() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].platter.full = True
    refused = bench.nodes[1].produce(batch("a"))
    assert bench.nodes[1].produced(refused).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    bench.nodes[1].platter.full = False
    bench.nodes[3].platter.full = True
    request = bench.nodes[1].produce(batch("a"))
    bench.run(500)
    assert request not in bench.nodes[1].answers
    bench.nodes[3].platter.full = False
    bench.run(2_000)
    assert bench.nodes[1].produced(request).error_code == 0


def test_that_followers_that_were_fenced_when_they_caught_up_join_once_they_are_not() -> None:
    bench = Bench(extra="replica.lag.time.max.ms=30000\n")
    bench.create(min_insync_replicas="2")
    bench.image.brokers.update({i: replace(bench.image.brokers[i], fenced=True) for i in (2, 3)})
    bench.publish(MetadataDelta(brokers={2, 3}))
    bench.change(leader=1, isr=(1,))
    bench.run(600)
    assert bench.nodes[1].partition().isr == (1,)
    bench.image.brokers.update({i: replace(bench.image.brokers[i], fenced=False) for i in (2, 3)})
    bench.publish(MetadataDelta(brokers={2, 3}))
    bench.settle()
    assert bench.nodes[1].partition().isr == (1, 2, 3)


def test_that_others_are_served_while_many_partitions_are_created_and_deleted() -> None:
    bench = Bench()
    bench.create(partitions=10)
    node = bench.nodes[1]
    counts = []
    for change in (lambda: None, bench.delete):
        change()
        for _ in range(4):
            counts.append(len(node.replicas.partitions))
            assert node.ask(ListOffsetsRequest(), 7) in node.answers
            bench.run(1)
    assert counts == [4, 8, 10, 10, 6, 2, 0, 0]


def test_that_a_topic_that_is_deleted_while_it_is_created_leaves_nothing() -> None:
    bench = Bench()
    bench.create(partitions=10)
    bench.delete()
    bench.run(20)
    for node in bench.nodes.values():
        assert not node.replicas.partitions
        assert not node.env.disk.logs()
