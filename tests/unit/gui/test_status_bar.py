"""The status bar: age of the sample, round trip, jobs, stalls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from gui.client_bridge import ClientBridge
from gui.jobs import Job, JobState
from gui.session import Session
from gui.status_bar import StatusBar
from gui.watchdog import Watchdog
from kafka_client.profile import quick
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient
from widgets.theme import Theme


@pytest.fixture
def bar(qtbot: QtBot) -> StatusBar:
    made = StatusBar(Theme(), Watchdog())
    qtbot.addWidget(made)
    made.resize(900, 28)
    made.show()
    return made


@pytest.fixture
def session(qtbot: QtBot, bridge: ClientBridge) -> Iterator[Session]:
    made = Session(quick("localhost:9092"), FakeClient(moving=False), bridge, SeriesStore())
    made.start()
    qtbot.waitUntil(lambda: made.loaded, timeout=5000)
    yield made
    made.close()


def texts(bar: StatusBar) -> list[str]:
    return [label.text() for label in bar.findChildren(QLabel) if label.isVisible()]


def test_that_it_says_when_no_cluster_is_connected(bar: StatusBar) -> None:
    bar.show_session(None)
    assert texts(bar) == ["No cluster connected"]


def test_that_it_says_how_old_the_figures_are_and_how_far_the_broker(
    bar: StatusBar, session: Session, qtbot: QtBot
) -> None:
    bar.show_session(session)
    qtbot.waitUntil(lambda: any(t.startswith("sampled ") for t in texts(bar)), timeout=3000)
    session.set_paused(True)
    bar.tick()
    assert "paused" in texts(bar)


def test_that_jobs_are_counted_listed_and_cancelled(
    bar: StatusBar, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.jobs[1] = Job(1, "Export of orders", JobState.RUNNING, 0.25, "A quarter.")
    session.jobs[2] = Job(2, "Count", JobState.FAILED, None, "Broker 2 does not answer.")
    cancelled: list[int] = []
    monkeypatch.setattr(session, "cancel_job", cancelled.append)
    bar.show_session(session)
    button = next(b for b in bar.findChildren(QPushButton) if b.text() == "1 job")
    button.click()
    rows = [label.text() for label in bar.jobs_list.findChildren(QLabel)]
    assert rows.index("Count") < rows.index("Export of orders"), "the newest first"
    assert "Broker 2 does not answer." in rows
    cancel = [b for b in bar.jobs_list.findChildren(QToolButton) if not b.isHidden()]
    assert len(cancel) == 1, "a job that ended cannot be cancelled"
    cancel[0].click()
    assert cancelled == [1]
    bar.jobs_list.hide()


def test_that_stalls_are_shown_on_demand(bar: StatusBar) -> None:
    assert not bar.debug_shown
    bar.show_debug(True)
    assert bar.debug_shown
