import asyncio

import pytest

from kafka_client import journal as module
from kafka_client.commands import configs, groups
from kafka_client.gateway import Gateway
from kafka_client.journal import FileJournal, JournalEntry
from kafka_client.model import ConfigChange, ConfigEntry, ConfigResource, ConfigSource
from tests.fakes.client import FakeClient

AT = "localhost:9092"


def entry(number=1, cluster="staging"):
    return JournalEntry(1000.0 + number, cluster, "delete_topics", f"t{number}")


@pytest.fixture
def journal(tmp_path):
    made = FileJournal(tmp_path / "folder" / "journal.sqlite")
    yield made
    made.close()


def subjects(entries):
    return [e.subject for e in entries]


async def test_that_entries_come_newest_first_and_page_backwards(journal):
    for number in range(5):
        journal.record(entry(number))
    first = journal.entries(limit=2).result()
    assert subjects(first) == ["t4", "t3"]
    second = journal.entries(limit=2, before=first[-1].entry_id).result()
    assert subjects(second) == ["t2", "t1"]
    assert subjects(journal.entries(before=second[-1].entry_id).result()) == ["t0"]


async def test_that_entries_of_one_cluster_can_be_asked_for(journal):
    journal.record(entry(1, "staging"))
    journal.record(entry(2, "production"))
    assert subjects(journal.entries(cluster="staging").result()) == ["t1"]


async def test_that_entries_outlive_a_restart_whole(tmp_path):
    path = tmp_path / "journal.sqlite"
    whole = JournalEntry(1.5, "c", "m", "s", "plan\nrow", "command", "failed", "undo")
    first = FileJournal(path)
    first.record(whole)
    first.close()
    second = FileJournal(path)
    (read,) = second.entries().result()
    second.close()
    assert read.entry_id == 1
    assert JournalEntry(*[getattr(read, f) for f in whole.__slots__[:-1]]) == whole


async def test_that_the_oldest_entries_are_evicted(journal, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES_KEPT", 3)
    for number in range(10):
        journal.record(entry(number))
    assert subjects(journal.entries().result()) == ["t9", "t8", "t7"]


async def test_that_long_texts_are_cut(journal):
    journal.record(JournalEntry(1.0, "c", "m", "s", plan="x" * 1_000_000))
    assert len(journal.entries().result()[0].plan) == module.TEXT_MOST


async def test_that_a_journal_without_a_folder_stays_in_memory_and_says_so(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    journal = FileJournal(tmp_path / "file" / "journal.sqlite")
    journal.record(entry())
    assert subjects(journal.entries().result()) == ["t1"]
    assert journal.error.startswith("The journal is kept in memory only: ")
    assert "keeping the journal in memory" in caplog.text
    journal.close()


async def test_that_a_damaged_file_is_renamed_and_a_new_one_begun(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database at all, really" * 100)
    journal = FileJournal(path)
    journal.record(entry())
    assert subjects(journal.entries().result()) == ["t1"] and not journal.error
    journal.close()
    assert len(list(tmp_path.glob("journal.damaged-*"))) == 1


async def test_that_a_closed_or_overrun_journal_drops_and_logs(journal, monkeypatch, caplog):
    monkeypatch.setattr(module, "PENDING_MOST", 0)
    journal.record(entry())
    assert journal.dropped == 1 and "dropped the entry of delete_topics" in caplog.text
    monkeypatch.undo()
    journal.close()
    journal.record(entry())
    assert journal.dropped == 2


async def test_that_a_plan_adds_its_rows_and_command_lines(journal):
    fake = FakeClient(moving=False)
    gateway = Gateway(fake, journal=journal, cluster="staging")
    topic = ConfigResource("topic", "email")
    current = {topic: [ConfigEntry("retention.ms", "604800000", ConfigSource.DEFAULT)]}
    plan = configs.change_configs(current, [ConfigChange(topic, "retention.ms", "3600000")], AT)
    await plan.apply(gateway)
    (written,) = journal.entries().result()
    assert written.plan.splitlines()[0] == "Change retention.ms"
    assert "604800000 -> 3600000" in written.plan
    assert "--add-config retention.ms=3600000" in written.command
    assert "--delete-config retention.ms" in written.undo


async def test_that_a_write_beside_a_plan_is_not_described_by_it(journal):
    gateway = Gateway(FakeClient(moving=False), journal=journal)
    with module.describe_writes(module.PlanText("a plan", "command")):
        inside = asyncio.create_task(gateway.delete_groups(["nightly-report"]))
    await gateway.delete_topics(["sms"])
    await inside
    assert {e.method: e.plan for e in journal.entries().result()} == {
        "delete_groups": "a plan",
        "delete_topics": "",
    }


async def test_that_a_sensitive_value_of_a_plan_never_reaches_the_journal(journal):
    gateway = Gateway(FakeClient(moving=False), journal=journal)
    broker = ConfigResource("broker", "1")
    name = "ssl.keystore.password"
    for entries in ((), [ConfigEntry(name, None, ConfigSource.FILE, sensitive=True)]):
        plan = configs.change_configs({broker: entries}, [ConfigChange(broker, name, "canary")], AT)
        assert "canary" not in repr(plan)
        await plan.apply(gateway)
    assert "canary" not in repr(journal.entries().result())


async def test_that_the_undo_of_a_reset_is_in_the_journal(journal):
    fake = FakeClient(moving=False)
    plan = await groups.plan_reset(
        fake,
        "nightly-report",
        [("orders-by-customer", 0)],
        groups.ResetSpec(groups.ResetTo.LATEST),
        AT,
    )
    await plan.apply(Gateway(fake, journal=journal))
    (written,) = journal.entries().result()
    assert written.method == "alter_committed" and "nightly-report" in written.subject
    assert "--reset-offsets" in written.undo
