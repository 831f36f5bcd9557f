"""One topic: facts, its rate over time, its partitions, and the groups that read it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from gui.navigation import (
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    ProduceTarget,
)
from gui.page_kit.charts import PageCharts, marks_of
from gui.page_kit.detail_view import DetailView
from gui.page_kit.page_table import page_table
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
from kafka_client.model import ClusterSnapshot, ConfigResource
from widgets import figures
from widgets.charts.model import Series
from widgets.charts.units import BYTES_PER_S, RATE
from widgets.facts import Fact
from widgets.keyed_table_model import KeyedTableModel
from widgets.segmented import SegmentedControl
from widgets.table_view import TableView

FACTS = (
    "Replicas",
    "Partitions",
    "Replication",
    "Records in",
    "Size, one copy",
    "Stored, all replicas",
    "Worst lag",
)
CHART_HEIGHTS = (190, 390)
MEASURES = (("rate", "Records", RATE), ("bytes", "Bytes", BYTES_PER_S))
"""(measure of the series, title, unit)"""


class TopicView(DetailView):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(context, facts=FACTS, list_title="Topics", parent=parent)
        self.topic = ""
        self._actions = TopicActions(context, self)
        self._partitions: KeyedTableModel[PartitionRow] = KeyedTableModel(
            PARTITION_COLUMNS, lambda r: r.partition
        )
        self._readers: KeyedTableModel[ReaderRow] = KeyedTableModel(
            READER_COLUMNS, lambda r: r.group
        )
        self.partition_table = self._make_partition_table()
        self.reader_table = self._make_reader_table()
        self._chart = PageCharts(context, self).panel("Records in per second", unit=RATE)
        self.measure = SegmentedControl([title for _, title, _ in MEASURES], self)
        self.measure.chosen.connect(lambda _: self._show_series())
        self.add_chart(self._chart_with_control(), CHART_HEIGHTS)
        self.add_tab("partitions", "Partitions", self.partition_table)
        self.add_tab("consumers", "Consumers", self.reader_table)
        self._add_actions()

    def _make_partition_table(self) -> TableView[PartitionRow]:
        return page_table(
            self.context,
            self._partitions,
            name="partitions",
            noun="partition",
            sort="partition",
            menu=self._fill_partition_menu,
            opened=self._open_partition,
        )

    def _make_reader_table(self) -> TableView[ReaderRow]:
        return page_table(
            self.context,
            self._readers,
            name="readers",
            noun="group",
            sort="-lag",
            opened=lambda row, tab: self.context.navigate(GroupTarget(row.group), tab),
            empty=(
                "groups",
                "No consumer group reads this topic",
                "Groups appear here once they commit offsets to it.",
            ),
        )

    def _add_actions(self) -> None:
        go, actions = self.context.navigate, self._actions
        self.add_action("Messages", lambda: go(MessagesTarget(self.topic)))
        self.add_action("Produce…", lambda: go(ProduceTarget(self.topic)), changes=True)
        self.add_action(
            "Configuration", lambda: go(ConfigurationTarget(ConfigResource("topic", self.topic)))
        )
        self.add_action("Add partitions…", lambda: actions.add_partitions(self.topic), changes=True)
        self.add_action("Empty…", lambda: actions.empty(self.topic), changes=True)
        self.add_action("Delete…", lambda: actions.delete([self.topic]), changes=True)

    def _chart_with_control(self) -> QWidget:
        whole = QWidget(self)
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(8)
        column.addWidget(self.measure, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._chart, 1)
        return whole

    # ---- showing

    def show_topic(self, topic: str, tab: str = "") -> None:
        if topic != self.topic:
            self._partitions.merge([])
            self._readers.merge([])
        self.topic = topic
        self.show_name(topic)
        self._show_series()
        self.context.session.focus(topics=[topic], groups=[])
        self.show_tab(tab)
        self.show_snapshot(self.context.session.snapshot)

    def _show_series(self) -> None:
        measure, title, unit = MEASURES[self.measure.index]
        color = self.context.colors.color("topic", self.topic)
        self._chart.set_title(f"{title} in per second")
        self._chart.set_unit(unit)
        self._chart.set_series([Series((measure, self.topic), self.topic, color)])

    def leave(self) -> None:
        if self.topic:
            self.topic = ""
            self.context.session.focus(topics=[], groups=[])

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if not self.topic or not self.context.session.loaded:
            return
        topic = snapshot.topics.get(self.topic)
        if topic is None:
            self.show_missing(
                "topics",
                f"There is no topic {self.topic}",
                "It was deleted, or this connection is not allowed to describe it.",
            )
            return
        self.show_facts(_facts(topic_row(topic, readers(snapshot).get(self.topic, []))))
        self._partitions.merge(partition_rows(topic))
        self._readers.merge(reader_rows(snapshot, self.topic))
        self._chart.set_marks(marks_of(self.context.session.changes, topic=self.topic))
        self.state.show_content()

    def _open_partition(self, row: PartitionRow, in_tab: bool = False) -> None:
        self.context.navigate(MessagesTarget(self.topic, row.partition), in_tab)

    def _fill_partition_menu(self, rows: list[PartitionRow], menu: QMenu) -> None:
        if len(rows) == 1:
            menu.addAction("Messages of this partition", lambda: self._open_partition(rows[0]))
        chosen = [(self.topic, row.partition) for row in rows]
        elect = menu.addAction(
            "Elect the preferred leader…", lambda: self._actions.elect_preferred(chosen)
        )
        elect.setEnabled(bool(rows) and not self.context.session.read_only)


def _facts(row: TopicRow) -> list[Fact]:
    return [
        Fact(row.status.text, row.status.tone, row.status.meaning, status=True),
        Fact(figures.count(row.partitions)),
        Fact(figures.count(row.replication)),
        Fact(figures.rate(row.rate)),
        Fact(figures.size(row.size_bytes)),
        Fact(figures.size(row.stored_bytes)),
        Fact(figures.count(row.worst_lag), tip=row.worst_group),
    ]
