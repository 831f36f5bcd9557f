"""Brokers: the list, and below it the selected one with its replicas and process."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QSplitter, QVBoxLayout, QWidget
from typing_extensions import override

from gui.brokers.actions import possible_actions
from gui.brokers.broker_view import BrokerView
from gui.brokers.rows import BrokerRow, broker_rows, columns_for
from gui.navigation import BrokerTarget, ConfigurationTarget, Target
from gui.page_kit.latest_job import LatestJob
from gui.page_kit.live_page import LivePage
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import HEAD_PIXELS
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot, ConfigResource
from kafka_client.snapshot import partition_count
from widgets.item_table import ROW_PIXELS
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import plain, without_mnemonic

LIST_FRAME_PIXELS = 140
"""title, filter box, table header and margins above and below the rows of the list"""
ROWS_AT_FIRST = (3, 8)
"""fewest and most rows that the list shows before a person moves the splitter"""


class BrokersPage(LivePage):
    """A BrokerTarget selects that broker in the list."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        embedded = self.session.embedded
        self._wanted: int | None = None
        """broker to select as soon as it is listed"""
        self._sized = False
        self.model: KeyedTableModel[BrokerRow] = KeyedTableModel(
            columns_for(embedded is not None), key=lambda r: r.broker_id, parent=self
        )
        self.table = page_table(
            context,
            self.model,
            name="brokers-embedded" if embedded is not None else "brokers",
            noun="broker",
            menu=self._fill_menu,
            sort="broker",
            opened=self._open_row,
        )
        self._rows = LatestJob(self.session, self._show_rows, self)
        self.broker_view = BrokerView(context)
        self.table.selection_changed.connect(lambda _: self._show_selected())
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.addWidget(self._make_list())
        self._split.addWidget(self.broker_view)
        self._split.setStretchFactor(0, 0)
        self._split.setStretchFactor(1, 1)
        self._split.setChildrenCollapsible(False)
        self.set_content(self._split)
        self.setFocusProxy(self.table)
        if embedded is not None:
            embedded.brokers_changed.connect(self._processes_changed)

    def _make_list(self) -> QWidget:
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 4, 0, 8)
        column.setSpacing(12)
        title = plain("Brokers", whole, role="title")
        title.setFixedHeight(HEAD_PIXELS)
        column.addWidget(title)
        column.addWidget(self.table)
        return whole

    def show_target(self, target: Target) -> None:
        if isinstance(target, BrokerTarget) and not self.table.select_key(target.broker_id):
            self._wanted = target.broker_id

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        embedded = self.session.embedded
        processes = dict(embedded.brokers) if embedded is not None else {}
        self._rows.request(partial(broker_rows, snapshot, processes), partition_count(snapshot))

    def _show_rows(self, rows: list[BrokerRow]) -> None:
        self.model.merge(rows)
        self._size_list(len(rows))
        if self._wanted is not None and self.table.select_key(self._wanted):
            self._wanted = None
        elif rows and not self.table.selected_rows():
            self.table.select_key(min(row.broker_id for row in rows))
        self._show_selected()

    def _size_list(self, rows: int) -> None:
        """Give the list the height of its rows, once."""
        if rows and not self._sized:
            self._sized = True
            fewest, most = ROWS_AT_FIRST
            height = LIST_FRAME_PIXELS + ROW_PIXELS * min(max(rows, fewest), most)
            self._split.setSizes([height, max(self._split.height() - height, height)])

    def _processes_changed(self) -> None:
        if self.isVisible() and self.session.loaded:
            self.refresh(self.session.snapshot, Changes())

    def _show_selected(self) -> None:
        selected = self.table.selected_rows()
        if selected:
            self.broker_view.show_broker(selected[0], self.session.snapshot)

    def _open_row(self, row: BrokerRow, in_tab: bool) -> None:
        if in_tab:
            self.context.navigate(BrokerTarget(row.broker_id), in_tab=True)
        else:
            self.broker_view.focus_content()

    # ---- the context menu

    def _fill_menu(self, rows: list[BrokerRow], menu: QMenu) -> None:
        broker_id, go, icon = rows[0].broker_id, self.context.navigate, self.theme.icon
        menu.addAction(
            icon("configuration"),
            "Configuration",
            lambda: go(ConfigurationTarget(ConfigResource("broker", str(broker_id)))),
        )
        menu.addAction(
            icon("external"),
            "Open in a new tab",
            lambda: go(BrokerTarget(broker_id), in_tab=True),
        )
        embedded = self.session.embedded
        process = embedded.brokers.get(broker_id) if embedded is not None else None
        if process is None:
            return
        menu.addSeparator()
        for action in possible_actions(process.state):
            menu.addAction(
                icon(action.icon),
                without_mnemonic(action.label),
                partial(self.broker_view.request, action, broker_id),
            )
