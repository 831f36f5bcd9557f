"""The band below the settings that counts the edits not yet applied."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from resources.wording import counted
from widgets.plain import plain


class PendingBar(QFrame):
    discard_requested = Signal()
    review_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "banner")
        self.setProperty("tone", "accent")
        self.text = plain("", self)
        discard = QPushButton("Discard", self)
        discard.clicked.connect(self.discard_requested)
        review = QPushButton("Review…", self)
        review.setProperty("role", "primary")
        review.clicked.connect(self.review_requested)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.addWidget(self.text, 1)
        row.addWidget(discard)
        row.addWidget(review)
        self.hide()

    def show_count(self, edits: int) -> None:
        self.setVisible(edits > 0)
        self.text.setText(f"{counted(edits, 'edit')} not yet applied")
