"""Topics: the list, and one topic in its place when it is opened."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QCheckBox, QMenu, QPushButton, QWidget
from typing_extensions import override

from gui.navigation import (
    ConfigurationTarget,
    MessagesTarget,
    NewTopicTarget,
    ProduceTarget,
    Target,
    TopicTarget,
)
from gui.page_kit.latest_job import LatestJob
from gui.page_kit.list_and_detail import ListAndDetailPage
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import TableList
from gui.pages import PageContext
from gui.preferences import INTERNAL_TOPICS
from gui.topics.actions import TopicActions
from gui.topics.rows import TOPIC_COLUMNS, TopicRow, topic_rows
from gui.topics.topic_view import TopicView
from kafka_client.model import ClusterSnapshot, ConfigResource
from kafka_client.snapshot import partition_count
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import without_mnemonic


class TopicsPage(ListAndDetailPage):
    """A TopicTarget shows one topic, a NewTopicTarget the form for a new one."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.topics = TopicList(context, self)
        self.topic_view = TopicView(context, self)
        self.set_parts(self.topics, self.topic_view)

    @override
    def show_target(self, target: Target) -> None:
        match target:
            case TopicTarget(topic, tab):
                self.topic_view.show_topic(topic, tab)
                self.show_detail()
            case NewTopicTarget(name, partitions, replication_factor):
                self.topics.topic_actions.create(
                    name=name, partitions=partitions, replication=replication_factor
                )
            case _:
                self.show_list()

    @override
    def refresh_list(self, snapshot: ClusterSnapshot) -> None:
        self.topics.show_snapshot(snapshot)

    @override
    def refresh_detail(self, snapshot: ClusterSnapshot) -> None:
        self.topic_view.show_snapshot(snapshot)


class TopicList(TableList[TopicRow]):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        self._model: KeyedTableModel[TopicRow] = KeyedTableModel(TOPIC_COLUMNS, lambda r: r.name)
        table = page_table(
            context,
            self._model,
            name="topics",
            noun="topic",
            sort="topic",
            menu=self._fill_menu,
            opened=lambda row, tab: context.navigate(TopicTarget(row.name), tab),
            empty=("topics", "No topics yet", "Create one here, or let a producer create it."),
        )
        super().__init__(context, "Topics", table, parent)
        self._rows = LatestJob(context.session, self._model.merge, self)
        self.topic_actions = TopicActions(context, self)
        self._internal = QCheckBox("Show internal topics", self)
        self._internal.setChecked(context.preferences.get(INTERNAL_TOPICS))
        self._internal.toggled.connect(self._internal_toggled)
        table.add_tool(self._internal)
        create = QPushButton("New topic…", self)
        create.setProperty("role", "primary")
        create.setEnabled(not context.session.read_only)
        create.clicked.connect(lambda: self.topic_actions.create())
        self.head.addWidget(create)
        self._hide_internal()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        self._rows.request(lambda: topic_rows(snapshot), partition_count(snapshot))

    def _internal_toggled(self, shown: bool) -> None:
        self.context.preferences.set(INTERNAL_TOPICS, shown)
        self._hide_internal()

    def _hide_internal(self) -> None:
        shown = self._internal.isChecked()
        self._model.set_accept(None if shown else lambda row: not row.internal)

    # ---- the context menu

    def _fill_menu(self, rows: list[TopicRow], menu: QMenu) -> None:
        if len(rows) == 1:
            self._add_actions_on_one(rows[0].name, menu)
        names = [row.name for row in rows]
        self._add_change(menu, "Delete…", lambda: self.topic_actions.delete(names))

    def _add_actions_on_one(self, name: str, menu: QMenu) -> None:
        go, actions = self.context.navigate, self.topic_actions
        menu.addAction("Open", lambda: go(TopicTarget(name)))
        menu.addAction("Open in a new tab", lambda: go(TopicTarget(name), in_tab=True))
        menu.addAction("Messages", lambda: go(MessagesTarget(name)))
        menu.addAction(
            "Configuration", lambda: go(ConfigurationTarget(ConfigResource("topic", name)))
        )
        menu.addSeparator()
        self._add_change(menu, "Produce a record…", lambda: go(ProduceTarget(name)))
        self._add_change(menu, "Clone…", lambda: actions.create(like=name))
        self._add_change(menu, "Add partitions…", lambda: actions.add_partitions(name))
        self._add_change(menu, "Empty…", lambda: actions.empty(name))

    def _add_change(self, menu: QMenu, text: str, do: Callable[[], object]) -> None:
        menu.addAction(without_mnemonic(text), do).setEnabled(not self.context.session.read_only)
