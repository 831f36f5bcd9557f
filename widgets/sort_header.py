"""The titles of a table's columns, with the sort arrow beside the title, never over it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QWidget
from typing_extensions import override

from widgets.column import Column
from widgets.theme import Theme

ARROW = 12


class SortHeader(QHeaderView):
    def __init__(
        self, theme: Theme, columns: tuple[Column[Any], ...], parent: QWidget | None = None
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = theme
        self._columns = columns
        self._title_font = theme.ui_font(12, QFont.Weight.Medium)
        self.setFont(self._title_font)
        self.setMouseTracking(True)
        self.setFixedHeight(32)

    @override
    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:
        theme, column = self._theme, self._columns[logical]
        painter.save()
        painter.fillRect(rect, theme.color("surface"))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, theme.color("line_strong"))
        sorted_here = (
            self.sortIndicatorSection() == logical and self.sortIndicatorOrder() is not None
        )
        room = rect.adjusted(8, 0, -8, 0)
        metrics = QFontMetrics(self._title_font)
        wide = room.width() - (ARROW + 2 if sorted_here else 0)
        title = metrics.elidedText(column.title, Qt.TextElideMode.ElideRight, wide)
        painter.setFont(self._title_font)
        painter.setPen(theme.color("text" if sorted_here else "text_muted"))
        side = Qt.AlignmentFlag.AlignRight if column.numeric else Qt.AlignmentFlag.AlignLeft
        painter.drawText(room, int(side | Qt.AlignmentFlag.AlignVCenter), title)
        if sorted_here:
            down = self.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
            text_wide = metrics.horizontalAdvance(title)
            x = (
                room.right() - text_wide - ARROW - 1
                if column.numeric
                else room.left() + text_wide + 3
            )
            box = QRect(x, rect.center().y() - ARROW // 2 + 1, ARROW, ARROW)
            theme.icon("arrow-down" if down else "arrow-up", "accent").paint(painter, box)
        painter.restore()
