"""The table of records: copies whole keys and values, and keeps its place while records arrive."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMenu
from typing_extensions import override

from gui.messages.record_columns import unreadable_text
from gui.messages.record_model import RecordModel
from kafka_client.model import Record
from kafka_client.reading.decode import Kind, decode
from resources.outgoing import visible
from widgets.clipboard import copy_data, copy_lines
from widgets.column import Column, as_text
from widgets.item_table import ROW_PIXELS
from widgets.table_columns import PreferenceStore
from widgets.table_view import TableView
from widgets.theme import Theme

NEWEST_FIRST = "-time"
LONGEST_COPY = 1 << 20
"""characters of a copied cell"""


class RecordTable(TableView[Record]):
    def __init__(
        self,
        theme: Theme,
        model: RecordModel,
        *,
        memory: PreferenceStore,
        menu: Callable[[list[Record], QMenu], None],
    ) -> None:
        super().__init__(
            theme,
            model,
            name="messages",
            memory=memory,
            noun="record",
            menu=menu,
            toolbar=False,
            sort=NEWEST_FIRST,
            remember_sort=False,  # each visit starts with the newest records
        )
        self.records = model

    @override
    def is_filtered(self) -> bool:
        """The page hides rows by its own filter and by the time range."""
        return True

    def keep_place(self, rows_above: int) -> None:
        """Scroll by the rows inserted above the first, unless the person looks at the top."""
        bar = self.table.verticalScrollBar()
        if rows_above and bar.value() > 0:
            bar.setValue(bar.value() + rows_above * ROW_PIXELS)

    def select_first(self) -> None:
        if self.model.rowCount():
            self.table.selectRow(0)

    @override
    def copy(self) -> None:
        rows = self.selected_rows()
        if rows:
            columns = self.columns.shown()
            copy_lines(
                "\n".join("\t".join(self._cell(column, row) for column in columns) for row in rows)
            )

    @override
    def copy_cell(self) -> None:
        index = self.table.currentIndex()
        if index.isValid():
            column = self.model.columns[index.column()]
            text = self._cell(column, self.model.row_at(index.row()), one_line=False)
            copy_data(text)

    def _cell(self, column: Column[Record], row: Record, one_line: bool = True) -> str:
        """The whole text of a cell. In one line, controls and line ends become visible signs."""
        decoder = self.records.decoder
        if row.unreadable is not None and column.name in ("key", "value"):
            return unreadable_text(row) if column.name == "value" else ""
        match column.name:
            case "key":
                data, kind = row.key, decoder.key_kind
            case "value":
                data, kind = row.value, decoder.value_kind
            case _:
                data, kind = (
                    as_text(column.value(row)).encode("utf-8", "surrogatepass"),
                    Kind.STRING,
                )
        text = "" if data is None else decode(data, kind, limit=LONGEST_COPY).text
        return visible(text, lines=not one_line, limit=LONGEST_COPY)
