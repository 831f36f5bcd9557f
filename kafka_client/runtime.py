"""The thread that Kafka work runs on: one asyncio loop, apart from the window's, for any number
of clusters."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STOP_TIMEOUT_S = 5.0


def calm_garbage_collection() -> None:
    """Keep Python's collector from stopping every thread for a tenth of a second while a large
    cluster is sampled.

    What exists now (modules, the window, the first snapshot) is taken out of its sight, and it
    looks at the young far more seldom: snapshots are values without cycles, which reference
    counts free. Call it once the window stands and after the first snapshot of a cluster; it
    costs one full collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class ClientThread:
    """Runs coroutines for other threads. ``start`` and ``stop`` belong to the owner (the window's
    thread); ``submit`` and ``call`` may be called from any thread while it runs.
    """

    def __init__(self, name: str = "kafka-client") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and not self._stopping

    def start(self) -> ClientThread:
        self._thread.start()
        return self

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run this coroutine there. Its future's ``add_done_callback`` runs on the client thread:
        hand over by a signal. After ``stop`` the coroutine is closed unrun and the future is
        cancelled."""
        if not self.running:
            coroutine.close()
            refused: concurrent.futures.Future[T] = concurrent.futures.Future()
            refused.cancel()
            return refused
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Run this plain function there soon; nothing comes back."""
        if self.running:
            self._loop.call_soon_threadsafe(function, *args)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Cancel what runs, wait, and end the thread. False when it did not end in time (it is a
        daemon thread: it cannot keep the process alive)."""
        if self._stopping:
            return not self._thread.is_alive()
        self._stopping = True
        if not self._thread.is_alive():
            self._loop.close()
            return True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._finish()

    def _finish(self) -> None:
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        if pending:
            self._loop.run_until_complete(asyncio.wait(pending, timeout=STOP_TIMEOUT_S / 2))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
