"""The tables of pages: in the window's theme, with a layout that the preferences remember."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMenu

from gui.pages import PageContext
from widgets.column import R
from widgets.table_model import TableModel
from widgets.table_view import TableView


def page_table(
    context: PageContext,
    model: TableModel[R],
    *,
    name: str,
    noun: str,
    sort: str = "",
    menu: Callable[[list[R], QMenu], None] | None = None,
    opened: Callable[[R, bool], None] | None = None,
    empty: tuple[str, str, str] | None = None,
) -> TableView[R]:
    """``name``, ``noun``, ``sort`` and ``menu`` are those of TableView.

    ``opened`` gets the row that was opened, and whether in a tab of its own; ``empty`` is icon,
    title and sentence of the table without rows.
    """
    table = TableView(
        context.theme,
        model,
        name=name,
        memory=context.preferences,
        noun=noun,
        menu=menu,
        sort=sort,
    )
    if opened is not None:
        table.row_opened.connect(opened)
    if empty is not None:
        table.set_empty_words(*empty)
    return table
