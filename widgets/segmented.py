"""A row of joined buttons of which exactly one is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from widgets.plain import without_mnemonic


class SegmentedControl(QWidget):
    """Clicks choose; so do the arrow keys while one of the buttons has the focus."""

    chosen = Signal(int)
    """index, after a person or ``choose`` changed it"""
    clicked = Signal(int)
    """index, when a person picked it"""

    def __init__(self, titles: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._group = QButtonGroup(self)
        for index, title in enumerate(titles):
            button = QPushButton(without_mnemonic(title), self)
            button.setProperty("role", "segment")
            button.setProperty("place", _place(index, len(titles)))
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setChecked(index == 0)
            self._group.addButton(button, index)
            row.addWidget(button)
        self._group.idToggled.connect(self._toggled)
        self._group.idClicked.connect(self.clicked)

    @property
    def index(self) -> int:
        return self._group.checkedId()

    def choose(self, index: int) -> None:
        self._group.button(index).setChecked(True)

    def button(self, index: int) -> QPushButton:
        button = self._group.button(index)
        assert isinstance(button, QPushButton)
        return button

    def _toggled(self, index: int, on: bool) -> None:
        if on:
            self.chosen.emit(index)


def _place(index: int, count: int) -> str:
    """Corners that the style sheet rounds."""
    return "first" if index == 0 else "last" if index == count - 1 else ""
