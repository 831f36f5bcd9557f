"""The plot, and pyqtgraph's ViewBox whose mouse moves the shared time axis: the wheel zooms at the
pointer, a drag pans, a drag with Shift chooses a range, a double click follows again. The value
axis always fits what is shown."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QGraphicsGridLayout, QWidget
from typing_extensions import override

from widgets.charts.chart_group import ChartGroup

WHEEL_ZOOM = 0.8
"""Of what is shown remains after one notch of the wheel."""
NOTCH = 120.0
TOP, RIGHT = 8, 14
"""Pixels around the plot, in which labels at the ends of the axes have room."""


class Plot(pg.GraphicsWidget):  # type: ignore[misc]
    """The view box between its axes. It takes the place of pyqtgraph's PlotItem, which brings a
    hidden form of options and a title that renders HTML to every chart."""

    def __init__(self, view: pg.ViewBox, left: pg.AxisItem, bottom: pg.AxisItem) -> None:
        super().__init__()
        grid = QGraphicsGridLayout()
        grid.setContentsMargins(0, TOP, RIGHT, 0)
        grid.setSpacing(0)
        grid.addItem(left, 0, 0)
        grid.addItem(view, 0, 1)
        grid.addItem(bottom, 1, 1)
        grid.setRowStretchFactor(0, 1)
        grid.setColumnStretchFactor(1, 1)
        self.setLayout(grid)
        for axis in (left, bottom):
            axis.linkToView(view)
            axis.setZValue(1)


class PlotView(pg.GraphicsView):  # type: ignore[misc]
    """A graphics view on its parent's background, which keeps its mouse events to itself."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent, background=None)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setAutoFillBackground(False)

    @override
    def close(self) -> bool:
        """As any widget: pyqtgraph's own would take the plot apart."""
        return bool(QFrame.close(self))

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        event.accept()

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        event.accept()

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        event.accept()


class TimeViewBox(pg.ViewBox):  # type: ignore[misc]
    selection_changed = Signal()

    def __init__(self, group: ChartGroup) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self._group = group
        self.selection: tuple[float, float] | None = None
        """The range that is being chosen, seconds since the epoch, earlier first."""
        self._from_s = 0.0

    def time_at(self, x: float) -> float:
        (t0, t1), _ = self.viewRange()
        return float(t0 + x / max(self.width(), 1.0) * (t1 - t0))

    def x_at(self, at_s: float) -> float:
        (t0, t1), _ = self.viewRange()
        return float((at_s - t0) / (t1 - t0) * self.width())

    @override
    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        if axis == 1:
            ev.ignore()
            return
        notches = ev.delta() / NOTCH
        if ev.orientation() == Qt.Orientation.Horizontal:
            self._group.pan(-notches * 0.1)
        else:
            x = self.mapFromScene(ev.scenePos()).x()
            self._group.zoom(WHEEL_ZOOM**notches, self.time_at(min(max(x, 0.0), self.width())))
        ev.accept()

    @override
    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.button() != Qt.MouseButton.LeftButton or axis == 1:
            ev.ignore()
            return
        ev.accept()
        if ev.isStart() and ev.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._from_s = self.time_at(self.mapFromScene(ev.buttonDownScenePos()).x())
            self.selection = (self._from_s, self._from_s)
        if self.selection is not None:
            self._select(ev)
        else:
            moved = ev.scenePos().x() - ev.lastScenePos().x()
            self._group.pan(-moved / max(self.width(), 1.0))

    def _select(self, ev: Any) -> None:
        x = min(max(self.mapFromScene(ev.scenePos()).x(), 0.0), self.width())
        first, last = sorted((self._from_s, self.time_at(x)))
        self.selection = None if ev.isFinish() else (first, last)
        self.selection_changed.emit()
        if ev.isFinish() and last > first:
            self._group.show_span(first, last)

    @override
    def mouseClickEvent(self, ev: Any) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            if ev.double():
                self._group.follow()

    @override
    def keyPressEvent(self, ev: Any) -> None:
        """Keys belong to the chart."""
        ev.ignore()
