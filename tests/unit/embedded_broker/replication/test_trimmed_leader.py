"""Followers of a leader whose log no longer starts where theirs does."""

from __future__ import annotations

from tests.unit.embedded_broker.replication.bench import Bench, batch, values


def test_that_a_follower_starts_again_where_the_leaders_log_now_starts() -> None:
    bench = Bench()
    bench.create()
    bench.cut = {(3, 1)}
    for text in "abc":
        bench.nodes[1].produce(batch(text), acks=1)
    bench.change(isr=(1, 2))
    bench.settle()
    bench.run(50_000)
    bench.nodes[1].partition().delete_before(2)
    bench.cut = set()
    bench.run(3_000)
    follower = bench.nodes[3].partition()
    assert (follower.start_offset, follower.end_offset) == (2, 3)


def test_that_a_follower_parts_from_records_that_its_leader_has_deleted_meanwhile() -> None:
    """The leader's log starts inside a batch, where the follower's ends with other records."""
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.lose_leader("lost", "lost too")
    bench.nodes[2].produce(batch("deleted", "deleted", "kept", "kept too"))
    bench.run(1_000)
    assert bench.nodes[2].partition().delete_before(3)
    bench.boot(1)
    bench.run(3_000)
    follower = bench.nodes[1].partition()
    assert (follower.start_offset, follower.end_offset) == (3, 5)
    assert values(follower.log.read(3, 1 << 20, 5, True))[-2:] == ["kept", "kept too"]


def test_that_a_follower_takes_over_the_high_watermark_and_the_start_offset() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.nodes[1].produce(batch("b"))
    bench.run(1_500)
    assert [n.partition().high_watermark for n in bench.alive()] == [2, 2, 2]
    bench.nodes[1].partition().delete_before(1)
    bench.run(1_500)
    assert [n.partition().start_offset for n in bench.alive()] == [1, 1, 1]
