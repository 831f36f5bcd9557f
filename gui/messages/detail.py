"""One record: its value, key and headers, and its metadata."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QStackedLayout,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.messages.bytes_view import BytesView
from gui.messages.metadata_view import MetadataView
from gui.messages.record_columns import exact_time, unreadable_text
from gui.page_kit.page_table import page_table
from gui.pages import PageContext
from kafka_client.model import Record
from kafka_client.reading.decode import Kind, decode, preview
from kafka_client.reading.export import json_line
from widgets import figures
from widgets.clipboard import copy_data
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import EmptyState
from widgets.plain import ElidedLabel, without_mnemonic

LONGEST_COPY = 4 << 20
"""characters of a copied key or value"""
AGE_EVERY_MS = 1000
LONGEST_NAME = 2000
"""characters of a header's name that the table shows"""
HEADERS_TAB = 2


@dataclass(frozen=True, slots=True)
class HeaderRow:
    index: int
    key: str
    value: bytes | None


HEADER_COLUMNS: list[Column[HeaderRow]] = [
    Column("key", "Header", lambda r: r.key[:LONGEST_NAME], width=150, mono=True),
    Column("value", "Value", lambda r: None if r.value is None else preview(r.value, limit=400),
           text=lambda v: "null" if v is None else str(v), mono=True, stretch=True,
           tone=lambda r: "text_faint" if r.value is None else ""),
    Column("size", "Size", lambda r: len(r.value or b""), text=figures.size, numeric=True,
           width=72),
]  # fmt: skip


class RecordDetail(QWidget):
    edit_requested = Signal(Record)
    """copy this record into the produce form"""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.record: Record | None = None
        self.position = ElidedLabel("", self, role="strong")
        self.written = ElidedLabel("", self, role="small")
        self.resend = QPushButton("Edit and send…", self)
        self.resend.clicked.connect(lambda: self.edit_requested.emit(self.record))
        self.copy_button = QToolButton(self)
        self.copy_button.setAccessibleName("Copy")
        self.copy_button.setToolTip("Copy")
        self.copy_button.clicked.connect(self._open_copy_menu)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.value = BytesView(context, self)
        self.key = BytesView(context, self)
        self._headers: KeyedTableModel[HeaderRow] = KeyedTableModel(
            HEADER_COLUMNS, lambda r: r.index
        )
        self.headers = page_table(
            context,
            self._headers,
            name="headers",
            noun="header",
            toolbar=False,
            remembered=False,
            empty=("tag", "No headers", "The producer sent this record without headers."),
        )
        self.metadata = MetadataView(self)
        self._age = QTimer(self)
        self._age.setInterval(AGE_EVERY_MS)
        self._age.timeout.connect(self._show_age)
        self._build()
        context.theme.changed.connect(self._recolour)
        self._recolour()
        self.show_record(None)

    def _build(self) -> None:
        for title, view in (
            ("Value", self.value),
            ("Key", self.key),
            ("Headers", self.headers),
            ("Metadata", self.metadata),
        ):
            page = QWidget(self)
            inner = QVBoxLayout(page)
            inner.setContentsMargins(0, 12, 0, 0)
            inner.addWidget(view)
            self.tabs.addTab(page, without_mnemonic(title))
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addWidget(self.position)
        names.addWidget(self.written)
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
        self._words = EmptyState(self._context.theme, self._blank)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._content)
        self._stack.addWidget(self._blank)

    # ---- showing

    @property
    def words(self) -> str:
        """What stands in place of a record, for tests."""
        return self._words.words

    def show_record(
        self, record: Record | None, key: Kind = Kind.GUESS, value: Kind = Kind.GUESS
    ) -> None:
        """Show the record with its key and value decoded as these kinds; None shows nothing."""
        self.record = record
        if record is None:
            self._show_words(
                "messages", "No record selected", "Choose a record in the table to see all of it."
            )
            return
        if record.unreadable is not None:
            self._show_words(
                "warning",
                f"Partition {record.partition} has records that cannot be read",
                f"{unreadable_text(record)} Reading went on at offset"
                f" {record.unreadable.last_offset + 1:,}.",
            )
            return
        self._stack.setCurrentWidget(self._content)
        self.position.show_text(f"Partition {record.partition}  ·  offset {record.offset:,}")
        self._show_age()
        name = f"{record.topic}-{record.partition}-{record.offset}"
        self.value.show_bytes(
            record.value,
            value,
            file_name=f"{name}.value",
            null_text="A tombstone: in a compacted topic, null deletes the key.",
        )
        self.key.show_bytes(
            record.key, key, file_name=f"{name}.key", null_text="This record has no key."
        )
        self._headers.merge(HeaderRow(i, h.key, h.value) for i, h in enumerate(record.headers))
        count = len(record.headers)
        self.tabs.setTabText(HEADERS_TAB, f"Headers ({count:,})" if count else "Headers")
        self.metadata.show_record(record)

    def _show_words(self, icon: str, title: str, sentence: str) -> None:
        self._words.show_words(icon, title, sentence)
        self._stack.setCurrentWidget(self._blank)

    def _show_age(self) -> None:
        record = self.record
        if record is None or record.unreadable is not None:
            return
        if record.timestamp_ms < 0:
            self.written.show_text("no timestamp")
            return
        stamp = exact_time(record.timestamp_ms).split("\n")[0][:23]
        age_s = time.time() - record.timestamp_ms / 1000
        has_age = record.timestamp_ms > 0 and age_s >= 0
        age = f"{figures.duration(age_s)} ago  ·  " if has_age else ""
        self.written.show_text(f"{age}{stamp}")

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._age.start()
        self._show_age()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._age.stop()

    def _recolour(self) -> None:
        self.copy_button.setIcon(self._context.theme.icon("copy"))

    def _open_copy_menu(self) -> None:
        if self.record is not None:
            menu = QMenu(self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            fill_copy_menu(menu, self.record)
            menu.popup(self.copy_button.mapToGlobal(self.copy_button.rect().bottomLeft()))


def fill_copy_menu(menu: QMenu, record: Record) -> None:
    """Actions that copy parts of a record, each up to LONGEST_COPY characters."""

    def copy(text: str) -> None:
        copy_data(text[:LONGEST_COPY])

    def whole(data: bytes) -> str:
        return decode(data, limit=LONGEST_COPY).text

    if record.value is not None:
        menu.addAction("Copy value", lambda: copy(whole(record.value or b"")))
    if record.key is not None:
        menu.addAction("Copy key", lambda: copy(whole(record.key or b"")))
    menu.addAction("Copy record as JSON", lambda: copy(json_line(record)))
    menu.addAction(
        "Copy topic, partition and offset",
        lambda: copy(f"{record.topic}-{record.partition}@{record.offset}"),
    )
