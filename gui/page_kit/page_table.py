"""Makes the tables of pages: in the window's theme, with a layout that the preferences keep, and
a note for an export that fails."""

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
    toolbar: bool = True,
    remembered: bool = True,
) -> TableView[R]:
    """``name``, ``noun``, ``sort``, ``menu`` and ``toolbar`` are those of TableView.

    ``opened`` gets the row that was opened, and whether in a tab of its own; ``empty`` is icon,
    title and sentence of the table without rows; the preferences keep the layout of a
    ``remembered`` one. A failed export is shown as a note.
    """
    table = TableView(
        context.theme,
        model,
        name=name,
        memory=context.preferences if remembered else None,
        noun=noun,
        menu=menu,
        sort=sort,
        toolbar=toolbar,
    )
    table.failed.connect(lambda sentence: context.notify(sentence, "bad"))
    if opened is not None:
        table.row_opened.connect(opened)
    if empty is not None:
        table.set_empty_words(*empty)
    return table
