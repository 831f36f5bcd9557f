"""A plan: the preview of a change, which is applied only after a person confirmed it.

A plan is made from a snapshot, or after reading offsets; making one sends nothing that changes the
cluster. ``Plan.apply`` raises ``ClientError``; when it fails half-way, the error says what was
done.
"""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kafka_client.api import ClusterClient
from kafka_client.errors import BadInput
from kafka_client.journal import PlanText, describe_writes
from kafka_client.model import TopicPartition
from resources.wording import listed, verb

logger = logging.getLogger(__name__)

JOURNAL_ROWS = 100
"""How many rows of a plan its journal entry lists."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One value that changes. ``old`` and ``new`` are shown as they are; empty means that there
    was, or will be, nothing. Neither ever holds a secret."""

    subject: str
    old: str
    new: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Describes what will change, and how. The window shows all of it before ``apply``."""

    title: str
    verb: str
    """The label of the button that applies it."""
    rows: tuple[PlanRow, ...]
    command: str
    """The equal command line of Kafka's own tools."""
    send: Callable[[ClusterClient], Awaitable[str]]
    """Sends the change and returns a sentence about the result; called by ``apply`` only."""
    warnings: tuple[str, ...] = ()
    destructive: bool = False
    confirm: str = ""
    """What a person must type before a destructive plan is applied; empty: a click is enough."""
    undo: Callable[[], Plan] | None = None
    """Makes the plan that takes this one back; None when Kafka cannot."""

    async def apply(self, client: ClusterClient) -> str:
        """Send the change, with this plan's text in the journal. Returns a sentence about the
        result. Raises: ClientError."""
        logger.info("applying the plan: %s", self.title)
        with describe_writes(self.text()):
            return await self.send(client)

    def text(self) -> PlanText:
        """The plan for the journal: its title, a line per row, both command lines."""
        lines = [self.title, *(_line(row) for row in self.rows[:JOURNAL_ROWS])]
        if len(self.rows) > JOURNAL_ROWS:
            lines.append(f"and {len(self.rows) - JOURNAL_ROWS:,} more rows")
        return PlanText("\n".join(lines), self.command, self._undo_command())

    def _undo_command(self) -> str:
        try:
            return self.undo().command if self.undo is not None else ""
        except BadInput:  # there is nothing to take back
            return ""


def _line(row: PlanRow) -> str:
    change = " -> ".join(filter(None, (row.old, row.new)))
    return f"{row.subject}: {change}" + (f" ({row.note})" if row.note else "")


def command_line(tool: str, bootstrap: str, *arguments: str) -> str:
    """``TOOL.sh --bootstrap-server BOOTSTRAP ARGUMENTS``, quoted for a shell."""
    return shlex.join([f"{tool}.sh", "--bootstrap-server", bootstrap, *arguments])


def with_file(name: str, lines: Iterable[str], command: str) -> str:
    """A command that reads a file, after the shell's lines that write it: what is copied runs."""
    body = "\n".join(lines)
    return f"cat > {name} <<'END'\n{body}\nEND\n{command}"


def partitions_json(
    partitions: Iterable[TopicPartition], offsets: Mapping[TopicPartition, int] | None = None
) -> list[str]:
    """The JSON file in which Kafka's tools take partitions, with ``offsets`` when given; a line
    for each partition."""
    entries = [
        json.dumps(
            {"topic": topic, "partition": partition}
            | ({} if offsets is None else {"offset": offsets[topic, partition]})
        )
        for topic, partition in partitions
    ]
    return ['{"version": 1, "partitions": [', *(f"{e}," for e in entries[:-1]), *entries[-1:], "]}"]


def deletion(
    noun: str,
    names: Sequence[str],
    rows: Iterable[PlanRow],
    commands: Iterable[str],
    warnings: Iterable[str],
    send: Callable[[ClusterClient], Awaitable[None]],
) -> Plan:
    """The plan that deletes things of one kind. One name must be typed to confirm; of several, the
    words ``delete 3 topics``."""
    several = f"delete {len(names):,} {noun}s"

    async def send_and_report(client: ClusterClient) -> str:
        await send(client)
        return f"{listed(names)} {verb(len(names))} deleted."

    return Plan(
        title=f"Delete {noun} {names[0]}" if len(names) == 1 else several.capitalize(),
        verb="Delete",
        rows=tuple(rows),
        command="\n".join(commands),
        send=send_and_report,
        warnings=tuple(warnings),
        destructive=True,
        confirm=names[0] if len(names) == 1 else several,
    )
