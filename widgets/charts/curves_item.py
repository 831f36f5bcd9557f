"""The one item that paints everything inside a chart's axes: grid, areas or lines, marks.

It lies in the view box in pixels, not in the coordinates of the data: times of 1.7e9 s never meet
Qt's transforms, and a pen is one pixel wide. What it painted is kept as a pixmap until the frame
changes, so that the crosshair costs a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget
from shiboken6 import VoidPtr
from typing_extensions import override

from widgets.charts.frames import Curve, Frame
from widgets.charts.model import Mark, Series
from widgets.charts.scale import Floats, runs
from widgets.charts.stack_image import premultiplied, stack_pixels, thicknesses
from widgets.charts.ticks import Ticks, ValueScale
from widgets.theme import Theme

_PREMULTIPLIED = QImage.Format.Format_ARGB32_Premultiplied
SMOOTH_POINTS = 1500
"""Charts of more points in all are drawn without antialiasing."""
THICK_POINTS = 700
"""Lines of fewer points in all are thicker than a pixel; a thick line costs four times as much."""
FILL_ALPHA = {True: 115, False: 120}
"""Opacity of an area of 255, by whether the theme is dark."""


def polygon(xs: Floats, ys: Floats) -> QPolygonF:
    """Points without a Python object for each of them."""
    made = QPolygonF()
    made.resize(len(xs))
    if len(xs):
        pointer: Any = made.data()
        memory: Any = VoidPtr(pointer, len(xs) * 16, True)  # type: ignore[call-arg]
        view = np.frombuffer(memory, dtype=np.float64).reshape(-1, 2)
        view[:, 0] = xs
        view[:, 1] = ys
    return made


def color_of(theme: Theme, series: Series) -> QColor:
    return theme.color(series.tone) if series.tone else theme.series_color(series.color)


class CurvesItem(pg.GraphicsObject):  # type: ignore[misc]
    """``show_frame`` is all that a chart calls; the size is the view box's."""

    def __init__(self, view: Any, theme: Theme) -> None:
        super().__init__()
        self._view, self._theme = view, theme
        self._frame = Frame(0.0, 1.0)
        self._marks: tuple[Mark, ...] = ()
        self._grid: Ticks = []
        self._bounds = (0.0, 1.0)
        self._scale: ValueScale | None = None
        self._pixmap: QPixmap | None = None
        self.paintings = 0
        """Count of the times that the pixmap was painted anew, for tests."""
        self.setParentItem(view)
        view.sigResized.connect(self._resized)

    def show_frame(
        self,
        frame: Frame,
        scale: ValueScale,
        bounds: tuple[float, float],
        grid: Ticks,
        marks: Sequence[Mark],
    ) -> None:
        """``bounds`` and ``grid`` are places on the value axis."""
        self._frame, self._scale, self._bounds = frame, scale, bounds
        self._grid, self._marks = grid, tuple(marks)
        self._pixmap = None
        self.update()

    def _resized(self, *_: object) -> None:
        self.prepareGeometryChange()
        self._pixmap = None

    # ---- places

    def x_of(self, times: Floats) -> Floats:
        frame = self._frame
        pixels_a_second = float(self._view.width()) / (frame.t1 - frame.t0)
        return (times - frame.t0) * pixels_a_second

    def y_of(self, values: Floats) -> Floats:
        """Values (not places on a logarithmic axis) to pixels from the top."""
        assert self._scale is not None
        return self._y_of_place(self._scale.place(values))

    def _y_of_place(self, places: Floats) -> Floats:
        bottom, top = self._bounds
        height = float(self._view.height())
        return height - (places - bottom) * (height / (top - bottom))

    # ---- Qt

    @override
    def boundingRect(self) -> QRectF:
        return QRectF(self._view.rect())

    @override
    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self._scale is None or self._view.width() < 4 or self._view.height() < 4:
            return
        if widget is None:  # into a file, not onto the screen
            self._paint_all(painter, shapes=True)
            return
        ratio = widget.devicePixelRatioF()
        if self._pixmap is None or self._pixmap.devicePixelRatio() != ratio:
            self._pixmap = self._painted(ratio)
        painter.drawPixmap(QPointF(0, 0), self._pixmap)

    def _painted(self, ratio: float) -> QPixmap:
        self.paintings += 1
        size = self.boundingRect().size() * ratio
        pixmap = QPixmap(round(size.width() + 1), round(size.height() + 1))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        # Nothing lies outside of it, but with a clip Qt draws long lines in a quarter of the time.
        painter.setClipRect(self.boundingRect().adjusted(0, 0, 1, 1))
        self._paint_all(painter)
        painter.end()
        return pixmap

    def _paint_all(self, painter: QPainter, shapes: bool = False) -> None:
        self._paint_grid(painter)
        areas = [c for c in self._frame.curves if c.below is not None]
        lines = [c for c in self._frame.curves if c.below is None]
        if areas:
            (self._fill_shapes if shapes else self._fill_pixels)(painter, areas)
            self._paint_edges(painter, areas)
        self._paint_lines(painter, lines)
        self._paint_marks(painter)

    def _paint_grid(self, painter: QPainter) -> None:
        places = np.array([place for place, _ in self._grid])
        width = self._view.width()
        for place, y in zip(places.tolist(), self._y_of_place(places).tolist(), strict=True):
            if self._frame.empty and place != 0:
                continue  # words stand in an empty plot
            tone = "line_strong" if place == 0 else "line"
            painter.setPen(QPen(self._theme.color(tone), 1))
            y = min(round(y), int(self._view.height()) - 1) + 0.5
            painter.drawLine(QPointF(0, y), QPointF(width, y))

    def _paint_edges(self, painter: QPainter, areas: Sequence[Curve]) -> None:
        smooth = sum(len(area.times) for area in areas) <= SMOOTH_POINTS
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
        for area in areas:
            painter.setPen(QPen(color_of(self._theme, area.series), 1))
            xs, upper = self.x_of(area.times), self.y_of(area.values)
            for start, end in runs(area.values):
                painter.drawPolyline(polygon(xs[start:end], upper[start:end]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _fill_color(self, area: Curve) -> QColor:
        color = color_of(self._theme, area.series)
        color.setAlpha(FILL_ALPHA[self._theme.dark])
        return color

    def _fill_pixels(self, painter: QPainter, areas: Sequence[Curve]) -> None:
        ratio = painter.device().devicePixelRatioF()
        width, height = round(self._view.width() * ratio), round(self._view.height() * ratio)
        frame = self._frame
        times = frame.t0 + (np.arange(width) + 0.5) * ((frame.t1 - frame.t0) / width)
        tops = self.y_of(np.cumsum(thicknesses(areas, times), axis=0)) * ratio
        floor = float(self.y_of(np.zeros(1))[0]) * ratio
        fills = [self._fill_color(area) for area in areas]
        colors = [premultiplied(c.red(), c.green(), c.blue(), c.alpha()) for c in fills]
        pixels = stack_pixels(tops, floor, height, colors)
        image = QImage(pixels.data, width, height, width * 4, _PREMULTIPLIED)
        image.setDevicePixelRatio(ratio)
        painter.drawImage(QPointF(0, 0), image)

    def _fill_shapes(self, painter: QPainter, areas: Sequence[Curve]) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        for area in areas:
            assert area.below is not None
            painter.setBrush(self._fill_color(area))
            xs, upper, lower = self.x_of(area.times), self.y_of(area.values), self.y_of(area.below)
            for start, end in runs(area.values):
                outline = np.concatenate((xs[start:end], xs[start:end][::-1]))
                heights = np.concatenate((upper[start:end], lower[start:end][::-1]))
                painter.drawPolygon(polygon(outline, heights))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_lines(self, painter: QPainter, lines: Sequence[Curve]) -> None:
        points = sum(len(line.times) for line in lines)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, points <= SMOOTH_POINTS)
        thickness = 1.5 if points <= THICK_POINTS else 1.0
        # A total must not hide the one series that it is the total of.
        for line in sorted(lines, key=lambda one: not one.series.dashed):
            pen = QPen(color_of(self._theme, line.series), thickness)
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            if line.series.dashed:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            xs, ys = self.x_of(line.times), self.y_of(line.values)
            for start, end in runs(line.values):
                if end - start > 1:
                    painter.drawPolyline(polygon(xs[start:end], ys[start:end]))
                else:  # a lone sample between two gaps
                    painter.fillRect(QRectF(xs[start] - 1, ys[start] - 1, 2, 2), pen.color())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_marks(self, painter: QPainter) -> None:
        """A dotted line with a triangle on top. Marks closer than 3 pixels look like one."""
        frame, height = self._frame, self._view.height()
        previous = -10.0
        for mark in sorted(self._marks, key=lambda m: m.at_s):
            x = float(self.x_of(np.array([mark.at_s]))[0])
            if not frame.t0 <= mark.at_s <= frame.t1 or x - previous < 3:
                continue
            previous = x
            color = self._theme.color(mark.tone)
            x = round(x) + 0.5
            painter.setPen(QPen(color, 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, 0), QPointF(x, height))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawPolygon(polygon(np.array([x - 4, x + 4, x]), np.array([0.0, 0.0, 6.0])))
            painter.setBrush(Qt.BrushStyle.NoBrush)
