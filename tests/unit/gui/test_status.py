"""One vocabulary of status: complete, in tones that the theme knows."""

from __future__ import annotations

import pytest

from gui.embedded.states import BrokerState
from gui.status import (
    BAD,
    BROKER_NOT_ANSWERING,
    BROKER_NOT_ASKED,
    BROKER_NOT_IN_CLUSTER,
    BROKER_UP,
    CONNECTION_STATUS,
    GROUP_STATUS,
    IN_SYNC,
    PROCESS_STATUS,
    WARN,
    broker_status,
    partition_tone,
    replica_status,
)
from kafka_client.model import GroupStatus
from kafka_client.sampling.state import ConnectionKind
from widgets.theme import TONES


def test_that_every_state_has_a_status_in_a_tone_of_the_theme() -> None:
    assert set(GROUP_STATUS) == set(GroupStatus)
    assert set(PROCESS_STATUS) == set(BrokerState)
    assert set(CONNECTION_STATUS) == set(ConnectionKind)
    for status in (*GROUP_STATUS.values(), *PROCESS_STATUS.values(), *CONNECTION_STATUS.values()):
        assert status.text and status.tone in TONES


def test_that_a_broken_process_counts_more_than_an_old_registration() -> None:
    frozen = broker_status(in_cluster=True, reachable=True, process=BrokerState.FROZEN)
    assert frozen is PROCESS_STATUS[BrokerState.FROZEN] and frozen.tone == WARN


@pytest.mark.parametrize(
    ("in_cluster", "reachable", "expected"),
    [
        (True, True, BROKER_UP),
        (True, False, BROKER_NOT_ANSWERING),
        (True, None, BROKER_NOT_ASKED),
        (False, True, BROKER_NOT_IN_CLUSTER),
    ],
)
def test_that_a_broker_is_judged_by_registration_then_by_answers(
    in_cluster: bool, reachable: bool | None, expected: object
) -> None:
    assert broker_status(in_cluster, reachable) is expected


def test_that_offline_partitions_outweigh_under_replicated_ones() -> None:
    assert replica_status(0, 0) is IN_SYNC
    assert replica_status(0, 4).text == "4 under-replicated" and replica_status(0, 4).tone == WARN
    both = replica_status(1, 4)
    assert both.text == "1 offline" and both.tone == BAD and "1 partition without" in both.meaning


def test_that_only_trouble_colours_the_text() -> None:
    assert IN_SYNC.text_tone == "" and replica_status(1, 0).text_tone == BAD


def test_that_a_partition_without_a_leader_is_broken() -> None:
    assert [partition_tone(1, 3, 3), partition_tone(1, 3, 2), partition_tone(None, 3, 3)] == [
        "ok",
        "warn",
        "bad",
    ]
    assert partition_tone(-1, 3, 3) == BAD
