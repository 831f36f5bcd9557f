"""The table of records, and the bar above it: how many, in which order, read as what, exported
how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QToolButton, QWidget
from typing_extensions import override

from gui.messages.record_model import RecordModel
from gui.pages import PageContext
from kafka_client.errors import ClientError
from kafka_client.model import Record
from kafka_client.reading import export
from kafka_client.reading.decode import Kind, decode
from kafka_client.reading.plan import Order
from widgets import figures
from widgets.column import Column
from widgets.item_table import ROW_PIXELS
from widgets.plain import plain, visible
from widgets.table_columns import PreferenceStore
from widgets.table_view import TableView
from widgets.theme import Theme

ORDERS = (("Newest first", "-time"), ("Oldest first", "time"), ("By partition", "partition"))
LONGEST_CELL = 1 << 20
KINDS = tuple(Kind)


class RecordTable(TableView[Record]):
    """Copies whole keys and values, not what fits a cell."""

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
            sort="-time",
            remember_sort=False,
        )
        self.records = model

    @override
    def is_filtered(self) -> bool:
        """The page hides rows by its own filter and by the time range."""
        return True

    def keep_place(self, rows_above: int) -> None:
        """Rows came in above: what is being looked at stays where it is, unless the top is in
        sight."""
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
            QGuiApplication.clipboard().setText(
                "\n".join("\t".join(self._cell(column, row) for column in columns) for row in rows)
            )

    @override
    def copy_cell(self) -> None:
        index = self.table.currentIndex()
        if index.isValid():
            text = self._cell(
                self.model.columns[index.column()], self.model.row_at(index.row()), one_line=False
            )
            QGuiApplication.clipboard().setText(text)

    def _cell(self, column: Column[Record], row: Record, one_line: bool = True) -> str:
        """Text that fits TSV: controls and line ends as visible signs."""
        cells = self.records.decoder
        data, kind = {"key": (row.key, cells.key_kind), "value": (row.value, cells.value_kind)}.get(
            column.name, (b"", Kind.STRING)
        )
        if column.name not in ("key", "value"):
            return str(column.value(row))
        text = "" if data is None else decode(data, kind, limit=LONGEST_CELL).text
        return visible(text, lines=not one_line, limit=LONGEST_CELL)


class TableBar(QWidget):
    order_changed = Signal()
    decoders_changed = Signal()

    def __init__(self, context: PageContext, table: RecordTable) -> None:
        super().__init__(table)
        self._context = context
        self._table = table
        self.counts = plain("", self, role="muted")
        self.order_box = QComboBox(self)
        self.key_as = QComboBox(self)
        self.value_as = QComboBox(self)
        self.tools = QToolButton(self)
        for title, sort in ORDERS:
            self.order_box.addItem(title, sort)
        for box in (self.key_as, self.value_as):
            for kind in KINDS:
                box.addItem("Guess" if kind is Kind.GUESS else str(kind), str(kind))
            box.setFixedWidth(104)
            box.currentIndexChanged.connect(lambda _: self.decoders_changed.emit())
        self.order_box.setFixedWidth(144)
        self.order_box.activated.connect(self._order_chosen)
        table.table.horizontalHeader().sectionClicked.connect(lambda _: self._show_order())
        table.model.counted.connect(self._count)
        self.tools.setAccessibleName("Columns and export")
        self.tools.setToolTip("Columns and export")
        self.tools.clicked.connect(self._menu)
        self._build()
        context.theme.changed.connect(self._recolour)
        self._recolour()
        self._show_order()

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.counts, 1)
        row.addWidget(plain("Key as", self, role="muted"))
        row.addWidget(self.key_as)
        row.addSpacing(4)
        row.addWidget(plain("value as", self, role="muted"))
        row.addWidget(self.value_as)
        row.addSpacing(4)
        row.addWidget(self.order_box)
        row.addWidget(self.tools)

    @property
    def order(self) -> Order:
        return Order.PARTITION if self.order_box.currentData() == "partition" else Order.TIME

    @property
    def kinds(self) -> tuple[Kind, Kind]:
        return Kind(self.key_as.currentData()), Kind(self.value_as.currentData())

    def set_kinds(self, names: Sequence[Any]) -> None:
        for box, name in zip((self.key_as, self.value_as), [*names, "", ""], strict=False):
            with QSignalBlocker(box):
                box.setCurrentIndex(next((i for i, kind in enumerate(KINDS) if kind == name), 0))

    def _order_chosen(self, place: int) -> None:
        sort: str = self.order_box.itemData(place)
        self._table.sort_by(sort.lstrip("-"), sort.startswith("-"))
        self.order_changed.emit()

    def _show_order(self) -> None:
        """The order may be chosen at the titles too."""
        column, down = self._table.model.sorted_by
        name = (
            f"{'-' if down else ''}{self._table.model.columns[column].name}" if column >= 0 else ""
        )
        self.order_box.setCurrentIndex(
            next((i for i, (_, sort) in enumerate(ORDERS) if sort == name), -1)
        )

    def _count(self, shown: int, total: int) -> None:
        noun = "record" if total == 1 else "records"
        self.counts.setText(
            f"{total:,} {noun}" if shown == total else f"{shown:,} of {total:,} {noun}"
        )

    def _recolour(self) -> None:
        self.tools.setIcon(self._context.theme.icon("columns"))

    # ---- export

    def _menu(self) -> None:
        menu = self._table.make_tools_menu()
        for action in menu.actions()[-2:]:
            menu.removeAction(action)
        shown = self._table.model.rowCount()
        for title, form in (("Export as CSV…", "csv"), ("Export as JSON Lines…", "jsonl")):
            action = menu.addAction(title, partial(self._ask_where, form))
            action.setEnabled(shown > 0)
        menu.popup(self.tools.mapToGlobal(QPoint(0, self.tools.height())))

    def _ask_where(self, form: str) -> None:
        from PySide6.QtWidgets import QFileDialog

        rows = self._table.model.rows
        topic = rows[0].topic if rows else "messages"
        name = (
            "".join(c if c.isalnum() or c in "._-" else "_" for c in topic).lstrip(".")
            or "messages"
        )
        dialog = QFileDialog(self, "Export", f"{name}.{form}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.export_to(path, form))
        dialog.open()

    def export_to(self, path: str, form: str) -> None:
        """What is shown, as a job; ``form``: csv or jsonl."""
        self._context.session.tasks.start(self._export(path, form), self)

    async def _export(self, path: str, form: str) -> None:
        rows = self._table.model.rows
        key, value = self.kinds

        async def write(_client: object, _progress: object) -> str:
            try:
                size = await asyncio.to_thread(export.write, Path(path), rows, form, key, value)
            except OSError as error:
                raise ClientError(
                    f"{Path(path).name} was not written: {error.strerror or error}.",
                    next_step="Choose another place.",
                ) from None
            return f"{figures.plural(len(rows), 'record')} written to {Path(path).name}, {figures.size(size)}."

        title = f"Export of {figures.plural(len(rows), 'record')}"
        sentence = await self._context.session.run_job(title, write)
        self._context.notify(sentence, "ok")
