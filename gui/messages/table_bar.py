"""The bar above the records: how many, how keys and values are decoded, in which order; export."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QMenu, QToolButton, QWidget

from gui.messages.record_table import NEWEST_FIRST, RecordTable
from gui.pages import PageContext
from gui.tasks import chosen_file
from kafka_client.errors import ClientError
from kafka_client.reading import export
from kafka_client.reading.decode import Kind
from kafka_client.reading.plan import Order
from resources.wording import counted
from widgets.figures import size
from widgets.plain import plain, without_mnemonic
from widgets.reflow import ReflowRow, group_of

BY_PARTITION = "partition"
ORDERS = (
    ("Newest first", NEWEST_FIRST),
    ("Oldest first", "time"),
    ("By partition", BY_PARTITION),
)
"""title, column with a leading ``-`` for descending"""
KINDS = tuple(Kind)


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
        self.order_box.setFixedWidth(144)
        self.order_box.activated.connect(self._order_chosen)
        for box in (self.key_as, self.value_as):
            for kind in KINDS:
                box.addItem("Guess" if kind is Kind.GUESS else str(kind), str(kind))
            box.setFixedWidth(104)
            box.currentIndexChanged.connect(lambda _: self.decoders_changed.emit())
        self.tools.setAccessibleName("Columns and export")
        self.tools.setToolTip("Columns and export")
        self.tools.clicked.connect(self._open_tools)
        table.table.horizontalHeader().sectionClicked.connect(lambda _: self._show_order())
        table.model.counted.connect(self._show_counts)
        self._build()
        context.theme.changed.connect(self._recolour)
        self._recolour()
        self._show_order()

    def _build(self) -> None:
        decoders = group_of(
            plain("Key as", self, role="muted"),
            self.key_as,
            plain("value as", self, role="muted"),
            self.value_as,
        )
        view = group_of(self.counts, self.order_box, self.tools, stretch=self.counts)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(ReflowRow(decoders, view, stretches=(0, 1)))

    # ---- order and decoders

    @property
    def order(self) -> Order:
        """The order in which a scan reads: by time across partitions, or one by one."""
        by_partition = self.order_box.currentData() == BY_PARTITION
        return Order.PARTITION if by_partition else Order.TIME

    @property
    def kinds(self) -> tuple[Kind, Kind]:
        """The chosen decodings of keys and of values."""
        return Kind(self.key_as.currentData()), Kind(self.value_as.currentData())

    def set_kinds(self, names: Sequence[object]) -> None:
        """Names of the kinds of keys and values; unknown or missing ones mean a guess."""
        for box, name in zip((self.key_as, self.value_as), [*names, "", ""], strict=False):
            with QSignalBlocker(box):
                box.setCurrentIndex(next((i for i, kind in enumerate(KINDS) if kind == name), 0))

    def _order_chosen(self, index: int) -> None:
        sort = str(self.order_box.itemData(index))
        self._table.sort_by(sort.lstrip("-"), sort.startswith("-"))
        self.order_changed.emit()

    def _show_order(self) -> None:
        """Show the order that a click on a title has chosen."""
        index, descending = self._table.model.sorted_by
        column = self._table.model.columns[index]
        sort = f"{'-' if descending else ''}{column.name}"
        known = [s for _, s in ORDERS]
        self.order_box.setPlaceholderText(f"By {column.title.lower()}")
        self.order_box.setCurrentIndex(known.index(sort) if sort in known else -1)

    def _show_counts(self, shown: int, total: int) -> None:
        of_all = counted(total, "record")
        self.counts.setText(of_all if shown == total else f"{shown:,} of {of_all}")

    def _recolour(self) -> None:
        self.tools.setIcon(self._context.theme.icon("columns"))

    # ---- export

    def _open_tools(self) -> None:
        menu = self._table.make_columns_menu()
        menu.addSeparator()
        self._add_export(menu, "Export as CSV…", "csv")
        self._add_export(menu, "Export as JSON Lines…", "jsonl")
        menu.popup(self.tools.mapToGlobal(QPoint(0, self.tools.height())))

    def _add_export(self, menu: QMenu, title: str, form: str) -> None:
        action = menu.addAction(without_mnemonic(title), partial(self.choose_export_file, form))
        action.setEnabled(self._table.model.rowCount() > 0)

    def choose_export_file(self, form: str) -> None:
        """Let the person choose a file, and export to it."""
        self._context.session.tasks.start(self._export_to_chosen_file(form), owner=self)

    async def _export_to_chosen_file(self, form: str) -> None:
        rows = self._table.model.rows
        dialog = QFileDialog(self, "Export", f"{_file_name(rows[0].topic)}.{form}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        path = await chosen_file(dialog)
        if path is not None:
            await self._export(Path(path), form)

    def export_to(self, path: str, form: str) -> None:
        """Write the shown records as a job; ``form``: csv or jsonl."""
        self._context.session.tasks.start(self._export(Path(path), form), owner=self)

    async def _export(self, path: Path, form: str) -> None:
        rows = [row for row in self._table.model.rows if row.unreadable is None]
        left_out = self._table.model.rowCount() - len(rows)
        key, value = self.kinds
        title = f"Export of {counted(len(rows), 'record')}"

        async def write(_client: object, _progress: object) -> str:
            try:
                written = await asyncio.to_thread(export.write, path, rows, form, key, value)
            except OSError as error:
                raise ClientError(
                    f"{path.name} was not written: {error.strerror or error}.",
                    next_step="Choose another place.",
                ) from None
            done = f"{counted(len(rows), 'record')} written to {path.name}, {size(written)}."
            if left_out:
                done += f" Left out: {counted(left_out, 'place')} that could not be read."
            return done

        try:
            sentence = await self._context.session.run_job(title, write)
        except ClientError as error:
            self._context.notify(f"{error} {error.next_step}", "bad")
        else:
            self._context.notify(sentence, "ok")


def _file_name(topic: str) -> str:
    """The topic's name with what a file system may refuse replaced."""
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in topic).lstrip(".")
    return name or "messages"
