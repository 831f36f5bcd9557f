"""The application journals the changes of every client that it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.app import confluent
from kafka_client.errors import ClientError
from kafka_client.journal import FileJournal
from kafka_client.model import ConfigChange, ConfigResource
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import MemorySecrets


async def test_that_the_windows_clients_write_to_its_journal(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal.sqlite")
    client = confluent(MemorySecrets(), journal)(ConnectionProfile("staging", ("127.0.0.1:1",)))
    change = ConfigChange(ConfigResource("topic", "orders"), "retention.ms", "1000")
    with pytest.raises(ClientError):
        await client.alter_configs([change])
    (entry,) = journal.entries().result()
    assert (entry.cluster, entry.method) == ("staging", "alter_configs")
    assert entry.subject == "topic orders: retention.ms" and not entry.succeeded
    await client.close()
    journal.close()
