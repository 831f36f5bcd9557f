"""The client threads: an asyncio loop for the Kafka work of one cluster, apart from the window's
thread (decision 0021) and from every other cluster's (decision 0025)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0


def calm_garbage_collection() -> None:
    """Keep the garbage collector from stopping every thread for a tenth of a second while a large
    cluster is sampled.

    All live objects (modules, the window, the first snapshot) move to the permanent generation,
    and young objects are examined far less often: snapshots have no cycles, reference counts free
    them. Call it once the window is shown and after the first snapshot of a cluster; it costs one
    full collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class ClientThread:
    """Runs coroutines for other threads. ``start`` and ``stop`` belong to the owner (the window's
    thread); ``submit`` and ``end`` may be called from any thread."""

    def __init__(self, name: str = "kafka-client") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = False
        self._lock = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and not self._stopping

    @property
    def ended(self) -> bool:
        return self._stopping and not self._thread.is_alive()

    def start(self) -> ClientThread:
        self._thread.start()
        return self

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the client thread. Callbacks of the returned future run there too:
        hand over by a queued signal. After ``stop`` the coroutine does not run and the future is
        cancelled."""
        if not self.running:
            coroutine.close()
            refused: concurrent.futures.Future[T] = concurrent.futures.Future()
            refused.cancel()
            return refused
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Cancel all tasks and end the thread. Returns False when it did not end in time; it is a
        daemon thread, so it does not keep the process alive."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("the thread %s did not end within %g s", self._thread.name, timeout_s)
            return False
        return True

    def end(self) -> None:
        """Cancel all tasks and end the thread, without waiting for it."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
        else:
            self._loop.close()

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
            # A task that ignores its cancellation must not keep the thread.
            self._loop.run_until_complete(asyncio.wait(pending, timeout=STOP_TIMEOUT_S / 2))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
