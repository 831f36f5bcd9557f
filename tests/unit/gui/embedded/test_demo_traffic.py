"""The process that makes the demo's traffic, against an address at which nothing listens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from gui.embedded.demo_traffic import DemoTraffic
from gui.tasks import emitted

NOBODY = "127.0.0.1:1"


@pytest.fixture
def traffic(qapp: object) -> Iterator[DemoTraffic]:
    made = DemoTraffic(NOBODY, "notifications")
    yield made
    made.deleteLater()


async def test_that_a_stopped_process_ends_without_an_error(traffic: DemoTraffic) -> None:
    reasons: list[str] = []
    traffic.ended.connect(reasons.append)
    traffic.start()
    assert traffic.running
    await traffic.stop()
    assert not traffic.running and reasons == []
    await traffic.stop()  # a second time: nothing to wait for


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
async def test_that_a_killed_process_is_reported_with_a_reason(traffic: DemoTraffic) -> None:
    traffic.start()
    os.kill(traffic.pid, signal.SIGKILL)
    (reason,) = await emitted(traffic.ended)
    assert reason and not traffic.running and traffic.consumers == {}


def test_that_a_status_line_becomes_rates_and_consumers(qtbot: QtBot, traffic: DemoTraffic) -> None:
    with qtbot.waitSignal(traffic.changed):
        traffic._read_status(
            b'{"produced_per_s": 41.5, "error": null,'
            b' "consumers": {"sms": {"paused": true, "members": 2, "per_s": 8.0}, "x": 3}}'
        )
    assert (traffic.produced_per_s, traffic.error) == (41.5, "")
    assert list(traffic.consumers) == ["sms"]
    sms = traffic.consumers["sms"]
    assert (sms.paused, sms.members, sms.per_s) == (True, 2, 8.0)


@pytest.mark.parametrize("line", [b"", b"not json", b"[1, 2]", b"\xff\xfe"])
def test_that_a_line_that_is_no_status_changes_nothing(traffic: DemoTraffic, line: bytes) -> None:
    traffic._read_status(line)
    assert traffic.produced_per_s is None and traffic.consumers == {}
