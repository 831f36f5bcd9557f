"""A table as every page shows it.

A filter box and counts above it, columns to show and hide whose layout is remembered, copying,
export, a context menu with the row's own actions, and words in place of rows when there are none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Generic

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from resources.wording import counted
from widgets.cell_delegate import CellDelegate
from widgets.clipboard import copy_line, copy_lines
from widgets.column import R
from widgets.export import as_csv, as_json_lines, as_tsv
from widgets.filter_box import FilterBox
from widgets.item_table import ItemTable
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import EmptyState
from widgets.plain import plain, without_mnemonic
from widgets.sort_header import SortHeader
from widgets.table_columns import PreferenceStore, TableColumns
from widgets.table_model import TableModel
from widgets.theme import Theme

logger = logging.getLogger(__name__)

NARROWEST_COLUMN = 40


class TableView(QWidget, Generic[R]):
    """``menu`` is called with the selected rows and fills the context menu with their actions."""

    row_opened = Signal(object, bool)
    """row, in a tab of its own"""
    selection_changed = Signal(list)
    """the selected rows"""
    failed = Signal(str)
    """a sentence: an export that was not written, and why"""

    def __init__(
        self,
        theme: Theme,
        model: TableModel[R],
        *,
        name: str,
        memory: PreferenceStore | None = None,
        noun: str = "row",
        menu: Callable[[list[R], QMenu], None] | None = None,
        toolbar: bool = True,
        sort: str = "",
        remember_sort: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        """``name`` identifies the saved layout; ``noun`` names one row ("topic"); ``sort`` is the
        first sort column, with a leading ``-`` descending."""
        super().__init__(parent)
        self.theme = theme
        self.model = model
        self._name = name
        self._noun = noun
        self._menu = menu
        self._empty_words: tuple[str, str, str] | None = None
        self.filter_box = FilterBox(theme, noun, self)
        self.counts = plain("", self, role="muted")
        self._tools = QToolButton(self)
        self.table = ItemTable(theme, self)
        self.columns = self._set_up_table(memory, remember_sort)
        self.empty_state = EmptyState(theme, self.table.viewport())
        self.bar = QHBoxLayout()
        self.bar.setContentsMargins(0, 0, 0, 8)
        self.bar.setSpacing(8)
        if toolbar:
            self._set_up_toolbar()
        else:
            for unused in (self.filter_box, self.counts, self._tools):
                unused.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self.bar)
        layout.addWidget(self.table)
        self.setFocusProxy(self.table)
        model.counted.connect(self._show_counts)
        theme.changed.connect(self._recolour)
        self._recolour()
        self.columns.restore(sort)
        self._show_counts(model.rowCount(), len(model.all_rows))

    # ---- set-up

    def _set_up_table(self, memory: PreferenceStore | None, remember_sort: bool) -> TableColumns:
        table = self.table
        table.setModel(self.model)
        table.setItemDelegate(CellDelegate(self.theme, self.model.columns, table))
        header = SortHeader(self.theme, self.model.columns, table)
        table.setHorizontalHeader(header)
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(NARROWEST_COLUMN)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSectionsClickable(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        columns = TableColumns(table, self.model, self._name, memory, remember_sort=remember_sort)
        header.sectionClicked.connect(columns.toggle_sort)
        header.customContextMenuRequested.connect(
            lambda point: self.make_tools_menu().popup(header.mapToGlobal(point))
        )
        table.customContextMenuRequested.connect(self._open_context_menu)
        table.opened.connect(
            lambda index, tab: self.row_opened.emit(self.model.row_at(index.row()), tab)
        )
        table.copy_requested.connect(self.copy)
        table.selectionModel().selectionChanged.connect(
            lambda *_: self.selection_changed.emit(self.selected_rows())
        )
        return columns

    def _set_up_toolbar(self) -> None:
        model = self.model
        assert isinstance(model, KeyedTableModel), "only a keyed model filters its own rows"
        self.filter_box.textChanged.connect(model.set_filter)
        self.filter_box.rows_requested.connect(self.focus_rows)
        self._tools.setToolTip("Columns and export")
        self._tools.setAccessibleName("Columns and export")
        self._tools.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._tools.clicked.connect(
            lambda: self.make_tools_menu().popup(
                self._tools.mapToGlobal(QPoint(0, self._tools.height()))
            )
        )
        self.bar.addWidget(self.filter_box)
        self.bar.addWidget(self.counts)
        self.bar.addStretch(1)
        self.bar.addWidget(self._tools)

    def add_tool(self, widget: QWidget, *, left: bool = False) -> None:
        """Put a page's own control into the bar: before the tools, or after the counts."""
        self.bar.insertWidget(2 if left else self.bar.count() - 1, widget)

    def _recolour(self) -> None:
        self._tools.setIcon(self.theme.icon("columns"))
        self.table.viewport().update()
        self.table.horizontalHeader().viewport().update()

    # ---- rows

    def selected_rows(self) -> list[R]:
        return [self.model.row_at(i.row()) for i in self.table.selectionModel().selectedRows()]

    def current_row(self) -> R | None:
        index = self.table.currentIndex()
        return self.model.row_at(index.row()) if index.isValid() else None

    def select_key(self, key: Hashable) -> bool:
        """Select the row of that key alone and scroll to it; False if it is not shown."""
        row = self.model.row_of(key)
        if row < 0:
            return False
        index = self.model.index(row, 0)
        flags = (
            QItemSelectionModel.SelectionFlag.ClearAndSelect
            | QItemSelectionModel.SelectionFlag.Rows
        )
        self.table.selectionModel().setCurrentIndex(index, flags)
        self.table.scrollTo(index)
        return True

    def focus_rows(self) -> None:
        """Move the keyboard focus to the rows, and select the first if none is selected."""
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        if self.model.rowCount() and not self.table.selectionModel().hasSelection():
            self.table.selectRow(0)

    def sort_by(self, name: str, descending: bool = False) -> None:
        self.columns.sort_by(name, descending)

    # ---- counts, and words when there are no rows

    def set_empty_words(self, icon: str, title: str, sentence: str) -> None:
        """The words that stand in the table while it has no rows to show."""
        self._empty_words = (icon, title, sentence)
        self._show_empty_state(self.model.rowCount(), len(self.model.all_rows))

    def clear_empty_words(self) -> None:
        self._empty_words = None
        self._show_empty_state(self.model.rowCount(), len(self.model.all_rows))

    def is_filtered(self) -> bool:
        """Rows may be hidden because of what a person typed."""
        return bool(self.filter_box.text())

    def _show_counts(self, shown: int, total: int) -> None:
        all_of_them = counted(total, self._noun)
        self.counts.setText(all_of_them if shown == total else f"{shown:,} of {all_of_them}")
        self._show_empty_state(shown, total)
        # Titles without rows are nothing to scroll to.
        as_needed = Qt.ScrollBarPolicy.ScrollBarAsNeeded
        off = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.table.setHorizontalScrollBarPolicy(as_needed if shown else off)
        if total:
            self.columns.fit_once()

    def _show_empty_state(self, shown: int, total: int) -> None:
        words = self._empty_words
        if not shown and total and self.is_filtered():
            words = (
                "filter",
                f"No {self._noun} matches the filter",
                f"The filter hides {counted(total, self._noun)}. Change it or clear it.",
            )
        if shown or words is None:
            self.empty_state.hide()
        else:
            self.empty_state.show_words(*words)

    # ---- copying and export

    def copy(self) -> None:
        """Copy the selected rows as TSV, with exact values."""
        rows = self.selected_rows()
        if rows:
            copy_lines(as_tsv(self.columns.shown(), rows))

    def copy_cell(self) -> None:
        index = self.table.currentIndex()
        if index.isValid():
            value = self.model.columns[index.column()].value(self.model.row_at(index.row()))
            copy_line("" if value is None else str(value))

    def export_to(self, path: str, kind: str) -> bool:
        """Write the shown rows with all columns; ``kind``: csv or jsonl. A failure is emitted as
        ``failed`` and False is returned."""
        text = (as_csv if kind == "csv" else as_json_lines)(self.model.columns, self.model.rows)
        try:
            Path(path).write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            logger.warning("cannot write %s: %s", path, error)
            self.failed.emit(f"{Path(path).name} was not written: {error.strerror or error}.")
            return False
        return True

    def _choose_export_file(self, kind: str) -> None:
        dialog = QFileDialog(self, "Export", f"{self._name.replace('/', '-')}.{kind}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.export_to(path, kind))
        dialog.open()

    # ---- menus

    def _open_context_menu(self, point: QPoint) -> None:
        rows = self.selected_rows()
        if not rows:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if self._menu is not None:
            self._menu(rows, menu)
            menu.addSeparator()
        copy = menu.addAction("Copy rows" if len(rows) > 1 else "Copy row", self.copy)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        menu.addAction("Copy cell", self.copy_cell)
        menu.popup(self.table.viewport().mapToGlobal(point))

    def make_tools_menu(self) -> QMenu:
        """Columns to show or hide, and export. The caller opens it; it deletes itself."""
        menu = self.make_columns_menu()
        menu.addSeparator()
        menu.addAction("Export as CSV…", lambda: self._choose_export_file("csv"))
        menu.addAction("Export as JSON Lines…", lambda: self._choose_export_file("jsonl"))
        return menu

    def make_columns_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        header = self.table.horizontalHeader()
        for index, column in enumerate(self.model.columns):
            action = QAction(without_mnemonic(column.title or column.name), menu)
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(index))
            action.setEnabled(index != 0)
            action.toggled.connect(partial(self.columns.show_column, index))
            menu.addAction(action)
        return menu
