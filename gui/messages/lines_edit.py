"""A field for many records, a line each: values, keys and values, or JSON Lines."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from gui.messages.bytes_edit import CompactTextEdit
from kafka_client.model import NewRecord
from kafka_client.reading.lines import LineForm, ParsedLines, parse_lines
from resources.outgoing import visible
from resources.wording import counted
from widgets import figures
from widgets.plain import plain, set_role
from widgets.theme import Theme

FORMS = (
    (LineForm.VALUES, "a value"),
    (LineForm.KEY_VALUE, "key and value"),
    (LineForm.JSON_LINES, "JSON Lines"),
)
PARSE_AFTER_MS = 250
LARGEST = 4 << 20
"""characters that are parsed"""


class LinesEdit(QWidget):
    changed = Signal()
    """the lines were parsed"""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._topic = ""
        self._parsed = ParsedLines(())
        self.form = QComboBox(self)
        for form, title in FORMS:
            self.form.addItem(title, str(form))
        self.separator = QLineEdit("\\t", self)
        self.separator.setFixedWidth(64)
        self.separator.setAccessibleName("Separator between key and value")
        self.text = CompactTextEdit(self)
        self.text.setProperty("role", "mono")
        self.text.setFont(theme.mono_font())
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setPlaceholderText("Paste lines here")
        self.hint = plain("", self, role="small", wrap=True)
        self._parse_later = QTimer(self)
        self._parse_later.setSingleShot(True)
        self._parse_later.setInterval(PARSE_AFTER_MS)
        self._parse_later.timeout.connect(self._parse)
        self.text.textChanged.connect(self._parse_later.start)
        self.form.currentIndexChanged.connect(lambda _: self._parse())
        self.separator.textChanged.connect(lambda _: self._parse())
        self._build()
        self._parse()

    def _build(self) -> None:
        how = QHBoxLayout()
        how.setSpacing(8)
        how.addWidget(plain("Each line is", self, role="muted"))
        how.addWidget(self.form)
        how.addWidget(self.separator)
        how.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(how)
        column.addWidget(self.text, 1)
        column.addWidget(self.hint)

    @property
    def count(self) -> int:
        """Records in the lines as last parsed."""
        return len(self._parsed.records)

    @property
    def can_be_sent(self) -> bool:
        return self.count > 0 and not self._parsed.errors

    def set_topic(self, topic: str) -> None:
        self._topic = topic
        self._parse()

    def records(self, partition: int | None) -> tuple[NewRecord, ...]:
        """The records of all lines. Those that name no partition go to this one, or by key."""
        self._parse()
        return tuple(
            record if record.partition is not None else replace(record, partition=partition)
            for record in self._parsed.records
        )

    def _parse(self) -> None:
        self._parse_later.stop()
        form = LineForm(self.form.currentData())
        self.separator.setVisible(form is LineForm.KEY_VALUE)
        text = self.text.toPlainText()
        if len(text) > LARGEST:
            self._parsed = ParsedLines((), ((1, f"more than {figures.size(LARGEST)} at once"),))
        else:
            separator = self.separator.text().replace("\\t", "\t")
            self._parsed = parse_lines(text, self._topic, form, separator, None)
        self._show_hint()
        self.changed.emit()

    def _show_hint(self) -> None:
        records, errors = self._parsed.records, self._parsed.errors
        hint = counted(len(records), "record")
        if errors:
            line, problem = errors[0]
            more = f" and {len(errors) - 1:,} more" if len(errors) > 1 else ""
            hint += f"  ·  line {line:,}: {problem}{more}"
        self.hint.setText(visible(hint))
        set_role(self.hint, "bad" if errors else "", "tone")
