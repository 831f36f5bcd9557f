"""Consumer groups: the list with its status in words, and one group in its place when it is
opened."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget
from typing_extensions import override

from gui.background import Latest
from gui.groups.actions import delete_groups
from gui.groups.group_view import GroupView
from gui.groups.rows import GROUP_COLUMNS, GroupRow, group_row
from gui.page_kit.live_page import LivePage
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot, Datum
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain
from widgets.table_view import TableView


class GroupsPage(LivePage):
    """``open(group=...)`` shows one group; ``open()`` the list."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._stack = QStackedWidget(self)
        self._list = GroupList(context, self)
        self._one = GroupView(context, self)
        self._stack.addWidget(self._list)
        self._stack.addWidget(self._one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self._one.back_requested.connect(lambda: self.open())
        self.watch(self._list.state, self._one.state)

    def open(self, group: str = "", reset: bool = False) -> None:
        if group:
            self._one.show_group(group)
            self._stack.setCurrentWidget(self._one)
            if reset:
                self._one.reset()
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

    @override
    def incomplete(self) -> str:
        sampled = self.session.snapshot.sampled.get(Datum.GROUPS)
        broken = ", ".join(sorted(sampled.subject_errors)) if sampled is not None else ""
        return f"Not complete: {broken} did not answer." if broken else ""


class GroupList(QWidget):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self._rows = Latest(self._show, self)
        self._model: KeyedTableModel[GroupRow] = KeyedTableModel(GROUP_COLUMNS, lambda r: r.group)
        self.table = TableView(
            context.theme,
            self._model,
            name="groups",
            memory=context.preferences,
            noun="group",
            menu=self._menu,
            sort="-lag",
        )
        self.table.row_opened.connect(lambda row, _tab: context.navigate("groups", group=row.group))
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table)
        self.state = PageState(context.theme, body, self)
        head = QHBoxLayout()
        head.addWidget(plain("Consumer groups", self, role="title"))
        head.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.state, 1)

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        sampled = snapshot.sampled.get(Datum.GROUPS)
        if sampled is None or (sampled.at_s is None and not snapshot.groups):
            if sampled is not None and sampled.error:
                self.state.show_failed(
                    "The groups could not be listed", sampled.error, sampled.next_step, retry=False
                )
            else:
                self.state.show_loading("Asking the brokers for their groups…")
            return
        self._rows.want(
            lambda: [group_row(g) for g in snapshot.groups.values()], 10 * len(snapshot.groups)
        )
        if snapshot.groups:
            self.table.say_nothing("search", "No group matches", "Change the filter to see more.")
        else:
            self.table.say_nothing(
                "groups", "No consumer groups", "A group appears when its first consumer joins."
            )
        self.state.show_content()

    def _show(self, rows: list[GroupRow]) -> None:
        self._model.merge(rows)

    def _menu(self, rows: list[GroupRow], menu: QMenu) -> None:
        go, writable = self.context.navigate, not self.context.session.read_only
        if len(rows) == 1:
            group = rows[0].group
            menu.addAction("Open", lambda: go("groups", group=group))
            menu.addAction(
                "Reset offsets…", lambda: go("groups", group=group, reset=True)
            ).setEnabled(writable)
            menu.addSeparator()
        if rows:
            names = [row.group for row in rows]
            menu.addAction("Delete…", lambda: self._delete(names)).setEnabled(writable)

    def _delete(self, names: list[str]) -> None:
        delete_groups(self.context, names, self)
