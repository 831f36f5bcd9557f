"""An embedded cluster of the window, over a cluster without processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gui.client_bridge import ClientBridge
from gui.embedded.cluster import EmbeddedCluster
from gui.embedded.errors import EmbeddedError
from gui.embedded.processes import BrokerProcess, ProcessMonitor, tail_of
from gui.embedded.states import BrokerState, ClusterState
from gui.tasks import after


class FakeCluster:
    """Has the methods of LocalCluster, and remembers on which thread they were called."""

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


class FakeMonitor(ProcessMonitor):
    def read(self, cluster: Any) -> dict[int, BrokerProcess]:
        return {1: BrokerProcess(1, cluster.state, 42)}


@pytest.fixture
def processes() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
async def cluster(bridge: ClientBridge, processes: FakeCluster) -> AsyncIterator[EmbeddedCluster]:
    made = EmbeddedCluster("test", bridge, lambda: processes, FakeMonitor())  # type: ignore[arg-type, return-value]
    await made.start()
    yield made
    await made.stop()


async def test_that_nothing_that_blocks_runs_on_the_windows_thread(
    cluster: EmbeddedCluster, processes: FakeCluster
) -> None:
    await cluster.kill(1)
    assert cluster.brokers[1].state is BrokerState.DIED
    await cluster.stop()
    assert processes.calls == [("kill", 1), ("stop", 0)]
    assert threading.current_thread().name not in processes.threads
    assert cluster.state is ClusterState.STOPPED
    states = [process.state for process in cluster.brokers.values()]
    assert set(states) == {BrokerState.STOPPED}


async def test_that_a_change_of_its_brokers_is_signalled(
    cluster: EmbeddedCluster, processes: FakeCluster
) -> None:
    states: list[BrokerState] = []
    cluster.brokers_changed.connect(lambda: states.append(cluster.brokers[1].state))
    await cluster.kill(1)
    assert states[-1] is BrokerState.DIED


async def test_that_an_action_that_fails_raises_a_sentence(cluster: EmbeddedCluster) -> None:
    with pytest.raises(EmbeddedError, match="Could not freeze broker 1: it is gone"):
        await cluster.freeze(1)


async def test_that_a_stopped_cluster_refuses_actions(cluster: EmbeddedCluster) -> None:
    await cluster.stop()
    with pytest.raises(EmbeddedError, match="is not running"):
        await cluster.kill(1)


async def test_that_a_cluster_that_cannot_start_raises_why(bridge: ClientBridge) -> None:
    def refuse() -> Any:
        raise EmbeddedError("port 19092 is in use")

    cluster = EmbeddedCluster("test", bridge, refuse)
    with pytest.raises(EmbeddedError, match="port 19092 is in use"):
        await cluster.start()
    assert cluster.state is ClusterState.FAILED


async def test_that_a_cluster_is_stopped_also_while_it_starts(bridge: ClientBridge) -> None:
    processes, may_serve = FakeCluster(), threading.Event()

    def launch() -> Any:
        may_serve.wait(10)
        return processes

    cluster = EmbeddedCluster("test", bridge, launch)
    starting = asyncio.ensure_future(cluster.start())
    await after(1)
    stopping = asyncio.ensure_future(cluster.stop())
    await after(1)
    may_serve.set()
    await stopping
    with pytest.raises(EmbeddedError, match="stopped while it started"):
        await starting
    assert processes.calls == [("stop", 0)] and cluster.state is ClusterState.STOPPED


def test_that_the_tail_of_a_log_begins_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.log"
    path.write_text("".join(f"line {i}\n" for i in range(10_000)))
    text = tail_of(path, 100)
    assert text.endswith("line 9999\n") and text.startswith("line ") and len(text) <= 100
