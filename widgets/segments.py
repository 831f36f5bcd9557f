"""A row of choices of which one is taken: messages or seconds, lines or stacked."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget


class Segments(QWidget):
    chosen = Signal(str)  # name, by the person's hand

    def __init__(self, choices: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        """``choices``: (name, title) pairs; the first is taken to begin with."""
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for place, (name, title) in enumerate(choices):
            button = QPushButton(title, self)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setProperty("place", "first" if place == 0 else "last" if place == len(choices) - 1 else "")
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self._group.addButton(button)
            self._buttons[name] = button
            layout.addWidget(button)
        self._buttons[choices[0][0]].setChecked(True)

    @property
    def current(self) -> str:
        return next(name for name, button in self._buttons.items() if button.isChecked())

    def choose(self, name: str) -> None:
        """Without telling."""
        self._buttons[name].setChecked(True)

    def set_enabled(self, name: str, enabled: bool, reason: str = "") -> None:
        self._buttons[name].setEnabled(enabled)
        self._buttons[name].setToolTip(reason)
