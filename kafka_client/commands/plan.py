"""A plan: what a change will do, said before it is done.

Made from what is known (pure, or after asking for offsets), shown by the window, applied once.
Nothing that changes anything is sent while a plan is made. ``apply`` raises ``ClientError``; a
plan that failed half-way says in its error what was done.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kafka_client.api import ClusterClient


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One thing that changes: ``old`` and ``new`` as they read, empty where there was or will be
    nothing."""

    subject: str
    old: str
    new: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``command`` is the equal command line of Kafka's own tools. ``confirm`` is what must be
    typed before a destructive plan is applied, empty when a click is enough. ``undo`` makes the
    plan that takes this one back."""

    title: str
    verb: str
    rows: tuple[PlanRow, ...]
    command: str
    apply: Callable[[ClusterClient], Awaitable[str]]
    warnings: tuple[str, ...] = ()
    destructive: bool = False
    confirm: str = ""
    undo: Callable[[], Plan] | None = None


def command_line(tool: str, bootstrap: str, *arguments: str) -> str:
    """``kafka-topics.sh --bootstrap-server … ARGUMENTS``, quoted for a shell."""
    return shlex.join([f"{tool}.sh", "--bootstrap-server", bootstrap, *arguments])


def listed(names: Sequence[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 topic``, ``1,234 topics``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
