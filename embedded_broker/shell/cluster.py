"""A cluster of broker processes on this machine: start, watch, kill, freeze, stop.

States of a broker: stopped -> starting -> serving <-> frozen, serving -> stopping -> stopped; died
from any of them when the process ends without a request to stop. Methods may be called from any
thread and block only where their docstring says so; callbacks come from the launcher's threads.
When this program ends, in whatever way, the brokers shut down by themselves (see launchers.py).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
KILL_TIMEOUT_S = 5.0
LOG_TAIL_BYTES = 32_768
STAMP_CHARACTERS = len("2026-11-22 16:58:31.597 ERROR  ")
"""What precedes the text in a line of a broker's log."""
EXIT_REFUSED = 2


class State(Enum):
    """The state of a broker process; see the module."""

    STOPPED = "stopped"
    STARTING = "starting"
    SERVING = "serving"
    FROZEN = "frozen"
    STOPPING = "stopping"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """A broker process as its cluster sees it.

    ``pid`` is 0 when there is no process. ``exit_code`` (minus the number of a signal) and
    ``reason``, a sentence, are those of its last end.
    """

    broker_id: int
    state: State
    pid: int
    host: str
    port: int
    exit_code: int | None = None
    reason: str = ""


class NotReady(Exception):
    """The cluster did not become ready in time; the text names the broker and the reason."""


@dataclass(slots=True)
class _Broker:
    place: BrokerPlace
    state: State = State.STOPPED
    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    frozen: bool = False
    stop_requested: bool = False
    restart_timer: threading.Timer | None = None


class LocalCluster:
    """Brokers 1 to n, one process each, in one directory.

    ``on_change`` is called with a broker's new status, in the thread that caused the change, while
    the cluster is locked: it must not block.
    """

    def __init__(
        self, spec: ClusterSpec, on_change: Callable[[BrokerStatus], None] | None = None
    ) -> None:
        self.spec = spec
        self._on_change = on_change
        self._changed = threading.Condition(threading.RLock())
        self._directory: ClusterDirectory | None = None
        self._launcher: Launcher | None = None
        self._brokers: dict[int, _Broker] = {}
        self._stopping = False

    # ---- whole cluster
    def start(self, timeout_s: float = 60.0) -> None:
        """Check the specification, start every broker, and block until all of them serve.

        Raises:
            ClusterRefused: nothing was started.
            NotReady: the brokers have been stopped again.
        """
        self.begin()
        try:
            self.wait_ready(timeout_s)
        except BaseException:
            self.stop()
            raise

    def begin(self) -> None:
        """As ``start``, without waiting for the brokers.

        Raises:
            ClusterRefused: nothing was started.
        """
        with self._changed:
            assert self._launcher is None, "the cluster runs"
            self._stopping = False
            # Made first: the zygote imports its modules while the directory is checked.
            launcher = make_launcher(self._started, self._serving, self._exited)
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
        """Block until every broker serves and lists all of them in its metadata.

        Raises:
            NotReady: a broker ended and is not restarted, or the time is over.
        """
        from embedded_broker.shell import admin  # imported while the brokers start

        deadline = time.monotonic() + timeout_s
        with self._changed:
            while any(b.state is not State.SERVING for b in self._brokers.values()):
                self._raise_if_ended()
                left = deadline - time.monotonic()
                if left <= 0:
                    slow = [
                        str(i) for i, b in self._brokers.items() if b.state is not State.SERVING
                    ]
                    raise NotReady(
                        f"broker {', '.join(slow)} did not become ready in {timeout_s:g} seconds"
                    )
                self._changed.wait(left)
            all_ids = set(self._brokers)
            addresses = [(b.place.host, b.place.port) for b in self._brokers.values()]
        for address in addresses:
            while not admin.brokers_known_to(address) >= all_ids:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"the broker at {address[0]}:{address[1]} does not list all brokers"
                    )
                with self._changed:
                    self._changed.wait(READY_POLL_S)

    def _raise_if_ended(self) -> None:
        """Raise NotReady if a broker has ended for good."""
        for broker_id, broker in self._brokers.items():
            for_good = broker.state is State.DIED and self.spec.restart_after_s is None
            # A broker that refused its settings would refuse them again.
            if for_good or broker.exit_code == EXIT_REFUSED:
                raise NotReady(f"broker {broker_id} ended during its start: {broker.reason}")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Shut every broker down, kill those that take longer than ``timeout_s``, and block until
        all have ended. Does nothing when the cluster is stopped."""
        with self._changed:
            self._stopping = True
            for broker in self._brokers.values():
                if broker.restart_timer is not None:
                    broker.restart_timer.cancel()
            for broker_id in self._brokers:
                self._request_stop(broker_id)
            self._changed.wait_for(lambda: not self._running(), timeout_s)
            for broker_id in self._brokers:
                self.kill(broker_id)
            self._changed.wait_for(lambda: not self._running(), KILL_TIMEOUT_S)
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
        """Start a broker that is not running; returns at once. ``wait_for`` its state to follow."""
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid or broker.state is State.STARTING or self._stopping:
                return
            assert self._launcher is not None, "the cluster is not running"
            broker.exit_code, broker.reason = None, ""
            broker.stop_requested = broker.frozen = False
            self._set(broker_id, State.STARTING)
            self._launcher.start(
                broker_id, broker.place.properties, broker.place.directory / ERRORS
            )

    def stop_broker(self, broker_id: int) -> None:
        """Request a controlled shutdown of a broker; returns at once."""
        with self._changed:
            self._request_stop(broker_id)

    def kill(self, broker_id: int) -> None:
        """End a broker's process at once (SIGKILL)."""
        with self._changed:
            pid = self._brokers[broker_id].pid
            if pid and self._launcher is not None:
                self._launcher.kill(broker_id, pid)

    def freeze(self, broker_id: int) -> None:
        """Suspend a broker's process (SIGSTOP). The kernel still accepts connections for it."""
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid and not broker.frozen:
                platform.freeze(broker.pid)
                broker.frozen = True
                self._set(broker_id, State.FROZEN)

    def thaw(self, broker_id: int) -> None:
        """Continue a frozen broker (SIGCONT)."""
        with self._changed:
            broker = self._brokers[broker_id]
            if broker.pid and broker.frozen:
                platform.thaw(broker.pid)
                broker.frozen = False
                self._set(broker_id, State.SERVING)

    def wait_for(self, broker_id: int, state: State, timeout_s: float = 30.0) -> bool:
        """Block until the broker is in this state; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._brokers[broker_id].state is state, timeout_s
            )

    # ---- state
    @property
    def broker_ids(self) -> list[int]:
        """The ids of all brokers, ascending."""
        return sorted(self._brokers)

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` of every broker, separated by commas."""
        return ",".join(f"{b.place.host}:{b.place.port}" for b in self._brokers.values())

    @property
    def cluster_id(self) -> str:
        """The cluster's id while it runs, else an empty string."""
        return self._directory.cluster_id if self._directory is not None else ""

    def statuses(self) -> list[BrokerStatus]:
        """The status of every broker, by ascending id."""
        with self._changed:
            return [self._status(i) for i in self.broker_ids]

    def status(self, broker_id: int) -> BrokerStatus:
        """The status of one broker."""
        with self._changed:
            return self._status(broker_id)

    def usage(self, broker_id: int) -> Usage | None:
        """Processor time and memory of a broker's process; None when it is not running."""
        pid = self._brokers[broker_id].pid
        return usage_of(pid) if pid else None

    def log_tail(self, broker_id: int, lines: int = 100) -> list[str]:
        """The last lines of a broker's log."""
        return tail(self._brokers[broker_id].place.directory / "broker.log", lines)

    def broker_directory(self, broker_id: int) -> Path:
        """The directory of a broker's properties, log and data."""
        return self._brokers[broker_id].place.directory

    def create_topics(self, topics: Sequence[admin.TopicSpec], timeout_s: float = 30.0) -> None:
        """Create those of the topics that do not exist; blocks until all exist.

        Raises:
            AdminFailed: a topic was refused, or not created in time.
        """
        from embedded_broker.shell import admin

        addresses = [
            (b.place.host, b.place.port) for b in self._brokers.values() if b.state is State.SERVING
        ]
        admin.create_topics(addresses, topics, timeout_s)

    # ---- changes, all under the lock
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

    def _request_stop(self, broker_id: int) -> None:
        broker = self._brokers[broker_id]
        broker.stop_requested = True
        if broker.pid and broker.state is not State.STOPPING:
            if broker.frozen:  # a suspended process does not receive the request
                platform.thaw(broker.pid)
                broker.frozen = False
            self._set(broker_id, State.STOPPING)
            if self._launcher is not None:
                self._launcher.stop(broker_id, broker.pid)

    def _started(self, broker_id: int, pid: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            broker.pid = pid
            if broker.stop_requested:  # before there was a process to send the request to
                self._request_stop(broker_id)
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
            broker.reason = exit_reason(broker.place, code)
            # SIGTERM ends a process by itself when it arrives before the broker has its handler.
            orderly = broker.stop_requested and code in (0, -signal.SIGTERM)
            self._set(broker_id, State.STOPPED if orderly else State.DIED)
            restart_s = self.spec.restart_after_s
            if not broker.stop_requested and not self._stopping and restart_s is not None:
                self._restart_later(broker_id, restart_s)

    def _restart_later(self, broker_id: int, delay_s: float) -> None:
        timer = threading.Timer(delay_s, self._restart, (broker_id,))
        timer.daemon = True
        self._brokers[broker_id].restart_timer = timer
        timer.start()

    def _restart(self, broker_id: int) -> None:
        with self._changed:
            broker = self._brokers[broker_id]
            if self._stopping or broker.pid or self._launcher is None:
                return
            # A person may run this broker from a terminal meanwhile: leave it alone, look again.
            if started_by_hand(broker.place) and self.spec.restart_after_s is not None:
                self._restart_later(broker_id, max(1.0, self.spec.restart_after_s))
                return
            self.start_broker(broker_id)


def exit_reason(place: BrokerPlace, code: int) -> str:
    """Explain the end of a broker's process: the signal, or the last line of its errors."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    if code == 0:
        return "shut down"
    errors = tail(place.directory / ERRORS, 1)
    text = errors[0].removeprefix("kafkarium: ") if errors else f"exit code {code}"
    has_stamp = text[:4].isdigit() and text[4:5] == "-"
    return text[STAMP_CHARACTERS:].strip() if has_stamp else text


def started_by_hand(place: BrokerPlace) -> bool:
    """Return whether a process of this broker runs that the cluster did not start."""
    try:
        pid = int((place.directory / "broker.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return True


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a text file that are not blank; none when it cannot be read."""
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - LOG_TAIL_BYTES))
            data = f.read()
    except OSError:
        return []
    return [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()][-lines:]


__all__ = ["BrokerStatus", "ClusterRefused", "ClusterSpec", "LocalCluster", "NotReady", "State"]
