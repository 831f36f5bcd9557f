"""Rows of the Journal page, from journal entries. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kafka_client.commands.from_command import can_plan
from kafka_client.journal import JournalEntry

METHODS = {
    "create_topics": "Create topics",
    "delete_topics": "Delete topics",
    "create_partitions": "Add partitions",
    "delete_records": "Delete records",
    "alter_configs": "Change settings",
    "alter_committed": "Commit offsets",
    "delete_groups": "Delete groups",
    "elect_leaders": "Elect leaders",
    "produce": "Produce records",
}
"""the titles of changes that no plan names"""


class Undo(StrEnum):
    """Names the way to take an entry back; the values are the texts of the table."""

    PLAN = "with a plan"
    COMMAND = "by command"
    NONE = "–"


@dataclass(frozen=True, slots=True)
class JournalRow:
    entry: JournalEntry
    what: str
    outcome: str
    undo: Undo

    @property
    def key(self) -> int:
        return self.entry.entry_id


def journal_row(entry: JournalEntry) -> JournalRow:
    title = entry.plan.partition("\n")[0]
    return JournalRow(
        entry,
        title or METHODS.get(entry.method, entry.method),
        "Done" if entry.succeeded else entry.outcome,
        undo_of(entry),
    )


def undo_of(entry: JournalEntry) -> Undo:
    """A change that failed has nothing to take back."""
    if not entry.undo or not entry.succeeded:
        return Undo.NONE
    return Undo.PLAN if can_plan(entry.undo) else Undo.COMMAND


def plan_lines(entry: JournalEntry) -> str:
    """The plan without its title, which stands above it."""
    return entry.plan.partition("\n")[2]


def why_no_undo(row: JournalRow, cluster: str, read_only: bool) -> str:
    """Why *Undo* cannot be pressed on the page of ``cluster``; empty when it can."""
    if not row.entry.succeeded:
        return "Nothing was changed."
    if row.undo is Undo.NONE:
        return "Kafka cannot undo this change."
    if row.entry.cluster != cluster:
        return f"Open the cluster {row.entry.cluster} to undo this there."
    if read_only:
        return "This connection is read-only."
    if row.undo is Undo.COMMAND:
        return "Run the command with Kafka's own tools."
    return ""
