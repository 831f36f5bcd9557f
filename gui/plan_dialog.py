"""Shows a plan before anything is sent: old and new values, warnings, the equal command line; then
applies it and shows the outcome, with an undo where the plan has one."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from gui.pages import PageContext
from gui.tasks import JobCancelled, opened
from kafka_client.commands.plan import Plan, PlanRow
from kafka_client.errors import ClientError
from kafka_client.sampling.state import ConnectionKind
from widgets.clipboard import copy_line
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import Banner
from widgets.plain import plain, set_role, set_title
from widgets.table_view import TableView


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    row: PlanRow


COLUMNS: list[Column[_Row]] = [
    Column("subject", "What", lambda r: r.row.subject, width=180, stretch=True),
    Column("old", "Now", lambda r: r.row.old or "–", width=210, tone=lambda r: "text_muted"),
    Column("new", "After", lambda r: r.row.new or "–", width=140),
    Column("note", "", lambda r: r.row.note, width=180, tone=lambda r: "text_muted"),
]
ROW_PIXELS = 28
MOST_ROWS_SHOWN = 9
LOST = (
    "The cluster does not answer, so these values may be outdated. The plan can be applied once the"
    " cluster is reachable again."
)


class PlanDialog(QDialog):
    """``applied`` is emitted when the cluster has accepted the plan, or its undo."""

    applied = Signal()

    def __init__(self, context: PageContext, plan: Plan, parent: QWidget | None) -> None:
        super().__init__(parent.window() if parent is not None else None)
        self.context = context
        self.plan = plan
        self._sent = False
        set_title(self, plan.title)
        self.setMinimumWidth(760)
        self.banner = Banner(context.theme, self)
        self.confirm_box = QLineEdit(self)
        self.apply_button = QPushButton(plan.verb, self)
        self.apply_button.setProperty("role", "danger" if plan.destructive else "primary")
        self.cancel_button = QPushButton("Cancel", self)
        self.undo_button = QPushButton("Undo…", self)
        self._build()

    def _build(self) -> None:
        plan = self.plan
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(plain(plan.title, self, role="heading"))
        layout.addWidget(self._table())
        for warning in plan.warnings:
            layout.addWidget(self._warning(warning))
        layout.addWidget(plain("The same on the command line", self, role="section"))
        layout.addWidget(self._command())
        if plan.confirm:
            layout.addWidget(plain(f"Type “{plan.confirm}” to go on:", self))
            layout.addWidget(self.confirm_box)
            self.confirm_box.textChanged.connect(self._check)
        else:
            self.confirm_box.hide()
        layout.addWidget(self.banner)
        buttons = QHBoxLayout()
        buttons.addWidget(self.undo_button)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.apply_button)
        layout.addLayout(buttons)
        self.undo_button.hide()
        self.apply_button.setAutoDefault(not plan.destructive)
        self.apply_button.setDefault(not plan.destructive)
        self.cancel_button.clicked.connect(self.reject)
        self.apply_button.clicked.connect(self._apply)
        self.undo_button.clicked.connect(self._undo)
        self.context.session.state_changed.connect(self._check)
        self._check()

    def _table(self) -> QWidget:
        model: KeyedTableModel[_Row] = KeyedTableModel(COLUMNS, lambda r: r.place)
        model.merge(_Row(i, row) for i, row in enumerate(self.plan.rows))
        table = TableView(
            self.context.theme, model, name="plan", toolbar=False, noun="change", parent=self
        )
        table.failed.connect(lambda sentence: self.context.notify(sentence, "bad"))
        table.setFixedHeight((min(len(self.plan.rows), MOST_ROWS_SHOWN) + 1) * ROW_PIXELS + 14)
        return table

    def _warning(self, text: str) -> QWidget:
        frame = QFrame(self)
        frame.setProperty("role", "banner")
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 6, 12, 6)
        row.addWidget(plain(text, frame, wrap=True), 1)
        return frame

    def _command(self) -> QWidget:
        frame = QFrame(self)
        frame.setProperty("role", "panel")
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 8, 8, 8)
        row.addWidget(plain(self.plan.command, frame, role="mono", wrap=True, selectable=True), 1)
        copy = QPushButton("Copy", frame)
        copy.setProperty("role", "quiet")
        copy.setAutoDefault(False)
        copy.clicked.connect(lambda: copy_line(self.plan.command))
        row.addWidget(copy, 0, Qt.AlignmentFlag.AlignTop)
        return frame

    def _check(self, *_: object) -> None:
        """Apply nothing while the cluster is lost: the old values of the plan may be outdated."""
        state = self.context.session.state
        lost = state is not None and state.kind is ConnectionKind.LOST
        confirmed = not self.plan.confirm or self.confirm_box.text() == self.plan.confirm
        self.apply_button.setEnabled(confirmed and not lost and not self._sent)
        if lost and not self._sent:
            self.banner.show_message(
                LOST,
                "warn",
            )
        elif self.banner.sentence == LOST:
            self.banner.show_message("")

    def _apply(self) -> None:
        self._sent = True
        self.apply_button.setEnabled(False)
        self.confirm_box.setEnabled(False)
        self.banner.show_message("Sent; waiting for the cluster…", "accent")
        self.context.session.tasks.start(self._send())

    async def _send(self) -> None:
        """Goes on when the dialog is closed: the outcome of a change that was sent is shown."""
        plan = self.plan
        try:
            sentence = await self.context.session.run_job(
                plan.title, lambda client, _progress: plan.apply(client)
            )
        except ClientError as error:
            if isValid(self):
                self._failed(error)
            else:
                raise
        except JobCancelled:
            if isValid(self):
                self._failed(ClientError("Cancelled.", next_step="Part of it may be applied."))
        else:
            self.context.notify(sentence, "ok")
            if isValid(self):
                self._done(sentence)

    def _done(self, sentence: str) -> None:
        self.banner.show_message(sentence, "ok")
        self.applied.emit()
        self.apply_button.hide()
        self.cancel_button.setText("Close")
        self.cancel_button.setDefault(True)
        self.undo_button.setVisible(self.plan.undo is not None)

    def _failed(self, error: ClientError) -> None:
        self._sent = False
        self.banner.show_message(f"{error} {error.next_step}".strip(), "bad")
        self.confirm_box.setEnabled(True)
        set_role(self.apply_button, "primary" if not self.plan.destructive else "danger")
        self.apply_button.setText("Try again")
        self._check()

    def _undo(self) -> None:
        if self.plan.undo is not None:
            self.context.session.tasks.start(self._review_undo(self.plan.undo()), owner=self)

    async def _review_undo(self, undo: Plan) -> None:
        self.hide()
        if await reviewed(self.context, undo, self.parentWidget()):
            self.applied.emit()
        self.accept()


async def reviewed(context: PageContext, plan: Plan, parent: QWidget | None) -> bool:
    """Show the plan, let the person apply it, and return whether the cluster has accepted it when
    the dialog is closed."""
    dialog = PlanDialog(context, plan, parent)
    accepted: list[Plan] = []
    dialog.applied.connect(lambda: accepted.append(plan))
    await opened(dialog)
    return bool(accepted)


def bootstrap_of(context: PageContext) -> str:
    """Return the addresses that a command line needs to reach this cluster."""
    return ",".join(context.session.profile.bootstrap_servers)
