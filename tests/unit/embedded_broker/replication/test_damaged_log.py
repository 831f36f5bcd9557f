"""A copy of which a part is damaged is given up while a good one is there."""

from __future__ import annotations

from embedded_broker.core.disk_health import State
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import PartitionData
from tests.unit.embedded_broker.replication.bench import Bench, Node, T, batch


def rot(node: Node, offset: int) -> None:
    """Change a bit of the batch with this offset on the node's disk."""
    log = node.partition().log
    log.rotten.add(offset)  # type: ignore[attr-defined]


def fetched(bench: Bench, node: Node, offset: int) -> PartitionData:
    request = node.fetch(offset)
    bench.settle()
    return node.fetched(request)


def produced(bench: Bench, count: int = 5) -> None:
    for i in range(count):
        bench.nodes[1].produce(batch(f"{i}"))
        bench.settle()


def test_that_a_leader_whose_log_is_damaged_gives_it_up_and_fetches_it_anew() -> None:
    bench = Bench()
    bench.create()
    produced(bench)
    first = bench.nodes[1]
    rot(first, 2)
    bench.auto_isr = False
    # What lies before the damage is served.
    assert len(fetched(bench, first, 0).records or b"") > 0
    assert fetched(bench, first, 2).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    bench.settle()
    proposal = bench.answer_controller().topics[0].partitions[0]
    assert [member.broker_id for member in proposal.new_isr_with_epochs] == [2, 3]
    assert first.replicas.disk_health.state is State.WORKING
    bench.change(leader=2, isr=(2, 3))
    bench.settle()
    assert first.partition().log.damage == ""
    assert first.partition().end_offset == 5
    assert any("fetching the partition anew from broker 2" in note for note in first.notes)
    # It has everything again, and may join.
    joining = bench.answer_controller().topics[0].partitions[0]
    assert sorted(member.broker_id for member in joining.new_isr_with_epochs) == [1, 2, 3]


def test_that_the_only_copy_is_served_as_far_as_it_can_be_read() -> None:
    bench = Bench()
    bench.create(replicas=(1,))
    produced(bench)
    first = bench.nodes[1]
    rot(first, 2)
    assert fetched(bench, first, 2).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    bench.settle()
    assert not bench.controller_calls and first.partition().is_leader
    assert len(fetched(bench, first, 3).records or b"") > 0


def test_that_a_copy_that_is_counted_is_not_dropped() -> None:
    bench = Bench()
    bench.create()
    produced(bench)
    second = bench.nodes[2]
    second.partition().log.damage = "the records from 0 to 1 are missing"
    bench.change(isr=(1, 2))
    assert second.partition().end_offset == 5 and second.partition().log.damage
    bench.change(isr=(1,), elr=(2,))
    assert second.partition().log.damage
    bench.change(elr=())
    bench.settle()
    assert second.replicas.partitions[T, 0].log.damage == ""
    assert second.partition().end_offset == 5


def check_followers(bench: Bench, node: Node) -> None:
    """Fire the timer that looks for damaged copies, and let the nodes talk."""
    node.replicas.housekeeping._check_followers(bench.now_ms)
    bench.settle()


def test_that_a_follower_gives_up_a_damaged_copy_without_being_read() -> None:
    bench = Bench()
    bench.create()
    produced(bench)
    bench.auto_isr = False
    second = bench.nodes[2]
    second.partition().log.damage = "a bit has changed"
    check_followers(bench, second)
    proposal = bench.answer_controller().topics[0].partitions[0]
    assert [member.broker_id for member in proposal.new_isr_with_epochs] == [1, 3]
    bench.change(isr=(1, 3))
    bench.settle()
    assert second.partition().log.damage == ""
    assert second.partition().end_offset == 5


def test_that_a_damaged_follower_stays_where_writes_need_it() -> None:
    bench = Bench()
    bench.create()
    produced(bench)
    bench.auto_isr = False
    second = bench.nodes[2]
    second.partition().min_isr = 3
    second.partition().log.damage = "a bit has changed"
    check_followers(bench, second)
    assert not bench.controller_calls
    bench.nodes[1].produce(batch("more"))
    bench.settle()
    assert second.partition().end_offset == 6


def test_that_a_damaged_leader_drops_no_damaged_follower() -> None:
    bench = Bench()
    bench.create()
    produced(bench)
    bench.auto_isr = False
    bench.nodes[1].partition().log.damage = "a bit has changed"
    second = bench.nodes[2]
    second.partition().log.damage = "a bit has changed"
    check_followers(bench, second)
    assert not bench.controller_calls
