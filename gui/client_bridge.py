"""The one bridge between the window's thread and the threads that work for it.

The window awaits on qasync's loop; Kafka work runs on the client thread's plain asyncio loop, and
blocking work on executors. ``ClientBridge`` hands work over and brings each outcome back with one
queued signal, which resolves the future that the window's coroutine awaits. Neither
``asyncio.wrap_future`` nor ``call_soon_threadsafe`` is used: both cost about twice as much under
qasync (decision 0021).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from shiboken6 import isValid

from kafka_client.errors import ClientError

T = TypeVar("T")
P = ParamSpec("P")


class RunsCoroutines(Protocol):
    """``kafka_client.runtime.ClientThread``, or what a test puts in its place."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]: ...


class InternalError(ClientError):
    """A bug stopped the work. The original exception went to ``sys.excepthook``."""

    retriable = False

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            f"Internal error: {type(error).__name__}",
            next_step="Try again; if it happens again, report it with the diagnostics from About.",
            detail=str(error),
        )


class ClientBridge(QObject):
    """Create it in the window's thread; only ``post`` may be called from other threads.

    Awaiting returns the result, or raises the ``ClientError`` that the work raised. Any other
    exception is a bug: the bridge reports it once through ``sys.excepthook`` and raises an
    ``InternalError``, so that ``except ClientError`` covers every failure. Cancelling the
    awaiting task cancels the work; work that was cancelled by somebody else, or refused because
    its thread has stopped, cancels the awaiting task.
    """

    _posted = Signal(object, tuple)  # function, its arguments

    def __init__(self, runner: RunsCoroutines, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._posted.connect(_call, Qt.ConnectionType.QueuedConnection)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start the coroutine on the client thread; await it with ``result_of``."""
        return self._runner.submit(coroutine)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine on the client thread and return its result."""
        return await self.result_of(self._runner.submit(coroutine))

    async def run_in(
        self,
        executor: concurrent.futures.Executor,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function that blocks on the executor's thread and return its result."""
        return await self.result_of(executor.submit(function, *args, **kwargs))

    async def result_of(self, future: concurrent.futures.Future[T]) -> T:
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: self.post(_resolve, done, waiter))
        try:
            return await waiter
        except asyncio.CancelledError:
            future.cancel()
            raise

    def post(self, function: Callable[..., object], *args: object) -> None:
        """From any thread: call ``function(*args)`` in the window's thread soon, in the order of
        the calls; skip it when it is a method of a QObject that was destroyed meanwhile."""
        if isValid(self):
            self._posted.emit(function, args)


def report(error: BaseException) -> None:
    """Report a bug at the top, as an uncaught exception would be."""
    sys.excepthook(type(error), error, error.__traceback__)


def _call(function: Callable[..., object], args: tuple[object, ...]) -> None:
    receiver = getattr(function, "__self__", None)
    if not isinstance(receiver, QObject) or isValid(receiver):
        function(*args)


def _resolve(future: concurrent.futures.Future[T], waiter: asyncio.Future[T]) -> None:
    """In the window's thread. ``waiter`` is done already when its task was cancelled."""
    if future.cancelled():
        waiter.cancel()
        return
    error = future.exception()
    if error is None:
        if not waiter.done():
            waiter.set_result(future.result())
        return
    if isinstance(error, asyncio.CancelledError):
        waiter.cancel()
        return
    if not isinstance(error, ClientError):
        report(error)
        error = InternalError(error)
    if not waiter.done():
        waiter.set_exception(error)
