"""Rows as text for other programs: TSV for the clipboard, CSV and JSON Lines for files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from resources.outgoing import CsvWriter, visible
from widgets.column import Column, R


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def as_tsv(columns: Sequence[Column[R]], rows: Iterable[R], titles: bool = False) -> str:
    """Exact values. Tabs and line ends inside a value become visible signs: a row stays a row."""
    lines = ["\t".join(c.title for c in columns)] if titles else []
    for row in rows:
        lines.append(
            "\t".join(
                visible(_cell(c.value(row)), limit=100_000) for c in columns if c.paint != "spark"
            )
        )
    return "\n".join(lines)


def as_csv(columns: Sequence[Column[R]], rows: Iterable[R]) -> str:
    """RFC 4180, with no cell that a spreadsheet would run as a formula."""
    out = io.StringIO()
    writer = CsvWriter(out)
    kept = [c for c in columns if c.paint != "spark"]
    writer.row(c.name for c in kept)
    for row in rows:
        writer.row(column.value(row) for column in kept)
    return out.getvalue()


def as_json_lines(columns: Sequence[Column[R]], rows: Iterable[R]) -> str:
    """One JSON object per line, keyed by column name, with exact integers."""
    kept = [c for c in columns if c.paint != "spark"]
    return "".join(
        json.dumps({c.name: c.value(row) for c in kept}, default=str) + "\n" for row in rows
    )
