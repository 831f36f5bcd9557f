"""A row of large figures with their names under them: the state of one thing at a glance."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from widgets.plain import plain, set_role


class Facts(QWidget):
    """A row of figures with their names under them."""

    def __init__(self, names: tuple[str, ...], parent: QWidget) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(40)
        self._figures = []
        for name in names:
            column = QVBoxLayout()
            column.setSpacing(0)
            figure = plain("–", self, role="figure")
            column.addWidget(figure)
            column.addWidget(plain(name, self, role="faint"))
            row.addLayout(column)
            self._figures.append(figure)
        row.addStretch(1)

    def show_figures(self, values: list[tuple[str, str]]) -> None:
        """(text, tone) of each; tone "" is ordinary."""
        for label, (text, tone) in zip(self._figures, values, strict=True):
            label.setText(text)
            set_role(label, tone, "tone")
