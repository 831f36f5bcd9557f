"""The merge keeps each partition's order and waits for the partition that is behind, until it is
closed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafka_client.model import Record
from kafka_client.reading.merge import Merge


def record(partition: int, offset: int, at: int) -> Record:
    return Record("t", partition, offset, at, "create", None, None)


def put(merge: Merge, found: Record) -> None:
    tp = (found.topic, found.partition)
    merge.add(tp, merge.passed(tp, found.timestamp_ms), found)


def test_that_nothing_is_taken_before_every_partition_was_read() -> None:
    merge = Merge([("t", 0), ("t", 1)])
    put(merge, record(0, 0, 10))
    assert merge.take() == [] and merge.behind() == {("t", 1)}
    put(merge, record(1, 0, 20))
    assert [r.timestamp_ms for r in merge.take()] == [10]
    merge.close(("t", 0))
    assert [r.timestamp_ms for r in merge.take()] == [20]


def test_that_a_partition_that_matched_nothing_still_lets_others_go() -> None:
    merge = Merge([("t", 0), ("t", 1)])
    put(merge, record(0, 0, 10))
    merge.passed(("t", 1), 15)
    assert len(merge.take()) == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 50)), max_size=80))
def test_that_all_come_out_once_and_offsets_never_go_back(writes: list[tuple[int, int]]) -> None:
    merge = Merge([("t", p) for p in range(3)])
    offsets = [0, 0, 0]
    out: list[Record] = []
    for partition, at in writes:
        put(merge, record(partition, offsets[partition], at))
        offsets[partition] += 1
        out += merge.take()
    for partition in range(3):
        merge.close(("t", partition))
    out += merge.take()
    for partition in range(3):
        assert [r.offset for r in out if r.partition == partition] == list(
            range(offsets[partition])
        )
    highest = [-(10**9)] * 3
    order = []
    for found in out:
        highest[found.partition] = max(highest[found.partition], found.timestamp_ms)
        order.append(highest[found.partition])
    assert order == sorted(order)
