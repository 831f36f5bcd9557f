"""One topic: its state in a line of facts, its partitions, and who reads it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.page_kit.charts import PageCharts
from gui.pages import PageContext
from gui.topics.actions import TopicActions
from gui.topics.rows import (
    PARTITION_COLUMNS,
    READER_COLUMNS,
    PartitionRow,
    ReaderRow,
    TopicRow,
    partition_rows,
    reader_rows,
    readers,
    topic_row,
)
from widgets import figures
from widgets.charts.model import Series
from widgets.charts.units import RATE
from widgets.facts import Facts
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain
from widgets.table_view import TableView

TABS = (("partitions", "Partitions"), ("consumers", "Consumers"))


class TopicView(QWidget):
    back_requested = Signal()

    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self.topic = ""
        self._back = QPushButton("Topics", self)
        self._back.setProperty("role", "link")
        self._back.clicked.connect(self.back_requested)
        self._title = plain("", self, role="title", selectable=True)
        self._facts = Facts(
            (
                "replicas",
                "partitions",
                "replication",
                "records/s",
                "size, one copy",
                "stored",
                "worst lag",
            ),
            self,
        )
        self._chart = PageCharts(context, self).panel("Records per second", unit=RATE)
        self._chart.setFixedHeight(180)
        self._partitions: KeyedTableModel[PartitionRow] = KeyedTableModel(
            PARTITION_COLUMNS, lambda r: r.partition
        )
        self._readers: KeyedTableModel[ReaderRow] = KeyedTableModel(
            READER_COLUMNS, lambda r: r.group
        )
        self.partition_table = TableView(
            context.theme, self._partitions, name="partitions", memory=context.preferences, noun="partition",
            menu=self._partition_menu, sort="partition",
        )  # fmt: skip
        self.partition_table.row_opened.connect(self._open_partition)
        self.reader_table = TableView(
            context.theme,
            self._readers,
            name="readers",
            memory=context.preferences,
            noun="group",
            sort="-lag",
        )
        self.reader_table.say_nothing(
            "groups", "Nobody reads this topic", "No consumer group has committed offsets to it."
        )
        self.reader_table.row_opened.connect(
            lambda row, _tab: context.navigate("groups", group=row.group)
        )
        self._tabs = QStackedWidget(self)
        self._tabs.addWidget(self.partition_table)
        self._tabs.addWidget(self.reader_table)
        self._choices = QButtonGroup(self)
        self._build()

    def _build(self) -> None:
        go, writable = self.context.navigate, not self.context.session.read_only
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._back)
        head.addWidget(plain("/", self, role="faint"))
        head.addWidget(self._title)
        head.addStretch(1)
        for text, do, changes in (
            ("Messages", lambda: go("messages", topic=self.topic), False),
            ("Produce…", lambda: go("messages", topic=self.topic, produce=True), True),
            ("Configuration", lambda: go("configuration", topic=self.topic), False),
            ("Add partitions…", lambda: self._actions().add_partitions(self.topic), True),
            ("Empty…", lambda: self._actions().empty(self.topic), True),
            ("Delete…", lambda: self._actions().delete([self.topic]), True),
        ):
            button = QPushButton(text, self)
            button.setEnabled(writable or not changes)
            button.clicked.connect(do)
            head.addWidget(button)
        switch = QHBoxLayout()
        switch.setSpacing(0)
        for place, (_, title) in enumerate(TABS):
            button = QPushButton(title, self)
            button.setProperty("role", "segment")
            button.setProperty(
                "place", "first" if place == 0 else "last" if place == len(TABS) - 1 else ""
            )
            button.setCheckable(True)
            button.setChecked(place == 0)
            self._choices.addButton(button, place)
            switch.addWidget(button)
        switch.addStretch(1)
        self._choices.idToggled.connect(
            lambda place, on: self._tabs.setCurrentIndex(place) if on else None
        )
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self._facts)
        column.addWidget(self._chart)
        column.addLayout(switch)
        column.addWidget(self._tabs, 1)
        self.state = PageState(self.context.theme, body, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(16)
        layout.addLayout(head)
        layout.addWidget(self.state, 1)

    def show_topic(self, topic: str, tab: str = "") -> None:
        if topic != self.topic:
            self._partitions.merge([])
            self._readers.merge([])
        self.topic = topic
        self._title.setText(topic)
        color = self.context.colors.color("topic", topic)
        self._chart.set_series([Series(("rate", topic), topic, color)])
        self.context.session.focus(topics=[topic], groups=[])
        places = [name for name, _ in TABS]
        if tab in places:
            self._choices.button(places.index(tab)).setChecked(True)
        self.refresh()

    def leave(self) -> None:
        if self.topic:
            self.topic = ""
            self.context.session.focus(topics=[], groups=[])

    def refresh(self) -> None:
        if not self.topic:
            return
        snapshot = self.context.session.snapshot
        topic = snapshot.topics.get(self.topic)
        if topic is None:
            if self.context.session.loaded:
                self.state.show_empty(
                    "This topic is not there",
                    "It was deleted, or this connection may not see it.",
                    icon="topics",
                    action="All topics",
                    do=self.back_requested.emit,
                )
            else:
                self.state.show_loading()
            return
        row = topic_row(topic, readers(snapshot).get(self.topic, []))
        self._facts.show_figures(self._figures_of(row))
        self._partitions.merge(partition_rows(topic))
        self._readers.merge(reader_rows(snapshot, self.topic))
        self.state.show_content()

    def _figures_of(self, row: TopicRow) -> list[tuple[str, str]]:
        return [
            (row.health, row.tone if row.tone != "ok" else ""),
            (figures.count(row.partitions), ""),
            (figures.count(row.replication), ""),
            (figures.rate(row.rate), ""),
            (figures.size(row.size_bytes), ""),
            (figures.size(row.stored_bytes), ""),
            (figures.count(row.worst_lag), ""),
        ]

    def _open_partition(self, row: PartitionRow, _tab: bool) -> None:
        self.context.navigate("messages", topic=self.topic, partition=row.partition)

    def _partition_menu(self, rows: list[PartitionRow], menu: QMenu) -> None:
        if len(rows) == 1:
            menu.addAction(
                "Messages of this partition", lambda: self._open_partition(rows[0], False)
            )
        chosen = [(self.topic, r.partition) for r in rows]
        elect = menu.addAction(
            "Elect the preferred leader…", lambda: self._actions().elect_preferred(chosen)
        )
        elect.setEnabled(bool(rows) and not self.context.session.read_only)

    def _actions(self) -> TopicActions:
        return TopicActions(self.context, self)
