"""A line of facts about one thing: the name of each above its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from resources.outgoing import visible
from widgets.plain import plain, set_role, tooltip
from widgets.status_mark import StatusMark
from widgets.theme import Theme

SPACING = 32


@dataclass(frozen=True, slots=True)
class Fact:
    """``tone`` colours the value; a ``status`` also gets the mark of its tone."""

    text: str
    tone: str = ""
    tip: str = ""
    status: bool = False


class Facts(QWidget):
    """``names`` are fixed; ``show_facts`` brings one value for each."""

    def __init__(self, theme: Theme, names: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        self.names = tuple(names)
        self._values: list[tuple[StatusMark, QLabel]] = []
        for name in names:
            mark, value = StatusMark(theme, self), plain("–", self, role="fact")
            mark.hide()
            value_row = QHBoxLayout()
            value_row.setSpacing(6)
            value_row.addWidget(mark)
            value_row.addWidget(value, 1)
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(plain(name, self, role="faint"))
            column.addLayout(value_row)
            row.addLayout(column)
            self._values.append((mark, value))
        row.addStretch(1)

    def show_facts(self, facts: Sequence[Fact]) -> None:
        for (mark, value), fact in zip(self._values, facts, strict=True):
            value.setText(visible(fact.text))
            value.setToolTip(tooltip(fact.tip))
            set_role(value, fact.tone, "tone")
            mark.setVisible(fact.status)
            mark.show_tone(fact.tone)

    def texts(self) -> dict[str, str]:
        """Name -> value as shown, for tests."""
        return {
            name: value.text() for name, (_, value) in zip(self.names, self._values, strict=True)
        }
