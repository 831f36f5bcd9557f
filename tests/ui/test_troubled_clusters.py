"""The window while its cluster is dead, hung or comes and goes: it stays live, says what is so,
and recovers."""

from __future__ import annotations

import time

import pytest

from gui.plan_dialog import PlanDialog
from gui.topics.page import TopicsPage
from kafka_client.commands.topics import add_partitions
from kafka_client.errors import TimedOut, Unreachable
from kafka_client.sampling.state import ConnectionKind
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window

STALL_MS = 100
"""Longest stall of the window, in its own processor time, in any scenario of
docs/reliability.md."""
LOOKING = (
    "metadata",
    "offsets",
    "log_dirs",
    "list_groups",
    "describe_groups",
    "committed",
    "quorum",
)


def state_of(window: Window) -> ConnectionKind | None:
    session = window.application.clusters.shown
    return session.state.kind if session is not None and session.state is not None else None


def fail_everything(client: FakeClient, error: Unreachable | TimedOut) -> None:
    for method in LOOKING:
        client.failing[method] = error


@pytest.fixture
def client(window: Window) -> FakeClient:
    fake = window.connect(FakeClient())
    window.wait_until(lambda: state_of(window) is ConnectionKind.CONNECTED, 10_000)
    window.application.watchdog.start()
    return fake


def walk(window: Window, seconds: float) -> None:
    """Go from page to page for a while, as a person would."""
    window.application.watchdog.reset()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for page in ("overview", "brokers", "topics", "groups"):
            window.window.navigate(page)
            window.qtbot.wait(120)


def test_that_a_dead_cluster_is_said_to_be_lost_and_comes_back_by_itself(
    window: Window, client: FakeClient
) -> None:
    walk(window, 2)  # pages are made once, in peace
    fail_everything(client, Unreachable("No broker answers.", next_step="Is the cluster running?"))
    window.wait_until(lambda: state_of(window) is ConnectionKind.LOST, 10_000)
    walk(window, 3)
    session = window.application.clusters.shown
    assert session is not None and session.snapshot.topics, "what was known stays"
    assert session.state is not None and "No broker answers." in session.state.sentence
    assert window.application.watchdog.longest_busy_ms < STALL_MS
    client.failing.clear()
    window.wait_until(lambda: state_of(window) is ConnectionKind.CONNECTED, 20_000)


def test_that_a_hung_cluster_leaves_the_window_live(window: Window, client: FakeClient) -> None:
    walk(window, 2)
    client.delay_s = 30.0
    walk(window, 4)
    assert window.application.watchdog.longest_busy_ms < STALL_MS
    client.delay_s = 0.0


@pytest.mark.slow
def test_that_a_cluster_that_comes_and_goes_does_not_wear_the_window_out(
    window: Window, client: FakeClient
) -> None:
    walk(window, 2)
    for _ in range(6):
        fail_everything(client, TimedOut("No answer within 3 s."))
        walk(window, 0.7)
        client.failing.clear()
        walk(window, 0.7)
        assert window.application.watchdog.longest_busy_ms < STALL_MS
    window.wait_until(lambda: state_of(window) is ConnectionKind.CONNECTED, 20_000)


def test_that_one_dead_broker_greys_its_own_row_and_no_page_fails(
    window: Window, client: FakeClient
) -> None:
    client.cluster.killed.add(2)
    session = window.application.clusters.shown
    assert session is not None
    window.wait_until(lambda: state_of(window) is ConnectionKind.DEGRADED, 15_000)
    walk(window, 1)
    assert session.snapshot.topics
    assert session.state is not None and "2" in session.state.sentence


def test_that_nothing_can_be_applied_while_the_cluster_is_lost(
    window: Window, client: FakeClient
) -> None:
    window.window.navigate("topics")
    view = window.window.view
    assert view is not None
    page = view.widget_of("topics")
    assert isinstance(page, TopicsPage)
    snapshot = page.context.session.snapshot
    dialog = PlanDialog(page.context, add_partitions(snapshot, "email", 9, "orders:9092"), page)
    dialog.open()
    assert dialog.apply_button.isEnabled()
    fail_everything(client, Unreachable("No broker answers."))
    window.wait_until(lambda: not dialog.apply_button.isEnabled(), 10_000)
    assert "does not answer" in dialog.banner.sentence
    client.failing.clear()
    window.wait_until(dialog.apply_button.isEnabled, 20_000)
    assert not dialog.banner.isVisible()
    dialog.close()
