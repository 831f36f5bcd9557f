"""The pane beside the settings: what one setting does, where its value comes from, and a field to
change it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.configuration.rows import SettingRow
from kafka_client.commands.configs import check_value
from kafka_client.model import ConfigEntry
from widgets import figures
from widgets.plain import plain, set_role

KINDS = {
    "boolean": "true or false",
    "int": "a whole number",
    "short": "a whole number",
    "long": "a whole number",
    "double": "a number",
    "list": "a list, separated by commas",
    "password": "a secret",
    "class": "a class name",
    "string": "text",
}


def readable(entry: ConfigEntry, value: str | None) -> str:
    """The value in a unit that reads, where its name tells the unit: ``604800000`` of
    retention.ms is 7 d."""
    try:
        number = int(value or "")
    except ValueError:
        return ""
    if number < 0:
        return "no limit" if entry.name.endswith((".bytes", ".ms")) else ""
    if entry.name.endswith(".ms") and number < 10**15:
        return figures.duration(number / 1000)
    if entry.name.endswith(".bytes") and number < 10**18:
        return figures.size(number)
    return ""


class SettingEditor(QFrame):
    """``edited(name, value)``: a value to set, None to reset to the default; it is checked
    already."""

    edited = Signal(str, object)
    taken_back = Signal(str)

    def __init__(self, read_only: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._read_only = read_only
        self._row: SettingRow | None = None
        self._name = plain("", self, role="strong", wrap=True, selectable=True)
        self._text = plain("", self, role="muted", wrap=True, selectable=True)
        self._facts = plain("", self, role="small", wrap=True, selectable=True)
        self._choice = QComboBox(self)
        self._choice.addItems(["true", "false"])
        self._field = QLineEdit(self)
        self._reads = plain("", self, role="faint")
        self._wrong = plain("", self, wrap=True)
        set_role(self._wrong, "bad", "tone")
        self._set = QPushButton("Add to plan", self)
        self._set.setProperty("role", "primary")
        self._default = QPushButton("Reset to default", self)
        self._keep = QPushButton("Keep as it is", self)
        self._set.clicked.connect(self._wanted)
        self._field.returnPressed.connect(self._wanted)
        self._field.textChanged.connect(self._check)
        self._choice.currentTextChanged.connect(self._check)
        self._default.clicked.connect(
            lambda: self._row and self.edited.emit(self._row.entry.name, None)
        )
        self._keep.clicked.connect(lambda: self._row and self.taken_back.emit(self._row.entry.name))
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self._set, self._default, self._keep):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        for widget in (
            self._name,
            self._text,
            self._facts,
            self._choice,
            self._field,
            self._reads,
            self._wrong,
        ):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addStretch(1)
        self.show_row(None)

    def show_row(self, row: SettingRow | None) -> None:
        if row == self._row and row is not None:
            return
        same = (
            row is not None
            and self._row is not None
            and row.entry == self._row.entry
            and row.pending == self._row.pending
        )
        self._row = row
        editable = row is not None and not row.entry.read_only and not self._read_only
        boolean = row is not None and row.entry.kind == "boolean"
        self._choice.setVisible(editable and boolean)
        self._field.setVisible(editable and not boolean)
        for widget in (self._set, self._default, self._reads):
            widget.setVisible(editable)
        self._keep.setVisible(row is not None and row.pending)
        self._wrong.setText("")
        if row is None:
            self._name.setText("No setting chosen")
            self._text.setText(
                "Choose a setting to see what it does and where its value comes from."
            )
            self._facts.setText("")
            return
        entry = row.entry
        self._name.setText(entry.name)
        self._text.setText(entry.text or "The cluster gives no description of this setting.")
        self._facts.setText("\n".join(self._facts_of(row)))
        if not same and editable:
            value = row.wanted if row.pending and row.wanted is not None else entry.value or ""
            self._choice.setCurrentText(value)
            self._field.setText(value)
            self._field.setEchoMode(
                QLineEdit.EchoMode.Password if entry.sensitive else QLineEdit.EchoMode.Normal
            )
        self._check()

    def _facts_of(self, row: SettingRow) -> list[str]:
        entry = row.entry
        facts = [f"Type: {KINDS.get(entry.kind, entry.kind)}"]
        if not entry.sensitive:
            reads = readable(entry, entry.value)
            facts.append(
                f"Now: {entry.value or 'empty'}{f' ({reads})' if reads else ''}, from {entry.source}"
            )
            if entry.default is not None:
                reads = readable(entry, entry.default)
                facts.append(f"Default: {entry.default or 'empty'}{f' ({reads})' if reads else ''}")
            chain = [
                f"{name} = {value} ({source})"
                for name, value, source in entry.synonyms
                if value is not None
            ]
            if len(chain) > 1:
                facts.append("First that is set counts:\n  " + "\n  ".join(chain))
        if entry.read_only:
            facts.append(
                "It is read when the broker starts: change it in server.properties and restart the broker."
            )
        elif self._read_only:
            facts.append("This connection is read-only.")
        return facts

    def _value(self) -> str:
        boolean = self._row is not None and self._row.entry.kind == "boolean"
        return self._choice.currentText() if boolean else self._field.text()

    def _check(self) -> None:
        if self._row is None:
            return
        entry, value = self._row.entry, self._value()
        wrong = check_value(entry, value)
        self._wrong.setText(wrong)
        self._field.setProperty("wrong", "true" if wrong else "false")
        self._field.style().unpolish(self._field)
        self._field.style().polish(self._field)
        self._reads.setText(readable(entry, value))
        self._set.setEnabled(not wrong and value != (entry.value or ""))
        self._default.setEnabled(entry.value != entry.default or self._row.differs)

    def _wanted(self) -> None:
        if self._row is not None and self._set.isEnabled():
            self.edited.emit(self._row.entry.name, self._value())
