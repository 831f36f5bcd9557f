"""What the tiles of the Overview say."""

from __future__ import annotations

import numpy as np

from gui.health import Tally
from gui.overview import tiles
from kafka_client.changes import Changes
from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    Group,
    GroupStatus,
    Partition,
    Topic,
)
from widgets import figures


def cluster(*reachable: bool) -> ClusterSnapshot:
    brokers = {i: Broker(i, "h", 9092, reachable=up) for i, up in enumerate(reachable, 1)}
    return ClusterSnapshot(controller_id=1, brokers=brokers)


def tally_of(*topics: Topic) -> Tally:
    tally = Tally()
    tally.update(ClusterSnapshot(topics={t.name: t for t in topics}), Changes((), True))
    return tally


def test_that_brokers_that_are_down_are_named_in_the_right_number() -> None:
    assert tiles.broker_tile(cluster(True, True, True)).note == "controller 1"
    one = tiles.broker_tile(cluster(True, False, True))
    assert (one.figure, one.aside, one.note, one.tone) == ("2", "/ 3", "broker 2 is down", "warn")
    two = tiles.broker_tile(cluster(False, False, True))
    assert two.note == "brokers 1 and 2 are down"
    assert tiles.broker_tile(cluster(False, False)).tone == "bad"


def test_that_partitions_say_that_internal_ones_are_counted() -> None:
    healthy = Partition("t", 0, 1, 0, (1, 2), (1, 2))
    tile = tiles.partition_tile(tally_of(Topic("t", partitions=(healthy,))))
    assert tile.figure == "1" and tile.note == "in sync" and "internal topics included" in tile.tip
    alone = Partition("t", 0, 1, 0, (1, 2), (1,))
    tile = tiles.partition_tile(tally_of(Topic("t", partitions=(alone,))))
    assert tile.note == "1 under-replicated" and tile.tone == "warn"
    assert "1 partition with one in-sync replica left" in tile.tip


def test_that_internal_topics_are_counted_beside_the_others() -> None:
    tile = tiles.topic_tile(tally_of(Topic("a"), Topic("__consumer_offsets", internal=True)))
    assert (tile.figure, tile.note) == ("1", "and 1 internal")


def test_that_stopped_groups_come_before_those_that_fall_behind() -> None:
    def tile(*statuses: GroupStatus) -> str:
        groups = {str(i): Group(str(i), "", status=s) for i, s in enumerate(statuses)}
        return tiles.group_tile(ClusterSnapshot(groups=groups)).note

    assert tile(GroupStatus.BEHIND, GroupStatus.STALLED) == "1 stopped or stalled"
    assert tile(GroupStatus.BEHIND, GroupStatus.OK) == "1 falling behind"
    assert tile(GroupStatus.LATE, GroupStatus.OK) == "1 late"
    assert tile(GroupStatus.OK) == "none falls behind"
    assert tile() == ""


def test_that_the_rate_leaves_internal_topics_out_as_the_chart_does() -> None:
    values = np.array([39.0, np.nan, 41.0])
    tile = tiles.rate_tile(47.6, 7.6, values, figures.rate)
    assert (tile.figure, tile.note) == ("40/s", "mean 40/s")
    assert "Into internal topics: 7.6/s" in tile.tip
    assert tiles.rate_tile(None, None, np.array([]), figures.rate).figure == "–"


def test_that_a_series_without_internal_topics_never_falls_below_zero() -> None:
    total = np.array([10.0, 12.0, 1.0])
    own = tiles.without_internal(total, [np.array([2.0, np.nan, 3.0]), np.array([1.0])])
    assert own.tolist() == [8.0, 12.0, 0.0]
    assert total.tolist() == [10.0, 12.0, 1.0], "a view of the store is not written to"
