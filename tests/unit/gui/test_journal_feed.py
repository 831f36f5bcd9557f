from __future__ import annotations

import threading
from pathlib import Path

from pytestqt.qtbot import QtBot

from gui.client_bridge import ClientBridge
from gui.journal_feed import JournalFeed
from kafka_client.journal import FileJournal, JournalEntry


def test_that_an_entry_of_any_thread_is_stored_and_announced_in_the_windows_thread(
    qtbot: QtBot, bridge: ClientBridge, tmp_path: Path
) -> None:
    journal = FileJournal(tmp_path / "journal.sqlite")
    feed = JournalFeed(journal, bridge)
    heard: list[threading.Thread] = []

    class Listener(JournalFeed):
        def heard(self) -> None:
            heard.append(threading.current_thread())

    listener = Listener(journal, bridge)
    feed.recorded.connect(listener.heard)
    entry = JournalEntry(1.0, "orders", "produce", "email: 1 record")
    writer = threading.Thread(target=feed.record, args=(entry,))
    writer.start()
    writer.join()
    qtbot.waitUntil(lambda: bool(heard), timeout=2000)
    assert heard == [threading.main_thread()]
    journal.close()


async def test_that_entries_come_from_the_journal_behind_it(
    bridge: ClientBridge, tmp_path: Path
) -> None:
    journal = FileJournal(tmp_path / "journal.sqlite")
    feed = JournalFeed(journal, bridge)
    for number in range(3):
        feed.record(JournalEntry(float(number), "orders", "produce", f"t{number}"))
    newest = await feed.entries(limit=2)
    assert [entry.subject for entry in newest] == ["t2", "t1"]
    older = await feed.entries(limit=2, before=newest[-1].entry_id)
    assert [entry.subject for entry in older] == ["t0"]
    assert await feed.entries(cluster="other") == []
    journal.close()
