"""The mark in front of a status: its colour and its shape follow from its tone.

Shapes differ so that a person who cannot distinguish the colours can read them: a disc means
healthy, a ring needs attention, a square broken, a diamond new, a dash not known.
"""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from widgets.theme import Theme

MARK_PIXELS = 8


class Shape(Enum):
    DISC = "disc"
    RING = "ring"
    SQUARE = "square"
    DIAMOND = "diamond"
    DASH = "dash"


SHAPES: dict[str, Shape] = {
    "ok": Shape.DISC,
    "warn": Shape.RING,
    "bad": Shape.SQUARE,
    "accent": Shape.DIAMOND,
}
"""tone -> shape; every other tone is a dash"""


def shape_of(tone: str) -> Shape:
    return SHAPES.get(tone, Shape.DASH)


def draw_status_mark(painter: QPainter, center: QPointF, theme: Theme, tone: str) -> None:
    """Draw the mark of ``tone``, MARK_PIXELS wide, around ``center``."""
    radius = MARK_PIXELS / 2
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color(tone))
    box = QRectF(center.x() - radius, center.y() - radius, 2 * radius, 2 * radius)
    match shape_of(tone):
        case Shape.DISC:
            painter.drawEllipse(box)
        case Shape.RING:
            painter.setPen(QPen(theme.color(tone), 2.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(center, radius - 1, radius - 1)
        case Shape.SQUARE:
            painter.drawRoundedRect(box, 1, 1)
        case Shape.DIAMOND:
            x, y = center.x(), center.y()
            corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
            painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
        case Shape.DASH:
            painter.drawRoundedRect(box.adjusted(0, radius - 1.25, 0, 1.25 - radius), 1, 1)
    painter.restore()


class StatusMark(QWidget):
    """The mark alone, for places outside of tables."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.tone = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_tone(self, tone: str) -> None:
        if tone != self.tone:
            self.tone = tone
            self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(MARK_PIXELS + 2, MARK_PIXELS + 2)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        center = QPointF(self.width() / 2, self.height() / 2)
        draw_status_mark(painter, center, self._theme, self.tone or "text_faint")
        painter.end()
