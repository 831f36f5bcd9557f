"""The icon set: 24 x 24 outlines in resources/icons, coloured when they are drawn.

A QIconEngine renders them on demand, sharp on any screen scale.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from typing_extensions import override


@cache
def source(name: str) -> str:
    """The SVG text of an icon. Raises: FileNotFoundError for a name that has no file."""
    return resources.files("resources").joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")


@cache
def _renderer(name: str, color: str) -> QSvgRenderer:
    text = source(name).replace("currentColor", color)
    return QSvgRenderer(QByteArray(text.encode()))


class _Engine(QIconEngine):
    def __init__(self, name: str, color: str, disabled: str) -> None:
        super().__init__()
        self._name, self._color, self._disabled = name, color, disabled

    @override
    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        color = self._disabled if mode == QIcon.Mode.Disabled else self._color
        side = min(rect.width(), rect.height())
        box = QRectF(0, 0, side, side)
        box.moveCenter(QRectF(rect).center())
        _renderer(self._name, color).render(painter, box)

    @override
    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    @override
    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._color, self._disabled)


def make(name: str, color: str, disabled: str) -> QIcon:
    source(name)  # a missing file is a bug: raise here, not while painting
    return QIcon(_Engine(name, color, disabled))
