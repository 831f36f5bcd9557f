"""Sends records: one from a form, or many from pasted lines; says where each went."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDateTime, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDateTimeEdit,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.messages.produce_form import BytesEdit, GivingEdit, HeaderEdits
from gui.pages import PageContext
from kafka_client.errors import BadInput, ClientError
from kafka_client.model import ClusterSnapshot, NewRecord, Record
from kafka_client.reading.lines import LineForm, ParsedLines, parse_lines
from widgets import figures
from widgets.page_state import Banner
from widgets.plain import ElidedLabel, plain, set_role, visible
from widgets.segmented import SegmentedControl

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
ACKS = (("all in sync", -1), ("leader only", 1), ("none", 0))
FORMS = (
    (LineForm.VALUES, "a value"),
    (LineForm.KEY_VALUE, "key and value"),
    (LineForm.JSON_LINES, "JSON Lines"),
)
PARSE_AFTER_MS = 250
LINES_AT_MOST = 4 << 20
SCROLL_BAR_PIXELS = 14
"""room that the form leaves for its scroll bar"""


class ProducePanel(QWidget):
    closed = Signal()
    jump_requested = Signal(str, int, int)  # topic, partition, offset

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.topic = ""
        self._counts: dict[str, int] = {}
        self._sent_to: tuple[str, int, int] | None = None
        self._lines = ParsedLines(())
        self._busy = False
        theme = context.theme
        self.title = ElidedLabel("Produce", self, role="heading")
        self.close_button = QToolButton(self)
        self.key = BytesEdit(theme, "Key", False, self)
        self.value = BytesEdit(theme, "Value", True, self)
        self.headers = HeaderEdits(theme, self)
        self.pasted = GivingEdit(self)
        self.form = QComboBox(self)
        self.separator = QLineEdit("\\t", self)
        self.lines_said = plain("", self, role="small", wrap=True)
        self.partition = QComboBox(self)
        self.compression = QComboBox(self)
        self.acks = QComboBox(self)
        self.set_time = QCheckBox("Set time", self)
        self.time = QDateTimeEdit(QDateTime.currentDateTime(), self)
        self.banner = Banner(theme, self)
        self.send = QPushButton("Send", self)
        self.modes = SegmentedControl(("One record", "Many"), self)
        self._stack = QStackedWidget(self)
        self._parse_later = QTimer(self)
        self._set_up()
        self._build()
        theme.changed.connect(self._recolour)
        self._recolour()
        self._check()

    # ---- set-up

    def _set_up(self) -> None:
        self.close_button.setAccessibleName("Close the form")
        self.close_button.setToolTip("Back to the record")
        self.close_button.clicked.connect(self.closed)
        self.pasted.setProperty("role", "mono")
        self.pasted.setFont(self._context.theme.mono_font())
        self.pasted.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.pasted.setPlaceholderText("Paste lines here")
        self.pasted.textChanged.connect(self._parse_later.start)
        self._parse_later.setSingleShot(True)
        self._parse_later.setInterval(PARSE_AFTER_MS)
        self._parse_later.timeout.connect(self._parse)
        for form, title in FORMS:
            self.form.addItem(title, str(form))
        self.form.currentIndexChanged.connect(lambda _: self._parse())
        self.separator.setFixedWidth(64)
        self.separator.setAccessibleName("Separator between key and value")
        self.separator.textChanged.connect(lambda _: self._parse())
        self.compression.addItems(COMPRESSIONS)
        for title, acks in ACKS:
            self.acks.addItem(title, acks)
        for box in (self.partition, self.compression, self.acks):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(6)
        self.time.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.time.hide()
        self.set_time.toggled.connect(self.time.setVisible)
        self.send.setProperty("role", "primary")
        self.send.setToolTip("Ctrl+Enter")
        self.send.clicked.connect(self._send)
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, self._send).setContext(
                Qt.ShortcutContext.WidgetWithChildrenShortcut
            )
        self.key.changed.connect(self._check)
        self.value.changed.connect(self._check)
        self.banner.action_requested.connect(self._jump)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.close_button)
        self.modes.chosen.connect(self._mode)
        one = QWidget(self)
        column = QVBoxLayout(one)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.key)
        column.addWidget(self.value, 1)
        column.addWidget(self.headers)
        many = QWidget(self)
        column = QVBoxLayout(many)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        how = QHBoxLayout()
        how.setSpacing(8)
        how.addWidget(plain("Each line is", many, role="muted"))
        how.addWidget(self.form)
        how.addWidget(self.separator)
        how.addStretch(1)
        column.addLayout(how)
        column.addWidget(self.pasted, 1)
        column.addWidget(self.lines_said)
        self._stack.addWidget(one)
        self._stack.addWidget(many)
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
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.modes)
        layout.addWidget(self._scrolling(grid), 1)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)

    def _scrolling(self, grid: QGridLayout) -> QWidget:
        """What may be too high for a small window; the button below stays in sight."""
        inside = QWidget(self)
        inside.setProperty("role", "clear")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SCROLL_BAR_PIXELS, 0)
        column.setSpacing(12)
        column.addWidget(self._stack, 1)
        column.addLayout(grid)
        scroll = QScrollArea(self)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumHeight(160)
        scroll.setWidget(inside)
        return scroll

    # ---- what the page says

    def set_snapshot(self, snapshot: ClusterSnapshot) -> None:
        counts = {name: len(topic.partitions) for name, topic in snapshot.topics.items()}
        if counts.get(self.topic) != self._counts.get(self.topic):
            self._counts = counts
            self._fill_partitions()
        self._counts = counts

    def set_topic(self, topic: str) -> None:
        if topic != self.topic:
            self.topic = topic
            self.title.show_text(f"Produce to {topic}")
            self._fill_partitions()
            self._parse()
            self.banner.say("")
        self._check()

    def load(self, record: Record) -> None:
        """A copy of this record to change and send again."""
        self.set_topic(record.topic)
        self.modes.choose(0)
        self.key.load(record.key)
        self.value.load(record.value)
        self.headers.load(record.headers)
        self.partition.setCurrentIndex(0)
        self.set_time.setChecked(False)
        self.banner.say(
            f"A copy of partition {record.partition}, offset {record.offset:,}.", "accent"
        )

    def begin(self) -> None:
        if self._context.session.read_only:
            self.banner.say("This connection is read-only: nothing can be sent over it.", "warn")
        self._check()
        (self.value.editor if self.modes.index == 0 else self.pasted).setFocus()

    # ---- inside

    def _fill_partitions(self) -> None:
        count = self._counts.get(self.topic, 0)
        chosen = max(0, self.partition.currentIndex())
        with QSignalBlocker(self.partition):
            self.partition.clear()
            self.partition.addItem("by key", None)
            for number in range(min(count, 2000)):
                self.partition.addItem(str(number), number)
            self.partition.setCurrentIndex(chosen if chosen <= count else 0)

    def _mode(self, place: int) -> None:
        self._stack.setCurrentIndex(place)
        self.set_time.setVisible(place == 0)
        self.time.setVisible(place == 0 and self.set_time.isChecked())
        self._parse()

    def _recolour(self) -> None:
        self.close_button.setIcon(self._context.theme.icon("close"))

    def _parse(self) -> None:
        form = LineForm(self.form.currentData())
        self.separator.setVisible(form is LineForm.KEY_VALUE)
        if self.modes.index == 1:
            text = self.pasted.toPlainText()
            if len(text) > LINES_AT_MOST:
                self._lines = ParsedLines(
                    (), ((1, f"more than {figures.size(LINES_AT_MOST)} at once"),)
                )
            else:
                separator = self.separator.text().replace("\\t", "\t")
                self._lines = parse_lines(
                    text, self.topic, form, separator, self.partition.currentData()
                )
            records, errors = self._lines.records, self._lines.errors
            words = figures.plural(len(records), "record")
            if errors:
                more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
                words += f"  ·  line {errors[0][0]:,}: {errors[0][1]}{more}"
            self.lines_said.setText(visible(words))
            set_role(self.lines_said, "bad" if errors else "", "tone")
        self._check()

    def _check(self) -> None:
        many = self.modes.index == 1
        ready = bool(self.topic) and not self._busy and not self._context.session.read_only
        if many:
            count = len(self._lines.records)
            ready = ready and count > 0 and not self._lines.errors
            self.send.setText(f"Send {figures.plural(count, 'record')}" if count else "Send")
        else:
            self.send.setText("Send")
            ready = ready and self._fits()
        self.send.setEnabled(ready)

    def _fits(self) -> bool:
        try:
            self.key.data()
            self.value.data()
        except BadInput:
            return False
        return True

    def records(self) -> Sequence[NewRecord]:
        """What would be sent now. Raises: BadInput."""
        partition = self.partition.currentData()
        if self.modes.index == 1:
            self._parse()
            return self._lines.records
        stamp = self.time.dateTime().toMSecsSinceEpoch() if self.set_time.isChecked() else None
        key = self.key.data()
        if key == b"" and self.key.typed() == "":
            key = None  # nothing typed is no key; an empty one is rare and typed as hex of nothing
        return (
            NewRecord(self.topic, key, self.value.data(), self.headers.headers(), partition, stamp),
        )

    def _send(self) -> None:
        if not self.send.isEnabled():
            return
        try:
            records = self.records()
        except BadInput as error:
            self.banner.say(str(error), "bad")
            return
        acks, compression = int(self.acks.currentData()), self.compression.currentText()
        self._busy = True
        self._check()
        self.banner.say("Sent; waiting for the acknowledgement…", "accent")
        self._context.session.ask(
            lambda client: client.produce(records, acks, compression),
            self._sent,
            self._failed,
            self,
        )

    def _sent(self, places: list[tuple[int, int]]) -> None:
        self._busy = False
        self._check()
        known = [(p, o) for p, o in places if o >= 0]
        self._sent_to = (self.topic, *known[-1]) if known else None
        if not known:
            words = "Sent. Nobody acknowledged it, so its place is not known."
        elif len(places) == 1:
            words = f"Stored in partition {known[0][0]} at offset {known[0][1]:,}."
        else:
            words = f"{figures.plural(len(places), 'record')} stored: {_by_partition(known)}."
        self.banner.say(words, "ok", "Show" if known else "")

    def _failed(self, error: ClientError) -> None:
        self._busy = False
        self._check()
        detail = f" {visible(error.detail, limit=200)}." if error.detail else ""
        self.banner.say(f"{error}{detail} {error.next_step}".strip(), "bad")

    def _jump(self) -> None:
        if self._sent_to is not None:
            self.jump_requested.emit(*self._sent_to)


def _by_partition(places: Sequence[tuple[int, int]]) -> str:
    spans: dict[int, tuple[int, int]] = {}
    for partition, offset in places:
        low, high = spans.get(partition, (offset, offset))
        spans[partition] = (min(low, offset), max(high, offset))
    shown = [
        f"partition {p} at {low:,}" + (f" to {high:,}" if high > low else "")
        for p, (low, high) in sorted(spans.items())[:6]
    ]
    return ", ".join(shown) + (f" and {len(spans) - 6} partitions more" if len(spans) > 6 else "")
