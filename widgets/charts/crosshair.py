"""What moves with the mouse over a chart: the line at the moment under it, the range that is being
chosen, and the readout of every series at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from resources.outgoing import visible
from widgets.charts.axes import FONT_PIXELS
from widgets.charts.curves_item import CurvesItem
from widgets.charts.view import TimeViewBox
from widgets.theme import Theme

ROWS_MOST = 12
ROW = 17
PAD = 10
SWATCH = 10
LABEL_WIDE = 220.0
AWAY = 14
"""Pixels between the mouse and the readout."""


class Crosshair(pg.GraphicsObject):  # type: ignore[misc]
    """The vertical line, a dot on each curve, the chosen range, and the words of an empty plot."""

    def __init__(self, view: TimeViewBox, curves: CurvesItem, theme: Theme) -> None:
        super().__init__()
        self._view, self._curves, self._theme = view, curves, theme
        self.at_s: float | None = None
        self.dots: tuple[tuple[float, QColor], ...] = ()
        """(value, colour) of the curves at ``at_s``"""
        self.words = ""
        self.framed = False
        self.setParentItem(view)
        self.setZValue(10)
        view.sigResized.connect(lambda *_: self.prepareGeometryChange())
        view.selection_changed.connect(self.update)

    @override
    def boundingRect(self) -> QRectF:
        return QRectF(self._view.rect())

    @override
    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        theme, rect = self._theme, self.boundingRect()
        if self.words:
            painter.setFont(theme.ui_font(12))
            painter.setPen(theme.color("text_muted"))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(rect.adjusted(8, 4, -8, -4), int(flags), self.words)
        if self._view.selection is not None:
            left, right = (self._view.x_at(at) for at in self._view.selection)
            color = theme.color("accent")
            painter.setPen(QPen(color, 1))
            color.setAlpha(45)
            painter.setBrush(color)
            painter.drawRect(QRectF(left, 0, right - left, rect.height() - 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.at_s is not None:
            self._paint_line(painter, rect)
        if self.framed:
            painter.setPen(QPen(theme.color("accent"), 1))
            painter.drawRect(rect.adjusted(0.5, 0.5, -0.5, -0.5))

    def _paint_line(self, painter: QPainter, rect: QRectF) -> None:
        assert self.at_s is not None
        x = round(self._view.x_at(self.at_s)) + 0.5
        if not 0 <= x <= rect.width() + 1:
            return
        painter.setPen(QPen(self._theme.color("text_faint"), 1))
        painter.drawLine(QPointF(x, 0), QPointF(x, rect.height()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color("surface"), 1))
        for value, color in self.dots:
            painter.setBrush(color)
            y = float(self._curves.y_of(np.array([value]))[0])
            painter.drawEllipse(QPointF(x, y), 3.5, 3.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


@dataclass(frozen=True, slots=True)
class ReadoutRow:
    color: QColor
    label: str
    value: str


class Readout(QWidget):
    """Lies over the window beside the mouse, so that a small chart does not cut it. All of its
    text is painted as it is."""

    def __init__(self, theme: Theme, chart: QWidget) -> None:
        super().__init__(chart)
        self._theme, self._chart = theme, chart
        self._font = theme.ui_font(FONT_PIXELS)
        self._metrics = QFontMetricsF(self._font)
        self.head = ""
        self.notes: tuple[str, ...] = ()
        self.rows: tuple[ReadoutRow, ...] = ()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def show_rows(
        self, head: str, notes: Sequence[str], rows: Sequence[ReadoutRow], mouse: QPoint
    ) -> None:
        """``mouse`` is in the chart's coordinates."""
        more = len(rows) - ROWS_MOST
        shown = rows[: ROWS_MOST if more <= 0 else ROWS_MOST - 1]
        words = [visible(note, limit=200) for note in notes[:4]]
        if more > 0:
            words.append(f"and {len(rows) - len(shown)} more")
        self.head, self.notes = head, tuple(words)
        self.rows = tuple(
            ReadoutRow(
                row.color,
                self._metrics.elidedText(
                    visible(row.label), Qt.TextElideMode.ElideMiddle, LABEL_WIDE
                ),
                row.value,
            )
            for row in shown
        )
        window = self._chart.window()
        if self.parentWidget() is not window:
            self.setParent(window)
        self.resize(self._wide(), PAD + ROW * (1 + len(self.rows) + len(self.notes)) + 3)
        self._place(window, self._chart.mapTo(window, mouse))
        self.show()
        self.raise_()
        self.update()

    def _wide(self) -> int:
        advance = self._metrics.horizontalAdvance
        widths = [advance(row.label) + advance(row.value) + SWATCH + 38 for row in self.rows]
        widths += [advance(text) + 2 * PAD for text in (self.head, *self.notes)]
        return int(max(widths)) + 1

    def _place(self, window: QWidget, mouse: QPoint) -> None:
        x, y = mouse.x() + AWAY, mouse.y() + AWAY
        if x + self.width() > window.width() - 4:
            x = mouse.x() - AWAY - self.width()
        self.move(max(2, x), max(2, min(y, window.height() - self.height() - 4)))

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        theme, advance = self._theme, self._metrics.horizontalAdvance
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.color("line_strong"), 1))
        painter.setBrush(theme.color("raised"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.setFont(self._font)
        y = PAD + 9
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(PAD, y), self.head)
        for row in self.rows:
            y += ROW
            painter.fillRect(QRectF(PAD, y - 8, SWATCH, 8), row.color)
            painter.setPen(theme.color("text_muted"))
            painter.drawText(QPointF(PAD + SWATCH + 6, y), row.label)
            painter.setPen(theme.color("text"))
            painter.drawText(QPointF(self.width() - PAD - advance(row.value), y), row.value)
        painter.setPen(theme.color("text_muted"))
        for note in self.notes:
            y += ROW
            painter.drawText(QPointF(PAD, y), note)
        painter.end()
