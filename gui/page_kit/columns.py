"""Columns that look the same in the tables of every page."""

from __future__ import annotations

from collections.abc import Callable

from gui.status import Status
from widgets.column import Column, R


def status_column(
    name: str,
    title: str,
    status: Callable[[R], Status],
    *,
    width: int,
    tip: Callable[[R], str] | None = None,
    help: str = "",
) -> Column[R]:
    """A status as its mark and its words; the tooltip says what it means."""
    return Column(
        name,
        title,
        lambda row: status(row).text,
        paint="status",
        tone=lambda row: status(row).tone,
        tip=tip or (lambda row: status(row).meaning),
        width=width,
        help=help,
    )
