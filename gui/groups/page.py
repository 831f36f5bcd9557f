"""Consumer groups: the list with a status for each, and one group in its place when opened."""

from __future__ import annotations

from PySide6.QtWidgets import QMenu, QWidget
from typing_extensions import override

from gui.groups.actions import delete_groups
from gui.groups.group_view import GroupView
from gui.groups.rows import GROUP_COLUMNS, GroupRow, group_row
from gui.navigation import GroupTarget, ResetTarget, Target
from gui.page_kit.latest_job import LatestJob
from gui.page_kit.list_and_detail import ListAndDetailPage
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import TableList
from gui.pages import PageContext
from kafka_client.model import ClusterSnapshot, Datum
from widgets.keyed_table_model import KeyedTableModel

PARTITIONS_OF_A_GROUP = 10
"""a guess of a group's cost, to decide whether rows are computed in the background"""


class GroupsPage(ListAndDetailPage):
    """A GroupTarget shows one group, a ResetTarget the form that resets its offsets."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.groups = GroupList(context, self)
        self.group_view = GroupView(context, self)
        self.set_parts(self.groups, self.group_view)

    @override
    def show_target(self, target: Target) -> None:
        match target:
            case GroupTarget(group, tab):
                self.group_view.show_group(group, tab)
                self.show_detail()
            case ResetTarget(group, topic, spec):
                self.group_view.show_group(group)
                self.show_detail()
                self.group_view.reset(topic, spec)
            case _:
                self.show_list()

    @override
    def refresh_list(self, snapshot: ClusterSnapshot) -> None:
        self.groups.show_snapshot(snapshot)

    @override
    def refresh_detail(self, snapshot: ClusterSnapshot) -> None:
        self.group_view.show_snapshot(snapshot)

    @override
    def incomplete(self) -> str:
        sampled = self.session.snapshot.sampled.get(Datum.GROUPS)
        failed = ", ".join(sorted(sampled.subject_errors)) if sampled is not None else ""
        return f"The list is not complete: no answer from {failed}." if failed else ""


class GroupList(TableList[GroupRow]):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        self._model: KeyedTableModel[GroupRow] = KeyedTableModel(GROUP_COLUMNS, lambda r: r.group)
        table = page_table(
            context,
            self._model,
            name="groups",
            noun="group",
            sort="-lag",
            menu=self._fill_menu,
            opened=lambda row, tab: context.navigate(GroupTarget(row.group), tab),
            empty=(
                "groups",
                "No consumer groups",
                "A group appears when its first consumer joins.",
            ),
        )
        super().__init__(context, "Consumer groups", table, parent)
        self._rows = LatestJob(context.session, self._model.merge, self)

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        sampled = snapshot.sampled.get(Datum.GROUPS)
        if snapshot.groups or (sampled is not None and sampled.at_s is not None):
            groups = snapshot.groups.values()
            self._rows.request(
                lambda: [group_row(group) for group in groups], PARTITIONS_OF_A_GROUP * len(groups)
            )
            self.state.show_content()
        elif sampled is not None and sampled.error:
            self.state.show_failed(
                "The groups could not be listed", sampled.error, sampled.next_step, retry=False
            )
        else:
            self.state.show_loading("Listing the consumer groups…")

    def _fill_menu(self, rows: list[GroupRow], menu: QMenu) -> None:
        go, writable = self.context.navigate, not self.context.session.read_only
        if len(rows) == 1:
            group = rows[0].group
            menu.addAction("Open", lambda: go(GroupTarget(group)))
            menu.addAction("Open in a new tab", lambda: go(GroupTarget(group), in_tab=True))
            menu.addSeparator()
            reset = menu.addAction("Reset offsets…", lambda: go(ResetTarget(group)))
            reset.setEnabled(writable)
        names = [row.group for row in rows]
        delete = menu.addAction("Delete…", lambda: delete_groups(self.context, names, self))
        delete.setEnabled(writable)
