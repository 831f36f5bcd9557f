"""Reads what a chart shows beyond memory from the session's history, on the client thread."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject

from kafka_client.errors import ClientError
from widgets.charts.model import Samples

if TYPE_CHECKING:
    from gui.session import Session
    from kafka_client.history import History

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ChartHistory(QObject):
    """A ``widgets.charts.model.Past`` of one session. Nothing is called back once it or its parent
    is destroyed."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session

    def request(
        self,
        keys: Sequence[Hashable],
        t0: float,
        t1: float,
        done: Callable[[Mapping[Hashable, Samples] | None], None],
    ) -> None:
        """See Past."""
        wanted: list[Any] = list(keys)

        async def windows(history: History) -> Mapping[Hashable, Samples]:
            kept = await history.windows(wanted, t0, t1)
            return {key: samples for key, samples in kept.items()}  # noqa: C416

        self._read(windows, done)

    def request_beginning(
        self, keys: Sequence[Hashable], done: Callable[[float | None], None]
    ) -> None:
        """See Past."""
        wanted: list[Any] = list(keys)
        self._read(lambda history: history.beginning(wanted), done)

    def _read(
        self,
        read: Callable[[History], Awaitable[T]],
        done: Callable[[T | None], None],
    ) -> None:
        self._session.tasks.start(self._answer(read, done), self)

    async def _answer(
        self,
        read: Callable[[History], Awaitable[T]],
        done: Callable[[T | None], None],
    ) -> None:
        history = self._session.history
        if history is None:  # not opened yet, or there is none
            done(None)
            return

        async def on_client_thread(_client: object) -> T | None:
            try:
                return await read(history)
            except sqlite3.Error as error:  # closed meanwhile, or a damaged file
                logger.warning("the history %s was not read: %s", history.path.name, error)
                return None

        try:
            done(await self._session.ask(on_client_thread))
        except ClientError as error:
            logger.warning("the history was not read: %s", error)
            done(None)
