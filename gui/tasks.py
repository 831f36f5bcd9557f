"""How the window asks for something that takes time: a coroutine runs on the client thread, its
answer comes back to a slot in the window's thread, and not at all when whoever asked is gone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from shiboken6 import isValid

from kafka_client.errors import ClientError

T = TypeVar("T")


class RunsCoroutines(Protocol):
    """``kafka_client.runtime.ClientThread``, or what a test puts in its place."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]: ...


class Ticket:
    """What was asked for. ``cancel`` drops the answer and stops the work as soon as it waits for
    something."""

    def __init__(
        self,
        done: Callable[[Any], None],
        failed: Callable[[ClientError], None],
        owner: QObject,
    ) -> None:
        self._done, self._failed, self.owner = done, failed, owner
        self.future: concurrent.futures.Future[Any] | None = None
        self.cancelled = False
        self.finished = False

    def cancel(self) -> None:
        self.cancelled = True
        if self.future is not None:
            self.future.cancel()

    def deliver(self) -> None:
        """In the window's thread, once."""
        self.finished = True
        future = self.future
        assert future is not None and future.done()
        if self.cancelled or future.cancelled() or not isValid(self.owner):
            return
        error = future.exception()
        match error:
            case None:
                self._done(future.result())
            case ClientError():
                self._failed(error)
            case asyncio.CancelledError():
                return
            case _:  # a bug: told to the page so that it does not wait for ever, and to the top
                self._failed(unexpected(error))
                sys.excepthook(type(error), error, error.__traceback__)


def unexpected(error: BaseException) -> ClientError:
    return ClientError(
        f"Kafkarium made a mistake ({type(error).__name__}); nothing more was sent.",
        next_step="Try again; if it stays, copy the diagnostics from About and report them.",
        detail=str(error),
    )


class TaskScope(QObject):
    """Starts every coroutine of a session and cancels those that still run when it is closed.
    Window's thread only."""

    _ended = Signal(object)

    def __init__(self, runner: RunsCoroutines, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._open: set[Ticket] = set()
        self._closed = False
        self._ended.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, T],
        done: Callable[[T], None],
        failed: Callable[[ClientError], None],
        owner: QObject,
    ) -> Ticket:
        """``done`` or ``failed`` is called in the window's thread, never inside this call;
        neither is called when the ticket was cancelled, the scope closed or ``owner``
        destroyed."""
        ticket = Ticket(done, failed, owner)
        if self._closed:
            coroutine.close()
            ticket.cancel()
            return ticket
        self._open.add(ticket)
        ticket.future = self._runner.submit(coroutine)
        ticket.future.add_done_callback(lambda _: self._tell(ticket))
        return ticket

    def _tell(self, ticket: Ticket) -> None:
        """On the client thread."""
        if isValid(self):
            self._ended.emit(ticket)

    def _deliver(self, ticket: Ticket) -> None:
        self._open.discard(ticket)
        if not self._closed:
            ticket.deliver()

    @property
    def waiting(self) -> int:
        return len(self._open)

    def close(self) -> None:
        self._closed = True
        for ticket in tuple(self._open):
            ticket.cancel()
        self._open.clear()
