"""The two axes of a chart: pyqtgraph's AxisItem with ticks, labels and looks of our own. Labels
are painted as plain text, and the value axis is as wide as its widest one."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from widgets.chart_clock import ChartClock
from widgets.charts.ticks import Ticks, ValueScale, time_step, time_ticks
from widgets.theme import Theme

FONT_PIXELS = 11
TICK = 4
LABEL_GAP = 14.0
"""Pixels between two labels of the time axis."""
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_CENTER = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)


class _Axis(pg.AxisItem):  # type: ignore[misc]
    def __init__(self, orientation: str, theme: Theme) -> None:
        super().__init__(orientation)
        self.enableAutoSIPrefix(False)
        self._theme = theme
        self.font_ = theme.ui_font(FONT_PIXELS)
        self.metrics = QFontMetricsF(self.font_)

    def ticks(self) -> Ticks:
        """Of the range that is shown now."""
        raise NotImplementedError

    @override
    def boundingRect(self) -> QRectF:
        """Labels at the ends reach a little beyond the axis."""
        return QRectF(self.mapRectFromParent(self.geometry())).adjusted(-40, -8, 40, 8)


class ValueAxis(_Axis):
    """``scale`` turns values into places; the range is in places."""

    def __init__(self, theme: Theme, scale: ValueScale) -> None:
        super().__init__("left", theme)
        self.scale_ = scale

    def most_ticks(self) -> int:
        return max(2, min(6, int(self.height() / 42)))

    @override
    def ticks(self) -> Ticks:
        return self.scale_.ticks(self.range[0], self.range[1], self.most_ticks())

    def needed_width(self, ticks: Ticks) -> int:
        """Pixels for the widest label and the distance to the plot."""
        widest = max((self.metrics.horizontalAdvance(text) for _, text in ticks), default=20.0)
        return max(32, int(widest) + 12)

    @override
    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        bottom, top = self.range
        width, height = self.width(), self.height()
        painter.setFont(self.font_)
        painter.setPen(self._theme.color("text_faint"))
        for place, text in self.ticks():
            y = height - (place - bottom) / (top - bottom) * height
            painter.drawText(QRectF(-20, y - 9, width + 12, 18), _RIGHT, text)


class TimeAxis(_Axis):
    """Follows the window's time style; relative times count from the clock's now."""

    def __init__(self, theme: Theme, clock: ChartClock) -> None:
        super().__init__("bottom", theme)
        self._clock = clock
        self.setHeight(22)

    @override
    def ticks(self) -> Ticks:
        t0, t1 = self.range
        if t1 <= t0:
            return []
        style = self._clock.style
        most = self._most("-23 h 59 min" if style.relative else "00:00:00")
        if not style.relative and time_step(t0, t1, most) >= 60:
            most = self._most("00:00")  # labels without seconds are shorter
            most = min(most, int((t1 - t0) / 60) + 1)
        return time_ticks(t0, t1, most, style, self._clock.now_s)

    def _most(self, label: str) -> int:
        return max(1, int(self.width() / (self.metrics.horizontalAdvance(label) + 40)))

    def placed(self) -> list[tuple[float, str]]:
        """(x, label) of the labels that have room: none is cut and none touches another."""
        t0, t1 = self.range
        left, right = -self.x() + 2, self.width() + self._room_at_the_right()
        made: list[tuple[float, str]] = []
        end = left - LABEL_GAP
        for at, text in self.ticks():
            x = (at - t0) / (t1 - t0) * self.width()
            half = self.metrics.horizontalAdvance(text) / 2
            if x - half >= max(left, end + LABEL_GAP) and x + half <= right:
                made.append((x, text))
                end = x + half
        return made

    def _room_at_the_right(self) -> float:
        parent = self.parentItem()
        return (
            0.0
            if parent is None
            else float(parent.boundingRect().right() - self.x()) - self.width()
        )

    @override
    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        painter.setFont(self.font_)
        line, text_color = self._theme.color("line_strong"), self._theme.color("text_faint")
        for x, text in self.placed():
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(round(x) + 0.5, 0), QPointF(round(x) + 0.5, TICK))
            painter.setPen(text_color)
            painter.drawText(QRectF(x - 60, TICK + 2, 120, 16), _CENTER, text)
