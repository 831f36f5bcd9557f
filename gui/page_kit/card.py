"""A bordered surface with a heading: the panels of a dashboard."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from widgets.plain import plain


class Card(QFrame):
    """Add widgets to ``column``; the heading is already there if ``title`` is not empty."""

    def __init__(self, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 12, 12, 8)
        self.column.setSpacing(8)
        if title:
            self.column.addWidget(plain(title, self, role="strong"))
