"""One record: value, key, headers, and all that Kafka says about it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QStackedLayout,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.messages.bytes_view import BytesView
from gui.messages.record_columns import exact_time, size_of
from gui.pages import PageContext
from kafka_client.model import Record
from kafka_client.reading.decode import Kind, decode, preview
from kafka_client.reading.export import json_line
from widgets import figures
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import EmptyState
from widgets.plain import ElidedLabel, plain, visible
from widgets.table_view import TableView

MOST_COPIED = 4 << 20


@dataclass(frozen=True, slots=True)
class HeaderRow:
    place: int
    key: str
    value: bytes | None


HEADER_COLUMNS: list[Column[HeaderRow]] = [
    Column("key", "Header", lambda r: r.key[:2000], width=150, mono=True),
    Column(
        "value",
        "Value",
        lambda r: None if r.value is None else preview(r.value, limit=400),
        text=lambda v: "null" if v is None else str(v),
        mono=True,
        stretch=True,
        tone=lambda r: "text_faint" if r.value is None else "",
    ),
    Column(
        "size", "Size", lambda r: len(r.value or b""), text=figures.size, numeric=True, width=72
    ),
]


class RecordDetail(QWidget):
    edit_requested = Signal(object)  # a record to change and send again

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.record: Record | None = None
        self.where = ElidedLabel("", self, role="strong")
        self.when = ElidedLabel("", self, role="small")
        self.resend = QPushButton("Edit and send…", self)
        self.resend.clicked.connect(lambda: self.edit_requested.emit(self.record))
        self.copy_button = QToolButton(self)
        self.copy_button.setAccessibleName("Copy")
        self.copy_button.setToolTip("Copy")
        self.copy_button.clicked.connect(self._copy_menu)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.value = BytesView(context, self)
        self.key = BytesView(context, self)
        self._headers: KeyedTableModel[HeaderRow] = KeyedTableModel(
            HEADER_COLUMNS, lambda r: r.place
        )
        self.headers = TableView(
            context.theme, self._headers, name="headers", noun="header", toolbar=False
        )
        self.headers.set_empty_words("tag", "No headers", "This record was sent without any.")
        self.facts = QWidget(self)
        self._grid = QGridLayout(self.facts)
        self._facts: dict[str, QLabel] = {}
        self._build()
        context.theme.changed.connect(self._recolour)
        self._recolour()
        self.show_record(None)

    def _build(self) -> None:
        self._grid.setContentsMargins(0, 4, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        for view, title in (
            (self.value, "Value"),
            (self.key, "Key"),
            (self.headers, "Headers"),
            (self.facts, "Metadata"),
        ):
            page = QWidget(self)
            inner = QVBoxLayout(page)
            inner.setContentsMargins(0, 12, 0, 0)
            inner.addWidget(view, 1)
            if view is self.facts:
                inner.addStretch(1)
                inner.setStretch(0, 0)
            self.tabs.addTab(page, title)
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addWidget(self.where)
        names.addWidget(self.when)
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addLayout(names, 1)
        head.addWidget(self.copy_button)
        head.addWidget(self.resend)
        self._content = QWidget(self)
        column = QVBoxLayout(self._content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.tabs, 1)
        self._blank = QWidget(self)
        self.empty_state = EmptyState(self._context.theme, self._blank)
        self.empty_state.show_words(
            "messages", "No record selected", "Choose one in the table to see all of it."
        )
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._content)
        self._stack.addWidget(self._blank)

    def show_record(
        self, record: Record | None, key: Kind = Kind.GUESS, value: Kind = Kind.GUESS
    ) -> None:
        self.record = record
        self._stack.setCurrentWidget(self._blank if record is None else self._content)
        if record is None:
            return
        self.where.show_text(f"Partition {record.partition}  ·  offset {record.offset:,}")
        age = (
            figures.duration(time.time() - record.timestamp_ms / 1000)
            if record.timestamp_ms > 0
            else ""
        )
        stamp = (
            exact_time(record.timestamp_ms).split("\n")[0][:23]
            if record.timestamp_ms >= 0
            else "no timestamp"
        )
        self.when.show_text(f"{stamp}  ·  {age} ago" if age and not age.startswith("-") else stamp)
        name = f"{record.topic}-{record.partition}-{record.offset}"
        self.value.show_bytes(
            record.value,
            value,
            f"{name}.value",
            "A tombstone: it deletes its key where the topic is compacted.",
        )
        self.key.show_bytes(record.key, key, f"{name}.key", "This record has no key.")
        self._headers.merge(HeaderRow(i, h.key, h.value) for i, h in enumerate(record.headers))
        self.tabs.setTabText(
            2, f"Headers ({len(record.headers):,})" if record.headers else "Headers"
        )
        self._show_facts(record)

    def _show_facts(self, record: Record) -> None:
        exact = (
            exact_time(record.timestamp_ms).split("\n") if record.timestamp_ms >= 0 else ["none"]
        )
        kinds = {"create": "set by the producer", "append": "set by the broker", "none": "none"}
        facts = {
            "Topic": record.topic,
            "Partition": str(record.partition),
            "Offset": str(record.offset),
            "Timestamp": exact[0],
            "Timestamp, ms": exact[1].split(" ")[0] if len(exact) > 1 else figures.UNKNOWN,
            "Timestamp type": kinds.get(record.timestamp_type, record.timestamp_type),
            "Leader epoch": figures.UNKNOWN
            if record.leader_epoch is None
            else str(record.leader_epoch),
            "Key": "null" if record.key is None else f"{len(record.key):,} bytes",
            "Value": "null" if record.value is None else f"{len(record.value):,} bytes",
            "Headers": f"{len(record.headers):,}",
            "All together": f"{size_of(record):,} bytes",
        }
        for row, (name, text) in enumerate(facts.items()):
            if name not in self._facts:
                self._facts[name] = plain("", self.facts, role="mono", selectable=True)
                self._grid.addWidget(plain(name, self.facts, role="muted"), row, 0)
                self._grid.addWidget(self._facts[name], row, 1)
            self._facts[name].setText(visible(text))

    def _recolour(self) -> None:
        self.copy_button.setIcon(self._context.theme.icon("copy"))

    def _copy_menu(self) -> None:
        if self.record is not None:
            menu = QMenu(self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            fill_copy_menu(menu, self.record)
            menu.popup(self.copy_button.mapToGlobal(self.copy_button.rect().bottomLeft()))


def fill_copy_menu(menu: QMenu, record: Record) -> None:
    """What can be copied of one record, each up to 4 MiB."""

    def copied(text: str) -> None:
        QGuiApplication.clipboard().setText(
            text[:MOST_COPIED].encode("utf-8", "replace").decode("utf-8")
        )

    def whole(data: bytes) -> str:
        return decode(data, limit=MOST_COPIED).text

    if record.value is not None:
        menu.addAction("Copy value", lambda: copied(whole(record.value or b"")))
    if record.key is not None:
        menu.addAction("Copy key", lambda: copied(whole(record.key or b"")))
    menu.addAction("Copy record as JSON", lambda: copied(json_line(record)))
    menu.addAction(
        "Copy place", lambda: copied(f"{record.topic}-{record.partition}@{record.offset}")
    )
