"""A cluster of broker processes on this machine: start, watch, kill, freeze, stop.

States of a broker: stopped -> starting -> serving -> (frozen <-> serving) -> stopping -> stopped,
and died from any of them when it ends without being told to. Every method may be called from any
thread and waits for nothing but what it says; callbacks come from the launcher's thread.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from embedded_broker.shell import platform
from embedded_broker.shell.launchers import Launcher, make_launcher
from embedded_broker.shell.layout import (
    ERRORS,
    BrokerPlace,
    ClusterDirectory,
    ClusterRefused,
    ClusterSpec,
)
from embedded_broker.shell.usage import Usage, usage_of

if TYPE_CHECKING:
    from embedded_broker.shell import admin

READY_POLL_S = 0.005
STOP_TIMEOUT_S = 25.0
LOG_TAIL_BYTES = 32_768
STAMP = len("2026-11-22 16:58:31.597 ERROR  ")


class State(Enum):
    STOPPED = "stopped"
    STARTING = "starting"
    SERVING = "serving"
    FROZEN = "frozen"
    STOPPING = "stopping"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """A broker process as its cluster sees it. ``reason`` says why it ended, in words."""

    broker_id: int
    state: State
    pid: int
    host: str
    port: int
    exit_code: int | None = None
    reason: str = ""


class NotReady(Exception):
    """The cluster did not come to serve in time; the text says which broker and why."""


@dataclass(slots=True)
class _Broker:
    place: BrokerPlace
    state: State = State.STOPPED
    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    frozen: bool = False
    stop_asked: bool = False
    restarts: list[threading.Timer] = field(default_factory=list)


class LocalCluster:
    """Brokers 1 to n, one process each, in one directory."""

    def __init__(
        self, spec: ClusterSpec, on_change: Callable[[BrokerStatus], None] | None = None
    ) -> None:
        self.spec = spec
        self._on_change = on_change
        self._changed = threading.Condition(threading.RLock())
        self._directory: ClusterDirectory | None = None
        self._launcher: Launcher | None = None
        self._brokers: dict[int, _Broker] = {}
        self._leaving = False

    # ---- whole cluster
    def start(self, timeout_s: float = 60.0) -> None:
        """Check, start every broker, and wait until all of them serve.

        Raises:
            ClusterRefused: nothing was started.
            NotReady: what was started has been stopped.
        """
        self.begin()
        try:
            self.wait_ready(timeout_s)
        except BaseException:
            self.stop()
            raise

    def begin(self) -> None:
        """As ``start``, without waiting. Raises: ClusterRefused."""
        with self._changed:
            assert self._launcher is None, "the cluster runs"
            self._leaving = False
            launcher = make_launcher(
                self._started, self._serving, self._exited
            )  # gets ready while we check
            try:
                self._directory = directory = ClusterDirectory(self.spec)
            except BaseException:
                launcher.close()
                raise
            self._launcher = launcher
            self._brokers = {i: _Broker(place) for i, place in directory.brokers.items()}
            for broker_id in self._brokers:
                self.start_broker(broker_id)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Until every broker serves and tells clients of all of them.

        Raises:
            NotReady.
        """
        from embedded_broker.shell import admin  # takes a while, in which the brokers start

        deadline = time.monotonic() + timeout_s
        with self._changed:
            while any(b.state is not State.SERVING for b in self._brokers.values()):
                for broker_id, broker in self._brokers.items():
                    if (
                        broker.state is State.DIED and self.spec.restart_after_s is None
                    ) or broker.exit_code == 2:
                        raise NotReady(
                            f"broker {broker_id} ended while it started: {broker.reason}"
                        )
                left = deadline - time.monotonic()
                if left <= 0:
                    slow = [
                        str(i) for i, b in self._brokers.items() if b.state is not State.SERVING
                    ]
                    raise NotReady(
                        f"broker {', '.join(slow)} did not serve within {timeout_s:g} seconds"
                    )
                self._changed.wait(left)
            wanted = set(self._brokers)
            addresses = [(b.place.host, b.place.port) for b in self._brokers.values()]
        for address in addresses:
            while not admin.brokers_known_to(address) >= wanted:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"the broker at {address[0]}:{address[1]} does not know all others yet"
                    )
                with self._changed:
                    self._changed.wait(READY_POLL_S)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Every broker leaves in order; one that does not within the time is killed. Does nothing
        when stopped."""
        with self._changed:
            self._leaving = True
            for broker in self._brokers.values():
                for timer in broker.restarts:
                    timer.cancel()
            for broker_id in self._brokers:
                self._ask_to_stop(broker_id)
            self._changed.wait_for(lambda: not self._running(), timeout_s)
            for broker_id in self._brokers:
                self.kill(broker_id)
            self._changed.wait_for(lambda: not self._running(), 5.0)
            launcher, self._launcher = self._launcher, None
            directory, self._directory = self._directory, None
        if launcher is not None:
            launcher.close()
        if directory is not None:
            directory.release()

    def __enter__(self) -> LocalCluster:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    # ---- one broker
    def start_broker(self, broker_id: int) -> None:
        """Does nothing when it runs. ``wait_for`` tells when it serves."""
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid or broker.state is State.STARTING or self._leaving:
                return
            assert self._launcher is not None, "the cluster does not run"
            broker.exit_code, broker.reason, broker.stop_asked, broker.frozen = (
                None,
                "",
                False,
                False,
            )
            self._set(broker_id, State.STARTING)
            self._launcher.start(
                broker_id, broker.place.properties, broker.place.directory / ERRORS
            )

    def stop_broker(self, broker_id: int) -> None:
        """Ask it to leave in order; returns at once."""
        with self._changed:
            self._ask_to_stop(broker_id)

    def kill(self, broker_id: int) -> None:
        """kill -9."""
        with self._changed:
            pid = self._brokers[broker_id].pid
            if pid and self._launcher is not None:
                self._launcher.kill(broker_id, pid)

    def freeze(self, broker_id: int) -> None:
        """Stop its processor time; the kernel still accepts connections for it."""
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid and not broker.frozen:
                platform.freeze(broker.pid)
                broker.frozen = True
                self._set(broker_id, State.FROZEN)

    def thaw(self, broker_id: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid and broker.frozen:
                platform.thaw(broker.pid)
                broker.frozen = False
                self._set(broker_id, State.SERVING)

    def wait_for(self, broker_id: int, state: State, timeout_s: float = 30.0) -> bool:
        """Whether the broker came to that state in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._brokers[broker_id].state is state, timeout_s
            )

    # ---- what it is
    @property
    def broker_ids(self) -> list[int]:
        return sorted(self._brokers)

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{b.place.host}:{b.place.port}" for b in self._brokers.values())

    @property
    def cluster_id(self) -> str:
        return self._directory.cluster_id if self._directory is not None else ""

    def statuses(self) -> list[BrokerStatus]:
        with self._changed:
            return [self._status(i) for i in self.broker_ids]

    def status(self, broker_id: int) -> BrokerStatus:
        with self._changed:
            return self._status(broker_id)

    def usage(self, broker_id: int) -> Usage | None:
        """Processor time and memory of its process; None when it does not run."""
        pid = self._brokers[broker_id].pid
        return usage_of(pid) if pid else None

    def log_tail(self, broker_id: int, lines: int = 100) -> list[str]:
        """The last lines of its log."""
        return tail(self._brokers[broker_id].place.directory / "broker.log", lines)

    def broker_directory(self, broker_id: int) -> Path:
        return self._brokers[broker_id].place.directory

    def create_topics(self, topics: Sequence[admin.TopicSpec], timeout_s: float = 30.0) -> None:
        """Raises: admin.AdminFailed."""
        from embedded_broker.shell import admin

        addresses = [
            (b.place.host, b.place.port) for b in self._brokers.values() if b.state is State.SERVING
        ]
        admin.create_topics(addresses, topics, timeout_s)

    # ---- inside
    def _running(self) -> bool:
        return any(b.pid or b.state is State.STARTING for b in self._brokers.values())

    def _status(self, broker_id: int) -> BrokerStatus:
        b = self._brokers[broker_id]
        return BrokerStatus(
            broker_id, b.state, b.pid, b.place.host, b.place.port, b.exit_code, b.reason
        )

    def _set(self, broker_id: int, state: State) -> None:
        self._brokers[broker_id].state = state
        self._changed.notify_all()
        if self._on_change is not None:
            self._on_change(self._status(broker_id))

    def _ask_to_stop(self, broker_id: int) -> None:
        broker = self._brokers[broker_id]
        broker.stop_asked = True
        if broker.pid and broker.state is not State.STOPPING:
            if broker.frozen:
                platform.thaw(broker.pid)
                broker.frozen = False
            self._set(broker_id, State.STOPPING)
            if self._launcher is not None:
                self._launcher.stop(broker_id, broker.pid)

    def _started(self, broker_id: int, pid: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            broker.pid = pid
            if broker.stop_asked:
                self._ask_to_stop(broker_id)
            else:
                self._set(broker_id, State.STARTING)

    def _serving(self, broker_id: int, pid: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid == pid and broker.state is State.STARTING:
                self._set(broker_id, State.SERVING)

    def _exited(self, broker_id: int, pid: int, code: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            broker.pid, broker.exit_code = 0, code
            broker.reason = self._why(broker, code)
            asked = broker.stop_asked
            self._set(
                broker_id, State.STOPPED if asked and code in (0, -signal.SIGTERM) else State.DIED
            )
            if not asked and not self._leaving and self.spec.restart_after_s is not None:
                self._restart_later(broker_id, self.spec.restart_after_s)

    def _restart_later(self, broker_id: int, delay_s: float) -> None:
        timer = threading.Timer(delay_s, self._restart, (broker_id,))
        timer.daemon = True
        self._brokers[broker_id].restarts = [timer]
        timer.start()

    def _restart(self, broker_id: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            if self._leaving or broker.pid or self._launcher is None:
                return
            if started_by_hand(broker.place) and self.spec.restart_after_s is not None:
                self._restart_later(broker_id, max(1.0, self.spec.restart_after_s))
                return
            self.start_broker(broker_id)

    def _why(self, broker: _Broker, code: int) -> str:
        if code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        if code == 0:
            return "stopped in order"
        errors = tail(broker.place.directory / ERRORS, 1)
        text = errors[0].removeprefix("kafkarium: ") if errors else f"ended with code {code}"
        return text[STAMP:].strip() if text[:4].isdigit() and text[4:5] == "-" else text


def started_by_hand(place: BrokerPlace) -> bool:
    """Whether someone else runs this broker now."""
    try:
        pid = int((place.directory / "broker.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return True


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a text file; empty when there is none."""
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - LOG_TAIL_BYTES))
            data = f.read()
    except OSError:
        return []
    return [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()][-lines:]


__all__ = ["BrokerStatus", "ClusterRefused", "ClusterSpec", "LocalCluster", "NotReady", "State"]
