"""What to read: topic and partitions, from where, until where, and what a record must contain."""

from __future__ import annotations

import time

from PySide6.QtCore import QDateTime, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QDateTimeEdit,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.messages.partitions import partition_list
from kafka_client.model import ClusterSnapshot
from kafka_client.reading.filters import Contains, Part
from kafka_client.reading.plan import Order, ScanRequest, Start, Until
from widgets.plain import plain, set_role, tooltip
from widgets.theme import Theme

STARTS = (
    (Start.LATEST, "Latest"),
    (Start.EARLIEST, "Earliest"),
    (Start.OFFSET, "Offset"),
    (Start.TIMESTAMP, "Time"),
    (Start.LIVE, "Live"),
)
UNTILS = {
    Until.NOW: "Now",
    Until.COUNT: "Count",
    Until.OFFSET: "Offset",
    Until.TIMESTAMP: "Time",
    Until.ENDLESS: "Endless",
}
PARTS = (
    (Part.ANYWHERE, "Anywhere"),
    (Part.KEY, "In key"),
    (Part.VALUE, "In value"),
    (Part.HEADERS, "In headers"),
)
TEXT_HELP = """Searched in the raw bytes, also as JSON escapes it; 0x and hex digits search for bytes.
Typing narrows what is loaded, Enter searches the topic."""
DEFAULT_COUNT = 500
MOST = 2**63 - 1


def _moment_edit(parent: QWidget, back_s: int) -> QDateTimeEdit:
    edit = QDateTimeEdit(QDateTime.fromSecsSinceEpoch(int(time.time()) - back_s), parent)
    edit.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
    edit.setCalendarPopup(False)
    edit.setFixedWidth(186)
    return edit


def _number_edit(parent: QWidget, value: int, name: str) -> QLineEdit:
    edit = QLineEdit(f"{value}", parent)
    edit.setFixedWidth(90)
    edit.setAlignment(Qt.AlignmentFlag.AlignRight)
    edit.setAccessibleName(name)
    return edit


class ScanBar(QWidget):
    read_requested = Signal()
    stop_requested = Signal()
    produce_requested = Signal()
    topic_chosen = Signal(str)
    narrowed = Signal()  # the text was typed or changed: what is loaded is narrowed at once

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._partitions_of: dict[str, int] = {}
        self._running = False
        self.topic = QComboBox(self)
        self.partitions = QComboBox(self)
        self.start = QComboBox(self)
        self.start_count = _number_edit(self, DEFAULT_COUNT, "How many of the latest")
        self.start_offset = _number_edit(self, 0, "First offset")
        self.start_time = _moment_edit(self, 3600)
        self.until = QComboBox(self)
        self.until_count = _number_edit(self, DEFAULT_COUNT, "How many that match")
        self.until_offset = _number_edit(self, 0, "Last offset")
        self.until_time = _moment_edit(self, 0)
        self.text = QLineEdit(self)
        self.part = QComboBox(self)
        self.case = QToolButton(self)
        self.go = QPushButton("Read", self)
        self.produce = QPushButton("Produce…", self)
        self._set_up()
        self._build()
        self._start_changed()

    # ---- set-up

    def _set_up(self) -> None:
        self.topic.setEditable(True)
        self.topic.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.topic.setFixedWidth(280)
        self.topic.setMaxVisibleItems(20)
        line, completer = self.topic.lineEdit(), self.topic.completer()
        assert line is not None and completer is not None
        line.setPlaceholderText("Choose a topic")
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.topic.activated.connect(lambda _: self._topic_entered())
        line.returnPressed.connect(self._topic_entered)
        self.partitions.setEditable(True)
        self.partitions.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.partitions.setFixedWidth(150)
        self.partitions.setToolTip(tooltip("All, or some: 0, 2, 4-7"))
        some = self.partitions.lineEdit()
        assert some is not None
        some.returnPressed.connect(self.read_requested)
        for start, title in STARTS:
            self.start.addItem(title, str(start))
        for part, title in PARTS:
            self.part.addItem(title, str(part))
        self.start.currentIndexChanged.connect(self._start_changed)
        self.until.currentIndexChanged.connect(self._show_fields)
        for combo, wide in ((self.start, 100), (self.until, 116), (self.part, 124)):
            combo.setFixedWidth(wide)
        for edit in (self.start_count, self.start_offset, self.until_count, self.until_offset):
            edit.returnPressed.connect(self.read_requested)
            edit.textChanged.connect(lambda _, e=edit: self._check_number(e))
        self.text.setPlaceholderText("Contains…")
        self.text.setClearButtonEnabled(True)
        self.text.setMinimumWidth(140)
        self.text.setToolTip(tooltip(TEXT_HELP))
        self._icon = self.text.addAction(
            self._theme.icon("search"), QLineEdit.ActionPosition.LeadingPosition
        )
        self._theme.changed.connect(lambda: self._icon.setIcon(self._theme.icon("search")))
        self.text.setProperty("role", "search")
        self.text.textChanged.connect(lambda _: self.narrowed.emit())
        self.text.returnPressed.connect(self.read_requested)
        self.part.currentIndexChanged.connect(lambda _: self.narrowed.emit())
        self.case.setText("Aa")
        self.case.setCheckable(True)
        self.case.setToolTip("Match case")
        self.case.toggled.connect(lambda _: self.narrowed.emit())
        self.go.setProperty("role", "primary")
        self.go.setFixedWidth(84)
        self.go.clicked.connect(self._go)
        self.produce.clicked.connect(self.produce_requested)
        QShortcut(QKeySequence.StandardKey.Find, self, self._find)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(plain("Messages", self, role="title"))
        head.addSpacing(16)
        head.addWidget(self.topic)
        head.addWidget(self.partitions)
        head.addStretch(1)
        head.addWidget(self.produce)
        what = QHBoxLayout()
        what.setSpacing(8)
        what.addWidget(plain("From", self, role="muted"))
        for widget in (self.start, self.start_count, self.start_offset, self.start_time):
            what.addWidget(widget)
        what.addSpacing(8)
        what.addWidget(plain("until", self, role="muted"))
        for widget in (self.until, self.until_count, self.until_offset, self.until_time):
            what.addWidget(widget)
        what.addSpacing(8)
        what.addWidget(self.text, 1)
        what.addWidget(self.part)
        what.addWidget(self.case)
        what.addWidget(self.go)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addLayout(what)

    # ---- what the page says

    def set_snapshot(self, snapshot: ClusterSnapshot) -> None:
        found = {name: len(topic.partitions) for name, topic in snapshot.topics.items()}
        internal = {name for name, topic in snapshot.topics.items() if topic.internal}
        if found == self._partitions_of:
            return
        names = sorted(found, key=lambda n: (n in internal, n))
        if list(self._partitions_of) != names:
            text = self.topic.currentText()
            with QSignalBlocker(self.topic):
                self.topic.clear()
                self.topic.addItems(names)
                self.topic.setCurrentIndex(self.topic.findText(text, Qt.MatchFlag.MatchExactly))
                self.topic.setEditText(text)
        self._partitions_of = {name: found[name] for name in names}
        self._fill_partitions(keep=True)

    def set_topic(self, topic: str, partition: int | None = None) -> None:
        with QSignalBlocker(self.topic):
            self.topic.setCurrentIndex(self.topic.findText(topic, Qt.MatchFlag.MatchExactly))
            self.topic.setEditText(topic)
        self._fill_partitions()
        if partition is not None:
            self.partitions.setEditText(str(partition))

    def set_start(self, start: Start, at: int | None = None) -> None:
        self.start.setCurrentIndex([s for s, _ in STARTS].index(start))
        if at is not None and start is Start.OFFSET:
            self.start_offset.setText(str(at))
        elif at is not None and start is Start.LATEST:
            self.start_count.setText(str(at))
        elif at is not None and start is Start.TIMESTAMP:
            self.start_time.setDateTime(QDateTime.fromMSecsSinceEpoch(at))

    def set_until(self, until: Until, at: int | None = None) -> None:
        place = self.until.findData(str(until))
        if place >= 0:
            self.until.setCurrentIndex(place)
        if at is not None and until is Until.COUNT:
            self.until_count.setText(str(at))

    def set_running(self, running: bool) -> None:
        self._running = running
        self.go.setText("Stop" if running else "Read")
        set_role(self.go, "" if running else "primary")

    # ---- what it says

    @property
    def chosen_start(self) -> Start:
        return Start(self.start.currentData())

    @property
    def chosen_until(self) -> Until:
        return Until(self.until.currentData() or Until.NOW)

    def topic_name(self) -> str:
        return self.topic.currentText().strip()

    def partition_count(self, topic: str) -> int:
        return self._partitions_of.get(topic, 0)

    def contains(self) -> Contains | None:
        text = self.text.text()
        return (
            Contains(text, Part(self.part.currentData()), self.case.isChecked()) if text else None
        )

    def request(self, order: Order) -> ScanRequest | str:
        """What to read, or a sentence about what is wrong with it."""
        topic = self.topic_name()
        count = self._partitions_of.get(topic, 0)
        if not count:
            return f"There is no topic called “{topic}”."
        partitions = partition_list(self.partitions.currentText(), count)
        if isinstance(partitions, str):
            return partitions
        start, until = self.chosen_start, self.chosen_until
        start_at = until_at = 0
        for edit in self._numbers_in_use():
            if (number := _number(edit)) is None or (
                number == 0 and edit in (self.start_count, self.until_count)
            ):
                edit.setFocus()
                return f"{edit.accessibleName()}: “{edit.text()}” is no number that fits."
            if edit in (self.start_count, self.start_offset):
                start_at = number
            else:
                until_at = number
        if start is Start.TIMESTAMP:
            start_at = self.start_time.dateTime().toMSecsSinceEpoch()
        if until is Until.TIMESTAMP:
            until_at = self.until_time.dateTime().toMSecsSinceEpoch()
        return ScanRequest(
            topic, partitions, start, start_at, until, until_at, order, self.contains()
        )

    # ---- inside

    def _numbers_in_use(self) -> list[QLineEdit]:
        numbers = (self.start_count, self.start_offset, self.until_count, self.until_offset)
        return [edit for edit in numbers if not edit.isHidden()]

    def _check_number(self, edit: QLineEdit) -> None:
        set_role(edit, "" if _number(edit) is not None else "true", "wrong")

    def _fill_partitions(self, keep: bool = False) -> None:
        count = self._partitions_of.get(self.topic_name(), 0)
        text = self.partitions.currentText()
        whole = f"All {count} partitions" if count != 1 else "The one partition"
        with QSignalBlocker(self.partitions):
            self.partitions.clear()
            if count:
                self.partitions.addItem(whole)
                self.partitions.addItems([str(n) for n in range(min(count, 1000))])
            if keep and text and not text.startswith(("All", "The")):
                self.partitions.setEditText(text)
        self.partitions.setEnabled(count > 0)

    def _topic_entered(self) -> None:
        topic = self.topic_name()
        if topic:
            self._fill_partitions()
            self.topic_chosen.emit(topic)

    def _start_changed(self) -> None:
        start = self.chosen_start
        match start:
            case Start.LIVE:
                allowed = [Until.ENDLESS]
            case Start.LATEST:
                allowed = [Until.NOW, Until.ENDLESS]
            case _:
                allowed = list(UNTILS)
        before = self.chosen_until
        with QSignalBlocker(self.until):
            self.until.clear()
            for until in allowed:
                self.until.addItem(UNTILS[until], str(until))
            self.until.setCurrentIndex(allowed.index(before) if before in allowed else 0)
        self.until.setEnabled(len(allowed) > 1)
        self._show_fields()

    def _show_fields(self) -> None:
        start, until = self.chosen_start, self.chosen_until
        self.start_count.setVisible(start is Start.LATEST)
        self.start_offset.setVisible(start is Start.OFFSET)
        self.start_time.setVisible(start is Start.TIMESTAMP)
        self.until_count.setVisible(until is Until.COUNT)
        self.until_offset.setVisible(until is Until.OFFSET)
        self.until_time.setVisible(until is Until.TIMESTAMP)

    def _go(self) -> None:
        (self.stop_requested if self._running else self.read_requested).emit()

    def _find(self) -> None:
        self.text.setFocus()
        self.text.selectAll()


def _number(edit: QLineEdit) -> int | None:
    text = edit.text().replace(",", "").replace(" ", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MOST:
        return None
    return int(text)
