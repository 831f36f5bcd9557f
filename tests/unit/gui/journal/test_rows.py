"""What the Journal page says of an entry, and when it can be undone from there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gui.journal.rows import METHODS, Undo, journal_row, plan_lines, why_no_undo
from kafka_client.api import ClusterWriter
from kafka_client.journal import JournalEntry

DELETE = "kafka-configs.sh --alter --entity-type topics --entity-name email --delete-config a.b"
CHANGED = JournalEntry(
    1000.0,
    "orders",
    "alter_configs",
    "topic email",
    plan="Change a.b\na.b, topic email: 1 -> 2\nc.d, topic email: 3 -> 4",
    command="kafka-configs.sh --alter …",
    undo=DELETE,
    entry_id=7,
)


def test_that_a_plan_names_the_change() -> None:
    row = journal_row(CHANGED)
    assert (row.key, row.what, row.outcome, row.undo) == (7, "Change a.b", "Done", Undo.PLAN)
    assert plan_lines(CHANGED) == "a.b, topic email: 1 -> 2\nc.d, topic email: 3 -> 4"


def test_that_every_method_that_writes_has_a_name_for_people() -> None:
    writes = {name for name in vars(ClusterWriter) if not name.startswith("_")}
    assert writes == set(METHODS)


def test_that_a_change_without_a_plan_is_named_by_its_method() -> None:
    row = journal_row(JournalEntry(1.0, "orders", "produce", "email: 3 records"))
    assert (row.what, row.undo) == ("Produce records", Undo.NONE)


def test_that_a_failed_change_shows_its_error_and_has_no_undo() -> None:
    row = journal_row(replace(CHANGED, outcome="Broker 2 refused."))
    assert (row.outcome, row.undo) == ("Broker 2 refused.", Undo.NONE)


def test_that_an_undo_that_only_kafkas_tools_can_do_is_told_apart() -> None:
    row = journal_row(replace(CHANGED, undo="kafka-topics.sh --create --topic email"))
    assert row.undo is Undo.COMMAND


@pytest.mark.parametrize(
    ("entry", "cluster", "read_only", "reason"),
    [
        (CHANGED, "orders", False, ""),
        (CHANGED, "other", False, "Open the cluster orders"),
        (CHANGED, "orders", True, "read-only"),
        (replace(CHANGED, outcome="refused"), "orders", False, "Nothing was changed"),
        (replace(CHANGED, undo=""), "orders", False, "cannot undo"),
        (replace(CHANGED, undo="kafka-topics.sh --create"), "orders", False, "Kafka's own tools"),
    ],
)
def test_that_the_page_says_why_there_is_no_undo(
    entry: JournalEntry, cluster: str, read_only: bool, reason: str
) -> None:
    said = why_no_undo(journal_row(entry), cluster, read_only)
    assert reason in said and bool(said) == bool(reason)
