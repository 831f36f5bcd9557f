"""The demo's producers and consumers: a process of their own that reads commands as JSON lines and
reports its status the same way. It ends when its input closes, so it cannot outlive the window."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from gui.tasks import emitted

STOP_MS = 4000
LINE_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConsumerState:
    name: str
    paused: bool = False
    members: int = 1
    per_s: float | None = None


class DemoTraffic(QObject):
    changed = Signal()
    ended = Signal(str)  # why, when nobody had stopped it
    stopped = Signal()  # its process has ended, for whatever reason

    def __init__(
        self, bootstrap_servers: str, scenario: str, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.rate = 1.0
        self.produced_per_s: float | None = None
        self.consumers: dict[str, ConsumerState] = {}
        self.error = ""
        self._stop_requested = False
        self._buffer = b""
        self._process = QProcess(self)
        self._process.setProgram(sys.executable)
        self._process.setArguments(
            ["-m", "kafka_client.demo", "--bootstrap", bootstrap_servers, "--scenario", scenario]
        )
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._finished)

    def start(self) -> None:
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def pid(self) -> int:
        return self._process.processId()

    def set_rate(self, rate: float) -> None:
        """Produce ``rate`` times as much as the scenario does by itself."""
        self.rate = rate
        self._send({"rate": rate})

    def pause(self, consumer: str, paused: bool) -> None:
        self._send({"pause" if paused else "resume": consumer})

    def add_consumer(self, consumer: str) -> None:
        self._send({"add_consumer": consumer})

    def remove_consumer(self, consumer: str) -> None:
        self._send({"remove_consumer": consumer})

    async def stop(self) -> None:
        """Close its input, so that it ends, and wait; kill it when it takes longer than STOP_MS."""
        self._stop_requested = True
        if self.running:
            self._process.closeWriteChannel()
            QTimer.singleShot(STOP_MS, self._process, self._process.kill)
            await emitted(self.stopped)

    def _send(self, command: dict[str, Any]) -> None:
        if self.running:
            self._process.write(json.dumps(command).encode() + b"\n")

    def _read(self) -> None:
        self._buffer += bytes(self._process.readAllStandardOutput().data())
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > LINE_MAX:
            self._buffer = b""
        for line in lines[-1:]:
            self._read_status(line)

    def _read_status(self, line: bytes) -> None:
        try:
            status = json.loads(line)
        except ValueError:
            return
        if not isinstance(status, dict):
            return
        self.produced_per_s = status.get("produced_per_s", self.produced_per_s)
        self.error = str(status.get("error") or "")
        consumers = status.get("consumers")
        if isinstance(consumers, dict):
            self.consumers = {
                name: ConsumerState(
                    name,
                    bool(state.get("paused")),
                    int(state.get("members", 1)),
                    state.get("per_s"),
                )
                for name, state in consumers.items()
                if isinstance(state, dict)
            }
        self.changed.emit()

    def _read_errors(self) -> None:
        text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace").strip()
        if text:
            self.error = text.splitlines()[-1][:300]

    def _finished(self, code: int, _: QProcess.ExitStatus) -> None:
        self.consumers = {}
        self.produced_per_s = None
        self.changed.emit()
        self.stopped.emit()
        if not self._stop_requested:
            self.ended.emit(
                f"The demo's traffic ended by itself with exit code {code}. {self.error}".strip()
            )
