"""The box above a table in which a person types what the rows must contain."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget
from typing_extensions import override

from widgets.theme import Theme

WIDTH, NARROWEST = 240, 120


class FilterBox(QLineEdit):
    """Down and Enter leave the box for the rows; Escape clears it first."""

    rows_requested = Signal()

    def __init__(self, theme: Theme, noun: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setPlaceholderText(f"Filter {noun}s")
        self.setAccessibleName(f"Filter {noun}s")
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setProperty("role", "search")
        self._icon = self.addAction(theme.icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        theme.changed.connect(self._recolour)

    def _recolour(self) -> None:
        self._icon.setIcon(self._theme.icon("search"))

    @override
    def sizeHint(self) -> QSize:
        return QSize(WIDTH, super().sizeHint().height())

    @override
    def event(self, event: QEvent) -> bool:
        # Claim Escape while there is text to clear: the page's own Escape would go back.
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() == Qt.Key.Key_Escape
            and self.text()
        ):
            event.accept()
            return True
        return super().event(event)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Down | Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.rows_requested.emit()
            case Qt.Key.Key_Escape if self.text():
                self.clear()
            case _:
                super().keyPressEvent(event)
