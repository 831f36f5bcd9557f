"""A plan: the preview of a change, which is applied only after a person confirmed it.

A plan is made from a snapshot, or after reading offsets; making one sends nothing that changes the
cluster. ``Plan.apply`` raises ``ClientError``; when it fails half-way, the error says what was
done.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kafka_client.api import ClusterClient
from kafka_client.errors import BadInput
from kafka_client.journal import PlanText, describe_writes

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
    """What will change, and how. The window shows all of it before ``apply``."""

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
