"""One vocabulary of status: complete, in tones that the theme knows."""

from __future__ import annotations

from typing import Any

import pytest

from gui.embedded.states import BrokerState
from gui.status import (
    BAD,
    BROKER_DISK_FAILED,
    BROKER_FENCED,
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
    failed_disks_sentence,
    partition_tone,
    replica_status,
)
from kafka_client.model import Broker, FailedLogDir, GroupStatus
from kafka_client.sampling.state import ConnectionKind
from widgets.theme import TONES

FAILED = (FailedLogDir("/data/a", "Cannot use /data/a: the broker has trouble with its disk."),)


def test_that_every_state_has_a_status_in_a_tone_of_the_theme() -> None:
    assert set(GROUP_STATUS) == set(GroupStatus)
    assert set(PROCESS_STATUS) == set(BrokerState)
    assert set(CONNECTION_STATUS) == set(ConnectionKind)
    for status in (*GROUP_STATUS.values(), *PROCESS_STATUS.values(), *CONNECTION_STATUS.values()):
        assert status.text and status.tone in TONES


def test_that_a_broken_process_counts_more_than_an_old_registration() -> None:
    frozen = broker_status(Broker(1, "h", 1, reachable=True), BrokerState.FROZEN)
    assert frozen is PROCESS_STATUS[BrokerState.FROZEN] and frozen.tone == WARN


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        ({"reachable": True}, BROKER_UP),
        ({"reachable": False}, BROKER_NOT_ANSWERING),
        ({"reachable": None}, BROKER_NOT_ASKED),
        ({"reachable": True, "in_cluster": False}, BROKER_NOT_IN_CLUSTER),
        ({"reachable": True, "in_cluster": False, "fenced": True}, BROKER_FENCED),
        ({"reachable": False, "in_cluster": False, "fenced": True}, BROKER_FENCED),
        ({"reachable": True, "failed_dirs": FAILED}, BROKER_DISK_FAILED),
        (
            {"reachable": True, "in_cluster": False, "fenced": True, "failed_dirs": FAILED},
            BROKER_DISK_FAILED,
        ),
        ({"reachable": False, "failed_dirs": FAILED}, BROKER_NOT_ANSWERING),
    ],
)
def test_that_a_broker_is_judged_by_its_disks_then_by_registration_then_by_answers(
    broker: dict[str, Any], expected: object
) -> None:
    assert broker_status(Broker(1, "h", 1, **broker)) is expected


def test_that_a_failed_disk_says_which_and_what_to_do() -> None:
    broker = Broker(2, "h", 1, failed_dirs=FAILED)
    ours, apache = (failed_disks_sentence(broker, embedded) for embedded in (True, False))
    assert ours.startswith("Broker 2 cannot use /data/a: ") and "by itself" in ours
    assert "restart the broker" in apache
    assert failed_disks_sentence(Broker(2, "h", 1), True) == ""


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
