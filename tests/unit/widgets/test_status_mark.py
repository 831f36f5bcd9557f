"""Marks of different tones differ in shape as well, judged by their pixels."""

from __future__ import annotations

from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from widgets.status_mark import Shape, draw_status_mark, shape_of
from widgets.theme import Theme

TONES = ("ok", "warn", "bad", "accent", "text_faint")


def covered(theme: Theme, tone: str) -> frozenset[tuple[int, int]]:
    """The pixels that the mark paints, whatever its colour."""
    image = QImage(16, 16, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(0, 0, 0, 0))
    painter = QPainter(image)
    draw_status_mark(painter, QPointF(8, 8), theme, tone)
    painter.end()
    return frozenset(
        (x, y) for x in range(16) for y in range(16) if image.pixelColor(x, y).alpha() > 127
    )


def test_that_every_tone_has_a_shape_of_its_own(qapp: QApplication) -> None:
    theme = Theme()
    shapes = [covered(theme, tone) for tone in TONES]
    assert all(shapes) and len(set(shapes)) == len(TONES)


def test_that_a_ring_is_hollow_and_a_disc_is_not(qapp: QApplication) -> None:
    theme = Theme()
    assert (8, 8) in covered(theme, "ok")
    assert (8, 8) not in covered(theme, "warn")


def test_that_a_tone_without_a_shape_is_a_dash() -> None:
    assert shape_of("text_faint") is Shape.DASH and shape_of("") is Shape.DASH
