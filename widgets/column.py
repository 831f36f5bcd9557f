"""What a table column is: where its value comes from, how it reads, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

R = TypeVar("R")
"""A row: any value that compares with ``==``, best a frozen dataclass."""


def as_text(value: object) -> str:
    return "–" if value is None else str(value)


@dataclass(frozen=True)
class Column(Generic[R]):
    """``value`` is exact: it sorts, exports and copies. ``text`` is how it reads. ``tip`` may add
    the cause or the age. ``tone`` names a colour token when the cell is not ordinary (``bad``,
    ``warn``, ``text_faint``)."""

    name: str
    """stable, lower case: remembered widths and exports go by it"""
    title: str
    value: Callable[[R], Any]
    text: Callable[[Any], str] = as_text
    tip: Callable[[R], str] | None = None
    tone: Callable[[R], str] | None = None
    icon: Callable[[R], str] | None = None
    """name of an icon before the text, in the colour of ``tone``"""
    numeric: bool = False
    """right-aligned, tabular figures; first click on the title sorts downward"""
    mono: bool = False
    width: int = 0
    """pixels to begin with; 0: from title and content"""
    stretch: bool = False
    hidden: bool = False
    """not shown until the person asks for it"""
    paint: str = "text"
    """text, bar (value 0..1), spark (value: a float array), status (the mark of ``tone`` before
    the text), or badge (text in a tinted pill of ``tone``)"""
    help: str = ""
    """what the column means, as the title's tooltip"""
