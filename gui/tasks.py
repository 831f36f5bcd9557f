"""Starts the coroutines of the window; awaits its dialogs, signals and time.

``TaskScope`` starts every coroutine of the window: it keeps the task alive, reports what it
raises, and cancels it when the object that it works for is destroyed or the scope is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from PySide6.QtCore import QMetaObject, QObject, QTimer, Signal
from PySide6.QtWidgets import QDialog, QFileDialog
from shiboken6 import getCppPointer, isValid

from gui.client_bridge import report
from kafka_client.errors import ClientError

T = TypeVar("T")


class JobCancelled(Exception):
    """The person cancelled the job in the status bar. Not an error: a scope ignores it."""


@dataclass(slots=True)
class _Owner:
    """``connection`` is the one on the owner's ``destroyed`` signal."""

    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    connection: QMetaObject.Connection | None = None


class TaskScope(QObject):
    """The tasks of one part of the window: the application's, a session's. Window's thread only.

    An uncaught exception of a task is reported: a ``ClientError`` by ``failed``, which the
    window shows as a toast, any other exception through ``sys.excepthook``. ``JobCancelled`` and
    cancellation are no errors.
    """

    failed = Signal(ClientError)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks: dict[asyncio.Task[Any], int] = {}
        """with the key of the owner, 0 without one"""
        self._owners: dict[int, _Owner] = {}
        """by the address of the owner's C++ object, while it has tasks"""
        self._closed = False

    def start(
        self, coroutine: Coroutine[Any, Any, T], owner: QObject | None = None
    ) -> asyncio.Task[T]:
        """Start the coroutine on the next turn of the loop. It is cancelled when ``owner`` is
        destroyed, and does not run at all when the scope is closed or ``owner`` is gone."""
        task = asyncio.get_running_loop().create_task(coroutine)
        key = 0
        if self._closed or (owner is not None and not isValid(owner)):
            task.cancel()
        elif owner is not None:
            key = self._own(owner, task)
        self._tasks[task] = key
        task.add_done_callback(self._ended)
        return task

    @property
    def running(self) -> int:
        return len(self._tasks)

    def close(self) -> None:
        """Cancel every task; later ones are cancelled at once."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()

    def _own(self, owner: QObject, task: asyncio.Task[Any]) -> int:
        key: int = getCppPointer(owner)[0]
        entry = self._owners.get(key)
        if entry is None:
            entry = self._owners[key] = _Owner()
            entry.connection = owner.destroyed.connect(lambda: self._owner_destroyed(key))
        entry.tasks.add(task)
        return key

    def _owner_destroyed(self, key: int) -> None:
        entry = self._owners.pop(key, None)
        for task in tuple(entry.tasks) if entry is not None else ():
            task.cancel()

    def _disown(self, key: int, task: asyncio.Task[Any]) -> None:
        """An entry that is still there has a living owner: ``destroyed`` removes it."""
        entry = self._owners.get(key)
        if entry is None or task not in entry.tasks:
            return  # no owner, or another object that has the address of the destroyed one
        entry.tasks.discard(task)
        if not entry.tasks:
            del self._owners[key]
            if entry.connection is not None:
                QObject.disconnect(entry.connection)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._disown(self._tasks.pop(task), task)
        if task.cancelled():
            return
        match task.exception():
            case None | JobCancelled():
                return
            case ClientError() as error if isValid(self):
                self.failed.emit(error)
            case error:
                report(error)


async def opened(dialog: QDialog) -> int:
    """Open the dialog, await its end and return its result code. Never ``exec``: a loop inside a
    coroutine stops every other task.

    The dialog is deleted on the next turn of the loop, so read its fields before the next await.
    Cancelled when something else destroys the dialog; cancelling the awaiting task closes it.
    """
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    dialog.finished.connect(partial(_set, ended))
    dialog.destroyed.connect(ended.cancel)
    dialog.open()
    try:
        return await ended
    finally:
        if isValid(dialog):
            dialog.hide()
            dialog.deleteLater()


async def chosen_file(dialog: QFileDialog) -> str | None:
    """Open the dialog and return the path that the person chose, None when they cancelled."""
    if await opened(dialog) != QDialog.DialogCode.Accepted:
        return None
    return next(iter(dialog.selectedFiles()), None)


async def emitted(signal: Any) -> tuple[Any, ...]:
    """Await the next emission of a Qt signal and return its arguments."""
    arguments: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

    connection = signal.connect(lambda *args: _set(arguments, args))
    try:
        return await arguments
    finally:
        QObject.disconnect(connection)


async def after(delay_ms: int) -> None:
    """Wait on a QTimer; qasync's own delays are rounded down."""
    due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(partial(_set, due, None))
    timer.start(delay_ms)
    try:
        await due
    finally:
        timer.stop()


def _set(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
