"""Start the broker processes of a LocalCluster and notify it of them.

Two launchers: ZygoteLauncher forks brokers from a small process that has imported everything
(see zygote.py); SpawnLauncher starts an interpreter per broker where there is no fork. With both,
brokers stop by themselves when this program ends, in whatever way: the pipe to them ends with it.
Callbacks come from the launcher's own threads.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from embedded_broker.shell import platform

OnStarted = Callable[[int, int], None]
"""(broker id, pid)"""
OnServing = Callable[[int, int], None]
"""(broker id, pid)"""
OnExited = Callable[[int, int, int], None]
"""(broker id, pid, exit code or minus the signal's number)"""
STOP_LINE = "stop\n"
"""Requests a controlled shutdown on a broker's standard input; so does the end of that input."""
EXIT_NO_LAUNCHER = 71
"""Reported for every broker when the zygote ended by itself, which takes a bug or a kill."""
REPOSITORY = Path(__file__).resolve().parents[2]
CLOSE_TIMEOUT_S = 30.0
READER_TIMEOUT_S = 5.0


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class Launcher(Protocol):
    """Starts and ends the broker processes of one cluster."""

    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        """Start the broker of this server.properties; its standard error goes to ``errors``."""

    def stop(self, broker_id: int, pid: int) -> None:
        """Request a controlled shutdown."""

    def kill(self, broker_id: int, pid: int) -> None:
        """End the process at once."""

    def close(self) -> None:
        """Shut the remaining brokers down and return when they have ended."""


def environment() -> dict[str, str]:
    """The environment of a child interpreter, which imports this very package, whatever the
    working directory."""
    child = dict(os.environ)
    child["PYTHONPATH"] = os.pathsep.join(
        p for p in (str(REPOSITORY), child.get("PYTHONPATH", "")) if p
    )
    return child


class ZygoteLauncher:
    """Sends commands to a zygote process and reads its reports in a thread."""

    def __init__(self, on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> None:
        self._on_started, self._on_serving, self._on_exited = on_started, on_serving, on_exited
        self._pids: dict[int, int] = {}
        self._closing = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "embedded_broker.shell.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            # Ctrl+C in a terminal must reach this program alone, which then stops the brokers.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_reports, name="zygote", daemon=True)
        self._reader.start()

    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        self._pids[broker_id] = 0
        command = {"id": broker_id, "path": str(path), "errors": str(errors)}
        stdin.write(f"{json.dumps(command)}\n".encode())
        stdin.flush()

    def stop(self, broker_id: int, pid: int) -> None:
        send_signal(pid, signal.SIGTERM)

    def kill(self, broker_id: int, pid: int) -> None:
        send_signal(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process id of the zygote."""
        return self._process.pid

    def _read_reports(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report: dict[str, Any] = json.loads(line)
            if "started" in report:
                self._pids[report["started"]] = report["pid"]
                self._on_started(report["started"], report["pid"])
            elif "serving" in report:
                self._on_serving(report["serving"], report["pid"])
            elif "exited" in report:
                self._pids.pop(report["exited"], None)
                self._on_exited(report["exited"], report["pid"], report["code"])
        # The zygote has ended: the brokers that it did not report have ended with it.
        for broker_id, pid in list(self._pids.items()):
            self._on_exited(broker_id, pid, 0 if self._closing else EXIT_NO_LAUNCHER)
        self._pids.clear()

    def close(self) -> None:
        self._closing = True
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # the zygote has ended already
            self._process.stdin.close()
        try:
            self._process.wait(timeout=CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=READER_TIMEOUT_S)
        self._process.stdout.close()


class SpawnLauncher:
    """Starts an interpreter for each broker, with a pipe to its standard input that ends with this
    program; a thread per broker waits for it."""

    def __init__(self, on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> None:
        self._on_started, self._on_serving, self._on_exited = on_started, on_serving, on_exited
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        with open(errors, "w") as error_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "embedded_broker", "--supervised", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=error_file,
                text=True,
                env=environment(),
                start_new_session=os.name == "posix",
            )
        self._processes[broker_id] = process
        self._on_started(broker_id, process.pid)
        assert process.stdout is not None
        thread = threading.Thread(
            target=self._wait_for, args=(broker_id, process, process.stdout), daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _wait_for(self, broker_id: int, process: subprocess.Popen[str], stdout: IO[str]) -> None:
        for line in stdout:
            if line.strip() == "serving":
                self._on_serving(broker_id, process.pid)
        code = process.wait()
        if self._processes.get(broker_id) is process:
            del self._processes[broker_id]
        stdout.close()
        if process.stdin is not None:
            process.stdin.close()
        self._on_exited(broker_id, process.pid, code)

    def stop(self, broker_id: int, pid: int) -> None:
        process = self._processes.get(broker_id)
        if process is not None and process.stdin is not None:
            with suppress(OSError, ValueError):  # the broker is ending already
                process.stdin.write(STOP_LINE)
                process.stdin.flush()

    def kill(self, broker_id: int, pid: int) -> None:
        process = self._processes.get(broker_id)
        if process is not None:
            process.kill()

    def close(self) -> None:
        for process in list(self._processes.values()):
            if process.stdin is not None:
                process.stdin.close()
        for thread in self._threads:
            thread.join(timeout=CLOSE_TIMEOUT_S)
        for process in list(self._processes.values()):
            process.kill()


def make_launcher(on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> Launcher:
    """The launcher for this operating system."""
    chosen = ZygoteLauncher if platform.can_fork else SpawnLauncher
    return chosen(on_started, on_serving, on_exited)
