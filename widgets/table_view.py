"""A table as every page shows it: filter box, counts, columns to show and hide, widths that are
remembered, copying, export, a context menu with the row's own actions, and designed words when
there is nothing in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, Protocol

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSignalBlocker,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence, QMouseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from widgets.cell_delegate import CellDelegate
from widgets.column import R
from widgets.export import as_csv, as_json_lines, as_tsv
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import Nothing
from widgets.plain import plain
from widgets.sort_header import ARROW, SortHeader
from widgets.theme import Theme

ROW_PIXELS = 28


class Memory(Protocol):
    """Where a table keeps its columns: the window's preferences."""

    def value(self, name: str, default: Any = None) -> Any: ...
    def set_value(self, name: str, value: Any) -> None: ...


class _Table(QTableView):
    opened = Signal(QModelIndex, bool)  # double click or Enter; Ctrl held
    copied = Signal()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copied.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(
                self.currentIndex(), bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            )
        else:
            super().keyPressEvent(event)

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit(index, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
        super().mouseDoubleClickEvent(event)


class TableView(QWidget, Generic[R]):
    """``menu`` is called with the selected rows and fills the context menu with their actions."""

    row_opened = Signal(object, bool)  # row, in a tab of its own
    selection_changed = Signal(list)  # selected rows
    filter_changed = Signal(str)

    def __init__(
        self,
        theme: Theme,
        model: KeyedTableModel[R],
        *,
        name: str,
        memory: Memory | None = None,
        noun: str = "row",
        menu: Callable[[list[R], QMenu], None] | None = None,
        toolbar: bool = True,
        sort: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """``name`` is what widths and filters are remembered by; ``noun`` what one row is
        ("topic"); ``sort`` the column to begin with, a leading ``-`` sorts downward."""
        super().__init__(parent)
        self.theme = theme
        self.model = model
        self._name = name
        self._memory = memory
        self._noun = noun
        self._menu = menu
        self._sized = False
        self.table = _Table(self)
        self._set_up_table()
        self.nothing = Nothing(theme, self.table.viewport())
        self.bar = QHBoxLayout()
        self.bar.setContentsMargins(0, 0, 0, 8)
        self.bar.setSpacing(8)
        self.filter_box = QLineEdit(self)
        self.counts = plain("", self, role="muted")
        self._tools = QToolButton(self)
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
        self._save = QTimer(self)
        self._save.setSingleShot(True)
        self._save.setInterval(500)
        self._save.timeout.connect(self._remember)
        model.counted.connect(self._show_counts)
        theme.changed.connect(self._recolour)
        self._recolour()
        self._restore(sort)
        self._show_counts(model.rowCount(), len(model.all_rows))

    # ---- set-up

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setItemDelegate(CellDelegate(self.theme, self.model.columns, table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setMouseTracking(True)
        table.setCornerButtonEnabled(False)
        table.setSortingEnabled(False)
        table.setTabKeyNavigation(False)
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        header = SortHeader(self.theme, self.model.columns, table)
        table.setHorizontalHeader(header)
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(40)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSectionsClickable(True)
        header.sectionClicked.connect(self._sort_clicked)
        header.sectionResized.connect(lambda *_: self._changed())
        header.sectionMoved.connect(lambda *_: self._changed())
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(
            lambda point: self._columns_menu().popup(header.mapToGlobal(point))
        )
        for place, column in enumerate(self.model.columns):
            header.setSectionHidden(place, column.hidden)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._context_menu)
        table.opened.connect(
            lambda index, tab: self.row_opened.emit(self.model.row_at(index.row()), tab)
        )
        table.copied.connect(self.copy)
        table.selectionModel().selectionChanged.connect(
            lambda *_: self.selection_changed.emit(self.selected_rows())
        )

    def _set_up_toolbar(self) -> None:
        box = self.filter_box
        box.setPlaceholderText(f"Filter {self._noun}s")
        box.setClearButtonEnabled(True)
        box.setFixedWidth(240)
        box.setProperty("role", "search")
        self._search_icon = box.addAction(
            self.theme.icon("search"), QLineEdit.ActionPosition.LeadingPosition
        )
        box.textChanged.connect(self._filter_typed)
        self._tools.setIcon(self.theme.icon("columns"))
        self._tools.setToolTip("Columns and export")
        self._tools.setAccessibleName("Columns and export")
        self._tools.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._tools.clicked.connect(
            lambda: self._columns_menu().popup(
                self._tools.mapToGlobal(QPoint(0, self._tools.height()))
            )
        )
        self.bar.addWidget(box)
        self.bar.addWidget(self.counts)
        self.bar.addStretch(1)
        self.bar.addWidget(self._tools)

    def add_tool(self, widget: QWidget, *, left: bool = False) -> None:
        """Put a switch or button of the page's own into the bar: before the tools, or after the
        counts."""
        self.bar.insertWidget(2 if left else self.bar.count() - 1, widget)

    def _recolour(self) -> None:
        self._tools.setIcon(self.theme.icon("columns"))
        if hasattr(self, "_search_icon"):
            self._search_icon.setIcon(self.theme.icon("search"))
        self.table.viewport().update()
        self.table.horizontalHeader().viewport().update()

    # ---- what the page asks

    def selected_rows(self) -> list[R]:
        return [self.model.row_at(i.row()) for i in self.table.selectionModel().selectedRows()]

    def current_row(self) -> R | None:
        index = self.table.currentIndex()
        return self.model.row_at(index.row()) if index.isValid() else None

    def select_key(self, key: Any) -> bool:
        """Make the row of that key the selected one and bring it into sight."""
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

    def visible_rows(self) -> list[R]:
        """The rows in sight, for what asks the cluster for visible things first."""
        top = self.table.rowAt(0)
        bottom = self.table.rowAt(self.table.viewport().height() - 1)
        last = self.model.rowCount() - 1
        if top < 0:
            return []
        return [self.model.row_at(i) for i in range(top, (bottom if bottom >= 0 else last) + 1)]

    def copy(self) -> None:
        """The selected rows, exact values, as TSV; one selected row and a current cell copy the
        row too."""
        rows = self.selected_rows()
        if rows:
            QGuiApplication.clipboard().setText(as_tsv(self._shown_columns(), rows))

    def copy_cell(self) -> None:
        index = self.table.currentIndex()
        if index.isValid():
            value = self.model.columns[index.column()].value(self.model.row_at(index.row()))
            QGuiApplication.clipboard().setText("" if value is None else str(value))

    # ---- inside

    def _shown_columns(self) -> Sequence[Any]:
        header = self.table.horizontalHeader()
        order = sorted(range(header.count()), key=header.visualIndex)
        return [self.model.columns[i] for i in order if not header.isSectionHidden(i)]

    def _filter_typed(self, text: str) -> None:
        self.model.set_filter(text)
        self.filter_changed.emit(text)

    def _show_counts(self, shown: int, total: int) -> None:
        noun = self._noun if total == 1 else f"{self._noun}s"
        self.counts.setText(
            f"{total:,} {noun}" if shown == total else f"{shown:,} of {total:,} {noun}"
        )
        if shown == 0 and total > 0:
            self.nothing.say(
                "filter", f"No {self._noun} matches", f"{total:,} {noun} hidden by the filter."
            )
            self.nothing.show()
        elif total > 0:
            self.nothing.hide()
        elif self.nothing.said:
            self.nothing.show()
        if total and not self._sized:
            self._sized = True
            self._fit()

    def say_nothing(self, icon: str, title: str, sentence: str) -> None:
        """What stands in the table while it has no rows at all."""
        self.nothing.say(icon, title, sentence)
        self.nothing.setVisible(not self.model.all_rows)

    def _fit(self) -> None:
        """Widths to begin with, from titles and the first rows; remembered ones win."""
        header = self.table.horizontalHeader()
        saved = self._saved().get("widths", {})
        with QSignalBlocker(header):
            stretch = False
            for place, column in enumerate(self.model.columns):
                title = header.fontMetrics().horizontalAdvance(column.title) + ARROW + 22
                content = max(
                    (
                        self.table.sizeHintForIndex(self.model.index(r, place)).width()
                        for r in range(min(24, self.model.rowCount()))
                    ),
                    default=0,
                )
                width = saved.get(column.name) or column.width or max(56, title, content + 8)
                header.resizeSection(place, min(int(width), 900))
                if column.stretch:
                    header.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
                    stretch = True
            if not stretch:
                header.setStretchLastSection(False)

    def _sort_clicked(self, place: int) -> None:
        column, descending = self.model.sorted_by
        down = not descending if column == place else self.model.columns[place].numeric
        self.sort_by(self.model.columns[place].name, down)
        self._changed()

    def sort_by(self, name: str, descending: bool = False) -> None:
        place = self.model.column_of(name)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.table.horizontalHeader().setSortIndicator(place, order)
        self.model.sort(place, order)

    def _context_menu(self, point: QPoint) -> None:
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

    def _columns_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        header = self.table.horizontalHeader()
        for place, column in enumerate(self.model.columns):
            action = QAction(column.title or column.name, menu)
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(place))
            action.setEnabled(place != 0)
            action.toggled.connect(partial(self._show_column, place))
            menu.addAction(action)
        menu.addSeparator()
        menu.addAction("Export as CSV…", lambda: self._export("csv"))
        menu.addAction("Export as JSON Lines…", lambda: self._export("jsonl"))
        return menu

    def _show_column(self, place: int, shown: bool) -> None:
        self.table.horizontalHeader().setSectionHidden(place, not shown)
        self._changed()

    def _export(self, kind: str) -> None:
        dialog = QFileDialog(self, "Export", f"{self._name.replace('/', '-')}.{kind}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.export_to(path, kind))
        dialog.open()

    def export_to(self, path: str, kind: str) -> None:
        """Write the shown rows, all columns. Raises: OSError."""
        text = (as_csv if kind == "csv" else as_json_lines)(self.model.columns, self.model.rows)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def _saved(self) -> dict[str, Any]:
        return dict(self._memory.value(f"tables/{self._name}", {}) or {}) if self._memory else {}

    def _restore(self, sort: str) -> None:
        saved = self._saved()
        header = self.table.horizontalHeader()
        names = [column.name for column in self.model.columns]
        for name, shown in saved.get("shown", {}).items():
            if name in names and names.index(name) != 0:
                header.setSectionHidden(names.index(name), not shown)
        for target, name in enumerate(saved.get("order", [])):
            if name in names:
                header.moveSection(header.visualIndex(names.index(name)), target)
        wanted = saved.get("sort", sort)
        if wanted and wanted.lstrip("-") in names:
            self.sort_by(wanted.lstrip("-"), wanted.startswith("-"))
        self._save.stop()

    def _changed(self) -> None:
        if self._memory is not None and self._sized:
            self._save.start()

    def _remember(self) -> None:
        assert self._memory is not None
        header = self.table.horizontalHeader()
        columns = self.model.columns
        place, descending = self.model.sorted_by
        self._memory.set_value(
            f"tables/{self._name}",
            {
                "widths": {
                    c.name: header.sectionSize(i)
                    for i, c in enumerate(columns)
                    if not header.isSectionHidden(i)
                },
                "shown": {c.name: not header.isSectionHidden(i) for i, c in enumerate(columns)},
                "order": [
                    columns[i].name for i in sorted(range(len(columns)), key=header.visualIndex)
                ],
                "sort": f"{'-' if descending else ''}{columns[place].name}" if place >= 0 else "",
            },
        )
