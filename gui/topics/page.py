"""Topics: the list, and one topic in its place when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.background import Latest
from gui.page_kit.live_page import LivePage
from gui.pages import PageContext
from gui.preferences import INTERNAL_TOPICS
from gui.topics.actions import TopicActions
from gui.topics.rows import TOPIC_COLUMNS, TopicRow, topic_rows
from gui.topics.topic_view import TopicView
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot
from kafka_client.snapshot import partition_count
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain
from widgets.table_view import TableView


class TopicsPage(LivePage):
    """``open(topic=...)`` shows one topic; ``open()`` the list."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._stack = QStackedWidget(self)
        self._list = TopicList(context, self)
        self._one = TopicView(context, self)
        self._stack.addWidget(self._list)
        self._stack.addWidget(self._one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self._one.back_requested.connect(lambda: self.open())
        self.watch(self._list.state, self._one.state)

    def open(
        self,
        topic: str = "",
        tab: str = "",
        create: str = "",
        partitions: str = "",
        replication: str = "",
    ) -> None:
        """``create`` opens the form for a new topic with what is known of it."""
        if create:
            TopicActions(self.context, self).create("", create, partitions, replication)
        if topic:
            self._one.show_topic(topic, tab)
            self._stack.setCurrentWidget(self._one)
        else:
            self._one.leave()
            self._stack.setCurrentWidget(self._list)
            if self.session.loaded:
                self._list.refresh(self.session.snapshot)

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        if self._stack.currentWidget() is self._list:
            self._list.refresh(snapshot)
        else:
            self._one.refresh()


class TopicList(QWidget):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self._rows = Latest(self._show, self)
        self._model: KeyedTableModel[TopicRow] = KeyedTableModel(TOPIC_COLUMNS, lambda r: r.name)
        self.table = TableView(
            context.theme,
            self._model,
            name="topics",
            memory=context.preferences,
            noun="topic",
            menu=self._fill_menu,
            sort="topic",
        )
        self._internal = QCheckBox("Show internal topics", self)
        self._internal.setChecked(context.preferences.get(INTERNAL_TOPICS))
        self._internal.toggled.connect(self._internal_toggled)
        self._create = QPushButton("New topic…", self)
        self._create.setProperty("role", "primary")
        self._create.setEnabled(not context.session.read_only)
        self._create.clicked.connect(self._new_topic)
        self.table.add_tool(self._internal)
        self.table.row_opened.connect(lambda row, _tab: context.navigate("topics", topic=row.name))
        head = QHBoxLayout()
        head.addWidget(plain("Topics", self, role="title"))
        head.addStretch(1)
        head.addWidget(self._create)
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.table)
        self.state = PageState(context.theme, body, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.state, 1)
        self._accept()

    def _internal_toggled(self, shown: bool) -> None:
        self.context.preferences.set(INTERNAL_TOPICS, shown)
        self._accept()

    def _accept(self) -> None:
        shown = self._internal.isChecked()
        self._model.set_accept(None if shown else lambda row: not row.internal)

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        self._rows.want(lambda: topic_rows(snapshot), partition_count(snapshot))

    def _show(self, rows: list[TopicRow]) -> None:
        self._model.merge(rows)
        if all(row.internal for row in rows):
            self.table.say_nothing(
                "topics", "No topics yet", "Create one here, or let a producer create it."
            )
        else:
            self.table.say_nothing("search", "No topic matches", "Change the filter to see more.")

    def _fill_menu(self, rows: list[TopicRow], menu: QMenu) -> None:
        go = self.context.navigate
        if len(rows) == 1:
            name = rows[0].name
            menu.addAction("Open", lambda: go("topics", topic=name))
            menu.addAction("Messages", lambda: go("messages", topic=name))
            menu.addAction("Produce a record…", lambda: go("messages", topic=name, produce=True))
            menu.addAction("Configuration", lambda: go("configuration", topic=name))
            menu.addSeparator()
            self._change(menu, "Clone…", lambda: self._clone(name))
            self._change(menu, "Add partitions…", lambda: self._actions().add_partitions(name))
            self._change(menu, "Empty…", lambda: self._actions().empty(name))
        if rows:
            names = [row.name for row in rows]
            self._change(menu, "Delete…", lambda: self._actions().delete(names))

    def _change(self, menu: QMenu, text: str, do: Callable[[], object]) -> None:
        action = menu.addAction(text, do)
        action.setEnabled(not self.context.session.read_only)

    def _actions(self) -> TopicActions:
        return TopicActions(self.context, self)

    def _new_topic(self) -> None:
        self._actions().create()

    def _clone(self, name: str) -> None:
        self._actions().create(like=name)

    def selected(self) -> Sequence[TopicRow]:
        return self.table.selected_rows()
