"""What a question of the window to the client thread costs: awaited over ClientBridge, and with a
callback from a queued signal as the yardstick; and what the idle loop costs. One JSON line (for
bench.py)."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication

from gui.client_bridge import ClientBridge
from gui.event_loop import window_loop
from gui.tasks import after
from kafka_client.runtime import ClientThread

QUESTIONS = 2000
BURSTS = 9
IDLE_MS = 2000


async def answer() -> int:
    return 1


class Callbacks(QObject):
    """The shortest way back: a queued signal that calls a function."""

    _ended = Signal(object)

    def __init__(self, thread: ClientThread) -> None:
        super().__init__()
        self._thread = thread
        self._ended.connect(lambda done: done(), Qt.ConnectionType.QueuedConnection)

    def ask(self, done: Callable[[], None]) -> None:
        self._thread.submit(answer()).add_done_callback(lambda _: self._ended.emit(done))


async def by_callbacks(callbacks: Callbacks) -> float:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = QUESTIONS

    def one() -> None:
        nonlocal left
        left -= 1
        if left:
            callbacks.ask(one)
        else:
            ended.set_result(None)

    start = time.perf_counter()
    callbacks.ask(one)
    await ended
    return (time.perf_counter() - start) / QUESTIONS * 1e6


async def by_awaiting(bridge: ClientBridge) -> float:
    start = time.perf_counter()
    for _ in range(QUESTIONS):
        await bridge.run(answer())
    return (time.perf_counter() - start) / QUESTIONS * 1e6


async def by_wrapping(thread: ClientThread) -> float:
    """With asyncio's own means, which go through qasync's call_soon_threadsafe."""
    start = time.perf_counter()
    for _ in range(QUESTIONS):
        await asyncio.wrap_future(thread.submit(answer()))
    return (time.perf_counter() - start) / QUESTIONS * 1e6


async def measure(thread: ClientThread) -> dict[str, float]:
    bridge, callbacks = ClientBridge(thread), Callbacks(thread)
    awaited, called, wrapped = [], [], []
    for _ in range(BURSTS):  # in turns: the machine's speed drifts
        awaited.append(await by_awaiting(bridge))
        called.append(await by_callbacks(callbacks))
        wrapped.append(await by_wrapping(thread))
    cpu = time.process_time()
    await after(IDLE_MS)
    return {
        "await_us": statistics.median(awaited),
        "callback_us": statistics.median(called),
        "wrap_future_us": statistics.median(wrapped),
        "idle_cpu_ms_per_s": (time.process_time() - cpu) * 1e6 / IDLE_MS,
    }


def main() -> int:
    qt = QApplication([])
    qt.setQuitOnLastWindowClosed(False)
    thread = ClientThread().start()
    with window_loop(qt) as loop:
        figures = loop.run_until_complete(measure(thread))
    thread.stop()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
