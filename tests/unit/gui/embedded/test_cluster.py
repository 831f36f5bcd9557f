"""The control of an embedded cluster, over a cluster that is made of nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from gui.embedded.cluster import BrokerProcess, BrokerState, EmbeddedControl, tail_of


class Nothing:
    """Does as LocalCluster does, and remembers on which thread."""

    bootstrap_servers = "127.0.0.1:1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.threads: set[str] = set()
        self.state = BrokerState.UP

    def _called(self, name: str, broker_id: int = 0) -> None:
        self.calls.append((name, broker_id))
        self.threads.add(threading.current_thread().name)

    def stop(self) -> None:
        self._called("stop")

    def kill(self, broker_id: int) -> None:
        self._called("kill", broker_id)
        self.state = BrokerState.DIED

    def freeze(self, broker_id: int) -> None:
        raise OSError("it is gone")


@pytest.fixture
def cluster() -> Nothing:
    return Nothing()


@pytest.fixture
def control(qtbot: QtBot, cluster: Nothing) -> Iterator[EmbeddedControl]:
    def look(held: Nothing) -> dict[int, BrokerProcess]:
        return {1: BrokerProcess(1, held.state, 42)}

    made = EmbeddedControl("test", lambda: cluster, look)
    with qtbot.waitSignal(made.running, timeout=2000):
        made.start()
    yield made
    if made.state == "running":
        with qtbot.waitSignal(made.stopped, timeout=2000):
            made.stop()


def test_that_nothing_that_waits_runs_on_the_windows_thread(
    qtbot: QtBot, control: EmbeddedControl, cluster: Nothing
) -> None:
    control.kill(1)
    qtbot.waitUntil(
        lambda: control.brokers.get(1, BrokerProcess(1, BrokerState.UP)).state is BrokerState.DIED
    )
    with qtbot.waitSignal(control.stopped, timeout=2000):
        control.stop()
    assert cluster.calls == [("kill", 1), ("stop", 0)]
    assert threading.current_thread().name not in cluster.threads


def test_that_what_was_not_done_is_told_in_a_sentence(
    qtbot: QtBot, control: EmbeddedControl
) -> None:
    with qtbot.waitSignal(control.act_failed, timeout=2000) as told:
        control.freeze(1)
    assert told.args == ["Could not freeze broker 1: it is gone"]


def test_that_a_cluster_that_cannot_start_says_why(qtbot: QtBot) -> None:
    def refused() -> Nothing:
        raise RuntimeError("port 19092 is in use")

    looks: Callable[[Nothing], dict[int, BrokerProcess]] = lambda _: {}  # noqa: E731
    control = EmbeddedControl("test", refused, looks)
    with qtbot.waitSignal(control.failed, timeout=2000) as told:
        control.start()
    assert told.args == ["port 19092 is in use"] and control.state == "failed"


def test_that_the_tail_of_a_log_begins_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.log"
    path.write_text("".join(f"line {i}\n" for i in range(10_000)))
    text = tail_of(path, 100)
    assert text.endswith("line 9999\n") and text.startswith("line ") and len(text) <= 100
