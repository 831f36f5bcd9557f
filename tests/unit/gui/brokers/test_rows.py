"""Rows of brokers, from the snapshot and from the processes of an embedded cluster."""

from __future__ import annotations

import pytest

from gui.brokers.actions import FREEZE, KILL, START, STOP, THAW, BrokerAction, possible_actions
from gui.brokers.rows import broker_rows, columns_for, replicas_on
from gui.embedded.processes import BrokerProcess
from gui.embedded.states import BrokerState
from kafka_client.model import Broker, ClusterSnapshot, Partition, Quorum, Topic


def snapshot(**second: object) -> ClusterSnapshot:
    partitions = (
        Partition("t", 0, 1, 0, (1, 2), (1, 2), size_bytes=70, rate_records_per_s=4.0),
        Partition("t", 1, 1, 0, (2, 1), (1,), replica_bytes={2: 30}),
        Partition("t", 2, 2, 0, (2, 1), (2, 1)),
    )
    brokers = {
        1: Broker(1, "a", 9092, reachable=True, round_trip_ms=1.5),
        2: Broker(2, "b", 9092, reachable=True, round_trip_ms=0.3, **second),  # type: ignore[arg-type]
    }
    return ClusterSnapshot(
        controller_id=2,
        quorum=Quorum(1),
        brokers=brokers,
        topics={"t": Topic("t", partitions=partitions)},
    )


def test_that_leaders_replicas_and_skew_are_counted() -> None:
    first, second = broker_rows(snapshot(), {})
    assert (first.leaders, first.replicas, first.out_of_sync) == (2, 3, 0)
    assert (second.leaders, second.replicas, second.out_of_sync) == (1, 3, 1)
    assert first.skew == pytest.approx(1 / 3) and second.skew == pytest.approx(-1 / 3)
    assert first.rate_in == 4.0 and second.rate_in is None


def test_that_the_quorum_names_the_controller_and_not_the_metadata() -> None:
    assert [row.controller for row in broker_rows(snapshot(), {})] == [True, False]


def test_that_a_dead_broker_shows_no_old_round_trip() -> None:
    dead = snapshot()
    brokers = dict(dead.brokers)
    brokers[2] = Broker(
        2, "b", 9092, reachable=False, error="connection refused", round_trip_ms=0.3
    )
    row = broker_rows(ClusterSnapshot(brokers=brokers), {})[1]
    assert row.status.text == "not answering" and row.reason == "connection refused"
    assert row.round_trip_ms is None


def test_that_the_process_of_a_broker_decides_its_status() -> None:
    processes = {2: BrokerProcess(2, BrokerState.FROZEN, pid=7, rss_bytes=1 << 20)}
    first, second = broker_rows(snapshot(), processes)
    assert first.status.text == "up" and first.pid is None
    assert second.status.text == "frozen" and second.pid == 7 and second.round_trip_ms is None


def test_that_process_columns_exist_for_embedded_clusters_alone() -> None:
    assert "pid" not in [c.name for c in columns_for(False)]
    assert "pid" in [c.name for c in columns_for(True)]


def test_that_the_replicas_of_a_broker_have_their_own_sizes() -> None:
    broker_id, rows = replicas_on(snapshot(), 2)
    assert broker_id == 2 and [row.role for row in rows] == ["follower", "follower", "leader"]
    assert [row.size_bytes for row in rows] == [None, 30, None]
    assert [row.in_sync for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        (BrokerState.UP, {STOP, FREEZE, KILL}),
        (BrokerState.FROZEN, {THAW, KILL}),
        (BrokerState.DIED, {START}),
        (BrokerState.STOPPED, {START}),
        (BrokerState.STOPPING, {KILL}),
    ],
)
def test_that_only_actions_that_make_sense_are_offered(
    state: BrokerState, actions: set[BrokerAction]
) -> None:
    assert set(possible_actions(state)) == actions
