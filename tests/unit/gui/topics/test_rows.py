"""Rows of topics, partitions and readers from a snapshot."""

from __future__ import annotations

from dataclasses import replace

from gui.topics.rows import (
    PARTITION_COLUMNS,
    partition_rows,
    reader_rows,
    topic_rows,
)
from kafka_client.model import ClusterSnapshot, Group, Partition, PartitionLag, Topic


def partition(number: int, leader: int | None, isr: tuple[int, ...], **more: object) -> Partition:
    return Partition("orders", number, leader, 4, (1, 2, 3), isr, **more)  # type: ignore[arg-type]


def snapshot(*partitions: Partition, groups: tuple[Group, ...] = ()) -> ClusterSnapshot:
    topic = Topic("orders", partitions=partitions)
    return ClusterSnapshot(topics={"orders": topic}, groups={g.group_id: g for g in groups})


def lag(partition_number: int, records: int | None, seconds: float | None = None) -> PartitionLag:
    return PartitionLag("orders", partition_number, 0, 0, records, seconds, member_id="m")


def test_that_a_topic_is_as_well_as_its_worst_partition() -> None:
    healthy = partition(0, 1, (1, 2, 3))
    (row,) = topic_rows(snapshot(healthy, partition(1, 2, (2, 3))))
    assert row.status.text == "1 under-replicated" and row.status.tone == "warn"
    (row,) = topic_rows(snapshot(healthy, partition(1, 2, (2, 3)), partition(2, None, ())))
    assert row.status.text == "1 offline" and row.status.tone == "bad"
    (row,) = topic_rows(snapshot(healthy))
    assert row.status.text == "in sync"


def test_that_unknown_figures_stay_unknown_and_known_ones_are_summed() -> None:
    known = partition(0, 1, (1, 2, 3), size_bytes=100, rate_records_per_s=2.5)
    unknown = partition(1, 2, (1, 2, 3))
    (row,) = topic_rows(snapshot(known, unknown))
    assert row.size_bytes == 100 and row.rate == 2.5
    (row,) = topic_rows(snapshot(unknown))
    assert row.size_bytes is None and row.rate is None and row.span is None


def test_that_the_worst_lag_names_its_group() -> None:
    small = Group("small", "Stable", lags=(lag(0, 5),))
    large = Group("large", "Stable", lags=(lag(0, 7), lag(1, None)))
    (row,) = topic_rows(snapshot(partition(0, 1, (1, 2, 3)), groups=(small, large)))
    assert (row.groups, row.worst_lag, row.worst_group) == (2, 7, "large")


def test_that_a_leader_that_is_not_preferred_says_so() -> None:
    (leader,) = (c for c in PARTITION_COLUMNS if c.name == "leader")
    topic = Topic(
        "orders",
        partitions=(
            partition(0, 1, (1, 2, 3)),
            partition(1, 3, (1, 2, 3)),
            partition(2, -1, ()),
        ),
    )
    texts = [leader.value(row) for row in partition_rows(topic)]
    assert texts == ["broker 1", "broker 3, not preferred", "none"]


def test_that_brokers_that_are_behind_are_named_in_the_right_number() -> None:
    (isr,) = (c for c in PARTITION_COLUMNS if c.name == "isr")
    assert isr.tip is not None
    one, two = partition_rows(
        Topic("orders", partitions=(partition(0, 1, (1, 2)), partition(1, 1, (1,))))
    )
    assert isr.tip(one) == "Broker 3 is behind; 2 of 3 replicas in sync"
    assert isr.tip(two) == "Brokers 2 and 3 are behind; 1 of 3 replicas in sync"


def test_that_replicas_that_are_offline_are_named_apart_from_those_behind() -> None:
    columns = {c.name: c for c in PARTITION_COLUMNS}
    whole = partition(0, 1, (1,))
    (row,) = partition_rows(Topic("orders", partitions=(replace(whole, offline=(3,)),)))
    assert columns["isr"].tip is not None and columns["offline"].tip is not None
    assert columns["isr"].tip(row) == (
        "Broker 3 is offline; Broker 2 is behind; 1 of 3 replicas in sync"
    )
    assert columns["offline"].text(columns["offline"].value(row)) == "3"
    assert "Offline on broker 3: " in columns["offline"].tip(row)


def test_that_shares_of_data_use_offsets_while_sizes_are_unknown() -> None:
    rows = partition_rows(
        Topic(
            "orders",
            partitions=(
                partition(0, 1, (1, 2, 3), start_offset=0, high_watermark=30),
                partition(1, 1, (1, 2, 3), start_offset=10, high_watermark=20),
            ),
        )
    )
    assert [row.share for row in rows] == [0.75, 0.25]


def test_that_readers_are_counted_by_their_members_of_this_topic() -> None:
    group = Group("billing", "Stable", lags=(lag(0, 4, 1.5), lag(1, 6, 9.0)))
    (row,) = reader_rows(snapshot(partition(0, 1, (1, 2, 3)), groups=(group,)), "orders")
    assert (row.group, row.members, row.lag, row.seconds) == ("billing", 1, 10, 9.0)
