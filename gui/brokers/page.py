"""The brokers, and one of them at a time: its replicas, its process when it is one of ours, the
way to its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QSplitter, QVBoxLayout, QWidget

from gui.background import Latest
from gui.brokers.broker_panel import BrokerPanel
from gui.brokers.rows import BrokerRow, rows
from gui.page_kit.live_page import LivePage
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot
from kafka_client.snapshot import partition_count
from widgets import figures
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import plain
from widgets.table_view import TableView

SKEW_WARN = 0.3


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:+.0f} %" if round(value * 100) else "even"


COLUMNS: tuple[Column[BrokerRow], ...] = (
    Column("broker", "Broker", lambda r: r.broker_id, paint="dot", tone=lambda r: r.tone, width=80),
    Column("state", "State", lambda r: r.state, tip=lambda r: r.reason, width=80,
           tone=lambda r: "" if r.tone == "ok" else r.tone),
    Column("role", "Role", lambda r: "controller" if r.controller else "", paint="badge", tone=lambda r: "accent",
           width=96, help="The controller leads the metadata quorum (asked of DescribeQuorum)."),
    Column("address", "Address", lambda r: r.address, stretch=True),
    Column("rack", "Rack", lambda r: r.rack, hidden=True),
    Column("leaders", "Leaders", lambda r: r.leaders, text=figures.count, numeric=True, width=72),
    Column("replicas", "Replicas", lambda r: r.replicas, text=figures.count, numeric=True, width=72),
    Column("out_of_sync", "Out of sync", lambda r: r.out_of_sync, text=figures.count, numeric=True, width=92,
           tone=lambda r: "warn" if r.out_of_sync else "text_muted"),
    Column("skew", "Leader skew", lambda r: r.skew, text=_percent, numeric=True, width=100,
           tone=lambda r: "warn" if r.skew is not None and abs(r.skew) > SKEW_WARN else "text_muted",
           help="Leaders more (or fewer) than an even share."),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=84),
    Column("disk", "Disk", lambda r: r.disk_used, text=figures.percent, paint="bar", width=128,
           tone=lambda r: "bad" if (r.disk_used or 0) > 0.9 else "warn" if (r.disk_used or 0) > 0.8 else "accent"),
    Column("rate_in", "In", lambda r: r.rate_in, text=figures.rate, numeric=True, width=76,
           help="Messages a second into the partitions that it leads."),
    Column("round_trip", "Round trip", lambda r: r.round_trip_ms, numeric=True, width=84,
           text=lambda v: "–" if v is None else f"{v:.1f} ms"),
)  # fmt: skip

LESS_WITH_PROCESSES = ("skew", "disk", "rack")
"""hidden to begin with where the processes' columns need the room"""

PROCESS_COLUMNS: tuple[Column[BrokerRow], ...] = (
    Column("pid", "Process", lambda r: r.pid, numeric=True, width=72),
    Column("cpu", "CPU", lambda r: r.cpu_share, text=figures.percent, numeric=True, width=60,
           help="Of one core."),
    Column("memory", "Memory", lambda r: r.rss_bytes, text=figures.size, numeric=True, width=88),
    Column("uptime", "Up for", lambda r: r.uptime_s, text=figures.duration, numeric=True, width=92),
)  # fmt: skip


class BrokersPage(LivePage):
    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        embedded = self.session.embedded
        columns = COLUMNS
        if embedded is not None:
            less = tuple(
                replace(c, hidden=c.hidden or c.name in LESS_WITH_PROCESSES) for c in COLUMNS
            )
            columns = less + PROCESS_COLUMNS
        self.model = KeyedTableModel(columns, key=lambda r: r.broker_id, parent=self)
        self.table = TableView(
            self.theme,
            self.model,
            name="brokers-embedded" if embedded is not None else "brokers",
            memory=context.preferences,
            noun="broker",
            menu=self._menu,
            sort="broker",
        )
        self._rows = Latest(self._show_rows, self)
        self.panel = BrokerPanel(context)
        self.table.selection_changed.connect(self._selected)
        self.table.row_opened.connect(self._opened)
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(12)
        column.addWidget(plain("Brokers", upper, role="title"))
        column.addWidget(self.table)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(self.panel)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        split.setSizes([260, 480])
        split.setChildrenCollapsible(False)
        self.set_content(split)
        if embedded is not None:
            embedded.brokers_changed.connect(self._processes_changed)

    def open(self, broker: int | None = None, **_: Any) -> None:
        """Show that broker."""
        self._wanted = broker
        if broker is not None and self.table.select_key(broker):
            self._wanted = None

    _wanted: int | None = None

    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        embedded = self.session.embedded
        processes = dict(embedded.brokers) if embedded is not None else {}
        self._rows.want(lambda: rows(snapshot, processes), partition_count(snapshot))

    def _show_rows(self, found: list[BrokerRow]) -> None:
        self.model.merge(found)
        wanted = (
            self._wanted
            if self._wanted is not None
            else min((r.broker_id for r in found), default=None)
        )
        if wanted is not None and (self._wanted is not None or not self.table.selected_rows()):
            self._wanted = None
            self.table.select_key(wanted)
        self._show_panel()

    def _processes_changed(self) -> None:
        if self.isVisible() and self.session.loaded:
            self.refresh(self.session.snapshot, Changes())

    def _selected(self, _: list[BrokerRow]) -> None:
        self._show_panel()

    def _show_panel(self) -> None:
        chosen = self.table.selected_rows()
        if chosen:
            self.panel.show_broker(chosen[0], self.session.snapshot)

    def _opened(self, row: BrokerRow, in_tab: bool) -> None:
        if in_tab:
            self.context.navigate("brokers", in_tab=True, broker=row.broker_id)

    def _menu(self, chosen: list[BrokerRow], menu: QMenu) -> None:
        row = chosen[0]
        theme = self.theme
        menu.addAction(
            theme.icon("configuration"), "Configuration", lambda: self._configuration(row)
        )
        menu.addAction(
            theme.icon("external"),
            "Open in a tab of its own",
            lambda: self.context.navigate("brokers", in_tab=True, broker=row.broker_id),
        )
        embedded = self.session.embedded
        process = embedded.brokers.get(row.broker_id) if embedded is not None else None
        if process is None:
            return
        menu.addSeparator()
        for act in self.panel.acts(process.state):
            menu.addAction(
                theme.icon(act.icon),
                act.words,
                lambda act=act: self.panel.request(act, row.broker_id),
            )

    def _configuration(self, row: BrokerRow) -> None:
        self.context.navigate("configuration", kind="broker", name=str(row.broker_id))
