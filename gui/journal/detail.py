"""One entry of the journal: what was planned, the equal command, how it ended, and its undo."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from gui.journal.rows import JournalRow, plan_lines
from resources.outgoing import visible
from widgets.clipboard import copy_lines
from widgets.plain import plain, set_role
from widgets.theme import Theme

PLAN_CHARACTERS = 20_000


class EntryDetail(QScrollArea):
    """``undo_requested``: the person wants a plan that takes the shown entry back."""

    undo_requested = Signal(JournalRow)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.row: JournalRow | None = None
        content = QWidget(self)
        content.setProperty("role", "clear")
        self._title = plain("", content, role="heading", wrap=True, selectable=True)
        self._facts = plain("", content, role="muted", wrap=True, selectable=True)
        self._outcome = plain("", content, wrap=True, selectable=True)
        self._plan_title = plain("Plan", content, role="section")
        self.plan = plain("", content, wrap=True, selectable=True)
        self.command = CommandField("The same on the command line", content)
        self.undo_command = CommandField("Undo on the command line", content)
        self.undo_button = QPushButton("Undo…", content)
        self.undo_button.clicked.connect(self._undo)
        self._why_not = plain("", content, role="faint", wrap=True)
        undo = QHBoxLayout()
        undo.setSpacing(12)
        undo.addWidget(self.undo_button)
        undo.addWidget(self._why_not, 1)
        column = QVBoxLayout(content)
        column.setContentsMargins(16, 0, 12, 0)
        column.setSpacing(8)
        for widget in (
            self._title,
            self._facts,
            self._outcome,
            self._plan_title,
            self.plan,
            self.command,
            self.undo_command,
        ):
            column.addWidget(widget)
        column.addLayout(undo)
        column.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_row(self, row: JournalRow, when: str, why_no_undo: str) -> None:
        """``why_no_undo`` disables the button and stands beside it; empty when there is one."""
        self.row = row
        entry = row.entry
        self._title.setText(visible(row.what, lines=True, limit=1000))
        facts = f"{when} on {entry.cluster}: {entry.subject}"
        self._facts.setText(visible(facts, lines=True, limit=4000))
        self._outcome.setText(visible(row.outcome, lines=True, limit=4000))
        set_role(self._outcome, "ok" if entry.succeeded else "bad", "tone")
        lines = plan_lines(entry)
        self.plan.setText(visible(lines, lines=True, limit=PLAN_CHARACTERS))
        for widget in (self._plan_title, self.plan):
            widget.setVisible(bool(lines))
        self.command.show_command(entry.command)
        self.undo_command.show_command(entry.undo if entry.succeeded else "")
        self.undo_button.setEnabled(not why_no_undo)
        self._why_not.setText(visible(why_no_undo, limit=500))

    def _undo(self) -> None:
        if self.row is not None:
            self.undo_requested.emit(self.row)


class CommandField(QWidget):
    """A command line in monospace with a button that copies it; hidden while there is none."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.text = ""
        frame = QFrame(self)
        frame.setProperty("role", "panel")
        self._label = plain("", frame, role="mono", wrap=True, selectable=True)
        copy = QPushButton("Copy", frame)
        copy.setProperty("role", "quiet")
        copy.setAccessibleName(f"Copy: {title}")
        copy.clicked.connect(lambda: copy_lines(self.text))
        self.copy_button = copy
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 8, 8, 8)
        row.addWidget(self._label, 1)
        row.addWidget(copy, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        column.addWidget(plain(title, self, role="section"))
        column.addWidget(frame)

    def show_command(self, text: str) -> None:
        self.text = text
        self._label.setText(visible(text, lines=True, limit=10_000))
        self.setVisible(bool(text))
