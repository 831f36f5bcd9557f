"""A cluster of our own as the window sees it: ``embedded_broker.LocalCluster`` works on a thread
of its own, for its calls wait; here are its brokers' processes with what they cost, and signals.

States of the cluster: starting -> running -> stopping -> stopped, and starting -> failed. A
broker is up, frozen, stopped or died; a died one may be started again.
"""

from __future__ import annotations

import concurrent.futures
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from gui.embedded.demo_traffic import DemoTraffic

POLL_MS = 1000
LOOK_AGAIN_MS = 300
TAIL_BYTES = 64 * 1024


class BrokerState(StrEnum):
    UP = "up"
    FROZEN = "frozen"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DIED = "died"
    STARTING = "starting"


@dataclass(frozen=True, slots=True)
class BrokerProcess:
    """``cpu_share`` is of one core, since the last look; None while it does not run."""

    broker_id: int
    state: BrokerState
    pid: int | None = None
    started_s: float | None = None
    rss_bytes: int | None = None
    cpu_share: float | None = None
    directory: str = ""
    port: int = 0
    reason: str = ""
    """why it ended"""


class EmbeddedControl(QObject):
    running = Signal(str)  # bootstrap servers: every broker serves
    failed = Signal(str)  # why it could not start, one sentence
    stopped = Signal()
    brokers_changed = Signal()
    act_failed = Signal(str)  # what a person asked of a broker and why it was not done

    _called = Signal(object)

    def __init__(
        self,
        name: str,
        start: Callable[[], Any],
        look: Callable[[Any], dict[int, BrokerProcess]],
        parent: QObject | None = None,
    ) -> None:
        """Both run on the worker thread: ``start`` makes a LocalCluster and returns it when every
        broker serves, ``look`` says how the brokers' processes are."""
        super().__init__(parent)
        self.name = name
        self.state = "new"
        self.bootstrap_servers = ""
        self.brokers: dict[int, BrokerProcess] = {}
        self._start, self._look = start, look
        self._cluster: Any = None
        self.traffic: DemoTraffic | None = None
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="embedded")
        self._looking = False
        self._called.connect(lambda done: done(), Qt.ConnectionType.QueuedConnection)
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self._look_again)

    # ---- the whole cluster

    def start(self) -> None:
        assert self.state == "new"
        self.state = "starting"
        self._run(self._start, self._is_running, self._did_not_start)

    def _is_running(self, cluster: Any) -> None:
        self._cluster = cluster
        self.bootstrap_servers = cluster.bootstrap_servers
        self.state = "running"
        self._poll.start()
        self._look_again()
        self.running.emit(self.bootstrap_servers)

    def _did_not_start(self, error: BaseException) -> None:
        self.state = "failed"
        self._worker.shutdown(wait=False)
        self.failed.emit(str(error) or type(error).__name__)

    def stop(self) -> None:
        """In order: each broker hands over its partitions. ``stopped`` tells when it is done."""
        if self.state in ("stopping", "stopped", "failed"):
            return
        self.state = "stopping"
        self._poll.stop()

        def ended() -> None:
            if self._cluster is not None:
                self._cluster.stop()

        self._run(ended, lambda _: self._is_stopped(), lambda _: self._is_stopped())

    def _is_stopped(self) -> None:
        self.state = "stopped"
        self.brokers = {
            i: BrokerProcess(i, BrokerState.STOPPED, directory=b.directory)
            for i, b in self.brokers.items()
        }
        self._worker.shutdown(wait=False)
        self.brokers_changed.emit()
        self.stopped.emit()

    # ---- one broker

    def kill(self, broker_id: int) -> None:
        """SIGKILL: it has no time to say anything."""
        self._act("kill", broker_id)

    def freeze(self, broker_id: int) -> None:
        """SIGSTOP: it holds its connections and answers nothing."""
        self._act("freeze", broker_id)

    def thaw(self, broker_id: int) -> None:
        self._act("thaw", broker_id)

    def stop_broker(self, broker_id: int) -> None:
        self._act("stop_broker", broker_id)

    def start_broker(self, broker_id: int) -> None:
        held = self.brokers.get(broker_id)
        if held is not None:
            self.brokers[broker_id] = replace(held, state=BrokerState.STARTING)
            self.brokers_changed.emit()
        self._act("start_broker", broker_id)

    def _act(self, name: str, broker_id: int) -> None:
        cluster = self._cluster
        if cluster is None or self.state != "running":
            return
        words = name.replace("_broker", "")
        self._run(
            lambda: getattr(cluster, name)(broker_id),
            lambda _: self._look_again(),
            lambda error: self.act_failed.emit(f"Could not {words} broker {broker_id}: {error}"),
        )

    def tail(self, broker_id: int, done: Callable[[str], None]) -> None:
        """The last lines of a broker's log."""
        broker = self.brokers.get(broker_id)
        if broker is None or not broker.directory or self.state != "running":
            done("")
            return
        path = Path(broker.directory, "broker.log")
        self._run(
            lambda: tail_of(path), done, lambda error: done(f"The log cannot be read: {error}")
        )

    def count_strangers(self, done: Callable[[int], None]) -> None:
        """Connections of other programs to this cluster's brokers."""
        from gui.embedded.launch import strangers

        brokers = list(self.brokers.values())
        own = {os.getpid()} | ({self.traffic.pid} if self.traffic is not None else set())
        look = partial(strangers, brokers, own)

        def seen(first: set[int]) -> None:
            if first:
                again = partial(
                    self._run, look, lambda second: done(len(first & second)), lambda _: done(0)
                )
                QTimer.singleShot(LOOK_AGAIN_MS, self, again)
            else:
                done(0)

        self._run(look, seen, lambda _: done(0))

    # ---- inside

    def _look_again(self) -> None:
        cluster = self._cluster
        if cluster is None or self._looking:
            return
        self._looking = True

        def seen(brokers: dict[int, BrokerProcess]) -> None:
            self._looking = False
            if self.state == "running" and brokers != self.brokers:
                self.brokers = brokers
                self.brokers_changed.emit()

        def unseen(_: BaseException) -> None:
            self._looking = False

        self._run(lambda: self._look(cluster), seen, unseen)

    def _run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """``work`` on the worker thread, one after another; the answer in the window's thread."""

        def ended(future: concurrent.futures.Future[Any]) -> None:
            error = future.exception()
            self._called.emit(
                (lambda: failed(error)) if error is not None else (lambda: done(future.result()))
            )

        self._worker.submit(work).add_done_callback(ended)


def tail_of(path: Path, most_bytes: int = TAIL_BYTES) -> str:
    """The end of a text file, from a line's beginning. Raises: OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most_bytes))
        text = file.read().decode("utf-8", "replace")
    return text if size <= most_bytes else text.partition("\n")[2]


def uptime_s(broker: BrokerProcess) -> float | None:
    return None if broker.started_s is None else time.time() - broker.started_s
