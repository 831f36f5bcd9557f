"""The form above the records: which topic and partitions, from where, until where, which text."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.messages.partitions import partition_list
from gui.messages.scan_fields import number_edit, read_number, show_valid, time_edit
from kafka_client.model import ClusterSnapshot
from kafka_client.reading.filters import Contains, Part
from kafka_client.reading.plan import Order, ScanRequest, Start, Until
from widgets.plain import plain, set_role, tooltip
from widgets.reflow import ReflowRow, group_of
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
TEXT_HELP = """\
Searches the raw bytes, also as JSON escapes them; 0x and hex digits search for bytes.
Typing narrows the loaded records, Enter searches the topic."""
DEFAULT_COUNT = 500
PARTITIONS_LISTED = 1000
"""entries of the partition box; more can be typed"""
TOPIC_PIXELS, PARTITIONS_PIXELS = 280, 150


class ScanBar(QWidget):
    read_requested = Signal()
    stop_requested = Signal()
    produce_requested = Signal()
    topic_chosen = Signal(str)
    filter_changed = Signal()
    """the text or how it is searched; the loaded records are narrowed at once"""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._partition_counts: dict[str, int] = {}
        """topic -> number of partitions, internal topics last"""
        self._running = False
        self.topic = QComboBox(self)
        self.partitions = QComboBox(self)
        self.start = QComboBox(self)
        self.start_count = number_edit(self, DEFAULT_COUNT, "How many of the latest")
        self.start_offset = number_edit(self, 0, "First offset")
        self.start_time = time_edit(self, 3600)
        self.until = QComboBox(self)
        self.until_count = number_edit(self, DEFAULT_COUNT, "How many that match")
        self.until_offset = number_edit(self, 0, "Last offset")
        self.until_time = time_edit(self, 0)
        self.text = QLineEdit(self)
        self.part = QComboBox(self)
        self.case = QToolButton(self)
        self.read_button = QPushButton("Read", self)
        self.produce = QPushButton("Produce…", self)
        self._set_up_where()
        self._set_up_range()
        self._set_up_filter()
        self._set_up_buttons()
        self._build()
        self._start_changed()

    # ---- set-up

    def _set_up_where(self) -> None:
        self.topic.setEditable(True)
        self.topic.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.topic.setFixedWidth(TOPIC_PIXELS)
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
        self.partitions.setFixedWidth(PARTITIONS_PIXELS)
        self.partitions.setToolTip(tooltip("All partitions, or some: 0, 2, 4-7"))
        partition_line = self.partitions.lineEdit()
        assert partition_line is not None
        partition_line.returnPressed.connect(self.read_requested)

    def _set_up_range(self) -> None:
        for start, title in STARTS:
            self.start.addItem(title, str(start))
        self.start.currentIndexChanged.connect(self._start_changed)
        self.until.currentIndexChanged.connect(self._show_fields)
        self.start.setFixedWidth(100)
        self.until.setFixedWidth(116)
        for edit in (self.start_count, self.start_offset, self.until_count, self.until_offset):
            edit.returnPressed.connect(self.read_requested)
            edit.textChanged.connect(lambda _, e=edit: show_valid(e))

    def _set_up_filter(self) -> None:
        theme = self._theme
        for part, title in PARTS:
            self.part.addItem(title, str(part))
        self.part.setFixedWidth(124)
        self.part.currentIndexChanged.connect(lambda _: self.filter_changed.emit())
        self.text.setPlaceholderText("Contains…")
        self.text.setClearButtonEnabled(True)
        self.text.setMinimumWidth(140)
        self.text.setToolTip(tooltip(TEXT_HELP))
        self._icon = self.text.addAction(
            theme.icon("search"), QLineEdit.ActionPosition.LeadingPosition
        )
        theme.changed.connect(self._recolour)
        self.text.setProperty("role", "search")
        self.text.textChanged.connect(lambda _: self.filter_changed.emit())
        self.text.returnPressed.connect(self.read_requested)
        self.case.setText("Aa")
        self.case.setCheckable(True)
        self.case.setToolTip("Match case")
        self.case.toggled.connect(lambda _: self.filter_changed.emit())
        QShortcut(QKeySequence.StandardKey.Find, self, self._focus_text)

    def _set_up_buttons(self) -> None:
        self.read_button.setProperty("role", "primary")
        self.read_button.setFixedWidth(84)
        self.read_button.clicked.connect(self._read_or_stop)
        self.produce.clicked.connect(self.produce_requested)

    def _build(self) -> None:
        where = QHBoxLayout()
        where.setSpacing(8)
        where.addWidget(plain("Messages", self, role="title"))
        where.addSpacing(16)
        where.addWidget(self.topic)
        where.addWidget(self.partitions)
        where.addStretch(1)
        where.addWidget(self.produce)
        range_fields = group_of(
            plain("From", self, role="muted"),
            self.start,
            self.start_count,
            self.start_offset,
            self.start_time,
            plain("until", self, role="muted"),
            self.until,
            self.until_count,
            self.until_offset,
            self.until_time,
        )
        filter_fields = group_of(
            self.text, self.part, self.case, self.read_button, stretch=self.text
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(where)
        layout.addWidget(ReflowRow(range_fields, filter_fields, spacing=16, stretches=(0, 1)))

    # ---- filled in by the page

    def set_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Offer the topics of the snapshot; what was chosen or typed stays."""
        counts = {name: len(topic.partitions) for name, topic in snapshot.topics.items()}
        if counts == self._partition_counts:
            return
        internal = {name for name, topic in snapshot.topics.items() if topic.internal}
        names = sorted(counts, key=lambda name: (name in internal, name))
        if list(self._partition_counts) != names:
            text = self.topic.currentText()
            with QSignalBlocker(self.topic):
                self.topic.clear()
                self.topic.addItems(names)
                self._select_topic(text)
        self._partition_counts = {name: counts[name] for name in names}
        self._list_partitions(keep=True)

    def set_topic(self, topic: str, partition: int | None = None) -> None:
        with QSignalBlocker(self.topic):
            self._select_topic(topic)
        self._list_partitions()
        if partition is not None:
            self.partitions.setEditText(str(partition))

    def set_start(self, start: Start, at: int | None = None) -> None:
        """``at``: an offset, a number of records, or milliseconds since the epoch."""
        self.start.setCurrentIndex([s for s, _ in STARTS].index(start))
        if at is not None and start is Start.OFFSET:
            self.start_offset.setText(str(at))
        elif at is not None and start is Start.LATEST:
            self.start_count.setText(str(at))
        elif at is not None and start is Start.TIMESTAMP:
            self.start_time.setDateTime(QDateTime.fromMSecsSinceEpoch(at))

    def set_until(self, until: Until, at: int | None = None) -> None:
        index = self.until.findData(str(until))
        if index >= 0:
            self.until.setCurrentIndex(index)
        if at is not None and until is Until.COUNT:
            self.until_count.setText(str(at))
        elif at is not None and until is Until.TIMESTAMP:
            self.until_time.setDateTime(QDateTime.fromMSecsSinceEpoch(at))

    def set_running(self, running: bool) -> None:
        self._running = running
        self.read_button.setText("Stop" if running else "Read")
        set_role(self.read_button, "" if running else "primary")

    # ---- read by the page

    @property
    def chosen_start(self) -> Start:
        return Start(self.start.currentData())

    @property
    def chosen_until(self) -> Until:
        return Until(self.until.currentData() or Until.NOW)

    def topic_name(self) -> str:
        return self.topic.currentText().strip()

    def contains(self) -> Contains | None:
        text = self.text.text()
        if not text:
            return None
        return Contains(text, Part(self.part.currentData()), self.case.isChecked())

    def request(self, order: Order) -> ScanRequest | str:
        """The scan that the form describes, or a message about what is wrong with it."""
        topic = self.topic_name()
        count = self._partition_counts.get(topic, 0)
        if not count:
            return f"There is no topic {topic}."
        partitions = partition_list(self.partitions.currentText(), count)
        if isinstance(partitions, str):
            return partitions
        numbers = self._numbers()
        if isinstance(numbers, str):
            return numbers
        start, until = self.chosen_start, self.chosen_until
        start_edit, until_edit = self._start_number(), self._until_number()
        start_at = numbers[start_edit] if start_edit is not None else 0
        until_at = numbers[until_edit] if until_edit is not None else 0
        if start is Start.TIMESTAMP:
            start_at = self.start_time.dateTime().toMSecsSinceEpoch()
        if until is Until.TIMESTAMP:
            until_at = self.until_time.dateTime().toMSecsSinceEpoch()
        return ScanRequest(
            topic, partitions, start, start_at, until, until_at, order, self.contains()
        )

    # ---- numbers

    def _start_number(self) -> QLineEdit | None:
        return {Start.LATEST: self.start_count, Start.OFFSET: self.start_offset}.get(
            self.chosen_start
        )

    def _until_number(self) -> QLineEdit | None:
        return {Until.COUNT: self.until_count, Until.OFFSET: self.until_offset}.get(
            self.chosen_until
        )

    def _numbers(self) -> dict[QLineEdit, int] | str:
        """The numbers in use, or a message about the first that is wrong, which gets the focus."""
        numbers = {}
        for edit in (self._start_number(), self._until_number()):
            if edit is None:
                continue
            number = read_number(edit)
            is_count = edit in (self.start_count, self.until_count)
            if number is None or (number == 0 and is_count):
                edit.setFocus()
                return f"{edit.accessibleName()}: “{edit.text()}” is not a valid number."
            numbers[edit] = number
        return numbers

    # ---- the form reacts

    def _select_topic(self, topic: str) -> None:
        self.topic.setCurrentIndex(self.topic.findText(topic, Qt.MatchFlag.MatchExactly))
        self.topic.setEditText(topic)

    def _list_partitions(self, keep: bool = False) -> None:
        """``keep`` what was typed for the same topic."""
        count = self._partition_counts.get(self.topic_name(), 0)
        typed = self.partitions.currentText()
        with QSignalBlocker(self.partitions):
            self.partitions.clear()
            if count:
                self.partitions.addItem(f"All {count:,} partitions" if count > 1 else "Partition 0")
                self.partitions.addItems([str(n) for n in range(min(count, PARTITIONS_LISTED))])
            if keep and typed and not typed[0].isalpha():
                self.partitions.setEditText(typed)
        self.partitions.setEnabled(count > 0)

    def _topic_entered(self) -> None:
        topic = self.topic_name()
        if topic:
            self._list_partitions()
            self.topic_chosen.emit(topic)

    def _start_changed(self) -> None:
        """Offer the ends that make sense with this start."""
        match self.chosen_start:
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

    def _recolour(self) -> None:
        self._icon.setIcon(self._theme.icon("search"))

    def _read_or_stop(self) -> None:
        (self.stop_requested if self._running else self.read_requested).emit()

    def _focus_text(self) -> None:
        self.text.setFocus()
        self.text.selectAll()
