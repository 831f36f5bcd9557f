"""An embedded cluster as a user starts one: `kafkarium cluster run` in a process of its own.

The cluster ends with the test process, however that ends: its standard input is a pipe from it.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

READY_S = 20
STOP_S = 20


class EmbeddedCluster:
    """A context manager: starts the cluster on free ports, and shuts it down."""

    def __init__(
        self, *arguments: str, brokers: int = 3, data_dir: Path | None = None, port: int = 0
    ) -> None:
        self.brokers = brokers
        self.port = port or free_ports(brokers)
        self.command = [
            *(sys.executable, "-m", "embedded_broker.shell.command", "run", "--stop-on-eof"),
            *("--brokers", str(brokers), "--port", str(self.port), *arguments),
        ]
        if data_dir is not None:
            self.command += ["--data-dir", str(data_dir)]
        self.data_dir = data_dir
        self.bootstrap_servers = ""

    def __enter__(self) -> EmbeddedCluster:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self._first_line()
        prefix = "ready bootstrap.servers="
        if not line.startswith(prefix):
            self.process.kill()
            _, errors = self.process.communicate()
            raise AssertionError(f"no ready line but {line!r}; standard error: {errors[-2000:]}")
        self.bootstrap_servers = line.removeprefix(prefix).strip()
        return self

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline() if selector.select(READY_S) else ""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.output, self.errors = self.process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise
        self.returncode = self.process.returncode

    def pid(self, broker_id: int) -> int:
        assert self.data_dir is not None, (
            "the pids of brokers are in the data directory, and this cluster has a temporary one"
        )
        return int((self.data_dir / f"broker-{broker_id}" / "broker.pid").read_text())

    def kill(self, broker_id: int, number: int = signal.SIGKILL) -> int:
        """Send a signal to one broker; returns its process id."""
        pid = self.pid(broker_id)
        os.kill(pid, number)
        return pid

    def wait_for_new_pid(self, broker_id: int, old: int, timeout_s: float = 15) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if self.pid(broker_id) != old:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"broker {broker_id} did not come back within {timeout_s} s")


def free_ports(count: int) -> int:
    """The first of ``count`` free ports in a row. Each process of pytest-xdist has a range of
    its own, for ports are bound again after they were tried here."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    low = 20_000 + worker % 6 * 2_000
    for _ in range(200):
        first = random.randrange(low, low + 2_000 - count)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for port in range(first, first + count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError(f"no {count} free ports in a row")
