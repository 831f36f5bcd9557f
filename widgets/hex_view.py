"""Bytes as offset, hex and characters, sixteen to a row.

Only the visible rows are painted, so that the size does not matter.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QWidget
from typing_extensions import override

from widgets.clipboard import copy_line
from widgets.theme import Theme

WIDE, NARROW = 16, 8
"""bytes in a row, by the room there is"""
GROUP = 8
"""bytes between two gaps"""
MARGIN = 8
MOST_COPIED = 1 << 20
"""bytes"""


class HexView(QAbstractScrollArea):
    """Dragging selects bytes; Ctrl+C copies them as hex, or all bytes if none are selected."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._data = b""
        self._font = theme.mono_font()
        self._metrics = QFontMetrics(self._font)
        self._cell = self._metrics.horizontalAdvance("0")
        self._row = self._metrics.height() + 3
        self._per_row = WIDE
        self._anchor = self._cursor = -1
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.setAccessibleName("Bytes in hex")
        theme.changed.connect(self.viewport().update)

    def show_bytes(self, data: bytes) -> None:
        self._data = data
        self._anchor = self._cursor = -1
        self.verticalScrollBar().setValue(0)
        self._measure()
        self.viewport().update()

    @property
    def selection(self) -> tuple[int, int]:
        """First byte and one past the last; equal if nothing is selected."""
        if self._anchor < 0:
            return 0, 0
        return min(self._anchor, self._cursor), max(self._anchor, self._cursor) + 1

    def copy(self) -> None:
        start, end = self.selection
        part = self._data[start:end] if end > start else self._data
        copy_line(part[:MOST_COPIED].hex(" "))

    def copy_text(self) -> None:
        start, end = self.selection
        part = self._data[start:end] if end > start else self._data
        copy_line("".join(_char(b) for b in part[:MOST_COPIED]))

    def select_all(self) -> None:
        if self._data:
            self._anchor, self._cursor = 0, len(self._data) - 1
            self.viewport().update()

    # ---- geometry

    def _measure(self) -> None:
        digits = max(6, len(f"{max(0, len(self._data) - 1):x}"))
        self._hex_at = MARGIN + (digits + 2) * self._cell
        room = self.viewport().width() - self._hex_at - MARGIN
        self._per_row = WIDE if room >= (WIDE * 4 + 4) * self._cell else NARROW
        self._digits = digits
        self._text_at = self._hex_at + (self._per_row * 3 + self._per_row // GROUP + 1) * self._cell
        rows = -(-len(self._data) // self._per_row)
        visible_rows = max(1, self.viewport().height() // self._row)
        self.verticalScrollBar().setRange(0, max(0, rows - visible_rows))
        self.verticalScrollBar().setPageStep(visible_rows)
        wide = self._text_at + self._per_row * self._cell + MARGIN
        self.horizontalScrollBar().setRange(0, max(0, wide - self.viewport().width()))
        self.horizontalScrollBar().setSingleStep(self._cell)

    def _hex_x(self, column: int) -> int:
        return self._hex_at + (column * 3 + column // GROUP) * self._cell

    def _byte_at(self, point: QPoint) -> int:
        row = self.verticalScrollBar().value() + max(0, point.y() - MARGIN // 2) // self._row
        x = point.x() + self.horizontalScrollBar().value()
        if x >= self._text_at:
            column = (x - self._text_at) // self._cell
        else:
            column = next((c for c in range(self._per_row - 1, -1, -1) if x >= self._hex_x(c)), 0)
        return max(
            0, min(len(self._data) - 1, row * self._per_row + min(column, self._per_row - 1))
        )

    # ---- Qt

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), theme.color("sunken"))
        painter.setFont(self._font)
        painter.translate(-self.horizontalScrollBar().value(), 0)
        first = self.verticalScrollBar().value()
        for row in range(self.viewport().height() // self._row + 2):
            base = (first + row) * self._per_row
            if base >= len(self._data):
                break
            self._paint_row(painter, MARGIN // 2 + row * self._row, base)
        if not self._data:
            painter.setPen(theme.color("text_faint"))
            painter.drawText(self.viewport().rect(), int(Qt.AlignmentFlag.AlignCenter), "No bytes")
        painter.end()

    def _paint_row(self, painter: QPainter, y: int, base: int) -> None:
        """One row from byte ``base`` on: selection, offset, hex, characters."""
        theme, cell = self._theme, self._cell
        part = self._data[base : base + self._per_row]
        start, end = self.selection
        low, high = max(start, base) - base, min(end, base + len(part)) - base
        if high > low:
            tint = theme.color("selection")
            left, right = self._hex_x(low), self._hex_x(high - 1) + 2 * cell
            painter.fillRect(QRect(left, y, right - left, self._row), tint)
            left = self._text_at + low * cell
            painter.fillRect(QRect(left, y, (high - low) * cell, self._row), tint)
        baseline = y + self._metrics.ascent() + 1
        painter.setPen(theme.color("text_faint"))
        painter.drawText(MARGIN, baseline, f"{base:0{self._digits}x}")
        painter.setPen(theme.color("text"))
        for group in range(0, len(part), GROUP):
            painter.drawText(self._hex_x(group), baseline, part[group : group + GROUP].hex(" "))
        painter.setPen(theme.color("text_muted"))
        painter.drawText(self._text_at, baseline, "".join(_char(b) for b in part))

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._data:
            self._anchor = self._cursor = self._byte_at(event.position().toPoint())
            self.viewport().update()

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor >= 0:
            self._cursor = self._byte_at(event.position().toPoint())
            self.viewport().update()

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif (
            event.matches(QKeySequence.StandardKey.MoveToStartOfLine)
            or event.key() == Qt.Key.Key_Home
        ):
            bar.setValue(0)
        elif event.key() == Qt.Key.Key_End:
            bar.setValue(bar.maximum())
        else:
            super().keyPressEvent(event)

    @override
    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy as hex", self.copy)
        menu.addAction("Copy as characters", self.copy_text)
        menu.addAction("Select all", self.select_all)
        menu.popup(event.globalPos())


def _char(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else "·"
