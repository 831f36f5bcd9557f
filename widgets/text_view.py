"""Text of any size and content: the first 64 KiB at once, more on request, all of it in a file.

A line of a megabyte freezes a text widget for most of a second, so lines are cut into pieces of
at most 4,000 characters. Copying and saving use the bytes, not the shown text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from resources.outgoing import visible
from widgets import figures
from widgets.clipboard import copy_data
from widgets.plain import plain
from widgets.theme import Theme

logger = logging.getLogger(__name__)

FIRST_BYTES = 64 << 10
MOST_BYTES = 4 << 20
"""shown at first, and at most"""
LONGEST_LINE = 4000
FIRST_LINES = 1500
"""lines shown at first: a text widget needs longer per line than per character"""

Form = Callable[[bytes, int], str]
"""(first bytes of a value, number of lines that will be shown) -> text; must not raise"""


def break_lines(text: str, longest: int = LONGEST_LINE) -> str:
    """Break lines that are longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    out: list[str] = []
    for line in text.split("\n"):
        if len(line) <= longest:
            out.append(line)
        else:
            out += [line[i : i + longest] for i in range(0, len(line), longest)]
    return "\n".join(out)


class TextView(QWidget):
    saved = Signal(str)
    failed = Signal(str)
    """a sentence about the file that was written, or about why it was not"""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data = b""
        self._form: Form = _as_text
        self._limit, self._lines = FIRST_BYTES, FIRST_LINES
        self.file_name = "value.bin"
        self.edit = QPlainTextEdit(self)
        self.edit.setReadOnly(True)
        self.edit.setProperty("role", "view")
        self.edit.setFont(theme.mono_font())
        self.edit.setUndoRedoEnabled(False)
        self.edit.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.edit.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.size_label = plain("", self, role="faint")
        self.more = QPushButton("Load more", self)
        self.more.clicked.connect(self.load_more)
        self.copy_button = QPushButton("Copy", self)
        self.copy_button.clicked.connect(self.copy)
        self.save_button = QPushButton("Save…", self)
        self.save_button.clicked.connect(self._choose_file)
        for button in (self.more, self.copy_button, self.save_button):
            button.setProperty("role", "quiet")
            button.setAutoDefault(False)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 4, 0, 0)
        foot.setSpacing(4)
        foot.addWidget(self.size_label, 1)
        foot.addWidget(self.more)
        foot.addWidget(self.copy_button)
        foot.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.edit, 1)
        layout.addLayout(foot)

    def show_bytes(self, data: bytes, form: Form | None = None) -> None:
        """Show the start of the bytes as text; ``form`` decodes it, by default as UTF-8."""
        self._data, self._form = data, form or _as_text
        self._limit, self._lines = FIRST_BYTES, FIRST_LINES
        self._fill()

    @property
    def shown_bytes(self) -> int:
        return min(self._limit, len(self._data))

    def load_more(self) -> None:
        """Show four times as much, up to MOST_BYTES; more is for a file."""
        position = self.edit.verticalScrollBar().value()
        self._limit = min(MOST_BYTES, self._limit * 4)
        self._lines *= 4
        self._fill()
        self.edit.verticalScrollBar().setValue(position)

    def _fill(self) -> None:
        whole = len(self._data)
        head = self._data if whole <= self._limit else self._data[: self._limit]
        text = self._form(head, self._lines)
        lines = break_lines(visible(text, lines=True, limit=len(text) + 1)).split("\n", self._lines)
        cut_lines = len(lines) > self._lines
        self.edit.setPlainText("\n".join(lines[: self._lines]))
        cut = whole > self._limit or cut_lines
        shown = f"{self._lines:,} lines" if cut_lines else figures.size(self.shown_bytes)
        self.size_label.setText(
            f"The first {shown} of {figures.size(whole)}" if cut else f"{whole:,} bytes"
        )
        self.more.setVisible(cut and self._limit < MOST_BYTES)

    def copy(self) -> None:
        """Copy all of it exactly if it is UTF-8 of up to MOST_BYTES, else the shown text."""
        try:
            text = (
                self._data.decode("utf-8")
                if len(self._data) <= MOST_BYTES
                else self.edit.toPlainText()
            )
        except UnicodeDecodeError:
            text = self.edit.toPlainText()
        copy_data(text)

    def _choose_file(self) -> None:
        dialog = QFileDialog(self, "Save the bytes", self.file_name)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save_to)
        dialog.open()

    def save_to(self, path: str) -> None:
        """Write the bytes unchanged."""
        try:
            Path(path).write_bytes(self._data)
        except OSError as error:
            logger.warning("cannot write %s: %s", path, error)
            self.failed.emit(f"Not saved: {error.strerror or error}.")
            return
        self.saved.emit(f"{figures.size(len(self._data))} saved in {Path(path).name}.")


def _as_text(head: bytes, _lines: int) -> str:
    return head.decode("utf-8", "replace")
