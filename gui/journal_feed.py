"""The journal as the window sees it: the same port, and a signal for every new entry."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from kafka_client.journal import Journal, JournalEntry


class JournalFeed(QObject):
    """A ``kafka_client.journal.Journal`` in front of another. ``record`` may be called from any
    thread; a slot of an object in the window's thread is called there."""

    recorded = Signal()

    def __init__(self, journal: Journal, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._journal = journal

    def record(self, entry: JournalEntry) -> None:
        self._journal.record(entry)
        self.recorded.emit()

    async def entries(
        self, limit: int = 500, before: int | None = None, cluster: str | None = None
    ) -> list[JournalEntry]:
        return await self._journal.entries(limit, before, cluster)
