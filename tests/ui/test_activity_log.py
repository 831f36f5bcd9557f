"""The log says what the window did: clusters opened, lost and closed, jobs that ended."""

from __future__ import annotations

import logging

import pytest

from gui.activity_log import STALL_LOGGED_MS
from kafka_client.errors import Unreachable
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


def test_that_the_log_follows_a_cluster_and_its_jobs(
    window: Window, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gui")
    window.connect(FakeClient(moving=False), "orders")
    session = window.application.clusters.shown
    assert session is not None
    window.wait_until(lambda: "is connected" in caplog.text)

    async def succeed(*_: object) -> str:
        return "Two topics deleted."

    async def fail(*_: object) -> str:
        raise Unreachable("Broker 2 does not answer.")

    session.tasks.start(session.run_job("Delete topics", succeed))
    session.tasks.start(session.run_job("Move leaders", fail))
    window.wait_until(lambda: "Move leaders" in caplog.text and "Delete topics" in caplog.text)
    window.application.clusters.close_session(session)

    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "gui.activity_log"]
    assert ("INFO", "cluster 'orders' opened: orders:9092 over PLAINTEXT") in lines
    assert ("INFO", "Delete topics on 'orders': Two topics deleted.") in lines
    assert ("WARNING", "Move leaders on 'orders' failed: Broker 2 does not answer.") in lines
    assert ("INFO", "cluster 'orders' closed") in lines
    assert len([1 for _, text in lines if " is connected" in text]) == 1


def test_that_a_long_stall_of_the_window_is_logged(
    window: Window, caplog: pytest.LogCaptureFixture
) -> None:
    window.application.watchdog.stalled.emit(STALL_LOGGED_MS - 1)
    window.application.watchdog.stalled.emit(400.0)
    assert [r.getMessage() for r in caplog.records if r.name == "gui.activity_log"] == [
        "the window's thread was blocked for 400 ms"
    ]


def test_that_the_log_keeps_what_the_window_told_a_person(
    window: Window, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="widgets")
    window.window.notify("Broker 2 does not answer.", "bad")
    window.window.notify("Saved.", "ok")
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "widgets.toast"]
    assert lines == [("WARNING", "Broker 2 does not answer."), ("INFO", "Saved.")]
