"""The form that sends records: one that is typed, or many from pasted lines."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDateTime, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDateTimeEdit,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.messages.bytes_edit import BytesEdit
from gui.messages.headers_edit import HeadersEdit
from gui.messages.lines_edit import LinesEdit
from gui.pages import PageContext
from kafka_client.errors import BadInput, ClientError
from kafka_client.model import ClusterSnapshot, NewRecord, Record
from resources.outgoing import visible
from resources.wording import counted
from widgets.page_state import Banner
from widgets.plain import ElidedLabel, plain
from widgets.segmented import SegmentedControl

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
ACKS = (("all in sync", -1), ("leader only", 1), ("none", 0))
PARTITIONS_LISTED = 2000
RANGES_SHOWN = 6
"""partitions that the result of many records names"""
OPTION_NARROWEST = 84
SCROLL_BAR_PIXELS = 14
"""room that the form leaves for its scroll bar"""
ONE, MANY = range(2)


class ProducePanel(QWidget):
    closed = Signal()
    jump_requested = Signal(str, int, int)
    """topic, partition, offset of a record that was sent"""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.topic = ""
        self._partition_counts: dict[str, int] = {}
        self._last_sent: tuple[str, int, int] | None = None
        """topic, partition, offset"""
        self._sending = False
        theme = context.theme
        self.title = ElidedLabel("Produce", self, role="heading")
        self.close_button = QToolButton(self)
        self.key = BytesEdit(theme, "Key", False, self)
        self.value = BytesEdit(theme, "Value", True, self)
        self.headers = HeadersEdit(theme, self)
        self.lines = LinesEdit(theme, self)
        self.partition = QComboBox(self)
        self.compression = QComboBox(self)
        self.acks = QComboBox(self)
        self.set_time = QCheckBox("Set time", self)
        self.time = QDateTimeEdit(QDateTime.currentDateTime(), self)
        self.banner = Banner(theme, self)
        self.send = QPushButton("Send", self)
        self.modes = SegmentedControl(("One record", "Many"), self)
        self._stack = QStackedWidget(self)
        self._set_up()
        self._connect()
        self._build()
        self._recolour()
        self._check()

    # ---- set-up

    def _set_up(self) -> None:
        self.close_button.setAccessibleName("Close the form")
        self.close_button.setToolTip("Back to the record")
        self.compression.addItems(COMPRESSIONS)
        for title, acks in ACKS:
            self.acks.addItem(title, acks)
        for box in (self.partition, self.compression, self.acks):
            box.setMinimumWidth(OPTION_NARROWEST)
        self.time.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.time.hide()
        self.send.setProperty("role", "primary")
        self.send.setToolTip("Send (Ctrl+Enter)")

    def _connect(self) -> None:
        self.close_button.clicked.connect(self.closed)
        self.set_time.toggled.connect(self.time.setVisible)
        self.send.clicked.connect(self.send_now)
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, self.send_now).setContext(
                Qt.ShortcutContext.WidgetWithChildrenShortcut
            )
        self.modes.chosen.connect(self._show_mode)
        for field in (self.key, self.value, self.lines):
            field.changed.connect(self._check)
        self.banner.action_requested.connect(self._jump)
        self._context.theme.changed.connect(self._recolour)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.close_button)
        one = QWidget(self)
        column = QVBoxLayout(one)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.key)
        column.addWidget(self.value, 1)
        column.addWidget(self.headers)
        self._stack.addWidget(one)
        self._stack.addWidget(self.lines)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.modes)
        layout.addWidget(self._scrolling(self._make_options()), 1)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)

    def _make_options(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(4, 1)
        grid.setColumnMinimumWidth(2, 8)
        grid.addWidget(plain("Partition", self, role="muted"), 0, 0)
        grid.addWidget(self.partition, 0, 1)
        grid.addWidget(plain("Acks", self, role="muted"), 0, 3)
        grid.addWidget(self.acks, 0, 4)
        grid.addWidget(plain("Compression", self, role="muted"), 1, 0)
        grid.addWidget(self.compression, 1, 1)
        grid.addWidget(self.set_time, 1, 3, 1, 2)
        grid.addWidget(self.time, 2, 0, 1, 5)
        return grid

    def _scrolling(self, options: QGridLayout) -> QWidget:
        """Put the options into a scroll area: in a small window the button stays visible."""
        inside = QWidget(self)
        inside.setProperty("role", "clear")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SCROLL_BAR_PIXELS, 0)
        column.setSpacing(12)
        column.addWidget(self._stack, 1)
        column.addLayout(options)
        scroll = QScrollArea(self)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumHeight(160)
        scroll.setWidget(inside)
        return scroll

    # ---- called by the page

    def set_snapshot(self, snapshot: ClusterSnapshot) -> None:
        counts = {name: len(topic.partitions) for name, topic in snapshot.topics.items()}
        changed = counts.get(self.topic) != self._partition_counts.get(self.topic)
        self._partition_counts = counts
        if changed:
            self._list_partitions()

    def set_topic(self, topic: str) -> None:
        if topic != self.topic:
            self.topic = topic
            self.title.show_text(f"Produce to {topic}")
            self._list_partitions()
            self.lines.set_topic(topic)
            self.banner.show_message("")
        self._check()

    def load(self, record: Record) -> None:
        """Fill the form with a copy of the record, to change it and send it again."""
        self.set_topic(record.topic)
        self.modes.choose(ONE)
        self.key.load(record.key)
        self.value.load(record.value)
        self.headers.load(record.headers)
        self.partition.setCurrentIndex(0)
        self.set_time.setChecked(False)
        self.banner.show_message(
            f"A copy of partition {record.partition}, offset {record.offset:,}.", "accent"
        )

    def begin(self) -> None:
        """The panel was opened: the person goes on typing the value."""
        if self._context.session.read_only:
            self.banner.show_message(
                "This connection is read-only: nothing can be sent over it.", "warn"
            )
        self._check()
        (self.value.editor if self.modes.index == ONE else self.lines.text).setFocus()

    # ---- the form reacts

    def _list_partitions(self) -> None:
        count = self._partition_counts.get(self.topic, 0)
        chosen = max(0, self.partition.currentIndex())
        with QSignalBlocker(self.partition):
            self.partition.clear()
            self.partition.addItem("by key", None)
            for number in range(min(count, PARTITIONS_LISTED)):
                self.partition.addItem(str(number), number)
            self.partition.setCurrentIndex(chosen if chosen <= count else 0)

    def _show_mode(self, mode: int) -> None:
        self._stack.setCurrentIndex(mode)
        self.set_time.setVisible(mode == ONE)
        self.time.setVisible(mode == ONE and self.set_time.isChecked())
        self._check()

    def _recolour(self) -> None:
        self.close_button.setIcon(self._context.theme.icon("close"))

    def _check(self) -> None:
        """Enable the button if the form can be sent, and say on it what it sends."""
        ready = bool(self.topic) and not self._sending and not self._context.session.read_only
        if self.modes.index == MANY:
            count = self.lines.count
            self.send.setText(f"Send {counted(count, 'record')}" if count else "Send")
            self.send.setEnabled(ready and self.lines.can_be_sent)
        else:
            self.send.setText("Send")
            self.send.setEnabled(ready and self._is_valid())

    def _is_valid(self) -> bool:
        try:
            self.key.data()
            self.value.data()
        except BadInput:
            return False
        return True

    # ---- sending

    def records(self) -> Sequence[NewRecord]:
        """The records that the form holds. Raises: BadInput."""
        partition = self.partition.currentData()
        if self.modes.index == MANY:
            return self.lines.records(partition)
        stamp = self.time.dateTime().toMSecsSinceEpoch() if self.set_time.isChecked() else None
        key = self.key.data()
        if key == b"" and not self.key.typed():
            key = None  # an empty field means no key; an empty key is rare
        headers = self.headers.headers()
        return (NewRecord(self.topic, key, self.value.data(), headers, partition, stamp),)

    def send_now(self) -> None:
        """Start sending what the form holds, if it can be sent."""
        if self.send.isEnabled():
            self._context.session.tasks.start(self._send(), owner=self)
            self._set_sending(True)

    async def _send(self) -> None:
        acks, compression = int(self.acks.currentData()), self.compression.currentText()
        topic = self.topic
        try:
            records = self.records()
            self.banner.show_message("Sent; waiting for the acknowledgement…", "accent")
            places = await self._context.session.ask(
                lambda client: client.produce(records, acks, compression)
            )
        except ClientError as error:
            detail = f" {visible(error.detail, limit=200)}." if error.detail else ""
            self.banner.show_message(f"{error}{detail} {error.next_step}".strip(), "bad")
        else:
            self._show_result(topic, places)
        finally:
            self._set_sending(False)

    def _set_sending(self, sending: bool) -> None:
        self._sending = sending
        self._check()

    def _show_result(self, topic: str, places: Sequence[tuple[int, int]]) -> None:
        """``places``: (partition, offset) of each record; the offset is -1 without acks."""
        known = [(partition, offset) for partition, offset in places if offset >= 0]
        self._last_sent = (topic, *known[-1]) if known else None
        if not known:
            text = "Sent without acknowledgement: its offset is not known."
        elif len(places) == 1:
            text = f"Stored in partition {known[0][0]} at offset {known[0][1]:,}."
        else:
            text = f"{counted(len(places), 'record')} stored: {_offset_ranges(known)}."
        self.banner.show_message(text, "ok", "Show" if known else "")

    def _jump(self) -> None:
        if self._last_sent is not None:
            self.jump_requested.emit(*self._last_sent)


def _offset_ranges(places: Sequence[tuple[int, int]]) -> str:
    """``partition 0 at 3 to 5, partition 1 at 7``."""
    ranges: dict[int, tuple[int, int]] = {}
    for partition, offset in places:
        low, high = ranges.get(partition, (offset, offset))
        ranges[partition] = (min(low, offset), max(high, offset))
    shown = [
        f"partition {p} at {low:,}" + (f" to {high:,}" if high > low else "")
        for p, (low, high) in sorted(ranges.items())[:RANGES_SHOWN]
    ]
    more = len(ranges) - RANGES_SHOWN
    return ", ".join(shown) + (f" and {counted(more, 'more partition')}" if more > 0 else "")
