"""Widths, order, visibility and sorting of a table's columns, saved in the preferences."""

from __future__ import annotations

from typing import Any, Protocol

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import QHeaderView
from typing_extensions import override

from widgets.item_table import ItemTable
from widgets.sort_header import ARROW
from widgets.table_model import TableModel

SAVE_AFTER_MS = 500
ROWS_MEASURED = 24
NARROWEST, WIDEST = 56, 900
STRETCH_NARROWEST = 140
"""pixels that a stretched column keeps; below that the table scrolls"""


class PreferenceStore(Protocol):
    """Stores the layout of tables: the window's preferences."""

    def value(self, name: str, default: Any = None) -> Any: ...
    def set_value(self, name: str, value: Any) -> None: ...


class TableColumns(QObject):
    """Lays out the columns of one table and saves what the person changes, shortly after.

    ``name`` identifies the table in the store; without a store nothing is saved. With
    ``remember_sort`` False a table always starts with its own sort order.
    """

    def __init__(
        self,
        table: ItemTable,
        model: TableModel[Any],
        name: str,
        store: PreferenceStore | None,
        *,
        remember_sort: bool = True,
    ) -> None:
        super().__init__(table)
        self._table, self._model = table, model
        self._key = f"tables/{name}"
        self._store = store
        self._remember_sort = remember_sort
        self._fitted = False
        self._stretching = False
        """a width changes because of the table, not because of the person"""
        self._save_later = QTimer(self)
        self._save_later.setSingleShot(True)
        self._save_later.setInterval(SAVE_AFTER_MS)
        self._save_later.timeout.connect(self._save)
        header = self.header
        header.sectionResized.connect(self._section_resized)
        table.viewport().installEventFilter(self)
        header.sectionMoved.connect(lambda *_: self.changed())

    @property
    def header(self) -> QHeaderView:
        return self._table.horizontalHeader()

    def shown(self) -> list[Any]:
        """The visible columns from left to right."""
        header = self.header
        order = sorted(range(header.count()), key=header.visualIndex)
        return [self._model.columns[i] for i in order if not header.isSectionHidden(i)]

    def show_column(self, index: int, shown: bool) -> None:
        self.header.setSectionHidden(index, not shown)
        self._stretch()
        self.changed()

    def sort_by(self, name: str, descending: bool = False) -> None:
        index = self._model.column_of(name)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.header.setSortIndicator(index, order)
        self._model.sort(index, order)

    def toggle_sort(self, index: int) -> None:
        """A click on a title: sort by it, or turn the order around. Numbers start descending."""
        current, descending = self._model.sorted_by
        columns = self._model.columns
        self.sort_by(
            columns[index].name, not descending if current == index else columns[index].numeric
        )
        self.changed()

    # ---- first layout

    def restore(self, sort: str) -> None:
        """Hide, order and sort as saved, else as the columns say; ``sort`` "-lag": descending."""
        saved = self._saved()
        header = self.header
        for index, column in enumerate(self._model.columns):
            header.setSectionHidden(index, column.hidden)
        names = [column.name for column in self._model.columns]
        for name, shown in saved.get("shown", {}).items():
            if name in names and names.index(name) != 0:
                header.setSectionHidden(names.index(name), not shown)
        for target, name in enumerate(saved.get("order", [])):
            if name in names:
                header.moveSection(header.visualIndex(names.index(name)), target)
        wanted = saved.get("sort", sort) if self._remember_sort else sort
        if wanted and wanted.lstrip("-") in names:
            self.sort_by(wanted.lstrip("-"), wanted.startswith("-"))
        self._save_later.stop()

    def fit_once(self) -> None:
        """Set the first widths, from titles and the first rows. Saved widths win."""
        if self._fitted:
            return
        self._fitted = True
        header = self.header
        saved = self._saved().get("widths", {})
        with QSignalBlocker(header):
            for index, column in enumerate(self._model.columns):
                width = saved.get(column.name) or column.width or self._measured(index)
                header.resizeSection(index, min(int(width), WIDEST))
            header.setStretchLastSection(False)
        self._stretch()

    def _measured(self, index: int) -> int:
        title = self._model.columns[index].title
        title_width = self.header.fontMetrics().horizontalAdvance(title) + ARROW + 22
        rows = range(min(ROWS_MEASURED, self._model.rowCount()))
        cells = [self._table.sizeHintForIndex(self._model.index(r, index)).width() for r in rows]
        return max(NARROWEST, title_width, max(cells, default=0) + 8)

    # ---- the stretched column

    def _stretch(self) -> None:
        """Give the stretched columns the room that the others leave.

        Qt's own stretching would shrink them to nothing in a narrow table.
        """
        header, columns = self.header, self._model.columns
        visible = [i for i in range(len(columns)) if not header.isSectionHidden(i)]
        stretched = [i for i in visible if columns[i].stretch]
        if not stretched or not self._fitted:
            return
        others = sum(header.sectionSize(i) for i in visible if i not in stretched)
        room = (self._table.viewport().width() - others) // len(stretched)
        self._stretching = True
        for index in stretched:
            fewest = min(columns[index].width or STRETCH_NARROWEST, STRETCH_NARROWEST)
            header.resizeSection(index, max(room, fewest))
        self._stretching = False

    def _section_resized(self, index: int) -> None:
        if self._stretching:
            return
        if not self._model.columns[index].stretch:
            self._stretch()
        self.changed()

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._stretch()
        return False

    # ---- the store

    def changed(self) -> None:
        """Save soon. What happens before the first layout is not the person's change."""
        if self._store is not None and self._fitted:
            self._save_later.start()

    def _saved(self) -> dict[str, Any]:
        return dict(self._store.value(self._key, {}) or {}) if self._store is not None else {}

    def _save(self) -> None:
        assert self._store is not None
        header, columns = self.header, self._model.columns
        hidden = [header.isSectionHidden(i) for i in range(len(columns))]
        sorted_by, descending = self._model.sorted_by
        layout = {
            "widths": {
                c.name: header.sectionSize(i) for i, c in enumerate(columns) if not hidden[i]
            },
            "shown": {c.name: not hidden[i] for i, c in enumerate(columns)},
            "order": [columns[i].name for i in sorted(range(len(columns)), key=header.visualIndex)],
        }
        if self._remember_sort and sorted_by >= 0:
            layout["sort"] = f"{'-' if descending else ''}{columns[sorted_by].name}"
        self._store.set_value(self._key, layout)
