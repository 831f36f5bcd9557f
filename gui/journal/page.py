"""The Journal: every change that was sent from this window, to this cluster or to any, with its
plan, the equal command, its outcome and its undo."""

from __future__ import annotations

import logging

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget
from typing_extensions import override

from gui.journal.detail import EntryDetail
from gui.journal.rows import JournalRow, Undo, journal_row, why_no_undo
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import MARGINS
from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, reviewed
from kafka_client.commands.from_command import plan_from_command
from kafka_client.errors import ClientError
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import Banner, PageState
from widgets.plain import plain
from widgets.segmented import SegmentedControl

logger = logging.getLogger(__name__)

SCOPES = ("This cluster", "All clusters")
PAGE_ENTRIES = 500
"""Entries that are read at once; *Older entries* reads as many again."""
GATHER_MS = 200
"""Writes in this time lead to one reading."""


class JournalPage(QWidget):
    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.session = context.session
        self._rows: dict[int, JournalRow] = {}
        """by entry_id: all that were read"""
        self._read_once = False
        self._missed = True
        """entries were recorded while the page was hidden, or nothing was read yet"""
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.model: KeyedTableModel[JournalRow] = KeyedTableModel(self._columns(), lambda r: r.key)
        self.table = page_table(context, self.model, name="journal", noun="change", sort="-when")
        self.table.selection_changed.connect(lambda _: self._show_detail())
        self.detail = EntryDetail(context.theme, self)
        self.detail.undo_requested.connect(
            lambda row: self.session.tasks.start(self._plan_undo(row), self)
        )
        self.banner = Banner(context.theme, self)
        self._lay_out()
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self._read_newest)
        context.journal.recorded.connect(self._recorded)
        context.clock.style.changed.connect(self._show_rows)

    def _columns(self) -> list[Column[JournalRow]]:
        return [
            Column(
                "when",
                "When",
                lambda r: r.entry.at_s,
                lambda at_s: self._moment(at_s),
                tip=lambda r: self.context.clock.style.exact(r.entry.at_s),
                width=112,
            ),
            Column("cluster", "Cluster", lambda r: r.entry.cluster, width=96),
            Column("what", "What", lambda r: r.what, width=150, stretch=True),
            Column("subject", "Subject", lambda r: r.entry.subject, width=130),
            Column(
                "outcome",
                "Outcome",
                lambda r: r.outcome,
                width=120,
                tone=lambda r: "ok" if r.entry.succeeded else "bad",
            ),
            Column(
                "undo",
                "Undo",
                lambda r: str(r.undo),
                width=96,
                tone=lambda r: "text_faint" if r.undo is Undo.NONE else "text",
                help="Whether this window can plan an undo, or only a command of Kafka's can",
            ),
        ]

    def _moment(self, at_s: float) -> str:
        return self.context.clock.style.moment(at_s, self.context.clock.now_s)

    def _lay_out(self) -> None:
        self.scope = SegmentedControl(SCOPES, self)
        self.scope.chosen.connect(lambda _: self._scope_changed())
        self.older = QPushButton("Older entries", self)
        self.older.setProperty("role", "quiet")
        self.older.clicked.connect(self._read_older)
        self.older.hide()
        left = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table, 1)
        column.addWidget(self.older, 0, Qt.AlignmentFlag.AlignLeft)
        halves = QSplitter(self)
        halves.setChildrenCollapsible(False)
        halves.addWidget(left)
        halves.addWidget(self.detail)
        halves.setStretchFactor(0, 1)
        halves.setSizes([780, 380])
        self.detail.hide()
        self.state = PageState(self.context.theme, halves, self)
        self.state.retry_requested.connect(self._read_newest)
        head = QHBoxLayout()
        head.addWidget(plain("Journal", self, role="title"))
        head.addStretch(1)
        head.addWidget(self.scope)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.banner)
        layout.addWidget(self.state, 1)

    @property
    def cluster(self) -> str | None:
        """The cluster whose entries are shown; None for all."""
        return self.session.name if self.scope.index == 0 else None

    # ---- reading

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._missed:
            self._read_newest()

    def _recorded(self) -> None:
        self._missed = True
        if self.isVisible():
            self._gather.start()

    def _scope_changed(self) -> None:
        self._rows.clear()
        self._read_once = False
        self._read_newest()

    def _read_newest(self) -> None:
        self._missed = False
        if not self._read_once:
            self.state.show_loading("Reading the journal…")
        self.session.tasks.start(self._read(None), self)

    def _read_older(self) -> None:
        if self._rows:
            self.older.setEnabled(False)
            self.session.tasks.start(self._read(min(self._rows)), self)

    async def _read(self, before: int | None) -> None:
        cluster = self.cluster
        try:
            entries = await self.context.journal.entries(PAGE_ENTRIES, before, cluster)
        except ClientError as error:
            logger.warning("cannot read the journal: %s", error)
            self.state.show_failed("The journal cannot be read", str(error), error.next_step)
            return
        if cluster != self.cluster:
            return  # the person has switched meanwhile: another reading is on its way
        self._rows |= {entry.entry_id: journal_row(entry) for entry in entries}
        if before is not None or not self._read_once:
            self.older.setVisible(len(entries) == PAGE_ENTRIES)
            self.older.setEnabled(True)
        self._read_once = True
        self._show_rows()

    # ---- showing

    def _show_rows(self) -> None:
        if not self._read_once:
            return
        self.model.merge(self._rows.values())
        if self._rows:
            self.state.show_content()
            self._show_detail()
        else:
            where = "this cluster" if self.cluster is not None else "any cluster"
            self.state.show_empty(
                "No changes yet",
                f"Every change that this window sends to {where} is listed here, with its plan, "
                "its outcome and its undo.",
                icon="journal",
                action="" if self.cluster is None else "Show all clusters",
                do=None if self.cluster is None else (lambda: self.scope.choose(1)),
            )

    def _show_detail(self) -> None:
        row = self.table.current_row()
        self.detail.setVisible(row is not None)
        if row is not None:
            why_not = why_no_undo(row, self.session.name, self.session.read_only)
            self.detail.show_row(row, self._moment(row.entry.at_s), why_not)

    async def _plan_undo(self, row: JournalRow) -> None:
        """Plan from what the cluster says now, and show the plan; nothing is sent from here."""
        self.banner.show_message("")
        bootstrap = bootstrap_of(self.context)
        try:
            plan = await self.session.ask(
                lambda client: plan_from_command(client, row.entry.undo, bootstrap)
            )
        except ClientError as error:
            self.banner.show_message(f"{error} {error.next_step}".strip(), "warn")
            return
        await reviewed(self.context, plan, self)
