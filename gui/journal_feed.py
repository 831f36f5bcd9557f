"""The journal as the window sees it: entries to await, and a signal for every new one."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from gui.client_bridge import ClientBridge
from kafka_client.journal import FileJournal, JournalEntry


class JournalFeed(QObject):
    """A ``kafka_client.journal.Journal`` in front of the file. ``record`` may be called from any
    thread; a slot of an object in the window's thread is called there."""

    recorded = Signal()

    def __init__(
        self, journal: FileJournal, bridge: ClientBridge, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._journal = journal
        self._bridge = bridge

    def record(self, entry: JournalEntry) -> None:
        self._journal.record(entry)
        self.recorded.emit()

    async def entries(
        self, limit: int = 500, before: int | None = None, cluster: str | None = None
    ) -> list[JournalEntry]:
        """See ``FileJournal.entries``. Raises: ClientError."""
        return await self._bridge.result_of(self._journal.entries(limit, before, cluster))
