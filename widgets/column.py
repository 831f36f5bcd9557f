"""A column of a table: where its value comes from, its text, and how it is painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

R = TypeVar("R")
"""A row: any value that compares with ``==``, usually a frozen dataclass."""


def as_text(value: object) -> str:
    return "–" if value is None else str(value)


@dataclass(frozen=True)
class Column(Generic[R]):
    """``value`` is exact: sorting, export and copying use it. ``text`` formats it for the cell.

    ``tip`` may add a cause or an age. ``tone`` names a colour token for cells that are not
    ordinary (``bad``, ``warn``, ``text_faint``).
    """

    name: str
    """stable, lower case: saved layouts and exports refer to it"""
    title: str
    value: Callable[[R], Any]
    text: Callable[[Any], str] = as_text
    tip: Callable[[R], str] | None = None
    tone: Callable[[R], str] | None = None
    icon: Callable[[R], str] | None = None
    """name of an icon before the text, in the colour of ``tone``"""
    numeric: bool = False
    """right-aligned; the first click on the title sorts descending"""
    mono: bool = False
    width: int = 0
    """first width in pixels; 0 derives it from title and content"""
    stretch: bool = False
    hidden: bool = False
    """shown only once the person chooses it"""
    paint: str = "text"
    """text, bar (value 0..1), spark (value: a float array), status (the mark of ``tone`` before
    the text), or badge (text in a tinted pill of ``tone``)"""
    help: str = ""
    """what the column means, as the title's tooltip"""
