"""How a LocalCluster starts a broker process and hears of it: forked from a zygote, or as an
interpreter of its own."""

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
OnExited = Callable[[int, int, int], None]
"""(broker id, pid, exit code, negative for a signal)"""
STOP_LINE = "stop\n"
"""Said to a broker over its standard input; the end of that input says it too."""
EXIT_NO_LAUNCHER = 71
"""The process that starts brokers ended, which only a bug or a kill does."""
REPOSITORY = Path(__file__).resolve().parents[2]


def send_signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class Launcher(Protocol):
    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        """Start the broker of this server.properties; its standard error goes to ``errors``."""

    def stop(self, broker_id: int, pid: int) -> None:
        """Ask it to leave in order."""

    def kill(self, broker_id: int, pid: int) -> None: ...

    def close(self) -> None:
        """Its brokers stop in order, if there are any; returns when they have."""


def environment() -> dict[str, str]:
    """For a child interpreter: it imports this very package, wherever the working directory is."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(
        p for p in (str(REPOSITORY), found.get("PYTHONPATH", "")) if p
    )
    return found


class ZygoteLauncher:
    """Callbacks come from a thread of its own."""

    def __init__(self, on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> None:
        self._on_started, self._on_serving, self._on_exited = on_started, on_serving, on_exited
        self._pids: dict[int, int] = {}
        self._closing = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "embedded_broker.shell.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._listen, name="zygote", daemon=True)
        self._reader.start()

    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        self._pids[broker_id] = 0
        stdin.write(
            (
                json.dumps({"id": broker_id, "path": str(path), "errors": str(errors)}) + "\n"
            ).encode()
        )
        stdin.flush()

    def stop(self, broker_id: int, pid: int) -> None:
        send_signal(pid, signal.SIGTERM)

    def kill(self, broker_id: int, pid: int) -> None:
        send_signal(pid, signal.SIGKILL)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: dict[str, Any] = json.loads(line)
            if "started" in said:
                self._pids[said["started"]] = said["pid"]
                self._on_started(said["started"], said["pid"])
            elif "serving" in said:
                self._on_serving(said["serving"], said["pid"])
            elif "exited" in said:
                self._pids.pop(said["exited"], None)
                self._on_exited(said["exited"], said["pid"], said["code"])
        for broker_id, pid in list(self._pids.items()):
            self._on_exited(broker_id, pid, 0 if self._closing else EXIT_NO_LAUNCHER)
        self._pids.clear()

    def close(self) -> None:
        self._closing = True
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # it is gone already
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)
        self._process.stdout.close()


class SpawnLauncher:
    """A new interpreter for each broker; the pipe to its standard input tells it of our end."""

    def __init__(self, on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> None:
        self._on_started, self._on_serving, self._on_exited = on_started, on_serving, on_exited
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def start(self, broker_id: int, path: Path, errors: Path) -> None:
        with open(errors, "w") as error_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "embedded_broker", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=error_file,
                text=True,
                env={**environment(), "KAFKARIUM_PARENT": "stdin"},
                start_new_session=os.name == "posix",
            )
        self._processes[broker_id] = process
        self._on_started(broker_id, process.pid)
        assert process.stdout is not None
        thread = threading.Thread(
            target=self._listen, args=(broker_id, process, process.stdout), daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _listen(self, broker_id: int, process: subprocess.Popen[str], stdout: IO[str]) -> None:
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
            with suppress(OSError, ValueError):  # it is ending already
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
            thread.join(timeout=30)
        for process in list(self._processes.values()):
            process.kill()


def make_launcher(on_started: OnStarted, on_serving: OnServing, on_exited: OnExited) -> Launcher:
    chosen = ZygoteLauncher if platform.can_fork else SpawnLauncher
    return chosen(on_started, on_serving, on_exited)
