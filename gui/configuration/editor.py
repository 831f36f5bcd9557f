"""The pane beside the settings: what one setting does, where its value comes from, and a field
that changes it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui.configuration.rows import SettingRow
from gui.configuration.text import plain_description, readable, with_unit
from kafka_client.commands.configs import check_value
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


class SettingEditor(QFrame):
    """Emits edits that passed the check; the page collects them."""

    edited = Signal(str, object)
    """name, and the value to set, or None to reset to the default"""
    edit_dropped = Signal(str)
    """name"""

    def __init__(self, read_only: bool, parent: QWidget) -> None:
        """``read_only``: of the connection."""
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._read_only = read_only
        self._row: SettingRow | None = None
        self._name = plain("", self, role="strong", wrap=True, selectable=True)
        self._text = plain("", self, role="muted", wrap=True, selectable=True)
        self._facts = plain("", self, role="small", wrap=True, selectable=True)
        self._fields = QWidget(self)
        """hidden while the setting cannot be edited"""
        self._choice = QComboBox(self)
        self._choice.addItems(["true", "false"])
        self._field = QLineEdit(self)
        self._unit = plain("", self, role="faint")
        self._wrong = plain("", self, wrap=True)
        set_role(self._wrong, "bad", "tone")
        self.set_button = QPushButton("Add to plan", self)
        self.set_button.setProperty("role", "primary")
        self.default_button = QPushButton("Use default", self)
        self.drop_button = QPushButton("Drop this edit", self)
        self._connect()
        self._build()
        self.show_row(None)

    def _connect(self) -> None:
        self.set_button.clicked.connect(self._set)
        self._field.returnPressed.connect(self._set)
        self._field.textChanged.connect(self._check)
        self._choice.currentTextChanged.connect(self._check)
        self.default_button.clicked.connect(self._use_default)
        self.drop_button.clicked.connect(self._drop)

    def _build(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.set_button)
        buttons.addWidget(self.default_button)
        buttons.addStretch(1)
        drop = QHBoxLayout()
        drop.addWidget(self.drop_button)
        drop.addStretch(1)
        fields = QVBoxLayout(self._fields)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setSpacing(8)
        for field in (self._choice, self._field, self._unit, self._wrong):
            fields.addWidget(field)
        fields.addLayout(buttons)
        fields.addLayout(drop)
        inside = QWidget(self)
        inside.setProperty("role", "clear")
        column = QVBoxLayout(inside)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(self._name)
        column.addWidget(self._fields)
        column.addWidget(self._facts)
        column.addWidget(self._text)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(scroll)

    # ---- showing

    @property
    def name(self) -> str:
        """The setting that is shown; empty without one."""
        return "" if self._row is None else self._row.entry.name

    def show_row(self, row: SettingRow | None) -> None:
        """Show the setting, or that none is selected. What is being typed for it stays."""
        if row == self._row and row is not None:
            return
        is_same = row is not None and self._row is not None and _same(row, self._row)
        self._row = row
        self._show_fields(row)
        if row is None:
            self._name.setText("No setting selected")
            self._text.setText("Select a setting to see what it does and to change it.")
            self._facts.setText("")
            self._facts.hide()
            return
        self._facts.show()
        entry = row.entry
        self._name.setText(entry.name)
        self._text.setText(
            plain_description(entry) or "The cluster gives no description of this setting."
        )
        self._facts.setText("\n".join(self._facts_of(row)))
        if not is_same and self._is_editable(row):
            value = row.wanted if row.pending and row.wanted is not None else entry.value or ""
            self._choice.setCurrentText(value)
            self._field.setText(value)
            secret = QLineEdit.EchoMode.Password
            self._field.setEchoMode(secret if entry.sensitive else QLineEdit.EchoMode.Normal)
        self._check()

    def _is_editable(self, row: SettingRow) -> bool:
        return not row.entry.read_only and not self._read_only

    def _show_fields(self, row: SettingRow | None) -> None:
        editable = row is not None and self._is_editable(row)
        boolean = row is not None and row.entry.kind == "boolean"
        self._fields.setVisible(editable)
        self._choice.setVisible(boolean)
        self._field.setVisible(not boolean)
        self.drop_button.setVisible(row is not None and row.pending)
        self._wrong.setText("")
        self._wrong.hide()

    def _facts_of(self, row: SettingRow) -> list[str]:
        entry = row.entry
        facts = [f"Type: {KINDS.get(entry.kind, entry.kind)}"]
        if not entry.sensitive:
            facts.append(f"Now: {with_unit(entry.name, entry.value)}, from {entry.source}")
            if entry.default is not None:
                facts.append(f"Default: {with_unit(entry.name, entry.default)}")
            chain = [
                f"{name} = {value} ({source})"
                for name, value, source in entry.synonyms
                if value is not None
            ]
            if len(chain) > 1:
                facts.append("The first of these that is set applies:\n  " + "\n  ".join(chain))
        if entry.read_only:
            facts.append(
                "Read when the broker starts: change it in server.properties and restart the"
                " broker."
            )
        elif self._read_only:
            facts.append("This connection is read-only.")
        return facts

    # ---- editing

    def leave(self) -> None:
        """Emit what was typed and not yet added, before another setting is shown."""
        if self._row is not None and self._is_editable(self._row):
            self._set()

    def _value(self) -> str:
        boolean = self._row is not None and self._row.entry.kind == "boolean"
        return self._choice.currentText() if boolean else self._field.text()

    def _check(self) -> None:
        if self._row is None or not self._is_editable(self._row):
            return
        entry, value = self._row.entry, self._value()
        wrong = check_value(entry, value)
        self._wrong.setText(wrong)
        self._wrong.setVisible(bool(wrong))
        set_role(self._field, "true" if wrong else "false", "wrong")
        self._unit.setText(readable(entry.name, value))
        is_added = self._row.pending and self._row.wanted == value
        self.set_button.setEnabled(not wrong and not is_added and value != (entry.value or ""))
        self.default_button.setEnabled(entry.value != entry.default or self._row.differs)

    def _set(self) -> None:
        if self._row is not None and self.set_button.isEnabled():
            self.edited.emit(self._row.entry.name, self._value())

    def _use_default(self) -> None:
        if self._row is not None:
            self.edited.emit(self._row.entry.name, None)

    def _drop(self) -> None:
        if self._row is not None:
            self.edit_dropped.emit(self._row.entry.name)


def _same(row: SettingRow, other: SettingRow) -> bool:
    """The same setting with the same value, whatever the edit in between."""
    return row.entry == other.entry and row.pending == other.pending
